//===- ContractionWinogradPixels.cpp - 3x3 weight gradients, fewer products ---===//
//
// F(3x3, 2x2): the 3x3 results of a tile of 2x2 result gradients g and the 4x4 pixels d that they
// meet are A'[(2G g 2G') * (B' d B)]A / 4, sixteen products instead of thirty-six. Transforms are
// linear, so the products of all tiles are summed before A', one matrix product (result channels x
// channels, over the tiles of all images) for each of the sixteen positions. Everything is an
// integer: |2G g 2G'| <= 4·|g| and |B' d B| <= 4·|d|. Codes of four bits stay within bytes (32, and
// -30 to 60 of nibbles 0 ... 15: quads), codes of radix 4 within 16 bits (16384: pairs). Sums wrap
// modulo 2^32, and what comes out of A' is four times the sum, so it is right as long as that fits
// 32 bits; where it does not for all images, it is taken in parts.
//
//===----------------------------------------------------------------------===//
#include "ContractionPlans.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace nibble;
using namespace nibble::contraction;

using Plan = WinogradPixelsPlan;


namespace {
using Vectors = SmallVector<Value>;

/// One operand: its maps and the panels of four positions.
struct Side {
  const CodeFormat &format;
  Form form;
  const PadSpec &pad;
  Value codes, zeroPoint, flat, maps, panel;
  int64_t flatElements, width, position; // channels of a block; elements of a position's panel
};

struct WinogradPixels {
  Emit &e;
  const Contraction &c;
  const Plan &plan;
  const Buffers &buffers;
  const nn::ConvShape &s = plan.s;
  const CodeProduct &p = plan.product;
  const DotUnit &unit = *p.unit;
  Type element = unit.element(e.b), i32 = e.b.getI32Type(), i64 = e.b.getI64Type();
  int64_t columns = p.tileColumns, span = plan.span, spans = s.channels / columns / span;
  int64_t lanes = unit.lanes(), tiles = plan.tiles(), tuple = unit.tuple;
  VectorType sumType = VectorType::get({lanes}, i32);
  Value products = e.view(plan.products, 16 * plan.productPosition(), i32);
  Value classSums = view32(plan.classSums, 4 * s.outChannels);
  Value excess = view32(plan.excess, 9 * s.outChannels);
  Side rows{c.right.format,
            plan.rowForm(),
            plan.rowPad,
            buffers.right,
            buffers.rightZero,
            e.view(plan.rowsFlat, plan.rowsFlatElements(), element),
            e.view(plan.rowsMaps, plan.rowsMapsElements(), element),
            e.view(plan.rowsPanel, plan.rowPositions() * plan.rowPosition(), element),
            plan.rowImage(),
            Plan::kRows,
            plan.rowPosition()};
  Side cols{c.left.format,
            plan.columnForm(),
            plan.columnPad,
            buffers.left,
            buffers.leftZero,
            e.view(plan.columnsFlat, plan.columnsFlatElements(), element),
            e.view(plan.columnsMaps, plan.columnsMapsElements(), element),
            e.view(plan.columnsPanel, 4 * plan.columnPosition(), element),
            plan.columnImage(),
            columns,
            plan.columnPosition()};

  Value view32(int64_t offset, int64_t n) {
    return plan.hasOffset() ? e.view(offset, n, i32) : Value();
  }

  //===--- operands ---------------------------------------------------------===//

  /// The images [first, first + count) as maps of tuples.
  void emitMaps(const Side &side, Value first, Value count, Value units, bool clear) {
    int64_t image = side.flatElements;
    decode(e, side.format, side.form, side.codes, side.zeroPoint, e.mul(first, image),
           e.mul(count, image), side.flat);
    if (clear && s.batch % tuple != 0) { // the empty places of the last tuples
      auto type = vectorOf(side.flat, 32);
      e.loop(e.mul(count, image), e.mul(units, tuple * image), 32,
             [&](Value i) { storeVector(e, e.splat(type, 0), side.flat, i); });
    }
    zipBlocks(e, tuple, side.pad, side.width, plan.units(), side.flat, e.index(0), units,
              side.maps);
  }

  Value combine(Value x, Value y, bool plus) { return plus ? e.add(x, y) : e.sub(x, y); }

  /// Row `i` of B' d B: of the rows of d, two.
  Vectors columnValues(int64_t i, function_ref<Value(int64_t, int64_t)> d) {
    constexpr int64_t first[] = {0, 1, 2, 1}, second[] = {2, 2, 1, 3};
    Vectors a;
    for (int64_t x = 0; x < 4; ++x)
      a.push_back(combine(d(first[i], x), d(second[i], x), i == 1));
    Vectors v{e.sub(a[0], a[2]), e.add(a[1], a[2]), e.sub(a[2], a[1]), e.sub(a[1], a[3])};
    for (auto [j, value] : llvm::enumerate(v))
      if (plan.hasOffset() && 4 * i + int64_t(j) != kSumPosition)
        value = e.add(value, e.splat(cast<VectorType>(value.getType()), kExcess));
    return v;
  }

  /// Row `i` of 2G g 2G'.
  Vectors rowValues(int64_t i, function_ref<Value(int64_t, int64_t)> g) {
    Vectors h;
    for (int64_t x = 0; x < 2; ++x)
      h.push_back(combine(g(i == 3, x), g(i != 0, x), i != 2));
    return {e.add(h[0], h[0]), e.add(h[0], h[1]), e.sub(h[0], h[1]), e.add(h[1], h[1])};
  }

  /// Row `i` of the transformed tiles of `blocks` blocks of channels from `block` on, from position
  /// `to` of the panel on: [position][block of channels][unit, tile][width][tuple].
  void transform(const Side &side, int64_t i, Value units, Value block, int64_t blocks,
                 int64_t to) {
    int64_t pixel = side.width * tuple, row = side.pad.paddedWidth * pixel;
    int64_t map = side.pad.paddedHeight * row;
    int64_t width = std::min<int64_t>(pixel, e.target.vectorBits / 8 / unit.elementBytes());
    auto type = vectorOf(side.maps, width);
    bool isRows = &side == &rows;
    auto body = [&](ValueRange ids) {
      Value n = e.div(ids[1], plan.tilesHigh);
      Value ty = plan.tilesHigh == 1 ? e.index(0) : e.rem(ids[1], plan.tilesHigh);
      Value maps = e.mul(e.add(e.mul(e.add(block, ids[0]), plan.units()), n), map);
      Value from = e.add(maps, e.mul(ty, 2 * row));
      Value tile = e.add(e.mul(ids[0], plan.tuples()), e.mul(ids[1], plan.tilesWide));
      e.loop(e.index(0), e.index(plan.tilesWide), 1, [&](Value tx) {
        Value at = e.add(from, e.mul(tx, 2 * pixel)), out = e.mul(e.add(tile, tx), pixel);
        for (int64_t part = 0; part < pixel; part += width) {
          auto load = [&](int64_t y, int64_t x) {
            return loadVector(e, type, side.maps, e.add(at, y * row + x * pixel + part));
          };
          Vectors values = isRows ? rowValues(i, load) : columnValues(i, load);
          for (auto [j, value] : llvm::enumerate(values))
            storeVector(e, value, side.panel, e.add(out, (to + int64_t(j)) * side.position + part));
        }
      });
    };
    e.parallel({e.index(blocks), e.mul(units, plan.tilesHigh)}, 4 * side.position / 64, body);
  }

  //===--- products ---------------------------------------------------------===//

  /// Four positions, row `i`: [position][tile of columns][row][columns], stored by the first pass
  /// of a part, added by the others. The panel of rows begins with position `from`.
  void multiply(int64_t i, Value units, Value isFirst, int64_t from) {
    // Tuples that a call takes: their panel of columns stays in the first-level cache for all rows
    // of a task.
    constexpr int64_t kTuples = 128, kTaskRows = 128;
    Value tuples = e.mul(units, tiles);
    int64_t task = std::min(kTaskRows, s.outChannels);
    int64_t multiplyAdds = 4 * s.outChannels * span * columns * plan.tuples() * tuple;
    auto body = [&](ValueRange ids) {
      CodeCall call;
      call.rowTable = e.pointer(e.view(p.rowTable, 2, i64));
      call.segTable = e.pointer(e.view(p.segTable, 2, i64));
      Value begin = e.mul(ids[1], task);
      call.rowBegin = e.toI64(begin);
      call.rowEnd = e.toI64(e.min(e.add(begin, task), e.index(s.outChannels)));
      call.segBegin = e.i64(0), call.segEnd = e.i64(1);
      call.aStep = e.i64(p.aStep), call.bStep = e.i64(p.bStep);
      call.columns = e.i64(columns), call.scale = buffers.scale;
      Value out =
          e.add(e.mul(ids[0], plan.productPosition()), e.mul(ids[2], s.outChannels * columns));
      call.out = e.at(e.pointer(products), e.add(out, 4 * i * plan.productPosition()), i32);
      Value a = e.at(e.pointer(rows.panel), e.mul(e.add(ids[0], from), rows.position), element);
      Value b = e.at(e.pointer(cols.panel),
                     e.add(e.mul(ids[0], cols.position), e.mul(ids[2], plan.tuples() * p.bStep)),
                     element);
      call.start = plan.hasOffset() ? e.pointer(e.view(p.starts, 1, i32)) : a;
      auto kernel = [&](Value from, Value to, Epilogue epilogue) {
        call.a = e.at(a, e.mul(from, p.aStep), element);
        call.b = e.at(b, e.mul(from, p.bStep), element);
        call.tuples = e.toI64(e.sub(to, from));
        callCodeKernel(e, {&unit, static_cast<int>(p.vectors), p.start, epilogue}, call);
      };
      Value head = e.min(tuples, e.index(kTuples));
      auto either = scf::IfOp::create(e.b, e.loc, isFirst, /*withElseRegion=*/true);
      {
        OpBuilder::InsertionGuard guard(e.b);
        e.b.setInsertionPoint(either.thenBlock()->getTerminator());
        kernel(e.index(0), head, Epilogue::StoreI32);
        e.b.setInsertionPoint(either.elseBlock()->getTerminator());
        kernel(e.index(0), head, Epilogue::AddI32);
      }
      e.loop(head, tuples, kTuples, [&](Value from) {
        kernel(from, e.min(e.add(from, kTuples), tuples), Epilogue::AddI32);
      });
    };
    e.parallel({e.index(4), e.index(llvm::divideCeil(s.outChannels, task)), e.index(span)},
               multiplyAdds / 128, body);
  }

  //===--- what unsigned columns add ----------------------------------------===//

  /// Adds a pass to the sums of the gradients at each of the four places in a tile.
  void addClassSums(Value units) {
    int64_t pixel = Plan::kRows * tuple, row = rows.pad.paddedWidth * pixel,
            map = rows.pad.paddedHeight * row;
    auto type = VectorType::get({lanes * tuple}, element);
    e.parallel({e.index(s.outChannels / lanes)}, rows.position / 64, [&](ValueRange ids) {
      int64_t parts = Plan::kRows / lanes;
      Value channel = e.mul(ids[0], lanes);
      Value block = e.div(ids[0], parts), part = parts == 1 ? e.index(0) : e.rem(ids[0], parts);
      Value from = e.add(e.mul(block, plan.units() * map), e.mul(part, lanes * tuple));
      Vectors init;
      for (int64_t k = 0; k < 4; ++k)
        init.push_back(loadVector(e, sumType, classSums, e.add(channel, k * s.outChannels)));
      auto loop = scf::ForOp::create(e.b, e.loc, e.index(0), e.mul(units, tiles), e.index(1), init);
      {
        OpBuilder::InsertionGuard guard(e.b);
        e.b.setInsertionPointToStart(loop.getBody());
        // Padded maps are whole tiles, so rows of tiles follow each other across images.
        Value t = loop.getInductionVar(), high = e.div(t, plan.tilesWide);
        Value wide = plan.tilesWide == 1 ? e.index(0) : e.rem(t, plan.tilesWide);
        Value at = e.add(from, e.add(e.mul(high, 2 * row), e.mul(wide, 2 * pixel)));
        Vectors next;
        for (int64_t k = 0; k < 4; ++k) {
          Value g = loadVector(e, type, rows.maps, e.add(at, k / 2 * row + k % 2 * pixel));
          next.push_back(unit.dot(e, loop.getRegionIterArg(k), e.splat(type, 1), g));
        }
        scf::YieldOp::create(e.b, e.loc, next);
      }
      for (int64_t k = 0; k < 4; ++k)
        storeVector(e, loop.getResult(k), classSums, e.add(channel, k * s.outChannels));
    });
  }

  /// A' · m of a matrix of four rows and `n` columns, row by row.
  Vectors outputRows(ArrayRef<Value> m, int64_t n) {
    Vectors out;
    for (int64_t j = 0; j < n; ++j)
      out.push_back(e.add(e.add(m[j], m[n + j]), m[2 * n + j]));
    for (int64_t j = 0; j < n; ++j)
      out.push_back(e.sub(m[n + j], m[2 * n + j]));
    for (int64_t j = 0; j < n; ++j)
      out.push_back(e.sub(e.add(m[n + j], m[2 * n + j]), m[3 * n + j]));
    return out;
  }
  /// A' m A: 3x3 of 4x4.
  Vectors output(ArrayRef<Value> m) {
    auto transpose = [](ArrayRef<Value> m, int64_t n) {
      Vectors t;
      for (int64_t j = 0; j < n; ++j)
        for (size_t i = 0; i < m.size() / n; ++i)
          t.push_back(m[i * n + j]);
      return t;
    };
    Vectors high = outputRows(m, 4);
    return transpose(outputRows(transpose(high, 4), 3), 3);
  }

  /// [tap][row]: what the excess of the columns has added to four times the results of a row.
  void emitExcess() {
    Value nibble = decodedOffset(e, c.left.format, buffers.leftZero);
    Value ofSum = e.add(e.add(nibble, nibble), e.add(nibble, nibble));
    e.loop(e.index(0), e.index(s.outChannels), lanes, [&](Value row) {
      auto g = [&](int64_t y, int64_t x) {
        return loadVector(e, sumType, classSums, e.add(row, (2 * y + x) * s.outChannels));
      };
      Vectors m;
      for (int64_t i = 0; i < 4; ++i)
        llvm::append_range(m, rowValues(i, g));
      for (auto [position, value] : llvm::enumerate(m)) {
        Value factor = e.splat(sumType, kExcess);
        if (position == kSumPosition)
          factor = vector::BroadcastOp::create(e.b, e.loc, sumType, ofSum);
        value = arith::MulIOp::create(e.b, e.loc, value, factor);
      }
      for (auto [tap, value] : llvm::enumerate(output(m)))
        storeVector(e, value, excess, e.add(row, int64_t(tap) * s.outChannels));
    });
  }

  //===--- results ----------------------------------------------------------===//

  void put(Value sum, Value sums, Value at) {
    sum = arith::ShRSIOp::create(e.b, e.loc, sum, e.splat(sumType, 2));
    auto type = vectorOf(sums, lanes);
    if (plan.epilogue == Epilogue::AddI64) {
      sum = arith::ExtSIOp::create(e.b, e.loc, type, sum);
      return storeVector(e, e.add(loadVector(e, type, sums, at), sum), sums, at);
    }
    if (plan.epilogue == Epilogue::AddI32) {
      Value old = vector::BitCastOp::create(e.b, e.loc, sumType, loadVector(e, type, sums, at));
      return storeVector(e, vector::BitCastOp::create(e.b, e.loc, type, e.add(old, sum)), sums, at);
    }
    Value value = arith::SIToFPOp::create(e.b, e.loc, type, sum);
    Value scale = vector::BroadcastOp::create(e.b, e.loc, type, buffers.scale);
    storeVector(e, arith::MulFOp::create(e.b, e.loc, value, scale), sums, at);
  }

  /// A' m A / 4 of all rows and the tiles of columns from `tile` on.
  void transformProducts(Value sums, Value tile) {
    e.parallel({e.index(span), e.index(s.outChannels)}, 16 * plan.productPosition() / 32,
               [&](ValueRange ids) {
                 Value from = e.mul(e.add(e.mul(ids[0], s.outChannels), ids[1]), columns);
                 Value to =
                     e.add(e.mul(ids[1], 9 * s.channels), e.mul(e.add(tile, ids[0]), columns));
                 for (int64_t part = 0; part < columns; part += lanes) {
                   Vectors m;
                   for (int64_t position = 0; position < 16; ++position)
                     m.push_back(loadVector(e, sumType, products,
                                            e.add(from, position * plan.productPosition() + part)));
                   for (auto [tap, sum] : llvm::enumerate(output(m))) {
                     if (plan.hasOffset()) {
                       Value at = e.add(ids[1], int64_t(tap) * s.outChannels);
                       Value more = memref::LoadOp::create(e.b, e.loc, excess, ValueRange{at});
                       sum = e.sub(sum, vector::BroadcastOp::create(e.b, e.loc, sumType, more));
                     }
                     put(sum, sums, e.add(to, int64_t(tap) * s.channels + part));
                   }
                 }
               });
  }

  void emitPass(Value first, Value end, Value isFirst, Value sums) {
    Value count = e.min(e.sub(end, first), e.index(plan.group));
    Value units = e.ceilDiv(count, tuple);
    emitMaps(rows, first, count, units, /*clear=*/true);
    emitMaps(cols, first, count, units, /*clear=*/false);
    if (plan.hasOffset())
      addClassSums(units);
    if (spans > 1)
      return emitSpans(units, isFirst, sums);
    for (int64_t i = 0; i < 4; ++i) {
      transformRows(i, units, 0);
      transform(cols, i, units, e.index(0), span, 0);
      multiply(i, units, isFirst, 0);
    }
  }

  void transformRows(int64_t i, Value units, int64_t to) {
    transform(rows, i, units, e.index(0), s.outChannels / rows.width, to);
  }

  /// A pass that is a part, a span of tiles of columns at a time.
  void emitSpans(Value units, Value isFirst, Value sums) {
    for (int64_t i = 0; i < 4; ++i)
      transformRows(i, units, 4 * i);
    if (plan.hasOffset())
      emitExcess();
    e.loop(e.index(0), e.index(spans * span), span, [&](Value tile) {
      for (int64_t i = 0; i < 4; ++i) {
        transform(cols, i, units, tile, span, 0);
        multiply(i, units, isFirst, 4 * i);
      }
      transformProducts(sums, tile);
    });
  }

  void emit() {
    emitTables(e, p);
    if (plan.hasOffset())
      fillZero(e, e.view(p.starts, s.outChannels, i32), s.outChannels);
    if (s.outHeight % 2 || s.outWidth % 2)
      fillZero(e, rows.maps, plan.rowsMapsElements());
    fill(e, cols.maps, plan.columnsMapsElements(),
         zeroElement(e, c.left.format, plan.columnForm(), buffers.leftZero));
    Value out = e.flat(buffers.output, llvm::alignTo(plan.results(), 32)), sums = out;
    if (plan.epilogue == Epilogue::AddI64)
      sums = e.view(plan.sums, plan.results(), i64);
    if (plan.epilogue != Epilogue::StoreF32)
      fillZero(e, sums, plan.results());
    e.loop(e.index(0), e.index(s.batch), plan.part(), [&](Value part) {
      if (plan.hasOffset())
        fillZero(e, classSums, 4 * s.outChannels);
      Value end = e.min(e.add(part, plan.part()), e.index(s.batch));
      e.loop(part, end, plan.group, [&](Value first) {
        Value isFirst = arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::eq, first, part);
        emitPass(first, end, isFirst, sums);
      });
      if (spans > 1)
        return;
      if (plan.hasOffset())
        emitExcess();
      transformProducts(sums, e.index(0));
    });
    if (plan.epilogue != Epilogue::StoreF32)
      emitScale(e, sums, out, e.index(0), e.index(plan.results()), buffers.scale);
  }
};
} // namespace

void contraction::emitWinogradPixels(Emit &e, const Contraction &c, const Plan &plan,
                                     const Buffers &buffers) {
  WinogradPixels{e, c, plan, buffers}.emit();
}

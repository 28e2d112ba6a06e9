//===- ContractionWinograd.cpp - 3x3 windows with fewer multiplications -------===//
//
// F(2x2, 3x3): of a tile of 4x4 pixels d and a filter g, the 2x2 results are
// A'[(G g G') * (B' d B)]A, sixteen products instead of thirty-six. With 2G for G everything is an
// integer: |2G g 2G'| <= 9·|g| and |B' d B| <= 4·|d|. Codes of four bits stay within bytes (72, and
// -30 to 60 of nibbles 0 ... 15: quads), codes of radix 4 within 16 bits (16384: pairs). The
// results come out four times too large and are divided exactly. So the bits are those of the
// direct product.
//
//===----------------------------------------------------------------------===//
#include "ContractionPlans.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/Support/MathExtras.h"
#include <array>

using namespace nibble;
using namespace nibble::contraction;

/// Results of one window of a transform: 4 x 4 positions.
static constexpr int64_t kPositions = 16, kChannels = 32;

//===----------------------------------------------------------------------===//
// Plan
//===----------------------------------------------------------------------===//

static bool suits(const WindowAxis &a) {
  return a.taps == 3 && a.inStep == 1 && a.inTapStep == 1 && a.outStep == 1 && a.outFirst == 0;
}

/// The unit that multiplies transformed numbers; null where none gains. Quads for codes of four
/// bits; pairs where the direct product takes pairs too and the transformed numbers fit 16 bits.
static const DotUnit *chooseUnit(const CodeFormat &left, const CodeFormat &right,
                                 const CpuTarget &target) {
  const DotUnit *direct = &dotUnit(target, left, right);
  // Of transformed bytes 16 bits hold two steps, and pairs are no faster than the direct product.
  if (direct->dot16)
    return nullptr;
  bool bytes =
      left.kind == CodeFormat::Int4 && right.kind == CodeFormat::Int4 && !right.hasZeroPoint;
  bool words = 4 * left.magnitude <= 32767 && 9 * right.magnitude <= 32767;
  return (direct->tuple == 4 ? bytes : words) ? direct : nullptr;
}

/// Is the product of this kind, exact in 32 bits, and large enough to gain by it?
static bool suits(const Contraction &c, const WindowProduct &w, const DotUnit *unit) {
  // From measurements: transforms of the pixels pay from these channels on, those of the weights
  // from these pixels on.
  constexpr int64_t kLeastChannels = 64, kLeastPixels = 256;
  if (!unit || w.classes.size() != 1 || w.groups != 1)
    return false;
  int64_t terms = 4 * 9 * w.inChannels;
  const WindowAxis &h = w.classes[0].h, &x = w.classes[0].w;
  return suits(h) && suits(x) && w.images * h.pixels * x.pixels >= kLeastPixels &&
         w.inChannels % kChannels == 0 && w.outChannels % kChannels == 0 &&
         w.inChannels >= kLeastChannels && w.outChannels >= kLeastChannels &&
         terms <= exactTerms(c.left.format.magnitude, c.right.format.magnitude);
}

/// First position and size of the padded map along one axis.
static void padAxis(const WindowAxis &a, int64_t size, int64_t tiles, int64_t &border,
                    int64_t &first, int64_t &padded) {
  border = std::max<int64_t>(0, -a.inFirst);
  first = a.inFirst + border;
  padded = std::max(border + size, first + 2 * tiles + 2);
}

/// Columns of all positions: [position][tile][tuple][columns][terms].
static void planPanel(WinogradPlan &plan) {
  const WindowProduct &w = plan.w;
  PackSpec &k = plan.weights;
  bool termsInside = w.weightTerm == 1;
  int64_t inner = termsInside ? w.inChannels : w.outChannels;
  k.tuple = plan.product.unit->tuple, k.tuples = plan.product.tuples;
  k.columnStride = termsInside ? inner : 1;
  k.tileColumns = plan.columns(), k.blockColumns = w.outChannels;
  k.tiles.base = {0, 0};
  k.tiles.append(kPositions, {w.inChannels * w.outChannels, 0});
  k.tiles.append(w.outChannels / k.tileColumns, {k.tileColumns * k.columnStride, k.tileColumns});
  k.segments.base = {0, 0};
  k.terms.base = {0};
  k.terms.append(w.inChannels, {termsInside ? 1 : inner});
}

std::optional<WinogradPlan> contraction::planWinograd(const Contraction &c,
                                                      const CpuTarget &target) {
  if (c.isFloat() || !c.isWindow)
    return std::nullopt;
  WinogradPlan plan;
  plan.w = c.window;
  WindowProduct &w = plan.w;
  for (auto &axes : w.classes)
    axes = {axes.h.ascending(), axes.w.ascending()};
  const DotUnit *unit = chooseUnit(c.left.format, c.right.format, target);
  if (!suits(c, w, unit))
    return std::nullopt;
  int64_t bytes = unit->elementBytes();
  const WindowAxis &h = w.classes[0].h, &x = w.classes[0].w;
  plan.tilesHigh = llvm::divideCeil(h.pixels, 2), plan.tilesWide = llvm::divideCeil(x.pixels, 2);
  PadSpec &pad = plan.pad;
  pad = {w.inHeight, w.inWidth, w.inChannels, 0, 0, 0, 0};
  padAxis(h, w.inHeight, plan.tilesHigh, pad.top, plan.firstRow, pad.paddedHeight);
  padAxis(x, w.inWidth, plan.tilesWide, pad.left, plan.firstColumn, pad.paddedWidth);

  int64_t tiles = plan.tilesHigh * plan.tilesWide;
  CodeProduct &p = plan.product;
  p.unit = unit;
  p.start = plan.hasOffset() ? Start::Columns : Start::Zero;
  chooseTile(p, w.outChannels);
  p.tuples = w.inChannels / unit->tuple;
  p.aStep = unit->tuple, p.bStep = p.tupleElements();
  p.rows.base = {0, 0};
  // The whole panel passes once a block: one that fills the third-level cache passes less often.
  constexpr int64_t kPanelBytes = 6 << 20;
  bool large = kPositions * w.inChannels * w.outChannels * bytes > kPanelBytes;
  plan.blockTiles = large ? 64 : 32;
  p.rows.append(plan.blockTiles, {w.inChannels, plan.columns()});
  p.segments.base = {0, 0};
  planPanel(plan);

  int64_t imageBytes = bytes * (plan.paddedImage() + w.inImage()) +
                       tiles * kPositions * (bytes * w.inChannels + 4 * plan.columns());
  plan.group = imagesOfPass(c, w, std::clamp<int64_t>(kGroupBytes / imageBytes, 1, w.images));
  plan.blocks = llvm::divideCeil(plan.group * tiles, plan.blockTiles);

  ScratchLayout &scratch = plan.scratch;
  reserveTables(p, scratch, plan.hasOffset() ? kPositions * w.outChannels : 0);
  plan.weightsFlat = scratch.reserve(bytes * decodedElements(w.weightElements));
  plan.transformed = scratch.reserve(bytes * plan.transformedElements());
  plan.panel = scratch.reserve(bytes * plan.weights.elements());
  plan.imagesFlat = scratch.reserve(bytes * decodedElements(plan.group * w.inImage()));
  plan.imagesPadded = scratch.reserve(bytes * plan.group * plan.paddedImage());
  plan.values = scratch.reserve(bytes * plan.blocks * kPositions * plan.valuePosition());
  plan.sums = scratch.reserve(4 * plan.blocks * kPositions * plan.sumPosition());
  return plan;
}

//===----------------------------------------------------------------------===//
// Emission
//===----------------------------------------------------------------------===//

namespace {
using Vectors = SmallVector<Value>;

struct Winograd {
  Emit &e;
  const Contraction &c;
  const WinogradPlan &plan;
  const Buffers &buffers;
  const WindowProduct &w = plan.w;
  const WindowAxis &h = w.classes[0].h, &x = w.classes[0].w;
  Type element = plan.product.unit->element(e.b);
  Type i32 = e.b.getI32Type(), i64 = e.b.getI64Type();
  int64_t channels = w.inChannels, results = w.outChannels, columns = plan.columns();
  int64_t columnTiles = results / columns, lanes = plan.product.unit->lanes(),
          tiles = plan.tilesHigh * plan.tilesWide;
  int64_t valuePosition = plan.valuePosition(), sumPosition = plan.sumPosition();
  Value values = e.view(plan.values, plan.blocks * kPositions * valuePosition, element);
  Value sums = e.view(plan.sums, plan.blocks * kPositions * sumPosition, i32);
  Value padded = e.view(plan.imagesPadded, plan.group *plan.paddedImage(), element);
  Value panel = e.view(plan.panel, plan.weights.elements(), element);
  bool streams = !c.unit && streamsResults(e.target, 4 * w.images * w.outImage());
  Value starts = plan.hasOffset() ? e.view(plan.product.starts, kPositions *results, i32) : Value();

  /// Elements of a vector that a transform of `n` neighbours takes.
  int64_t width(int64_t n) {
    int64_t most = e.target.vectorBits / (8 * plan.product.unit->elementBytes());
    return std::min<int64_t>(most, n % 64 == 0 ? 64 : 32);
  }

  /// Applies `line` to the columns and then to the rows of an n x n matrix of vectors.
  Vectors bothWays(const Vectors &in, int64_t n, function_ref<Vectors(ArrayRef<Value>)> line) {
    std::vector<Vectors> columns; // column j after the first pass
    for (int64_t j = 0; j < n; ++j) {
      Vectors column;
      for (int64_t i = 0; i < n; ++i)
        column.push_back(in[i * n + j]);
      columns.push_back(line(column));
    }
    Vectors out;
    for (size_t i = 0; i < columns[0].size(); ++i) {
      Vectors row;
      for (int64_t j = 0; j < n; ++j)
        row.push_back(columns[j][i]);
      llvm::append_range(out, line(row));
    }
    return out;
  }

  /// 2G · g
  Vectors filterLine(ArrayRef<Value> g) {
    Value ends = e.add(g[0], g[2]);
    return {e.add(g[0], g[0]), e.add(ends, g[1]), e.sub(ends, g[1]), e.add(g[2], g[2])};
  }
  /// B' · d
  Vectors inputLine(ArrayRef<Value> d) {
    return {e.sub(d[0], d[2]), e.add(d[1], d[2]), e.sub(d[2], d[1]), e.sub(d[1], d[3])};
  }
  /// A' · m
  Vectors outputLine(ArrayRef<Value> m) {
    return {e.add(e.add(m[0], m[1]), m[2]), e.sub(e.sub(m[1], m[2]), m[3])};
  }

  /// [position][outer][inner], outer and inner as in memory.
  void transformWeights(Value flat, Value transformed) {
    int64_t inner = w.weightTerm == 1 ? channels : results, outer = channels * results / inner;
    int64_t step = std::min<int64_t>(width(inner), 32);
    auto type = vectorOf(flat, step);
    e.parallel({e.index(outer)}, w.weightElements / 16, [&](ValueRange ids) {
      e.loop(e.index(0), e.index(inner), step, [&](Value i) {
        Vectors g;
        for (int64_t th = 0; th < 3; ++th)
          for (int64_t tw = 0; tw < 3; ++tw) {
            int64_t tap = 3 * (h.tapFirst + th * h.tapStep) + x.tapFirst + tw * x.tapStep;
            Value at = e.add(e.add(e.mul(ids[0], 9 * inner), i), tap * inner);
            g.push_back(loadVector(e, type, flat, at));
          }
        Vectors u = bothWays(g, 3, [&](ArrayRef<Value> line) { return filterLine(line); });
        Value to = e.add(e.mul(ids[0], inner), i);
        for (auto [position, value] : llvm::enumerate(u))
          storeVector(e, value, transformed, e.add(to, int64_t(position) * outer * inner));
      });
    });
  }

  void emitWeights() {
    Value flat = e.view(plan.weightsFlat, decodedElements(w.weightElements), element);
    Value transformed = e.view(plan.transformed, plan.transformedElements(), element);
    decode(e, c.right.format, plan.weightForm(), buffers.right, buffers.rightZero, e.index(0),
           e.index(w.weightElements), flat);
    transformWeights(flat, transformed);
    pack(e, plan.weights, transformed, e.index(0), e.index(1), e.index(channels), panel);
    if (plan.hasOffset())
      emitStarts();
  }

  void emitStarts() {
    Value excess = arith::ConstantIntOp::create(e.b, e.loc, i32, kExcess);
    Value nibble = decodedOffset(e, c.left.format, buffers.leftZero);
    Value ofSum = e.add(e.add(nibble, nibble), e.add(nibble, nibble));
    packStarts(e, plan.weights, *plan.product.unit, panel, e.index(1), starts, [&](Value tile) {
      Value position = e.div(tile, columnTiles);
      Value isSum = arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::eq, position,
                                          e.index(kSumPosition));
      return arith::SelectOp::create(e.b, e.loc, isSum, ofSum, excess).getResult();
    });
  }

  void emitImages(Value first, Value count) {
    if (contraction::decodesMaps(plan.pad))
      return decodeMaps(e, c.left.format, plan.imageForm(), plan.pad, buffers.left,
                        buffers.leftZero, first, count, padded);
    Value flat = e.view(plan.imagesFlat, decodedElements(plan.group * w.inImage()), element);
    Value begin = e.mul(first, w.inImage());
    decode(e, c.left.format, plan.imageForm(), buffers.left, buffers.leftZero, begin,
           e.mul(count, w.inImage()), flat);
    pad(e, plan.pad, flat, e.rem(begin, 32), count, padded);
  }

  /// Image, row and column of a tile.
  std::array<Value, 3> place(Value tile) {
    Value inImage = e.rem(tile, tiles);
    return {e.div(tile, tiles), e.div(inImage, plan.tilesWide),
            plan.tilesWide == 1 ? e.index(0) : e.rem(inImage, plan.tilesWide)};
  }

  /// B' d B of tile `tile`, row `r` of a block.
  void transformInput(Value block, Value r, Value tile) {
    auto [n, ty, tx] = place(tile);
    Value row = e.add(e.add(e.mul(n, plan.pad.paddedHeight), e.mul(ty, 2)), plan.firstRow);
    Value pixel = e.add(e.add(e.mul(row, plan.pad.paddedWidth), e.mul(tx, 2)), plan.firstColumn);
    Value from = e.mul(pixel, channels);
    Value to = e.add(e.mul(block, kPositions * valuePosition), e.mul(r, channels));
    int64_t step = width(channels);
    auto type = vectorOf(padded, step);
    Value excess = e.splat(type, kExcess);
    e.loop(e.index(0), e.index(channels), step, [&](Value i) {
      Vectors d;
      for (int64_t y = 0; y < 4; ++y)
        for (int64_t xx = 0; xx < 4; ++xx) {
          int64_t at = (y * plan.pad.paddedWidth + xx) * channels;
          d.push_back(loadVector(e, type, padded, e.add(e.add(from, i), at)));
        }
      Vectors v = bothWays(d, 4, [&](ArrayRef<Value> line) { return inputLine(line); });
      for (int64_t position = 0; position < kPositions; ++position) {
        Value value = v[position];
        if (plan.hasOffset() && position != kSumPosition)
          value = e.add(value, excess);
        storeVector(e, value, values, e.add(e.add(to, i), position * valuePosition));
      }
    });
  }

  /// The products of all positions of a block of tiles with a tile of columns.
  void multiply(Value block, Value count, Value columnTile) {
    e.loop(e.index(0), e.index(kPositions), 1, [&](Value position) {
      Value number = e.add(e.mul(block, kPositions), position);
      Value tile = e.add(e.mul(position, columnTiles), columnTile);
      const CodeProduct &p = plan.product;
      CodeCall call;
      call.a = e.at(e.pointer(values), e.mul(number, valuePosition), element);
      call.b = e.at(e.pointer(panel), e.mul(tile, plan.weights.tileElements()), element);
      call.rowTable = e.pointer(e.view(p.rowTable, 2, i64));
      call.segTable = e.pointer(e.view(p.segTable, 2, i64));
      call.start = starts ? e.at(e.pointer(starts), e.mul(tile, columns), i32) : call.a;
      call.out = e.at(e.pointer(sums), e.mul(number, sumPosition), i32);
      call.rowBegin = e.i64(0), call.rowEnd = e.toI64(count);
      call.segBegin = e.i64(0), call.segEnd = e.i64(1);
      call.tuples = e.i64(p.tuples), call.aStep = e.i64(p.aStep), call.bStep = e.i64(p.bStep);
      call.columns = e.i64(columns), call.scale = buffers.scale;
      callCodeKernel(e, {p.unit, p.unit->vectors, p.start, Epilogue::StoreI32}, call);
    });
  }

  /// One of the four pixels of a tile, if it is inside.
  void storePixel(Value sum, Value out, Value n, Value y, Value xx, Value column) {
    auto type = VectorType::get({lanes}, e.b.getF32Type());
    auto put = [&] {
      Value quarter =
          arith::ShRSIOp::create(e.b, e.loc, sum, e.splat(cast<VectorType>(sum.getType()), 2));
      Value value = arith::SIToFPOp::create(e.b, e.loc, type, quarter);
      Value scale = vector::BroadcastOp::create(e.b, e.loc, type, buffers.scale);
      value = arith::MulFOp::create(e.b, e.loc, value, scale);
      Value row = e.add(e.mul(n, w.outHeight), y);
      Value at = e.add(e.mul(e.add(e.mul(row, w.outWidth), xx), results), column);
      llvm::MaybeAlign alignment = streams ? llvm::MaybeAlign(4 * lanes) : llvm::MaybeAlign();
      vector::StoreOp::create(e.b, e.loc, value, out, ValueRange{at}, streams, alignment);
    };
    auto below = [&](Value v, int64_t end) -> Value {
      return arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::slt, v, e.index(end));
    };
    if (h.pixels % 2 == 0 && x.pixels % 2 == 0)
      return put();
    Value inside = arith::AndIOp::create(e.b, e.loc, below(y, h.pixels), below(xx, x.pixels));
    e.ifThen(inside, put);
  }

  /// A' m A / 4, scaled.
  void transformOutput(Value block, Value r, Value tile, Value first, Value columnTile, Value out) {
    auto [n, ty, tx] = place(tile);
    Value image = e.add(n, first);
    Value from = e.add(e.mul(block, kPositions * sumPosition), e.mul(r, columns));
    for (int64_t part = 0; part < columns; part += lanes) {
      Vectors m;
      for (int64_t position = 0; position < kPositions; ++position)
        m.push_back(
            loadVector(e, vectorOf(sums, lanes), sums, e.add(from, position * sumPosition + part)));
      Vectors y = bothWays(m, 4, [&](ArrayRef<Value> line) { return outputLine(line); });
      for (int64_t i = 0; i < 4; ++i)
        storePixel(y[i], out, image, e.add(e.mul(ty, 2), i / 2), e.add(e.mul(tx, 2), i % 2),
                   e.add(e.mul(columnTile, columns), part));
    }
  }

  void emitBlock(Value block, Value count, Value first, Value out) {
    Value firstTile = e.mul(block, plan.blockTiles);
    Value rows = e.min(e.sub(e.mul(count, tiles), firstTile), e.index(plan.blockTiles));
    e.loop(e.index(0), rows, 1, [&](Value r) { transformInput(block, r, e.add(firstTile, r)); });
    e.loop(e.index(0), e.index(columnTiles), 1, [&](Value columnTile) {
      multiply(block, rows, columnTile);
      e.loop(e.index(0), rows, 1, [&](Value r) {
        transformOutput(block, r, e.add(firstTile, r), first, columnTile, out);
      });
    });
    if (streams)
      e.drainStores();
  }

  void emit() {
    emitTables(e, plan.product);
    emitWeights();
    int64_t elements = plan.group * plan.paddedImage();
    fill(e, padded, elements, zeroElement(e, c.left.format, plan.imageForm(), buffers.leftZero));
    int64_t outImages = buffers.onePass ? plan.group : w.images;
    Value out = e.flat(buffers.output, llvm::alignTo(outImages * w.outImage(), 32));
    int64_t multiplyAdds = plan.group * tiles * kPositions * channels * results;
    e.loop(e.index(0), e.index(w.images), plan.group, [&](Value first) {
      Value count = e.min(e.sub(e.index(w.images), first), e.index(plan.group));
      emitImages(first, count);
      e.parallel({e.ceilDiv(e.mul(count, tiles), plan.blockTiles)}, multiplyAdds / 128,
                 [&](ValueRange ids) { emitBlock(ids[0], count, buffers.firstIn(e, first), out); });
      if (buffers.afterPass)
        buffers.afterPass(e.mul(first, w.outImage()), e.mul(count, w.outImage()));
    });
  }
};
} // namespace

void contraction::emitWinograd(Emit &e, const Contraction &c, const WinogradPlan &plan,
                               const Buffers &buffers) {
  Winograd{e, c, plan, buffers}.emit();
}

//===- ContractionWindowFloat.cpp - forward and input gradient in f32 ---------===//
//
// Taps outside the image are no terms, so a register tile takes result pixels of one row that see
// the same taps: the pixels of a row fall into a few runs (left border pixel by pixel, interior,
// right border), which a constant table lists.
//
//===----------------------------------------------------------------------===//
#include "ContractionPlans.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/xxhash.h"

using namespace nibble;
using namespace nibble::contraction;

//===----------------------------------------------------------------------===//
// Panels and tables
//===----------------------------------------------------------------------===//

void contraction::packFloat(Emit &e, const FloatPackSpec &s, Value source, int64_t elements,
                            Value target) {
  Value from = e.flat(source, elements);
  auto type = VectorType::get({s.tileColumns}, e.b.getF32Type());
  Value zero = arith::ConstantOp::create(e.b, e.loc, e.b.getZeroAttr(type));
  auto maskType = VectorType::get({s.tileColumns}, e.b.getI1Type());
  int64_t nanoseconds = s.elements() / (s.columnStride == 1 ? 8 : 1);
  e.parallel(
      {e.index(s.tiles.count()), e.index(s.outer.count())}, nanoseconds, [&](ValueRange ids) {
        SmallVector<Value> tile = e.apply(s.tiles, ids[0]), outer = e.apply(s.outer, ids[1]);
        Value base = e.add(tile[0], outer[0]);
        Value to = e.mul(e.add(e.mul(ids[0], s.outer.count()), ids[1]), s.terms * s.tileColumns);
        Value columns = e.min(e.sub(e.index(s.blockColumns), tile[1]), e.index(s.tileColumns));
        Value mask = vector::CreateMaskOp::create(e.b, e.loc, maskType, columns);
        e.loop(e.index(0), e.index(s.terms), 1, [&](Value k) {
          Value at = e.add(base, e.mul(k, s.termStride)), out = e.add(to, e.mul(k, s.tileColumns));
          if (s.columnStride == 1) {
            Value row =
                vector::MaskedLoadOp::create(e.b, e.loc, type, from, ValueRange{at}, mask, zero);
            vector::StoreOp::create(e.b, e.loc, row, target, ValueRange{out});
            return;
          }
          e.loop(e.index(0), columns, 1, [&](Value j) {
            Value x = memref::LoadOp::create(e.b, e.loc, from,
                                             ValueRange{e.add(at, e.mul(j, s.columnStride))});
            memref::StoreOp::create(e.b, e.loc, x, target, ValueRange{e.add(out, j)});
          });
        });
      });
}

Value contraction::constantTable(Emit &e, ArrayRef<int64_t> numbers) {
  ArrayRef<uint8_t> bytes(reinterpret_cast<const uint8_t *>(numbers.data()), numbers.size() * 8);
  std::string name =
      "nibble_table_" + llvm::utohexstr(llvm::xxh3_64bits(bytes), /*LowerCase=*/true);
  auto type = MemRefType::get({int64_t(numbers.size())}, e.b.getI64Type());
  ModuleOp module = e.module();
  if (!module.lookupSymbol(name)) {
    OpBuilder::InsertionGuard guard(e.b);
    e.b.setInsertionPointToStart(module.getBody());
    auto value = DenseElementsAttr::get(
        RankedTensorType::get(type.getShape(), type.getElementType()), numbers);
    memref::GlobalOp::create(e.b, module.getLoc(), name, e.b.getStringAttr("private"), type, value,
                             /*constant=*/true, IntegerAttr());
  }
  return memref::GetGlobalOp::create(e.b, e.loc, type, name);
}

//===----------------------------------------------------------------------===//
// Plan
//===----------------------------------------------------------------------===//

/// A 1x1 window that reads every pixel once is a matrix product: its pixels become one row.
static void collapse(WindowProduct &w) {
  if (w.classes.size() != 1)
    return;
  WindowAxis &h = w.classes[0].h, &x = w.classes[0].w;
  auto identity = [](const WindowAxis &a, int64_t size) {
    return a.taps == 1 && a.inFirst == 0 && a.pixels == size && (a.inStep == 1 || size == 1);
  };
  if (!identity(h, w.inHeight) || !identity(x, w.inWidth) || w.outHeight != w.inHeight ||
      w.outWidth != w.inWidth)
    return;
  w.inWidth = w.outWidth = x.pixels = w.images * w.inHeight * w.inWidth;
  w.images = w.inHeight = w.outHeight = h.pixels = 1;
  x.inStep = 1;
}

WindowFloatPlan contraction::planWindowFloat(const Contraction &c, const CpuTarget &target) {
  WindowFloatPlan plan;
  plan.w = c.window;
  collapse(plan.w);
  const WindowProduct &w = plan.w;
  plan.kernelW = w.weightRow / w.weightColumn;
  int64_t filter = w.weightElements / (w.termChannels() * w.resultChannels() * w.groups);
  plan.kernelH = filter / plan.kernelW;
  plan.depthwise = w.groups > 1 && w.termChannels() == 1 && w.resultChannels() == 1;
  FloatPackSpec &k = plan.weights;
  k.blockColumns = plan.depthwise ? w.groups : w.resultChannels();
  plan.vectors =
      std::min(floatVectors(target), int64_t(llvm::divideCeil(k.blockColumns, target.lanes())));
  plan.rows = floatRows(target, plan.vectors);
  k.terms = w.termChannels(), k.termStride = w.weightTerm;
  k.columnStride = plan.depthwise ? w.weightGroup : w.weightResult;
  k.tileColumns = plan.vectors * target.lanes();
  k.tiles.base = {0, 0};
  k.tiles.append(plan.depthwise ? 1 : w.groups, {w.weightGroup, 0});
  k.tiles.append(llvm::divideCeil(k.blockColumns, k.tileColumns),
                 {k.tileColumns * k.columnStride, k.tileColumns});
  k.outer.base = {0};
  k.outer.append(plan.kernelH, {w.weightRow});
  k.outer.append(plan.kernelW, {w.weightColumn});
  plan.panel = plan.scratch.reserve(4 * k.elements());
  return plan;
}

//===----------------------------------------------------------------------===//
// Emission
//===----------------------------------------------------------------------===//

namespace {
/// The taps that pixel i of an axis has inside the input.
struct Taps {
  int64_t first = 0, count = 0, in = 0; // in: input coordinate of the first
  Taps(const WindowAxis &a, int64_t size, int64_t i) {
    for (int64_t t = 0; t < a.taps; ++t) {
      int64_t x = a.inFirst + i * a.inStep + t * a.inTapStep;
      if (x < 0 || x >= size)
        continue;
      if (count++ == 0)
        first = t, in = x;
    }
  }
};

struct WindowFloat {
  Emit &e;
  const WindowFloatPlan &plan;
  const Buffers &buffers;
  const WindowProduct &w = plan.w;
  Type f32 = e.b.getF32Type();
  Value left, panel, output;

  Value entry(Value table, Value row, int64_t width, int64_t column) {
    return e.toIndex(
        memref::LoadOp::create(e.b, e.loc, table, ValueRange{e.add(e.mul(row, width), column)}));
  }

  /// Rows of [first tap, taps, input coordinate].
  Value rowTable(const WindowAxis &a) {
    SmallVector<int64_t> numbers;
    for (int64_t i = 0; i < a.pixels; ++i) {
      Taps taps(a, w.inHeight, i);
      numbers.append({taps.first, taps.count, taps.in});
    }
    return constantTable(e, numbers);
  }

  /// The part of a register tile's rows that is used, if n of them are wanted.
  double use(int64_t n) { return double(n) / double(llvm::alignTo(n, plan.rows)); }

  /// Runs of [first pixel, pixels, first tap, taps, input coordinate]: those that go along the row,
  /// or those that go across images.
  SmallVector<int64_t> runs(const WindowAxis &a, bool acrossImages) {
    SmallVector<int64_t> all, chosen;
    for (int64_t i = 0; i < a.pixels; ++i) {
      Taps taps(a, w.inWidth, i);
      size_t n = all.size();
      if (n && all[n - 3] == taps.first && all[n - 2] == taps.count)
        ++all[n - 4];
      else
        all.append({i, 1, taps.first, taps.count, taps.in});
    }
    for (size_t i = 0; i < all.size(); i += 5)
      if ((use(all[i + 1]) < 0.8 * use(w.images)) == acrossImages)
        chosen.append(all.begin() + i, all.begin() + i + 5);
    return chosen;
  }

  /// Everything of a call but rows and addresses.
  FloatCall callOf(const WindowProduct::Class &axes, Value rowTaps, Value columnTaps,
                   Value columns) {
    const WindowAxis &h = axes.h, &x = axes.w;
    int64_t terms = w.termChannels(), pixel = w.inChannels, tile = plan.weights.tileColumns;
    FloatCall call;
    call.columns = columns;
    call.n1 = rowTaps, call.n2 = columnTaps, call.n3 = e.index(terms);
    call.a1 = e.index(h.inTapStep * w.inWidth * pixel), call.a2 = e.index(x.inTapStep * pixel);
    call.a3 = e.index(1);
    call.b1 = e.index(h.tapStep * plan.kernelW * terms * tile);
    call.b2 = e.index(x.tapStep * terms * tile), call.b3 = e.index(tile);
    if (w.groups == 1 && x.inTapStep == 1 && x.tapStep == 1) { // a row of taps is one run
      call.n3 = e.mul(columnTaps, terms);
      call.n2 = e.index(1);
    } else if (terms == 1) {
      call.n3 = columnTaps, call.a3 = call.a2, call.b3 = call.b2;
      call.n2 = e.index(1);
    }
    return call;
  }

  /// What a task computes: tile of columns `tileId`, pixel row `i` of image `image`, or of `images`
  /// images from there on; of runs along the row, result pixels [begin, end).
  struct Task {
    const WindowProduct::Class &axes;
    Value rowTable, runTable;
    int64_t runCount;
    Value tileId, image, i, images, begin, end;
  };

  /// The tiles of one run.
  void run(const Task &t, Value run) {
    const WindowAxis &h = t.axes.h, &x = t.axes.w;
    int64_t tile = plan.weights.tileColumns, terms = w.termChannels();
    int64_t tiles = llvm::divideCeil(plan.weights.blockColumns, tile);
    bool grouped = w.groups > 1 && !plan.depthwise;
    Value group = grouped ? e.div(t.tileId, tiles) : e.index(0);
    Value column = e.mul(grouped ? e.rem(t.tileId, tiles) : t.tileId, tile);
    Value columns = e.min(e.sub(e.index(plan.weights.blockColumns), column), e.index(tile));
    Value first = entry(t.runTable, run, 5, 0), last = e.add(first, entry(t.runTable, run, 5, 1));
    FloatCall call =
        callOf(t.axes, entry(t.rowTable, t.i, 3, 1), entry(t.runTable, run, 5, 3), columns);
    Value kernelRow = e.add(e.mul(entry(t.rowTable, t.i, 3, 0), h.tapStep), h.tapFirst);
    Value kernelColumn = e.add(e.mul(entry(t.runTable, run, 5, 2), x.tapStep), x.tapFirst);
    Value position = e.add(e.mul(kernelRow, plan.kernelW), kernelColumn);
    Value panelTile = e.mul(t.tileId, plan.kernelH * plan.kernelW * terms * tile);
    call.b = e.at(panel, e.add(panelTile, e.mul(position, terms * tile)), f32);

    Value inRow = e.add(e.mul(t.image, w.inHeight), entry(t.rowTable, t.i, 3, 2));
    Value outRow = e.add(e.mul(t.image, w.outHeight), e.add(e.mul(t.i, h.outStep), h.outFirst));
    Value in = e.add(e.mul(inRow, w.inWidth), entry(t.runTable, run, 5, 4));
    Value out = e.add(e.mul(outRow, w.outWidth), x.outFirst);
    auto emitTile = [&](Value j, int64_t rows) {
      Value inPixel = e.add(in, e.mul(e.sub(j, first), x.inStep));
      Value outPixel = e.add(out, e.mul(j, x.outStep));
      Value outColumn = e.add(e.mul(group, w.resultChannels()), column);
      Value inChannel = plan.depthwise ? column : e.mul(group, terms);
      call.a = e.at(left, e.add(e.mul(inPixel, w.inChannels), inChannel), f32);
      call.out = e.at(output, e.add(e.mul(outPixel, w.outChannels), outColumn), f32);
      callFloatKernel(e, {rows, plan.vectors, FloatRead::Whole, plan.depthwise}, call);
    };
    if (t.images) {
      call.rowCount = t.images;
      call.aRow = e.index(w.inImage()), call.outRow = e.index(w.outImage());
      e.loop(first, last, 1, [&](Value j) { emitTile(j, plan.rows); });
      return;
    }
    call.aRow = e.index(x.inStep * w.inChannels), call.outRow = e.index(x.outStep * w.outChannels);
    Value to = e.min(last, t.end);
    e.loop(e.max(first, t.begin), to, plan.rows, [&](Value j) {
      call.rowCount = e.min(e.sub(to, j), e.index(plan.rows));
      auto one = arith::CmpIPredicate::eq;
      Value single = arith::CmpIOp::create(e.b, e.loc, one, call.rowCount, e.index(1));
      auto either = scf::IfOp::create(e.b, e.loc, single, /*withElseRegion=*/true);
      OpBuilder::InsertionGuard guard(e.b);
      e.b.setInsertionPoint(either.thenBlock()->getTerminator());
      emitTile(j, 1);
      e.b.setInsertionPoint(either.elseBlock()->getTerminator());
      emitTile(j, plan.rows);
    });
  }

  /// All runs of one kind.
  void emitRuns(const WindowProduct::Class &axes, Value rowTable, bool acrossImages) {
    SmallVector<int64_t> table = runs(axes.w, acrossImages);
    if (table.empty())
      return;
    Value runTable = constantTable(e, table);
    int64_t runCount = int64_t(table.size()) / 5, pixels = 0;
    for (size_t i = 0; i < table.size(); i += 5)
      pixels += table[i + 1];
    // Pixels of a row that one task takes: all, but for the long rows of matrix products.
    int64_t task = axes.w.pixels <= plan.rows * 16 ? axes.w.pixels : plan.rows * 8;
    int64_t tasks = acrossImages ? 1 : llvm::divideCeil(axes.w.pixels, task);
    int64_t images = acrossImages ? llvm::divideCeil(w.images, plan.rows) : w.images;
    int64_t multiplyAdds = w.images * axes.h.pixels * pixels * axes.h.taps * axes.w.taps *
                           w.inChannels * w.resultChannels();
    SmallVector<Value> sizes{e.index(plan.weights.tiles.count()), e.index(images * axes.h.pixels),
                             e.index(tasks)};
    e.parallel(sizes, multiplyAdds / 64, [&](ValueRange ids) {
      Value image = e.div(ids[1], axes.h.pixels);
      Value i = axes.h.pixels == 1 ? e.index(0) : e.rem(ids[1], axes.h.pixels);
      Task t{axes, rowTable, runTable, runCount, ids[0], image, i, {}, {}, {}};
      t.begin = e.mul(ids[2], task);
      t.end = e.min(e.add(t.begin, task), e.index(axes.w.pixels));
      if (acrossImages) {
        t.image = e.mul(image, plan.rows);
        t.images = e.min(e.sub(e.index(w.images), t.image), e.index(plan.rows));
      }
      e.loop(e.index(0), e.index(runCount), 1, [&](Value id) { run(t, id); });
    });
  }

  void emitClass(const WindowProduct::Class &axes) {
    Value rows = rowTable(axes.h);
    emitRuns(axes, rows, /*acrossImages=*/false);
    emitRuns(axes, rows, /*acrossImages=*/true);
  }

  void emit() {
    Value panelMemref = e.view(plan.panel, plan.weights.elements(), f32);
    packFloat(e, plan.weights, buffers.right, w.weightElements, panelMemref);
    panel = e.pointer(panelMemref);
    left = e.pointer(buffers.left);
    output = e.pointer(buffers.output);
    for (const auto &axes : w.classes)
      emitClass(axes);
  }
};
} // namespace

void contraction::emitWindowFloat(Emit &e, const Contraction &, const WindowFloatPlan &plan,
                                  const Buffers &buffers) {
  WindowFloat{e, plan, buffers, plan.w, e.b.getF32Type(), {}, {}, {}}.emit();
}

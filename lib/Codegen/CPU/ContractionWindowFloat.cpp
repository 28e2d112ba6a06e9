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
  plan.vectors =
      std::min(floatVectors(target), int64_t(llvm::divideCeil(w.resultChannels(), target.lanes())));
  plan.rows = floatRows(target, plan.vectors);
  FloatPackSpec &k = plan.weights;
  k.terms = w.termChannels(), k.termStride = w.weightTerm, k.columnStride = w.weightResult;
  k.tileColumns = plan.vectors * target.lanes(), k.blockColumns = w.resultChannels();
  k.tiles.base = {0, 0};
  k.tiles.append(w.groups, {w.weightGroup, 0});
  k.tiles.append(llvm::divideCeil(k.blockColumns, k.tileColumns),
                 {k.tileColumns * w.weightResult, k.tileColumns});
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

  /// Runs of [first pixel, pixels, first tap, taps, input coordinate].
  Value runTable(const WindowAxis &a, int64_t &runs) {
    SmallVector<int64_t> numbers;
    for (int64_t i = 0; i < a.pixels; ++i) {
      Taps taps(a, w.inWidth, i);
      size_t n = numbers.size();
      if (n && numbers[n - 3] == taps.first && numbers[n - 2] == taps.count)
        ++numbers[n - 4];
      else
        numbers.append({i, 1, taps.first, taps.count, taps.in});
    }
    runs = int64_t(numbers.size()) / 5;
    return constantTable(e, numbers);
  }

  /// Everything of a call but rows and addresses.
  FloatCall callOf(const WindowProduct::Class &axes, Value rowTaps, Value columnTaps,
                   Value columns) {
    const WindowAxis &h = axes.h, &x = axes.w;
    int64_t terms = w.termChannels(), pixel = w.inChannels, tile = plan.weights.tileColumns;
    FloatCall call;
    call.columns = columns;
    call.n1 = rowTaps, call.n2 = columnTaps, call.n3 = e.index(terms);
    call.aRow = e.index(x.inStep * pixel);
    call.a1 = e.index(h.inTapStep * w.inWidth * pixel), call.a2 = e.index(x.inTapStep * pixel),
    call.a3 = e.index(1);
    call.b1 = e.index(h.tapStep * plan.kernelW * terms * tile),
    call.b2 = e.index(x.tapStep * terms * tile), call.b3 = e.index(tile);
    call.outRow = e.index(x.outStep * w.outChannels);
    if (w.groups == 1 && x.inTapStep == 1 && x.tapStep == 1) { // a row of taps is one run
      call.n3 = e.mul(columnTaps, terms);
      call.n2 = e.index(1);
    }
    return call;
  }

  /// One result row (of image n, pixel row i) for one tile of columns, result pixels [begin, end).
  void row(const WindowProduct::Class &axes, Value rows, Value runs, int64_t runCount, Value tileId,
           Value n, Value i, Value begin, Value end) {
    const WindowAxis &h = axes.h, &x = axes.w;
    int64_t tile = plan.weights.tileColumns, terms = w.termChannels();
    int64_t tiles = llvm::divideCeil(w.resultChannels(), tile);
    Value group = w.groups == 1 ? e.index(0) : e.div(tileId, tiles),
          inGroup = w.groups == 1 ? tileId : e.rem(tileId, tiles);
    Value column = e.mul(inGroup, tile),
          columns = e.min(e.sub(e.index(w.resultChannels()), column), e.index(tile));
    Value panelTile = e.mul(tileId, plan.kernelH * plan.kernelW * terms * tile);
    Value outRow = e.add(
        e.mul(e.add(e.mul(n, w.outHeight), e.add(e.mul(i, h.outStep), h.outFirst)), w.outWidth),
        x.outFirst);
    Value tapH = entry(rows, i, 3, 0), tapsH = entry(rows, i, 3, 1);
    Value inRow = e.mul(e.add(e.mul(n, w.inHeight), entry(rows, i, 3, 2)), w.inWidth);
    e.loop(e.index(0), e.index(runCount), 1, [&](Value run) {
      Value first = entry(runs, run, 5, 0), last = e.add(first, entry(runs, run, 5, 1));
      Value tapW = entry(runs, run, 5, 2), tapsW = entry(runs, run, 5, 3),
            in = entry(runs, run, 5, 4);
      FloatCall call = callOf(axes, tapsH, tapsW, columns);
      Value kernelRow = e.add(e.mul(tapH, h.tapStep), h.tapFirst),
            kernelColumn = e.add(e.mul(tapW, x.tapStep), x.tapFirst);
      Value position = e.add(e.mul(kernelRow, plan.kernelW), kernelColumn);
      call.b = e.at(panel, e.add(panelTile, e.mul(position, terms * tile)), f32);
      Value from = e.max(first, begin), to = e.min(last, end);
      auto tileAt = [&](Value j, int64_t rows, Value count) {
        Value pixel = e.add(inRow, e.add(in, e.mul(e.sub(j, first), x.inStep)));
        call.a = e.at(left, e.add(e.mul(pixel, w.inChannels), e.mul(group, terms)), f32);
        Value outPixel = e.mul(e.add(outRow, e.mul(j, x.outStep)), w.outChannels);
        call.out =
            e.at(output, e.add(outPixel, e.add(e.mul(group, w.resultChannels()), column)), f32);
        call.rowCount = count;
        callFloatKernel(e, rows, plan.vectors, /*masked=*/false, call);
      };
      e.loop(from, to, plan.rows, [&](Value j) {
        Value count = e.min(e.sub(to, j), e.index(plan.rows));
        Value single =
            arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::eq, count, e.index(1));
        auto either = scf::IfOp::create(e.b, e.loc, single, /*withElseRegion=*/true);
        OpBuilder::InsertionGuard guard(e.b);
        e.b.setInsertionPoint(either.thenBlock()->getTerminator());
        tileAt(j, 1, count);
        e.b.setInsertionPoint(either.elseBlock()->getTerminator());
        tileAt(j, plan.rows, count);
      });
    });
  }

  void emitClass(const WindowProduct::Class &axes) {
    int64_t runCount = 0;
    Value rows = rowTable(axes.h), runs = runTable(axes.w, runCount);
    // Pixels of a row that one task takes: all, but for the long rows of matrix products.
    int64_t task = plan.rows * 8,
            tasks = axes.w.pixels <= 2 * task ? 1 : llvm::divideCeil(axes.w.pixels, task);
    if (tasks == 1)
      task = axes.w.pixels;
    Value lines = e.index(w.images * axes.h.pixels);
    int64_t multiplyAdds = w.images * axes.h.pixels * axes.w.pixels * axes.h.taps * axes.w.taps *
                           w.inChannels * w.resultChannels();
    e.parallel({e.index(plan.weights.tiles.count()), lines, e.index(tasks)}, multiplyAdds / 64,
               [&](ValueRange ids) {
                 Value n = e.div(ids[1], axes.h.pixels),
                       i = axes.h.pixels == 1 ? e.index(0) : e.rem(ids[1], axes.h.pixels);
                 Value begin = e.mul(ids[2], task),
                       end = e.min(e.add(begin, task), e.index(axes.w.pixels));
                 row(axes, rows, runs, runCount, ids[0], n, i, begin, end);
               });
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

//===- ContractionPixelFloat.cpp - weight gradient in f32 ---------------------===//
#include "ContractionPlans.h"

#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "llvm/Support/MathExtras.h"

using namespace nibble;
using namespace nibble::contraction;

PixelFloatPlan contraction::planPixelFloat(const Contraction &c, const CpuTarget &target) {
  PixelFloatPlan plan;
  plan.p = c.pixels;
  nn::ConvShape &s = plan.p.s;
  bool noPads = !s.padTop && !s.padLeft && !s.padBottom && !s.padRight;
  if (s.kernelHeight * s.kernelWidth == 1 && s.strideH == 1 && s.strideW == 1 && noPads) {
    // All pixels in one row: a matrix product.
    s.batch = s.height = s.outHeight = 1;
    s.width = s.outWidth = plan.p.totalPixels;
  }
  int64_t channels = s.channels / s.groups;
  plan.depthwise = s.groups > 1 && channels == 1 && s.outChannels == s.groups;
  plan.rowWise =
      s.groups == 1 && s.dilationW == 1 && s.kernelWidth > 1 && channels % target.lanes() != 0;
  int64_t columns = plan.depthwise ? s.groups : plan.rowWise ? channels * s.kernelWidth : channels;
  plan.vectors = std::min(floatVectors(target), int64_t(llvm::divideCeil(columns, target.lanes())));
  plan.rows = plan.depthwise ? 1 : floatRows(target, plan.vectors);
  plan.packed = plan.p.columnsTransposed;
  FloatPackSpec &k = plan.columns;
  k.terms = s.outWidth, k.termStride = 1, k.columnStride = s.outWidth;
  k.tileColumns = plan.vectors * target.lanes(), k.blockColumns = columns;
  k.tiles.base = {0, 0};
  k.tiles.append(llvm::divideCeil(columns, k.tileColumns),
                 {k.tileColumns * s.outWidth, k.tileColumns});
  k.outer.base = {0};
  plan.panel = plan.packed ? plan.scratch.reserve(4 * k.elements()) : 0;
  return plan;
}

namespace {
struct PixelFloat {
  Emit &e;
  const PixelFloatPlan &plan;
  const Buffers &buffers;
  const nn::ConvShape &s = plan.p.s;
  Type f32 = e.b.getF32Type();

  /// For every kernel position of an axis [first result pixel, result pixels, input coordinate]
  /// that lie inside.
  Value rangeTable(int64_t kernel, int64_t size, int64_t outSize, int64_t stride, int64_t padding,
                   int64_t dilation) {
    SmallVector<int64_t> numbers;
    for (int64_t k = 0; k < kernel; ++k) {
      int64_t first = 0, count = 0, in = 0;
      for (int64_t o = 0; o < outSize; ++o) {
        int64_t x = o * stride + k * dilation - padding;
        if (x >= 0 && x < size && count++ == 0)
          first = o, in = x;
      }
      numbers.append({first, count, in});
    }
    return constantTable(e, numbers);
  }

  Value entry(Value table, Value row, int64_t column) {
    return e.toIndex(
        memref::LoadOp::create(e.b, e.loc, table, ValueRange{e.add(e.mul(row, 3), column)}));
  }

  /// The call of one tile: of `block` = (group, kernel row, kernel column, column tile) and the
  /// rows from `row` on.
  void tile(ArrayRef<Value> block, Value row, Value rangesH, Value rangesW, Value rowOperand,
            Value columnOperand, Value output) {
    int64_t channels = s.channels / s.groups, rows = s.outChannels / s.groups,
            tile = plan.columns.tileColumns;
    int64_t taps = s.kernelHeight * s.kernelWidth;
    Value group = block[0], column = e.mul(block[3], tile), none = e.index(0);
    FloatCall call;
    call.rowCount = e.min(e.sub(e.index(rows), row), e.index(plan.rows));
    call.columns = e.min(e.sub(e.index(plan.columns.blockColumns), column), e.index(tile));
    call.n1 = e.index(s.batch), call.n2 = entry(rangesH, block[1], 1);
    call.n3 = plan.rowWise ? e.index(s.outWidth) : entry(rangesW, block[2], 1);
    call.aRow = e.index(1);
    call.a1 = e.index(s.outHeight * s.outWidth * s.outChannels);
    call.a2 = e.index(s.outWidth * s.outChannels), call.a3 = e.index(s.outChannels);
    call.b1 = e.index(s.height * s.width * s.channels);
    call.b2 = e.index(s.strideH * s.width * s.channels);
    call.b3 = e.index(plan.packed ? tile : s.strideW * s.channels);
    call.outRow = e.index(taps * channels);
    // Column 0 of a row-wise tile stands at this column of the image row for the first result
    // pixel.
    call.rowAt = e.sub(column, e.index(s.padLeft * s.channels));
    call.rowStep = call.b3, call.rowEnd = e.index(s.width * s.channels);

    // The group of a depthwise convolution is the column.
    call.outColumn = e.index(taps);
    Value groupRow = plan.depthwise ? column : e.add(e.mul(group, rows), row);
    Value firstPixel = plan.rowWise ? none : entry(rangesW, block[2], 0);
    Value pixel = e.add(e.mul(entry(rangesH, block[1], 0), s.outWidth), firstPixel);
    call.a = e.at(rowOperand, e.add(e.mul(pixel, s.outChannels), groupRow), f32);
    Value inRow = e.mul(entry(rangesH, block[1], 2), s.width * s.channels);
    Value inColumn = plan.rowWise ? call.rowAt
                                  : e.add(e.mul(entry(rangesW, block[2], 2), s.channels),
                                          e.add(e.mul(group, channels), column));
    call.b =
        e.at(columnOperand, plan.packed ? e.mul(column, s.outWidth) : e.add(inRow, inColumn), f32);
    Value tap = e.add(e.mul(block[1], s.kernelWidth), block[2]);
    Value outTap = e.mul(e.add(e.mul(groupRow, taps), tap), channels);
    Value out = plan.depthwise ? outTap : e.add(outTap, column);
    call.out = e.at(output, out, f32);
    bool whole = plan.packed || (!plan.depthwise && channels % tile == 0);
    FloatRead read = plan.rowWise ? FloatRead::Row : whole ? FloatRead::Whole : FloatRead::Columns;
    callFloatKernel(e, {plan.rows, plan.vectors, read, plan.depthwise, plan.depthwise}, call);
  }

  void emit() {
    int64_t rows = s.outChannels / s.groups, rowTiles = llvm::divideCeil(rows, plan.rows);
    int64_t columnTiles = llvm::divideCeil(plan.columns.blockColumns, plan.columns.tileColumns);
    Value rowOperand = e.pointer(plan.p.rowsAreRight ? buffers.right : buffers.left);
    Value columnOperand = e.pointer(plan.p.rowsAreRight ? buffers.left : buffers.right);
    Value output = e.pointer(buffers.output);
    if (plan.packed) {
      Value panel = e.view(plan.panel, plan.columns.elements(), f32);
      packFloat(e, plan.columns, buffers.right, s.channels * s.outWidth, panel);
      columnOperand = e.pointer(panel);
    }
    Value rangesH =
        rangeTable(s.kernelHeight, s.height, s.outHeight, s.strideH, s.padTop, s.dilationH);
    Value rangesW =
        rangeTable(s.kernelWidth, s.width, s.outWidth, s.strideW, s.padLeft, s.dilationW);
    IndexMap blocks; // -> (group, kernel row, kernel column, column tile)
    blocks.base = {0, 0, 0, 0};
    blocks.append(plan.depthwise ? 1 : s.groups, {1, 0, 0, 0});
    blocks.append(s.kernelHeight, {0, 1, 0, 0});
    blocks.append(plan.rowWise ? 1 : s.kernelWidth, {0, 0, 1, 0});
    blocks.append(columnTiles, {0, 0, 0, 1});
    int64_t taps = s.kernelHeight * s.kernelWidth;
    int64_t multiplyAdds = rows * s.channels * taps * plan.p.totalPixels;
    e.parallel(
        {e.index(blocks.count()), e.index(rowTiles)}, multiplyAdds / 64, [&](ValueRange ids) {
          Value row = e.mul(ids[1], plan.rows);
          tile(e.apply(blocks, ids[0]), row, rangesH, rangesW, rowOperand, columnOperand, output);
        });
  }
};
} // namespace

void contraction::emitPixelFloat(Emit &e, const PixelFloatPlan &plan, const Buffers &buffers) {
  PixelFloat{e, plan, buffers, plan.p.s, e.b.getF32Type()}.emit();
}

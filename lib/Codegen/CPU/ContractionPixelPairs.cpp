//===- ContractionPixelPairs.cpp - weight gradient on codes -------------------===//
#include "ContractionPlans.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "llvm/Support/MathExtras.h"

using namespace nibble;
using namespace nibble::contraction;

//===----------------------------------------------------------------------===//
// Plan
//===----------------------------------------------------------------------===//

int64_t PixelPairsPlan::columnsFlatElements() const {
  // A transposed matrix is decoded as a whole.
  int64_t n = p.columnsTransposed ? p.s.channels * p.totalPixels : group * columnImage();
  return decodedElements(n) + slack;
}
int64_t PixelPairsPlan::columnsPanelElements() const {
  return (mode == Matrix ? columns.elements() : 2 * units() * paddedImage()) + 128;
}
int64_t PixelPairsPlan::results() const {
  return p.s.outChannels * p.s.kernelHeight * p.s.kernelWidth * (p.s.channels / p.s.groups);
}

/// The row operand: [group][tile of 16][unit, row][pair][16][2].
static void planRows(PixelPairsPlan &plan) {
  const nn::ConvShape &s = plan.p.s;
  constexpr int64_t kTile = 16;
  int64_t groupRows = s.outChannels / s.groups, tiles = llvm::divideCeil(groupRows, kTile);
  bool images = plan.mode == PixelPairsPlan::Images;
  PackSpec &r = plan.rows;
  r.pairs = images ? s.outWidth : llvm::divideCeil(s.outWidth, 2);
  r.columnStride = 1, r.tileColumns = kTile, r.blockColumns = groupRows;
  r.tiles.base = {0, 0};
  r.tiles.append(s.groups, {groupRows, 0});
  r.tiles.append(tiles, {kTile, kTile});
  r.segments.base = {0, 0};
  // The parts of a matrix product are counted through, so that `length` tells where the terms end.
  bool counted = plan.mode == PixelPairsPlan::Matrix;
  int64_t unit = (images ? 2 : 1) * plan.rowImage();
  r.segments.append(plan.units(), {counted ? 0 : unit, counted ? s.outWidth : 0});
  r.segments.append(s.outHeight, {s.outWidth * s.outChannels, 0});
  r.terms.base = {0};
  r.terms.append(s.outWidth, {s.outChannels});
  if (images)
    r.terms.append(2, {plan.rowImage()});
  if (r.terms.levels.empty())
    r.terms.levels.push_back({1, {0}});

  PairProduct &p = plan.product;
  int64_t outRow = plan.results() / s.outChannels;
  p.rows.base = {0, 0};
  p.rows.append(tiles, {r.tileElements(), kTile * outRow});
  p.rows.append(std::min(kTile, groupRows), {2, outRow});
  p.aStep = kTile * 2;
}

/// Columns of convolutions: [unit][row][column][channel][2], in which every tap is an address.
static void planColumns(PixelPairsPlan &plan, const CpuTarget &target) {
  const nn::ConvShape &s = plan.p.s;
  PairProduct &p = plan.product;
  int64_t pixel = s.channels * 2, row = plan.pad.paddedWidth * pixel;
  int64_t channels = s.channels / s.groups, groupRows = s.outChannels / s.groups;
  // The columns of a tile run over (kernel column, channel) where these are contiguous.
  bool merged = s.groups == 1 && s.dilationW == 1;
  chooseTile(p, merged ? s.kernelWidth * channels : channels, target);
  int64_t groupPanel =
      llvm::divideCeil(groupRows, plan.rows.tileColumns) * plan.rows.tileElements();
  int64_t groupOut = groupRows * s.kernelHeight * s.kernelWidth * channels;
  p.columns.append(s.groups, {groupPanel, channels * 2, groupOut, 0});
  p.columns.append(s.kernelHeight, {0, s.dilationH * row, s.kernelWidth * channels, 0});
  if (!merged)
    p.columns.append(s.kernelWidth, {0, s.dilationW * pixel, channels, 0});
  p.columns.append(llvm::divideCeil(p.blockColumns, p.tileColumns),
                   {0, p.tileColumns * 2, p.tileColumns, p.tileColumns});
  p.bStep = (plan.mode == PixelPairsPlan::Images ? 1 : 2) * s.strideW * pixel;
  int64_t rowSegment = plan.rows.segmentElements();
  p.segments.append(plan.units(), {s.outHeight * rowSegment, 2 * plan.paddedImage()});
  p.segments.append(s.outHeight, {rowSegment, s.strideH * row});
}

/// Columns of matrix products: [tile][part][pair][tile columns][2].
static void planMatrixColumns(PixelPairsPlan &plan, const CpuTarget &target) {
  const nn::ConvShape &s = plan.p.s;
  PairProduct &p = plan.product;
  PackSpec &k = plan.columns;
  chooseTile(p, s.channels, target);
  int64_t tiles = llvm::divideCeil(s.channels, p.tileColumns);
  k.pairs = plan.rows.pairs;
  k.columnStride = plan.p.columnsTransposed ? plan.p.totalPixels : 1;
  k.tileColumns = p.tileColumns, k.blockColumns = s.channels;
  k.tiles.base = {0, 0};
  k.tiles.append(tiles, {p.tileColumns * k.columnStride, p.tileColumns});
  k.segments.base = {0, 0};
  k.segments.append(plan.group, {0, s.outWidth});
  k.terms.base = {0};
  k.terms.append(s.outWidth, {plan.p.columnsTransposed ? 1 : s.channels});
  if (k.terms.levels.empty())
    k.terms.levels.push_back({1, {0}});
  p.columns.append(tiles, {0, k.tileElements(), p.tileColumns, p.tileColumns});
  p.bStep = p.tileColumns * 2;
  p.segments.append(plan.group, {plan.rows.segmentElements(), k.segmentElements()});
}

static void planGroup(PixelPairsPlan &plan) {
  const nn::ConvShape &s = plan.p.s;
  plan.mode = !plan.p.rowsAreRight ? PixelPairsPlan::Matrix
              : s.batch > 1        ? PixelPairsPlan::Images
                                   : PixelPairsPlan::Single;
  plan.padded = s.padTop || s.padLeft || s.padBottom || s.padRight;
  int64_t paddedHeight = s.height + s.padTop + s.padBottom;
  int64_t paddedWidth = s.width + s.padLeft + s.padRight;
  plan.pad = {s.height, s.width, s.channels, paddedHeight, paddedWidth, s.padTop, s.padLeft};
  int64_t padded = plan.paddedImage();
  int64_t bytes =
      2 * plan.columnImage() + (plan.padded ? 2 : 0) * padded + 2 * padded + 4 * plan.rowImage();
  // Every pass but the first reads and writes the sums again, so passes are larger than the window
  // products'.
  plan.group = std::clamp<int64_t>(2 * kGroupBytes / bytes, 1, s.batch);
  if (plan.mode == PixelPairsPlan::Images)
    plan.group = (plan.group + 1) / 2 * 2;
  plan.slack = s.strideW * s.channels + 128;
}

static void planScratch(PixelPairsPlan &plan, const CpuTarget &target) {
  ScratchLayout &scratch = plan.scratch;
  reserveTables(plan.product, scratch, target);
  plan.rowsFlat = scratch.reserve(2 * plan.rowsFlatElements());
  plan.rowsPanel = scratch.reserve(2 * (plan.rows.elements() + 64));
  plan.columnsFlat = scratch.reserve(2 * plan.columnsFlatElements());
  plan.columnsPadded =
      plan.padded ? scratch.reserve(2 * (plan.group * plan.paddedImage() + plan.slack)) : 0;
  plan.columnsPanel = scratch.reserve(2 * plan.columnsPanelElements());
  plan.sums = plan.epilogue == Epilogue::AddI64 ? scratch.reserve(8 * plan.results()) : 0;
}

PixelPairsPlan contraction::planPixelPairs(const Contraction &c, const CpuTarget &target) {
  PixelPairsPlan plan;
  plan.p = c.pixels;
  planGroup(plan);
  PairProduct &p = plan.product;
  p.columns.base = {0, 0, 0, 0};
  p.segments.base = {0, 0};
  planRows(plan);
  plan.mode == PixelPairsPlan::Matrix ? planMatrixColumns(plan, target) : planColumns(plan, target);
  p.pairs = plan.rows.pairs;
  p.termsASegment = plan.p.s.outWidth * (plan.mode == PixelPairsPlan::Images ? 2 : 1);
  int64_t bound = exactTerms(c.left.format.magnitude, c.right.format.magnitude);
  p.maxSegments = std::max<int64_t>(1, bound / p.termsASegment);
  bool once = plan.group >= plan.p.s.batch && p.segments.count() <= p.maxSegments;
  plan.epilogue = once                          ? Epilogue::StoreF32
                  : plan.p.totalPixels <= bound ? Epilogue::AddI32
                                                : Epilogue::AddI64;
  planScratch(plan, target);
  return plan;
}

//===----------------------------------------------------------------------===//
// Emission
//===----------------------------------------------------------------------===//

namespace {
struct PixelPairs {
  Emit &e;
  const Contraction &c;
  const PixelPairsPlan &plan;
  const Buffers &buffers;
  const nn::ConvShape &s = plan.p.s;
  Type i16 = e.b.getI16Type();
  bool images = plan.mode == PixelPairsPlan::Images, matrix = plan.mode == PixelPairsPlan::Matrix;

  /// Terms of the parts of a matrix product from `first` on.
  Value matrixTerms(Value first, Value count) {
    Value begin = e.mul(first, s.outWidth);
    return e.min(e.mul(count, s.outWidth), e.sub(e.index(plan.p.totalPixels), begin));
  }

  void rowPanel(Value first, Value count, Value units) {
    const OperandInfo &operand = plan.p.rowsAreRight ? c.right : c.left;
    Value source = plan.p.rowsAreRight ? buffers.right : buffers.left;
    Value zero = plan.p.rowsAreRight ? buffers.rightZero : buffers.leftZero;
    int64_t image = plan.rowImage();
    Value flat = e.view(plan.rowsFlat, plan.rowsFlatElements(), i16);
    Value begin = e.mul(first, image), offset = e.rem(begin, 32);
    Value elements = e.mul(count, image), length = e.index(s.outWidth);
    if (matrix) {
      length = matrixTerms(first, count);
      elements = e.mul(length, s.outChannels);
    }
    decode(e, operand.format, source, zero, begin, elements, flat);
    if (images) {
      length = e.index(2 * s.outWidth);
      if (s.batch % 2 != 0) // the last image's partner
        zeroImage(flat, e.add(offset, elements), image);
    }
    Value panel = e.view(plan.rowsPanel, plan.rows.elements() + 64, i16);
    pack(e, plan.rows, flat, offset, e.mul(units, s.outHeight), length, panel);
  }

  /// Behind the images of a pass, as far as there is room: the last pass needs it.
  void zeroImage(Value flat, Value from, int64_t n) {
    Value room = e.index(plan.rowsFlatElements()), end = e.min(e.add(from, n), room);
    Value zero = arith::ConstantOp::create(e.b, e.loc, e.b.getI16IntegerAttr(0));
    e.loop(from, end, 1,
           [&](Value i) { memref::StoreOp::create(e.b, e.loc, zero, flat, ValueRange{i}); });
  }

  void columnPanel(Value first, Value count, Value units) {
    const OperandInfo &operand = plan.p.rowsAreRight ? c.left : c.right;
    Value source = plan.p.rowsAreRight ? buffers.left : buffers.right;
    Value zero = plan.p.rowsAreRight ? buffers.leftZero : buffers.rightZero;
    Value flat = e.view(plan.columnsFlat, plan.columnsFlatElements(), i16);
    Value panel = e.view(plan.columnsPanel, plan.columnsPanelElements(), i16);
    Value begin = e.mul(first, plan.columnImage()), offset = e.rem(begin, 32);
    if (matrix) {
      Value terms = matrixTerms(first, count), elements = e.mul(terms, s.channels);
      if (plan.p.columnsTransposed) {
        begin = e.index(0), offset = e.mul(first, s.outWidth);
        elements = e.index(operand.format.elements);
      }
      decode(e, operand.format, source, zero, begin, elements, flat);
      return pack(e, plan.columns, flat, offset, count, terms, panel);
    }
    decode(e, operand.format, source, zero, begin, e.mul(count, plan.columnImage()), flat);
    if (plan.padded) {
      Value padded = e.view(plan.columnsPadded, plan.group * plan.paddedImage() + plan.slack, i16);
      pad(e, plan.pad, flat, offset, count, padded);
      flat = padded;
      offset = e.index(0);
    }
    int64_t image = plan.paddedImage();
    if (images)
      zip(e, flat, offset, 2 * image, image, units, image, panel);
    else
      zip(e, flat, offset, image, s.strideW * s.channels, units, image, panel);
  }

  Value panel(int64_t offset) { return e.pointer(e.view(offset, 1, i16)); }

  void emit() {
    emitTables(e, plan.product);
    if (plan.padded) {
      int64_t elements = plan.group * plan.paddedImage();
      fillZero(e, e.view(plan.columnsPadded, elements, i16), elements);
    }
    Value output = e.flat(buffers.output, llvm::alignTo(plan.results(), 32)), sums = output;
    if (plan.epilogue == Epilogue::AddI64)
      sums = e.view(plan.sums, plan.results(), e.b.getI64Type());
    // 32-bit sums grow in the output's own memory.
    if (plan.epilogue != Epilogue::StoreF32)
      fillZero(e, sums, plan.results());
    e.loop(e.index(0), e.index(s.batch), plan.group, [&](Value first) {
      Value count = e.min(e.sub(e.index(s.batch), first), e.index(plan.group));
      Value units = images ? e.ceilDiv(count, 2) : count;
      rowPanel(first, count, units);
      columnPanel(first, count, units);
      emitTiles(e, plan.product, panel(plan.rowsPanel), panel(plan.columnsPanel), e.pointer(sums),
                e.index(s.outChannels / s.groups), e.mul(units, s.outHeight), plan.epilogue,
                buffers.scale);
    });
    if (plan.epilogue != Epilogue::StoreF32)
      emitScale(e, sums, output, e.index(0), e.index(plan.results()), buffers.scale);
  }
};
} // namespace

void contraction::emitPixelPairs(Emit &e, const Contraction &c, const PixelPairsPlan &plan,
                                 const Buffers &buffers) {
  PixelPairs{e, c, plan, buffers}.emit();
}

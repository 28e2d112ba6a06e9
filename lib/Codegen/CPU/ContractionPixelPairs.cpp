//===- ContractionPixelPairs.cpp - weight gradient on codes -------------------===//
#include "ContractionPlans.h"

#include "llvm/Support/MathExtras.h"

using namespace nibble;
using namespace nibble::contraction;

//===----------------------------------------------------------------------===//
// Plan
//===----------------------------------------------------------------------===//

/// The row operand: [group][tile of 16][image, row][pair][16][2].
static void planRows(PixelPairsPlan &plan) {
  const nn::ConvShape &s = plan.p.s;
  constexpr int64_t kTile = 16;
  int64_t groupRows = s.outChannels / s.groups, tiles = llvm::divideCeil(groupRows, kTile),
          image = s.outHeight * s.outWidth;
  PackSpec &r = plan.rows;
  r.pairs = llvm::divideCeil(s.outWidth, 2);
  r.columnStride = 1, r.tileColumns = kTile, r.blockColumns = groupRows;
  r.tiles.base = {0, 0};
  r.tiles.append(s.groups, {groupRows, 0});
  r.tiles.append(tiles, {kTile, kTile});
  r.segments.base = {0, 0};
  // The images of a partial matrix product are counted through, so that `length` tells where the
  // terms end.
  bool counted = plan.p.partial();
  r.segments.append(plan.group, {counted ? 0 : image * s.outChannels, counted ? s.outWidth : 0});
  r.segments.append(s.outHeight, {s.outWidth * s.outChannels, 0});
  r.terms.base = {0};
  r.terms.append(s.outWidth, {s.outChannels});
  if (r.terms.levels.empty())
    r.terms.levels.push_back({1, {0}});

  PairProduct &p = plan.product;
  int64_t taps = s.kernelHeight * s.kernelWidth, channels = s.channels / s.groups;
  p.rows.base = {0, 0};
  p.rows.append(tiles, {r.tileElements(), kTile * taps * channels});
  p.rows.append(std::min(kTile, groupRows), {2, taps * channels});
  p.aStep = kTile * 2;
}

/// Columns as pairs of all pixels: [image][row][column][channel][2].
static void planOverlap(PixelPairsPlan &plan, SmallVectorImpl<int64_t> &segment) {
  const nn::ConvShape &s = plan.p.s;
  PairProduct &p = plan.product;
  int64_t pixel = s.channels * 2, row = plan.pad.paddedWidth * pixel,
          channels = s.channels / s.groups;
  bool merged = s.groups == 1 && s.dilationW == 1;
  int64_t block = merged ? s.kernelWidth * channels : channels,
          tiles = llvm::divideCeil(block, p.tileColumns);
  int64_t groupRowsPanel =
      llvm::divideCeil(s.outChannels / s.groups, plan.rows.tileColumns) * plan.rows.tileElements();
  int64_t groupOut = s.outChannels / s.groups * s.kernelHeight * s.kernelWidth * channels;
  p.columns.append(s.groups, {groupRowsPanel, channels * 2, groupOut, 0});
  p.columns.append(s.kernelHeight, {0, s.dilationH * row, s.kernelWidth * channels, 0});
  if (!merged)
    p.columns.append(s.kernelWidth, {0, s.dilationW * pixel, channels, 0});
  p.columns.append(tiles, {0, p.tileColumns * 2, p.tileColumns, p.tileColumns});
  p.bStep = 2 * s.strideW * pixel;
  segment.assign({plan.pad.paddedHeight * row, s.strideH * row});
}

/// Columns of a kernel one column wide: [group][tile][image][row][pair][tile columns][2].
static void planColumns(PixelPairsPlan &plan, SmallVectorImpl<int64_t> &segment) {
  const nn::ConvShape &s = plan.p.s;
  PairProduct &p = plan.product;
  PackSpec &k = plan.columns;
  int64_t channels = s.channels / s.groups, tiles = llvm::divideCeil(channels, p.tileColumns);
  int64_t row = plan.pad.paddedWidth * s.channels, rowStep = s.kernelHeight == 1 ? s.strideH : 1;
  int64_t rows = s.kernelHeight == 1 ? s.outHeight : plan.pad.paddedHeight;
  k.pairs = plan.rows.pairs;
  k.columnStride = 1, k.tileColumns = p.tileColumns, k.blockColumns = channels;
  k.tiles.base = {0, 0};
  k.tiles.append(s.groups, {channels, 0});
  bool counted = plan.p.partial() || plan.p.columnsTransposed;
  k.segments.base = {0, 0};
  k.segments.append(plan.group,
                    {counted ? 0 : plan.pad.paddedHeight * row, counted ? s.outWidth : 0});
  k.segments.append(rows, {rowStep * row, 0});
  k.terms.base = {0};
  if (plan.p.columnsTransposed)
    k.columnStride = plan.p.totalPixels;
  k.tiles.append(tiles, {p.tileColumns * k.columnStride, p.tileColumns});
  k.terms.append(s.outWidth, {plan.p.columnsTransposed ? 1 : s.strideW * s.channels});
  if (k.terms.levels.empty())
    k.terms.levels.push_back({1, {0}});

  int64_t groupRowsPanel =
      llvm::divideCeil(s.outChannels / s.groups, plan.rows.tileColumns) * plan.rows.tileElements();
  int64_t groupOut = s.outChannels / s.groups * s.kernelHeight * channels;
  p.columns.append(s.groups, {groupRowsPanel, tiles * k.tileElements(), groupOut, 0});
  p.columns.append(s.kernelHeight, {0, s.dilationH * k.segmentElements(), channels, 0});
  p.columns.append(tiles, {0, k.tileElements(), p.tileColumns, p.tileColumns});
  p.bStep = p.tileColumns * 2;
  segment.assign(
      {rows * k.segmentElements(), (s.kernelHeight == 1 ? 1 : s.strideH) * k.segmentElements()});
}

static void planGroup(PixelPairsPlan &plan, const CpuTarget &target) {
  const nn::ConvShape &s = plan.p.s;
  plan.padded = s.padTop || s.padLeft || s.padBottom || s.padRight;
  plan.pad = {s.height,
              s.width,
              s.channels,
              s.height + s.padTop + s.padBottom,
              s.width + s.padLeft + s.padRight,
              s.padTop,
              s.padLeft};
  plan.overlap = s.kernelWidth > 1;
  int64_t image = s.height * s.width * s.channels,
          padded = plan.pad.paddedHeight * plan.pad.paddedWidth * s.channels;
  int64_t out = s.outHeight * s.outWidth * s.outChannels;
  int64_t bytes =
      2 * image + (plan.padded ? 2 * padded : 0) + (plan.overlap ? 4 : 2) * padded + 4 * out;
  // Every pass but the first reads and writes the sums again, so passes are larger than the window
  // products'.
  plan.group = std::clamp<int64_t>(2 * kGroupBytes / bytes, 1, s.batch);
}

PixelPairsPlan contraction::planPixelPairs(const Contraction &c, const CpuTarget &target) {
  PixelPairsPlan plan;
  plan.p = c.pixels;
  const nn::ConvShape &s = plan.p.s;
  planGroup(plan, target);
  PairProduct &p = plan.product;
  bool merged = s.groups == 1 && s.dilationW == 1;
  chooseTile(p, s.channels / s.groups * (plan.overlap && merged ? s.kernelWidth : 1), target);
  p.columns.base = {0, 0, 0, 0};
  planRows(plan);
  SmallVector<int64_t> segment;
  plan.overlap ? planOverlap(plan, segment) : planColumns(plan, segment);
  p.segments.base = {0, 0};
  int64_t rowSegment = plan.rows.segmentElements();
  p.segments.append(plan.group, {s.outHeight * rowSegment, segment[0]});
  p.segments.append(s.outHeight, {rowSegment, segment[1]});
  p.pairs = plan.rows.pairs;
  p.termsASegment = s.outWidth;
  int64_t bound = exactTerms(c.left.format.magnitude, c.right.format.magnitude);
  p.maxSegments = std::max<int64_t>(1, bound / s.outWidth);

  bool once = plan.group == s.batch && p.segments.count() <= p.maxSegments;
  plan.epilogue = once                          ? Epilogue::StoreF32
                  : plan.p.totalPixels <= bound ? Epilogue::AddI32
                                                : Epilogue::AddI64;
  int64_t results = s.outChannels * s.kernelHeight * s.kernelWidth * (s.channels / s.groups);
  int64_t paddedElements = plan.group * plan.pad.paddedHeight * plan.pad.paddedWidth * s.channels;
  plan.slack = s.strideW * s.channels + 128;
  ScratchLayout &scratch = plan.scratch;
  reserveTables(p, scratch, target);
  plan.rowsFlat = scratch.reserve(
      2 * (decodedElements(plan.group * s.outHeight * s.outWidth * s.outChannels) + plan.slack));
  plan.rowsPanel = scratch.reserve(2 * (plan.rows.elements() + 64));
  int64_t flatColumns = plan.p.columnsTransposed ? s.channels * plan.p.totalPixels
                                                 : plan.group * s.height * s.width * s.channels;
  plan.columnsFlat = scratch.reserve(2 * (decodedElements(flatColumns) + plan.slack));
  plan.columnsPadded = plan.padded ? scratch.reserve(2 * (paddedElements + plan.slack)) : 0;
  plan.columnsPanel = scratch.reserve(
      2 * ((plan.overlap ? 2 * paddedElements + 32 : plan.columns.elements()) + 128));
  plan.sums = plan.epilogue == Epilogue::AddI64 ? scratch.reserve(8 * results) : 0;
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

  /// Pixels of the group that begins with image `first`, and (matrix products) how many terms it
  /// has.
  Value groupTerms(Value first, Value count) {
    Value begin = e.mul(first, s.outWidth);
    return e.min(e.mul(count, s.outWidth), e.sub(e.index(plan.p.totalPixels), begin));
  }
  bool partial() { return plan.p.partial(); }
  int64_t flatColumns() {
    int64_t n = plan.p.columnsTransposed ? s.channels * plan.p.totalPixels
                                         : plan.group * s.height * s.width * s.channels;
    return decodedElements(n) + plan.slack;
  }

  void rowPanel(Value first, Value count) {
    const OperandInfo &operand = plan.p.rowsAreRight ? c.right : c.left;
    Value source = plan.p.rowsAreRight ? buffers.right : buffers.left,
          zero = plan.p.rowsAreRight ? buffers.rightZero : buffers.leftZero;
    int64_t image = s.outHeight * s.outWidth * s.outChannels;
    Value flat = e.view(plan.rowsFlat, decodedElements(plan.group * image) + plan.slack, i16);
    Value begin = e.mul(first, image);
    Value elements =
        partial() ? e.mul(groupTerms(first, count), s.outChannels) : e.mul(count, image);
    decode(e, operand.format, source, zero, begin, elements, flat);
    Value panel = e.view(plan.rowsPanel, plan.rows.elements() + 64, i16);
    Value length = partial() ? groupTerms(first, count) : e.index(s.outWidth);
    pack(e, plan.rows, flat, e.rem(begin, 32), e.mul(count, s.outHeight), length, panel);
  }

  void columnPanel(Value first, Value count) {
    const OperandInfo &operand = plan.p.rowsAreRight ? c.left : c.right;
    Value source = plan.p.rowsAreRight ? buffers.left : buffers.right,
          zero = plan.p.rowsAreRight ? buffers.leftZero : buffers.rightZero;
    bool transposed = plan.p.columnsTransposed;
    int64_t image = s.height * s.width * s.channels;
    Value flat = e.view(plan.columnsFlat, flatColumns(), i16);
    Value begin = transposed ? e.index(0) : e.mul(first, image);
    Value offset = transposed ? e.mul(first, s.width) : e.rem(begin, 32);
    Value elements = transposed  ? e.index(operand.format.elements)
                     : partial() ? e.mul(groupTerms(first, count), s.channels)
                                 : e.mul(count, image);
    decode(e, operand.format, source, zero, begin, elements, flat);
    if (plan.padded) {
      Value padded = e.view(plan.columnsPadded, paddedElements() + plan.slack, i16);
      pad(e, plan.pad, flat, offset, count, padded);
      flat = padded;
      offset = e.index(0);
    }
    if (plan.overlap) {
      Value panel = e.view(plan.columnsPanel, 2 * paddedElements() + 160, i16);
      Value pixels = e.mul(count, plan.pad.paddedHeight * plan.pad.paddedWidth * s.channels);
      return overlapPairs(e, flat, offset, s.strideW * s.channels, pixels, panel);
    }
    Value panel = e.view(plan.columnsPanel, plan.columns.elements() + 128, i16);
    Value length = partial() || transposed ? groupTerms(first, count) : e.index(s.outWidth);
    int64_t rows = s.kernelHeight == 1 ? s.outHeight : plan.pad.paddedHeight;
    pack(e, plan.columns, flat, offset, e.mul(count, rows), length, panel);
  }

  int64_t paddedElements() {
    return plan.group * plan.pad.paddedHeight * plan.pad.paddedWidth * s.channels;
  }
  Value panel(int64_t offset) { return e.pointer(e.view(offset, 1, i16)); }

  void emit() {
    int64_t results = s.outChannels * s.kernelHeight * s.kernelWidth * (s.channels / s.groups);
    emitTables(e, plan.product);
    if (plan.padded)
      fillZero(e, e.view(plan.columnsPadded, paddedElements(), i16), paddedElements());
    Value output = e.flat(buffers.output, llvm::alignTo(results, 32)), sums = output;
    if (plan.epilogue == Epilogue::AddI64)
      sums = e.view(plan.sums, results, e.b.getI64Type());
    // 32-bit sums grow in the output's own memory.
    if (plan.epilogue != Epilogue::StoreF32)
      fillZero(e, sums, results);
    e.loop(e.index(0), e.index(s.batch), plan.group, [&](Value first) {
      Value count = e.min(e.sub(e.index(s.batch), first), e.index(plan.group));
      rowPanel(first, count);
      columnPanel(first, count);
      emitTiles(e, plan.product, panel(plan.rowsPanel), panel(plan.columnsPanel), e.pointer(sums),
                e.index(s.outChannels / s.groups), e.mul(count, s.outHeight), plan.epilogue,
                buffers.scale);
    });
    if (plan.epilogue != Epilogue::StoreF32)
      emitScale(e, sums, output, e.index(0), e.index(results), buffers.scale);
  }
};
} // namespace

void contraction::emitPixelPairs(Emit &e, const Contraction &c, const PixelPairsPlan &plan,
                                 const Buffers &buffers) {
  PixelPairs{e, c, plan, buffers}.emit();
}

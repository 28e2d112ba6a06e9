//===- ContractionPixelCodes.cpp - weight gradient on codes -------------------===//
#include "ContractionPlans.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "llvm/Support/MathExtras.h"

using namespace nibble;
using namespace nibble::contraction;

//===----------------------------------------------------------------------===//
// Plan
//===----------------------------------------------------------------------===//

int64_t PixelCodesPlan::columnsFlatElements() const {
  // A transposed matrix is decoded as a whole.
  if (p.columnsTransposed)
    return decodedElements(p.s.channels * p.totalPixels) + columns.slack() + slack;
  return decodedElements(group * columnImage()) + slack;
}
int64_t PixelCodesPlan::columnsPanelElements() const {
  return (mode == Matrix ? columns.elements() : unit->tuple * units() * paddedImage()) + 128;
}
int64_t PixelCodesPlan::results() const {
  return p.s.outChannels * p.s.kernelHeight * p.s.kernelWidth * (p.s.channels / p.s.groups);
}

/// The row operand: [group][tile of 16][unit, row][tuple][16][terms].
static void planRows(PixelCodesPlan &plan) {
  const nn::ConvShape &s = plan.p.s;
  constexpr int64_t kTile = 16;
  int64_t groupRows = s.outChannels / s.groups, tiles = llvm::divideCeil(groupRows, kTile);
  int64_t tuple = plan.unit->tuple, unitImages = plan.unitImages();
  bool images = plan.mode == PixelCodesPlan::Images;
  PackSpec &r = plan.rows;
  r.tuple = tuple, r.tuples = images ? s.outWidth : llvm::divideCeil(s.outWidth, tuple);
  r.columnStride = 1, r.tileColumns = kTile, r.blockColumns = groupRows;
  r.tiles.base = {0, 0};
  r.tiles.append(s.groups, {groupRows, 0});
  r.tiles.append(tiles, {kTile, kTile});
  r.segments.base = {0, 0};
  // The parts of a matrix product are counted through, so that `length` tells where the terms end.
  bool counted = plan.mode == PixelCodesPlan::Matrix;
  int64_t unit = unitImages * plan.rowImage();
  r.segments.append(plan.units(), {counted ? 0 : unit, counted ? s.outWidth : 0});
  r.segments.append(s.outHeight, {s.outWidth * s.outChannels, 0});
  r.terms.base = {0};
  r.terms.append(s.outWidth, {s.outChannels});
  r.terms.append(unitImages, {plan.rowImage()});
  if (r.terms.levels.empty())
    r.terms.levels.push_back({1, {0}});

  CodeProduct &p = plan.product;
  int64_t outRow = plan.results() / s.outChannels;
  p.rows.base = {0, 0};
  p.rows.append(tiles, {r.tileElements(), kTile * outRow});
  p.rows.append(std::min(kTile, groupRows), {tuple, outRow});
  p.aStep = kTile * tuple;
  p.rowElements = r.tileElements() / kTile;
}

/// Columns of convolutions, in which every tap is an address: [unit][row][column][channel][terms],
/// or [block of channels][unit][row][column][channel in the block][terms], which keeps what a tile
/// of columns reads together.
static void planColumns(PixelCodesPlan &plan) {
  const nn::ConvShape &s = plan.p.s;
  CodeProduct &p = plan.product;
  int64_t tuple = plan.unit->tuple;
  int64_t channels = s.channels / s.groups, groupRows = s.outChannels / s.groups;
  // The columns of a tile run over (kernel column, channel) where these are contiguous.
  bool merged = !plan.blocked && s.groups == 1 && s.dilationW == 1;
  chooseTile(p, merged ? s.kernelWidth * channels : channels);
  int64_t pixel = (plan.blocked ? p.tileColumns : s.channels) * tuple;
  int64_t row = plan.pad.paddedWidth * pixel, unit = plan.pad.paddedHeight * row;
  int64_t block = plan.units() * unit;
  int64_t tiles = llvm::divideCeil(p.blockColumns, p.tileColumns);
  int64_t groupTiles = llvm::divideCeil(groupRows, plan.rows.tileColumns);
  int64_t groupOut = groupRows * s.kernelHeight * s.kernelWidth * channels;
  p.columns.append(s.groups, {groupTiles * plan.rows.tileElements(),
                              plan.blocked ? tiles * block : channels * tuple, groupOut, 0,
                              groupTiles * plan.rows.tileColumns});
  if (plan.blocked)
    p.columns.append(tiles, {0, block, p.tileColumns, p.tileColumns, 0});
  p.columns.append(s.kernelHeight, {0, s.dilationH * row, s.kernelWidth * channels, 0, 0});
  if (!merged)
    p.columns.append(s.kernelWidth, {0, s.dilationW * pixel, channels, 0, 0});
  if (!plan.blocked)
    p.columns.append(tiles, {0, p.tupleElements(), p.tileColumns, p.tileColumns, 0});
  p.bStep = (plan.mode == PixelCodesPlan::Images ? 1 : tuple) * s.strideW * pixel;
  int64_t rowSegment = plan.rows.segmentElements();
  p.segments.append(plan.units(), {s.outHeight * rowSegment, unit});
  p.segments.append(s.outHeight, {rowSegment, s.strideH * row});
}

/// Columns of matrix products: [tile][part][tuple][tile columns][terms].
static void planMatrixColumns(PixelCodesPlan &plan) {
  const nn::ConvShape &s = plan.p.s;
  CodeProduct &p = plan.product;
  PackSpec &k = plan.columns;
  chooseTile(p, s.channels);
  int64_t tiles = llvm::divideCeil(s.channels, p.tileColumns);
  k.tuple = plan.unit->tuple, k.tuples = plan.rows.tuples;
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
  p.columns.append(tiles, {0, k.tileElements(), p.tileColumns, p.tileColumns, 0});
  p.bStep = p.tupleElements();
  p.segments.append(plan.group, {plan.rows.segmentElements(), k.segmentElements()});
}

static void planGroup(PixelCodesPlan &plan) {
  const nn::ConvShape &s = plan.p.s;
  plan.mode = !plan.p.rowsAreRight ? PixelCodesPlan::Matrix
              : s.batch > 1        ? PixelCodesPlan::Images
                                   : PixelCodesPlan::Single;
  plan.padded = s.padTop || s.padLeft || s.padBottom || s.padRight;
  int64_t paddedHeight = s.height + s.padTop + s.padBottom;
  int64_t paddedWidth = s.width + s.padLeft + s.padRight;
  plan.pad = {s.height, s.width, s.channels, paddedHeight, paddedWidth, s.padTop, s.padLeft};
  int64_t width = plan.unit->lanes() * plan.unit->vectors;
  plan.blocked = plan.mode == PixelCodesPlan::Images && (s.channels / s.groups) % width == 0;
  int64_t padded = plan.paddedImage(), copy = plan.padded && !plan.blocked ? padded : 0;
  int64_t elements = plan.columnImage() + copy + padded + 2 * plan.rowImage();
  // Every pass but the first reads and writes the sums again, so passes are larger than the window
  // products', those of matrices, which are read in order, larger still, and all of one size.
  int64_t bytes = plan.unit->elementBytes() * elements;
  int64_t limit = (plan.mode == PixelCodesPlan::Matrix ? 4 : 3) * kGroupBytes;
  int64_t most = std::clamp<int64_t>(limit / bytes, 1, s.batch);
  plan.group = llvm::divideCeil(s.batch, llvm::divideCeil(s.batch, most));
  plan.group = llvm::alignTo(plan.group, plan.unitImages());
  plan.slack = (plan.unit->tuple - 1) * s.strideW * s.channels + 128;
}

static void planScratch(PixelCodesPlan &plan) {
  ScratchLayout &scratch = plan.scratch;
  int64_t bytes = plan.unit->elementBytes();
  reserveTables(plan.product, scratch, plan.unit->hasOffset() ? plan.rowStarts() : 0);
  plan.rowsFlat = scratch.reserve(plan.rowsInPlace ? 0 : bytes * plan.rowsFlatElements());
  plan.rowsPanel = scratch.reserve(bytes * plan.rowsPanelElements());
  plan.columnsFlat = scratch.reserve(bytes * plan.columnsFlatElements());
  plan.columnsPadded =
      plan.padded && !plan.blocked ? scratch.reserve(bytes * plan.columnsPaddedElements()) : 0;
  plan.columnsPanel = scratch.reserve(bytes * plan.columnsPanelElements());
  plan.sums = plan.epilogue == Epilogue::AddI64 ? scratch.reserve(8 * plan.results()) : 0;
}

PixelCodesPlan contraction::planPixelCodes(const Contraction &c, const CpuTarget &target) {
  PixelCodesPlan plan;
  plan.p = c.pixels;
  int64_t bound = exactTerms(c.left.format.magnitude, c.right.format.magnitude);
  // Quads where the values fit bytes and no sum has to be taken in parts.
  bool fits = plan.p.totalPixels <= bound;
  const CodeFormat &columns = plan.p.rowsAreRight ? c.left.format : c.right.format;
  const CodeFormat &rows = plan.p.rowsAreRight ? c.right.format : c.left.format;
  plan.unit = fits ? &dotUnit(target, columns, rows) : dotUnit(target, 2);
  planGroup(plan);
  CodeProduct &p = plan.product;
  p.unit = plan.unit;
  p.stepsIn16 = stepsIn16(columns, rows);
  p.start = plan.unit->hasOffset() ? Start::Rows : Start::Zero;
  p.columns.base = {0, 0, 0, 0, 0};
  p.segments.base = {0, 0};
  planRows(plan);
  plan.mode == PixelCodesPlan::Matrix ? planMatrixColumns(plan) : planColumns(plan);
  plan.rowsInPlace = plan.mode == PixelCodesPlan::Matrix && plan.rows.wholeTiles() &&
                     isDecoded(rows, plan.rowForm());
  p.tuples = plan.rows.tuples;
  p.termsASegment = plan.p.s.outWidth * plan.unitImages();
  // (The empty places of the last tuples of images are no terms.)
  p.maxSegments =
      plan.unit->tuple == 4 ? p.segments.count() : std::max<int64_t>(1, bound / p.termsASegment);
  bool once = plan.group >= plan.p.s.batch && p.segments.count() <= p.maxSegments;
  plan.epilogue = once ? Epilogue::StoreF32 : fits ? Epilogue::AddI32 : Epilogue::AddI64;
  planScratch(plan);
  return plan;
}

//===----------------------------------------------------------------------===//
// Emission
//===----------------------------------------------------------------------===//

namespace {
struct PixelCodes {
  Emit &e;
  const Contraction &c;
  const PixelCodesPlan &plan;
  const Buffers &buffers;
  const nn::ConvShape &s = plan.p.s;
  const OperandInfo &rows = plan.p.rowsAreRight ? c.right : c.left;
  const OperandInfo &columns = plan.p.rowsAreRight ? c.left : c.right;
  Value columnsZero = plan.p.rowsAreRight ? buffers.leftZero : buffers.rightZero;
  Type rowType = formType(e.b, plan.rowForm()), columnType = formType(e.b, plan.columnForm());
  bool images = plan.mode == PixelCodesPlan::Images, matrix = plan.mode == PixelCodesPlan::Matrix;

  /// Terms of the parts of a matrix product from `first` on.
  Value matrixTerms(Value first, Value count) {
    Value begin = e.mul(first, s.outWidth);
    return e.min(e.mul(count, s.outWidth), e.sub(e.index(plan.p.totalPixels), begin));
  }

  void rowPanel(Value first, Value count, Value units) {
    Value source = plan.p.rowsAreRight ? buffers.right : buffers.left;
    Value zero = plan.p.rowsAreRight ? buffers.rightZero : buffers.leftZero;
    int64_t image = plan.rowImage(), tuple = plan.unitImages();
    Value flat, begin = e.mul(first, image), offset = e.rem(begin, 32);
    Value elements = e.mul(count, image), length = e.index(tuple * s.outWidth);
    if (matrix) {
      length = matrixTerms(first, count);
      elements = e.mul(length, s.outChannels);
    }
    if (plan.rowsInPlace)
      flat = e.flat(source, rows.format.elements), offset = begin;
    else
      decode(e, rows.format, plan.rowForm(), source, zero, begin, elements,
             flat = e.view(plan.rowsFlat, plan.rowsFlatElements(), rowType));
    if (s.batch % tuple != 0) // the empty places of the last tuples
      zeroElements(flat, e.add(offset, elements), e.mul(e.sub(e.mul(units, tuple), count), image));
    Value panel = e.view(plan.rowsPanel, plan.rowsPanelElements(), rowType);
    Value segments = e.mul(units, s.outHeight);
    pack(e, plan.rows, flat, offset, segments, length, panel);
    if (plan.unit->hasOffset())
      packStarts(e, plan.rows, *plan.unit, panel, segments,
                 e.view(plan.product.starts, plan.rowStarts(), e.b.getI32Type()),
                 [&](Value) { return decodedOffset(e, columns.format, columnsZero); });
  }

  void zeroElements(Value flat, Value from, Value n) {
    Value zero = arith::ConstantOp::create(e.b, e.loc, e.b.getZeroAttr(rowType));
    e.loop(from, e.add(from, n), 1,
           [&](Value i) { memref::StoreOp::create(e.b, e.loc, zero, flat, ValueRange{i}); });
  }

  void columnPanel(Value first, Value count, Value units) {
    Value source = plan.p.rowsAreRight ? buffers.left : buffers.right;
    Value flat = e.view(plan.columnsFlat, plan.columnsFlatElements(), columnType);
    Value panel = e.view(plan.columnsPanel, plan.columnsPanelElements(), columnType);
    Value begin = e.mul(first, plan.columnImage()), offset = e.rem(begin, 32);
    auto decodeColumns = [&](Value elements) {
      decode(e, columns.format, plan.columnForm(), source, columnsZero, begin, elements, flat);
    };
    if (matrix) {
      Value terms = matrixTerms(first, count), elements = e.mul(terms, s.channels);
      if (plan.p.columnsTransposed) {
        begin = e.index(0), offset = e.mul(first, s.outWidth);
        elements = e.index(columns.format.elements);
      }
      decodeColumns(elements);
      return pack(e, plan.columns, flat, offset, count, terms, panel);
    }
    decodeColumns(e.mul(count, plan.columnImage()));
    if (plan.blocked)
      return zipBlocks(e, plan.unit->tuple, plan.pad, plan.product.tileColumns, plan.units(), flat,
                       offset, units, panel);
    if (plan.padded) {
      Value padded = e.view(plan.columnsPadded, plan.columnsPaddedElements(), columnType);
      pad(e, plan.pad, flat, offset, count, padded);
      flat = padded;
      offset = e.index(0);
    }
    int64_t image = plan.paddedImage(), tuple = plan.unit->tuple;
    if (images)
      zip(e, tuple, flat, offset, tuple * image, image, units, image, panel);
    else
      zip(e, tuple, flat, offset, image, s.strideW * s.channels, units, image, panel);
  }

  Value panel(int64_t offset) { return e.pointer(e.view(offset, 1, rowType)); }

  void emit() {
    emitTables(e, plan.product);
    if (plan.padded) {
      int64_t elements = plan.group * plan.paddedImage();
      fill(e, e.view(plan.blocked ? plan.columnsPanel : plan.columnsPadded, elements, columnType),
           elements, zeroElement(e, columns.format, plan.columnForm(), columnsZero));
    }
    Value output = e.flat(buffers.output, llvm::alignTo(plan.results(), 32)), sums = output;
    if (plan.epilogue == Epilogue::AddI64)
      sums = e.view(plan.sums, plan.results(), e.b.getI64Type());
    // 32-bit sums grow in the output's own memory.
    if (plan.epilogue != Epilogue::StoreF32)
      fillZero(e, sums, plan.results());
    e.loop(e.index(0), e.index(s.batch), plan.group, [&](Value first) {
      Value count = e.min(e.sub(e.index(s.batch), first), e.index(plan.group));
      Value units = e.ceilDiv(count, plan.unitImages());
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

void contraction::emitPixelCodes(Emit &e, const Contraction &c, const PixelCodesPlan &plan,
                                 const Buffers &buffers) {
  PixelCodes{e, c, plan, buffers}.emit();
}

//===- ContractionWindowPairs.cpp - forward and input gradient on codes -------===//
#include "ContractionPlans.h"

#include "llvm/Support/MathExtras.h"

using namespace nibble;
using namespace nibble::contraction;

//===----------------------------------------------------------------------===//
// Plan
//===----------------------------------------------------------------------===//

/// A 1x1 window that reads every pixel once is a matrix product: its pixels become images of their
/// own.
static void collapse(WindowProduct &w) {
  if (w.classes.size() != 1 || w.inHeight != w.outHeight || w.inWidth != w.outWidth)
    return;
  WindowAxis &h = w.classes[0].h, &x = w.classes[0].w;
  auto identity = [](const WindowAxis &a, int64_t size) {
    return a.taps == 1 && a.inFirst == 0 && a.pixels == size && (a.inStep == 1 || size == 1);
  };
  if (!identity(h, w.inHeight) || !identity(x, w.inWidth))
    return;
  w.images *= w.inHeight * w.inWidth;
  w.inHeight = w.inWidth = w.outHeight = w.outWidth = h.pixels = x.pixels = 1;
}

/// Border that makes every tap of every class read inside the padded image.
static void planPadding(WindowPairsPlan &plan) {
  const WindowProduct &w = plan.w;
  auto border = [](const WindowAxis &a, int64_t size, int64_t &low, int64_t &high) {
    if (a.taps == 0)
      return;
    int64_t last = a.inFirst + (a.pixels - 1) * a.inStep + (a.taps - 1) * a.inTapStep;
    low = std::max(low, -a.inFirst);
    high = std::max(high, last - (size - 1));
  };
  int64_t top = 0, bottom = 0, left = 0, right = 0;
  for (const auto &c : w.classes) {
    border(c.h, w.inHeight, top, bottom);
    border(c.w, w.inWidth, left, right);
  }
  plan.pad = {
      w.inHeight, w.inWidth, w.inChannels, w.inHeight + top + bottom, w.inWidth + left + right,
      top,        left};
  plan.padded = top || bottom || left || right;
}

namespace {
/// Addresses of one class: runs of contiguous input (segments) against panels of weights.
struct ClassPlanner {
  const WindowPairsPlan &plan;
  const WindowProduct::Class &axes;
  const CpuTarget &target;
  const WindowProduct &w = plan.w;
  const WindowAxis &h = axes.h, &x = axes.w;
  int64_t pixel = w.inChannels, row = plan.pad.paddedWidth * pixel;
  int64_t image = plan.pad.paddedHeight * row;
  bool empty = h.taps * x.taps == 0;
  // With one group and neighbouring taps, a row of taps is one run.
  bool merged = x.taps == 1 || (w.groups == 1 && x.inTapStep == 1);
  int64_t runTaps = merged ? x.taps : 1, segmentTaps = merged ? 1 : x.taps;
  // A run too long for 32-bit sums is cut.
  int64_t cut = 0, cuts = 0;
  WindowPairsPlan::Class c = {};

  void rows() {
    PairProduct &p = c.product;
    int64_t inRow = (h.inFirst + plan.pad.top) * row + (x.inFirst + plan.pad.left) * pixel;
    p.rows.base = {empty ? 0 : inRow, (h.outFirst * w.outWidth + x.outFirst) * w.outChannels};
    p.rows.append(plan.group, {image, w.outImage()});
    p.rows.append(h.pixels, {empty ? 0 : h.inStep * row, h.outStep * w.outWidth * w.outChannels});
    p.rows.append(x.pixels, {empty ? 0 : x.inStep * pixel, x.outStep * w.outChannels});
  }

  void segments() {
    PairProduct &p = c.product;
    PackSpec &k = c.weights;
    p.segments.base = {0, 0};
    k.segments.base = {empty ? 0 : h.tapFirst * w.weightRow + x.tapFirst * w.weightColumn, 0};
    if (empty) {
      p.segments.levels.push_back({0, {0, 0}});
      k.segments.levels.push_back({0, {0, 0}});
      return;
    }
    int64_t panel = p.pairs * p.tileColumns * 2;
    p.segments.append(h.taps, {h.inTapStep * row, segmentTaps * cuts * panel});
    p.segments.append(segmentTaps, {x.inTapStep * pixel, cuts * panel});
    p.segments.append(cuts, {cut, panel});
    k.segments.append(h.taps, {h.tapStep * w.weightRow, 0});
    k.segments.append(segmentTaps, {x.tapStep * w.weightColumn, 0});
    k.segments.append(cuts, {0, cut});
  }

  void columns() {
    PairProduct &p = c.product;
    PackSpec &k = c.weights;
    int64_t tiles = llvm::divideCeil(w.resultChannels(), p.tileColumns);
    int64_t tile = p.segments.count() * p.pairs * p.tileColumns * 2;
    p.columns.base = {0, 0, 0, 0};
    p.columns.append(w.groups, {w.termChannels(), tiles * tile, w.resultChannels(), 0});
    p.columns.append(tiles, {0, tile, p.tileColumns, p.tileColumns});
    k.tiles.base = {0, 0};
    k.tiles.append(w.groups, {w.weightGroup, 0});
    k.tiles.append(tiles, {p.tileColumns * w.weightResult, p.tileColumns});
    k.terms.base = {0};
    k.terms.append(runTaps, {x.tapStep * w.weightColumn});
    k.terms.append(w.termChannels(), {w.weightTerm});
    k.pairs = p.pairs, k.columnStride = w.weightResult;
    k.tileColumns = p.tileColumns, k.blockColumns = w.resultChannels();
  }

  WindowPairsPlan::Class run(int64_t bound) {
    PairProduct &p = c.product;
    c.length = empty ? 0 : runTaps * w.termChannels();
    cut = c.length <= bound ? c.length : bound / 2 * 2;
    cuts = empty ? 0 : llvm::divideCeil(c.length, cut);
    chooseTile(p, w.resultChannels(), target);
    p.pairs = llvm::divideCeil(cut, 2);
    p.aStep = 2, p.bStep = p.tileColumns * 2;
    p.termsASegment = cut;
    p.maxSegments = empty ? 1 : std::max<int64_t>(1, bound / cut);
    rows();
    segments();
    columns();
    return c;
  }
};
} // namespace

WindowPairsPlan contraction::planWindowPairs(const Contraction &c, const CpuTarget &target) {
  WindowPairsPlan plan;
  plan.w = c.window;
  for (auto &axes : plan.w.classes)
    axes = {axes.h.ascending(), axes.w.ascending()};
  collapse(plan.w);
  planPadding(plan);
  const WindowProduct &w = plan.w;
  int64_t bound = exactTerms(c.left.format.magnitude, c.right.format.magnitude);
  int64_t paddedImage =
      plan.padded ? plan.pad.paddedHeight * plan.pad.paddedWidth * w.inChannels : 0;
  int64_t pixels = 0;
  for (const auto &axes : w.classes)
    pixels += axes.h.pixels * axes.w.pixels;
  int64_t imageBytes = 2 * (w.inImage() + paddedImage) + 16 * pixels;
  plan.group = std::clamp<int64_t>(kGroupBytes / imageBytes, 1, w.images);

  plan.wide = false;
  plan.slack = 64;
  for (const auto &axes : w.classes) {
    plan.classes.push_back(ClassPlanner{plan, axes, target}.run(bound));
    plan.wide |=
        plan.classes.back().product.segments.count() > plan.classes.back().product.maxSegments;
    // The last pair of a run, and the cut-off end of a long one, read behind it (against zero
    // weights).
    plan.slack = std::max(plan.slack, plan.classes.back().product.termsASegment + 64);
  }
  plan.weightsFlat = plan.scratch.reserve(2 * (decodedElements(w.weightElements) + 64));
  for (auto &k : plan.classes) {
    reserveTables(k.product, plan.scratch, target);
    k.panel = plan.scratch.reserve(2 * k.weights.elements());
  }
  plan.imagesFlat =
      plan.scratch.reserve(2 * (decodedElements(plan.group * w.inImage()) + plan.slack));
  plan.imagesPadded = plan.scratch.reserve(2 * (plan.group * paddedImage + plan.slack));
  plan.sums = plan.wide ? plan.scratch.reserve(8 * plan.group * w.outImage()) : 0;
  return plan;
}

//===----------------------------------------------------------------------===//
// Emission
//===----------------------------------------------------------------------===//

static void emitWeights(Emit &e, const Contraction &c, const WindowPairsPlan &plan,
                        const Buffers &buffers) {
  Type i16 = e.b.getI16Type();
  int64_t n = decodedElements(plan.w.weightElements) + 64;
  Value flat = e.view(plan.weightsFlat, n, i16);
  decode(e, c.right.format, buffers.right, buffers.rightZero, e.index(0),
         e.index(plan.w.weightElements), flat);
  for (const auto &k : plan.classes) {
    emitTables(e, k.product);
    if (k.weights.segments.count() == 0)
      continue;
    Value panel = e.view(k.panel, k.weights.elements(), i16);
    pack(e, k.weights, flat, e.index(0), e.index(k.weights.segments.count()), e.index(k.length),
         panel);
  }
}

/// Decodes and pads `count` images from image `first` on; returns where the first one's first
/// element is.
static Value emitImages(Emit &e, const Contraction &c, const WindowPairsPlan &plan,
                        const Buffers &buffers, Value first, Value count) {
  const WindowProduct &w = plan.w;
  Type i16 = e.b.getI16Type();
  Value flat = e.view(plan.imagesFlat, decodedElements(plan.group * w.inImage()) + plan.slack, i16);
  Value begin = e.mul(first, w.inImage()), offset = e.rem(begin, 32);
  decode(e, c.left.format, buffers.left, buffers.leftZero, begin, e.mul(count, w.inImage()), flat);
  if (!plan.padded)
    return e.at(e.pointer(flat), offset, i16);
  int64_t elements =
      plan.group * plan.pad.paddedHeight * plan.pad.paddedWidth * w.inChannels + plan.slack;
  Value padded = e.view(plan.imagesPadded, elements, i16);
  pad(e, plan.pad, flat, offset, count, padded);
  return e.pointer(padded);
}

void contraction::emitWindowPairs(Emit &e, const Contraction &c, const WindowPairsPlan &plan,
                                  const Buffers &buffers) {
  const WindowProduct &w = plan.w;
  Type f32 = e.b.getF32Type(), i64 = e.b.getI64Type();
  emitWeights(e, c, plan, buffers);
  if (plan.padded) {
    int64_t elements = plan.group * plan.pad.paddedHeight * plan.pad.paddedWidth * w.inChannels;
    fillZero(e, e.view(plan.imagesPadded, elements, e.b.getI16Type()), elements);
  }
  Value output = e.flat(buffers.output, llvm::alignTo(w.images * w.outImage(), 32)),
        outPointer = e.pointer(output);
  Value sums = plan.wide ? e.view(plan.sums, plan.group * w.outImage(), i64) : Value();
  e.loop(e.index(0), e.index(w.images), plan.group, [&](Value first) {
    Value count = e.min(e.sub(e.index(w.images), first), e.index(plan.group));
    Value images = emitImages(e, c, plan, buffers, first, count),
          outFirst = e.mul(first, w.outImage());
    if (plan.wide)
      fillZero(e, sums, plan.group * w.outImage());
    Value out = plan.wide ? e.pointer(sums) : e.at(outPointer, outFirst, f32);
    for (auto [k, axes] : llvm::zip(plan.classes, w.classes)) {
      Value panel = e.pointer(e.view(k.panel, 1, e.b.getI16Type()));
      emitTiles(e, k.product, images, panel, out, e.mul(count, axes.h.pixels * axes.w.pixels),
                e.index(k.product.segments.count()),
                plan.wide ? Epilogue::AddI64 : Epilogue::StoreF32, buffers.scale);
    }
    if (plan.wide)
      emitScale(e, sums, output, outFirst, e.mul(count, w.outImage()), buffers.scale);
  });
}

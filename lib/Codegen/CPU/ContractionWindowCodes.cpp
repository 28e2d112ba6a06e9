//===- ContractionWindowCodes.cpp - forward and input gradient on codes -------===//
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
static void planPadding(WindowCodesPlan &plan) {
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
  const WindowCodesPlan &plan;
  const WindowProduct::Class &axes;
  int64_t stepsIn16;
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
  WindowCodesPlan::Class c = {};

  void rows() {
    CodeProduct &p = c.product;
    int64_t inRow = (h.inFirst + plan.pad.top) * row + (x.inFirst + plan.pad.left) * pixel;
    p.rows.base = {empty ? 0 : inRow, (h.outFirst * w.outWidth + x.outFirst) * w.outChannels};
    p.rowElements = image / std::max<int64_t>(1, h.pixels * x.pixels);
    p.rows.append(plan.group, {image, w.outImage()});
    p.rows.append(h.pixels, {empty ? 0 : h.inStep * row, h.outStep * w.outWidth * w.outChannels});
    p.rows.append(x.pixels, {empty ? 0 : x.inStep * pixel, x.outStep * w.outChannels});
  }

  void segments() {
    CodeProduct &p = c.product;
    PackSpec &k = c.weights;
    p.segments.base = {0, 0};
    k.segments.base = {empty ? 0 : h.tapFirst * w.weightRow + x.tapFirst * w.weightColumn, 0};
    if (empty) {
      p.segments.levels.push_back({0, {0, 0}});
      k.segments.levels.push_back({0, {0, 0}});
      return;
    }
    int64_t panel = p.tuples * p.tupleElements();
    p.segments.append(h.taps, {h.inTapStep * row, segmentTaps * cuts * panel});
    p.segments.append(segmentTaps, {x.inTapStep * pixel, cuts * panel});
    p.segments.append(cuts, {cut, panel});
    k.segments.append(h.taps, {h.tapStep * w.weightRow, 0});
    k.segments.append(segmentTaps, {x.tapStep * w.weightColumn, 0});
    k.segments.append(cuts, {0, cut});
  }

  void columns() {
    CodeProduct &p = c.product;
    PackSpec &k = c.weights;
    int64_t tiles = llvm::divideCeil(w.resultChannels(), p.tileColumns);
    int64_t tile = p.segments.count() * p.tuples * p.tupleElements();
    p.columns.base = {0, 0, 0, 0, 0};
    p.columns.append(
        w.groups, {w.termChannels(), tiles * tile, w.resultChannels(), 0, tiles * p.tileColumns});
    p.columns.append(tiles, {0, tile, p.tileColumns, p.tileColumns, p.tileColumns});
    k.tiles.base = {0, 0};
    k.tiles.append(w.groups, {w.weightGroup, 0});
    k.tiles.append(tiles, {p.tileColumns * w.weightResult, p.tileColumns});
    k.terms.base = {0};
    k.terms.append(runTaps, {x.tapStep * w.weightColumn});
    k.terms.append(w.termChannels(), {w.weightTerm});
    k.tuple = p.unit->tuple, k.tuples = p.tuples, k.columnStride = w.weightResult;
    k.tileColumns = p.tileColumns, k.blockColumns = w.resultChannels();
  }

  WindowCodesPlan::Class run(int64_t bound) {
    CodeProduct &p = c.product;
    c.length = empty ? 0 : runTaps * w.termChannels();
    cut = c.length <= bound ? c.length : bound / 2 * 2;
    cuts = empty ? 0 : llvm::divideCeil(c.length, cut);
    p.unit = plan.unit;
    p.stepsIn16 = stepsIn16;
    p.start = plan.unit->hasOffset() ? Start::Columns : Start::Zero;
    chooseTile(p, w.resultChannels());
    p.tuples = llvm::divideCeil(cut, p.unit->tuple);
    p.aStep = p.unit->tuple, p.bStep = p.tupleElements();
    p.termsASegment = cut;
    p.maxSegments = empty ? 1 : std::max<int64_t>(1, bound / cut);
    rows();
    chooseRows(p);
    segments();
    columns();
    return c;
  }
};
} // namespace

/// Quads where the values fit bytes and no sum has to be taken in parts.
static const DotUnit *chooseUnit(const Contraction &c, const WindowProduct &w, int64_t bound,
                                 const CpuTarget &target) {
  int64_t terms = 0;
  for (const auto &axes : w.classes)
    terms = std::max(terms, axes.h.taps * axes.w.taps * w.termChannels());
  return terms <= bound ? &dotUnit(target, c.left.format, c.right.format) : dotUnit(target, 2);
}

static void planScratch(WindowCodesPlan &plan) {
  ScratchLayout &scratch = plan.scratch;
  int64_t bytes = plan.unit->elementBytes(), decoded = decodedElements(plan.w.weightElements);
  plan.weightsFlatElements = 0;
  for (auto &k : plan.classes)
    if (!k.direct && !plan.hasPanel && !plan.weightsInPlace)
      plan.weightsFlatElements =
          std::max(plan.weightsFlatElements, decoded + std::max<int64_t>(64, k.weights.slack()));
  plan.weightsFlat = scratch.reserve(bytes * plan.weightsFlatElements);
  for (auto &k : plan.classes) {
    reserveTables(k.product, scratch, plan.unit->hasOffset() ? k.starts() : 0);
    k.panel = plan.hasPanel ? 0 : scratch.reserve(bytes * k.weights.elements());
  }
  plan.imagesFlat = plan.decodesMaps() ? 0 : scratch.reserve(bytes * plan.flatElements());
  plan.imagesPadded = scratch.reserve(bytes * (plan.paddedElements() + plan.slack));
  plan.sums = plan.wide ? scratch.reserve(8 * plan.group * plan.w.outImage()) : 0;
}

WindowCodesPlan contraction::planWindowCodes(const Contraction &c, const CpuTarget &target) {
  WindowCodesPlan plan;
  plan.w = c.window;
  plan.hasPanel = c.hasPanel;
  for (auto &axes : plan.w.classes)
    axes = {axes.h.ascending(), axes.w.ascending()};
  collapse(plan.w);
  planPadding(plan);
  const WindowProduct &w = plan.w;
  int64_t bound = exactTerms(c.left.format.magnitude, c.right.format.magnitude);
  plan.unit = chooseUnit(c, w, bound, target);
  plan.group = 1;
  int64_t pixels = 0;
  for (const auto &axes : w.classes)
    pixels += axes.h.pixels * axes.w.pixels;
  int64_t imageBytes =
      plan.unit->elementBytes() * (w.inImage() + plan.paddedElements()) + 16 * pixels;
  plan.group = imagesOfPass(c, w, std::clamp<int64_t>(kGroupBytes / imageBytes, 1, w.images));

  int64_t steps = stepsIn16(c.left.format, c.right.format);
  plan.wide = false;
  plan.slack = 64;
  for (const auto &axes : w.classes) {
    plan.classes.push_back(ClassPlanner{plan, axes, steps}.run(bound));
    auto &k = plan.classes.back();
    k.direct = packsCodes(k.weights, c.right.format, k.length, *plan.unit);
    plan.wide |=
        plan.classes.back().product.segments.count() > plan.classes.back().product.maxSegments;
    // The last tuple of a run, and the cut-off end of a long one, read behind it (against zero
    // weights).
    plan.slack = std::max(plan.slack, plan.classes.back().product.termsASegment + 64);
  }
  plan.weightsInPlace = isDecoded(c.right.format, plan.weightForm()) &&
                        llvm::all_of(plan.classes, [](auto &k) { return k.weights.wholeTiles(); });
  bool streams = !plan.wide && !c.unit && c.matrices == 1 &&
                 w.outChannels % plan.unit->lanes() == 0 && w.groups == 1 &&
                 streamsResults(target, 4 * w.images * w.outImage());
  for (auto &k : plan.classes)
    k.product.streams = streams;
  planScratch(plan);
  return plan;
}

//===----------------------------------------------------------------------===//
// Emission
//===----------------------------------------------------------------------===//

void contraction::packWeights(Emit &e, const Contraction &c, const WindowCodesPlan &plan,
                              const Buffers &buffers,
                              function_ref<PackTarget(const WindowCodesPlan::Class &)> targetOf) {
  Value flat;
  if (plan.weightsInPlace) {
    flat = e.flat(buffers.right, c.right.format.elements);
  } else if (plan.weightsFlatElements) {
    Type type = formType(e.b, plan.weightForm());
    flat = e.view(plan.weightsFlat, plan.weightsFlatElements, type);
    decode(e, c.right.format, plan.weightForm(), buffers.right, buffers.rightZero, e.index(0),
           e.index(plan.w.weightElements), flat);
  }
  for (const auto &k : plan.classes) {
    auto [panel, offset, starts] = targetOf(k);
    Value segments = e.index(k.weights.segments.count());
    if (k.direct) {
      packCodes(e, k.weights, c.right.format, *plan.unit, buffers.right, buffers.rightZero, panel,
                offset, starts);
      continue;
    }
    // Of a class that sees no taps there is nothing to pack, but its sums begin too.
    if (k.weights.segments.count() != 0)
      pack(e, k.weights, flat, e.index(0), segments, e.index(k.length), panel);
    if (starts)
      packStarts(e, k.weights, *plan.unit, panel, segments, starts,
                 [&, offset = offset](Value) { return offset; });
  }
}

static void emitWeights(Emit &e, const Contraction &c, const WindowCodesPlan &plan,
                        const Buffers &buffers) {
  packWeights(e, c, plan, buffers, [&](const WindowCodesPlan::Class &k) {
    PackTarget target;
    if (plan.unit->hasOffset()) {
      target.starts = e.view(k.product.starts, k.starts(), e.b.getI32Type());
      target.offset = decodedOffset(e, c.left.format, buffers.leftZero);
    }
    target.panel = e.view(k.panel, std::max<int64_t>(1, k.weights.elements()),
                          formType(e.b, plan.weightForm()));
    return target;
  });
}

/// Decodes and pads `count` images from image `first` on; returns where the first one's first
/// element is.
static Value emitImages(Emit &e, const Contraction &c, const WindowCodesPlan &plan,
                        const Buffers &buffers, Value first, Value count) {
  const WindowProduct &w = plan.w;
  Type type = formType(e.b, plan.imageForm());
  if (plan.decodesMaps()) {
    Value padded = e.view(plan.imagesPadded, plan.paddedElements() + plan.slack, type);
    decodeMaps(e, c.left.format, plan.imageForm(), plan.pad, buffers.left, buffers.leftZero, first,
               count, padded);
    return e.pointer(padded);
  }
  Value flat = e.view(plan.imagesFlat, plan.flatElements(), type);
  Value begin = e.mul(first, w.inImage()), offset = e.rem(begin, 32);
  decode(e, c.left.format, plan.imageForm(), buffers.left, buffers.leftZero, begin,
         e.mul(count, w.inImage()), flat);
  if (!plan.padded)
    return e.at(e.pointer(flat), offset, type);
  Value padded = e.view(plan.imagesPadded, plan.paddedElements() + plan.slack, type);
  pad(e, plan.pad, flat, offset, count, padded);
  return e.pointer(padded);
}

void contraction::emitWindowCodes(Emit &e, const Contraction &c, const WindowCodesPlan &plan,
                                  const Buffers &buffers) {
  const WindowProduct &w = plan.w;
  Type f32 = e.b.getF32Type(), i64 = e.b.getI64Type(), type = formType(e.b, plan.imageForm());
  for (const auto &k : plan.classes)
    emitTables(e, k.product);
  if (plan.hasPanel)
    emitStartsFromPanel(e, c, plan, buffers);
  else
    emitWeights(e, c, plan, buffers);
  if (plan.padded)
    fill(e, e.view(plan.imagesPadded, plan.paddedElements(), type), plan.paddedElements(),
         zeroElement(e, c.left.format, plan.imageForm(), buffers.leftZero));
  int64_t outImages = buffers.onePass ? plan.group : w.images;
  Value output = e.flat(buffers.output, llvm::alignTo(outImages * w.outImage(), 32)),
        outPointer = e.pointer(output);
  Value sums = plan.wide ? e.view(plan.sums, plan.group * w.outImage(), i64) : Value();
  e.loop(e.index(0), e.index(w.images), plan.group, [&](Value first) {
    Value count = e.min(e.sub(e.index(w.images), first), e.index(plan.group));
    Value images = emitImages(e, c, plan, buffers, first, count),
          outFirst = e.mul(buffers.firstIn(e, first), w.outImage());
    if (plan.wide)
      fillZero(e, sums, plan.group * w.outImage());
    Value out = plan.wide ? e.pointer(sums) : e.at(outPointer, outFirst, f32);
    for (auto [k, axes] : llvm::zip(plan.classes, w.classes)) {
      Value panel = e.pointer(plan.hasPanel ? buffers.right : e.view(k.panel, 1, type));
      emitTiles(e, k.product, images, panel, out, e.mul(count, axes.h.pixels * axes.w.pixels),
                e.index(k.product.segments.count()),
                plan.wide ? Epilogue::AddI64 : Epilogue::StoreF32, buffers.scale);
    }
    if (plan.wide)
      emitScale(e, sums, output, outFirst, e.mul(count, w.outImage()), buffers.scale);
    if (buffers.afterPass)
      buffers.afterPass(e.mul(first, w.outImage()), e.mul(count, w.outImage()));
  });
}

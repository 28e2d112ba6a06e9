//===- ContractionWinogradPixelsPlan.cpp - sizes of Winograd weight gradients -===//
#include "ContractionPlans.h"

#include "llvm/Support/MathExtras.h"

using namespace nibble;
using namespace nibble::contraction;

using Plan = WinogradPixelsPlan;

/// The unit that multiplies transformed numbers; null where none gains. Quads for codes of four
/// bits; pairs where the direct product takes pairs too and the transformed numbers fit 16 bits.
static const DotUnit *chooseUnit(const Contraction &c, const CpuTarget &target) {
  const CodeFormat &left = c.left.format, &right = c.right.format;
  const DotUnit &direct = dotUnit(target, left, right);
  // Of transformed bytes 16 bits hold few steps.
  if (direct.dot16)
    return nullptr;
  bool bytes = left.kind == CodeFormat::Int4 && right.kind == CodeFormat::Int4;
  bool words = 4 * left.magnitude <= 32767 && 4 * right.magnitude <= 32767;
  return (direct.tuple == 4 ? bytes : words) ? &direct : nullptr;
}

/// Is it of this kind, and large enough to gain?
static bool suits(const PixelSum &p, const DotUnit *unit) {
  // From measurements: transforms of the images pay from these channels on, those of the sums from
  // these pixels on.
  constexpr int64_t kLeastChannels = 64, kLeastPixels = 256;
  const nn::ConvShape &s = p.s;
  auto channels = [](int64_t n) { return n >= kLeastChannels && n % 32 == 0; };
  return unit && p.rowsAreRight && s.groups == 1 && s.kernelHeight == 3 && s.kernelWidth == 3 &&
         s.strideH == 1 && s.strideW == 1 && s.dilationH == 1 && s.dilationW == 1 &&
         s.batch >= unit->tuple && channels(s.channels) && channels(s.outChannels) &&
         p.totalPixels >= kLeastPixels;
}

/// Images of a pass, passes of a part, and where sums go; false where not even one unit of images
/// fits 32 bits.
static bool planParts(Plan &plan, int64_t bound, int64_t totalPixels) {
  // Panels of the four positions of a pass; and, where the products of all positions would leave
  // the caches, rows of all positions, with products of a few tiles of columns.
  constexpr int64_t kPanelBytes = 1 << 20, kRowBytes = 16 << 20, kProductBytes = 6 << 20,
                    kSpanBytes = 1 << 20;
  const nn::ConvShape &s = plan.s;
  int64_t unit = plan.unit().tuple, pixels = s.outHeight * s.outWidth;
  int64_t fits = bound / 4 / pixels / unit * unit;
  if (fits == 0)
    return false;
  int64_t tiles = s.channels / plan.product.tileColumns;
  int64_t tileBytes = 16 * 4 * s.outChannels * plan.product.tileColumns;
  bool spans = tiles * tileBytes > kProductBytes;
  int64_t imageBytes = plan.tiles() * plan.unit().elementBytes() *
                       (spans ? 16 * s.outChannels : 4 * (s.channels + s.outChannels));
  int64_t most =
      std::clamp<int64_t>((spans ? kRowBytes : kPanelBytes) / imageBytes / unit * unit, unit, fits);
  plan.group = llvm::divideCeil(s.batch, llvm::divideCeil(s.batch, most));
  plan.group = llvm::alignTo(plan.group, unit);
  plan.passes =
      spans ? 1 : std::min<int64_t>(fits / plan.group, llvm::divideCeil(s.batch, plan.group));
  plan.span = spans ? std::clamp<int64_t>(kSpanBytes / tileBytes, 1, tiles) : tiles;
  while (tiles % plan.span)
    --plan.span;
  plan.epilogue = plan.part() >= s.batch ? Epilogue::StoreF32
                  : totalPixels <= bound ? Epilogue::AddI32
                                         : Epilogue::AddI64;
  return true;
}

static void planScratch(Plan &plan) {
  const nn::ConvShape &s = plan.s;
  ScratchLayout &scratch = plan.scratch;
  int64_t bytes = plan.unit().elementBytes();
  reserveTables(plan.product, scratch, plan.hasOffset() ? s.outChannels + 16 : 0);
  plan.rowsFlat = scratch.reserve(bytes * plan.rowsFlatElements());
  plan.rowsMaps = scratch.reserve(bytes * plan.rowsMapsElements());
  plan.rowsPanel = scratch.reserve(plan.rowPositions() * bytes * plan.rowPosition());
  plan.columnsFlat = scratch.reserve(bytes * plan.columnsFlatElements());
  plan.columnsMaps = scratch.reserve(bytes * plan.columnsMapsElements());
  plan.columnsPanel = scratch.reserve(4 * bytes * plan.columnPosition());
  plan.products = scratch.reserve(4 * 16 * plan.productPosition());
  plan.classSums = scratch.reserve(plan.hasOffset() ? 4 * 4 * s.outChannels : 0);
  plan.excess = scratch.reserve(plan.hasOffset() ? 4 * 9 * s.outChannels : 0);
  plan.sums = plan.epilogue == Epilogue::AddI64 ? scratch.reserve(8 * plan.results()) : 0;
}

std::optional<Plan> contraction::planWinogradPixels(const Contraction &c, const CpuTarget &target) {
  if (c.isFloat() || c.isWindow)
    return std::nullopt;
  const DotUnit *unit = chooseUnit(c, target);
  if (!suits(c.pixels, unit))
    return std::nullopt;
  Plan plan;
  plan.s = c.pixels.s;
  const nn::ConvShape &s = plan.s;
  plan.tilesHigh = llvm::divideCeil(s.outHeight, 2),
  plan.tilesWide = llvm::divideCeil(s.outWidth, 2);
  plan.rowPad = {s.outHeight, s.outWidth, s.outChannels, 2 * plan.tilesHigh, 2 * plan.tilesWide,
                 0,           0};
  plan.columnPad = {s.height,
                    s.width,
                    s.channels,
                    std::max(s.padTop + s.height, 2 * plan.tilesHigh + 2),
                    std::max(s.padLeft + s.width, 2 * plan.tilesWide + 2),
                    s.padTop,
                    s.padLeft};
  CodeProduct &p = plan.product;
  p.unit = unit;
  p.start = plan.hasOffset() ? Start::Rows : Start::Zero;
  chooseTile(p, s.channels);
  int64_t bound = exactTerms(c.left.format.magnitude, c.right.format.magnitude);
  if (!planParts(plan, bound, c.pixels.totalPixels))
    return std::nullopt;
  p.aStep = Plan::kRows * unit->tuple, p.bStep = p.tupleElements();
  p.rows.base = {0, 0}, p.segments.base = {0, 0};
  p.rows.append(s.outChannels / Plan::kRows,
                {plan.tuples() * p.aStep, Plan::kRows * p.tileColumns});
  p.rows.append(Plan::kRows, {unit->tuple, p.tileColumns});
  planScratch(plan);
  return plan;
}

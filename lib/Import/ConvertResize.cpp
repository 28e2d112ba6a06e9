//===- ConvertResize.cpp - feature maps get larger ----------------------------===//
//
// All of these only move elements, so they become reshapes, transposes and broadcasts: DepthToSpace and SpaceToDepth (opset 1 to 13),
// Resize (opset 10 to 19) and Upsample (opset 7, 9) to whole multiples, in mode nearest.
//
//===----------------------------------------------------------------------===//
#include "Importer.h"

#include <cmath>

using namespace mlir;
using namespace nibble;
using namespace nibble::importer;

static LogicalResult convertDepthToSpace(NodeContext &n) {
  Shape s = n.shape(0);
  int64_t block = n.integer("blocksize", 0);
  if (s.size() != 4 || block < 1 || block > 4096 || s[1] % (block * block) != 0)
    return n.error("moves " + shapeText(s) + " to blocks of " + Twine(block));
  Value x = n.value(0);
  if (!x)
    return failure();
  int64_t c = s[1] / (block * block);
  bool columnsFirst = n.text("mode", "DCR") == "CRD";
  if (columnsFirst)
    x = n.transpose(n.reshape(x, {s[0], c, block, block, s[2], s[3]}), {0, 1, 4, 2, 5, 3});
  else
    x = n.transpose(n.reshape(x, {s[0], block, block, c, s[2], s[3]}), {0, 3, 4, 1, 5, 2});
  n.set(0, n.reshape(x, {s[0], c, s[2] * block, s[3] * block}));
  return success();
}

static LogicalResult convertSpaceToDepth(NodeContext &n) {
  Shape s = n.shape(0);
  int64_t block = n.integer("blocksize", 0);
  if (s.size() != 4 || block < 1 || s[2] % block != 0 || s[3] % block != 0)
    return n.error("moves blocks of " + Twine(block) + " of " + shapeText(s));
  Value x = n.value(0);
  if (!x)
    return failure();
  x = n.transpose(n.reshape(x, {s[0], s[1], s[2] / block, block, s[3] / block, block}), {0, 3, 5, 1, 2, 4});
  n.set(0, n.reshape(x, {s[0], s[1] * block * block, s[2] / block, s[3] / block}));
  return success();
}

/// The factor of each dimension: a constant input of floats (`scales`), or of sizes. Nothing: reported.
static std::optional<Shape> factorsOf(NodeContext &n, const Shape &from, size_t scales, size_t sizes) {
  SmallVector<double> factors;
  const importer::Attribute *attribute = n.node.find("scales"); // Upsample of opset 7
  if (attribute && attribute->kind == importer::Attribute::Kind::Floats)
    factors.assign(attribute->floats.begin(), attribute->floats.end());
  const HostTensor *given = n.host(scales);
  if (n.has(scales) && (!given || !given->isFloat()))
    return (void)n.error("its scales depend on the data"), std::nullopt;
  if (given)
    factors.assign(given->floats.begin(), given->floats.end());
  if (factors.empty() && n.has(sizes)) {
    auto wanted = n.integers(sizes, "its sizes");
    if (!wanted)
      return std::nullopt;
    for (size_t d = 0; d < wanted->size() && d < from.size(); ++d)
      factors.push_back(static_cast<double>((*wanted)[d]) / static_cast<double>(from[d]));
  }
  if (factors.size() != from.size())
    return (void)n.error("has " + Twine(factors.size()) + " scales for " + shapeText(from)), std::nullopt;
  Shape whole;
  for (double factor : factors) {
    if (!(factor >= 1 && factor <= 4096) || factor != std::floor(factor))
      return (void)n.error("resizes by " + numberText(factor), "whole multiples are imported"), std::nullopt;
    whole.push_back(static_cast<int64_t>(factor));
  }
  return whole;
}

/// Every element `factor` times along each dimension.
static LogicalResult repeat(NodeContext &n, const Shape &from, const Shape &factors) {
  Value x = n.value(0); // checks the shape of a constant, too
  if (!x)
    return failure();
  Shape apart, repeated, whole;
  for (size_t d = 0; d < from.size(); ++d) {
    apart.insert(apart.end(), {from[d], 1});
    repeated.insert(repeated.end(), {from[d], factors[d]});
    whole.push_back(from[d] * factors[d]);
  }
  if (failed(n.check(whole)) || failed(n.check(repeated)))
    return failure();
  Value spread = nn::BroadcastOp::create(n.b(), n.loc(), n.type(repeated), n.reshape(x, apart));
  n.set(0, n.reshape(spread, whole));
  return success();
}

static LogicalResult convertResize(NodeContext &n) {
  Shape from = n.shape(0);
  if (n.text("mode", "nearest") != "nearest")
    return n.error("resizes with mode '" + n.text("mode", "") + "'", "mode nearest is imported");
  if (n.hasAttribute("axes"))
    return n.error("names its axes", "give a scale for each dimension");
  // With whole factors these take the same element: rounding differs only between two equally near ones.
  std::string coordinates = n.text("coordinate_transformation_mode", "half_pixel"), rounding = n.text("nearest_mode", "round_prefer_floor");
  bool isPlain = (coordinates == "asymmetric" && rounding == "floor") ||
                 ((coordinates == "half_pixel" || coordinates == "pytorch_half_pixel" || coordinates == "half_pixel_symmetric") &&
                  (rounding == "round_prefer_floor" || rounding == "round_prefer_ceil"));
  if (n.opset >= 11 && !isPlain)
    return n.error("resizes with coordinates '" + coordinates + "' and rounding '" + rounding + "'",
                   "asymmetric with floor and half_pixel with rounding to nearest are imported");
  bool isOld = n.opset < 11; // (x, scales); newer ones have (x, roi, scales, sizes)
  std::optional<Shape> factors = factorsOf(n, from, isOld ? 1 : 2, isOld ? 99 : 3);
  return factors ? repeat(n, from, *factors) : failure();
}

static LogicalResult convertUpsample(NodeContext &n) {
  Shape from = n.shape(0);
  if (n.text("mode", "nearest") != "nearest")
    return n.error("resizes with mode '" + n.text("mode", "") + "'", "mode nearest is imported");
  std::optional<Shape> factors = factorsOf(n, from, 1, 99);
  return factors ? repeat(n, from, *factors) : failure();
}

void nibble::importer::addResizeConverters(ConverterTable &table) {
  table["DepthToSpace"] = convertDepthToSpace;
  table["SpaceToDepth"] = convertSpaceToDepth;
  table["Resize"] = convertResize;
  table["Upsample"] = convertUpsample;
}

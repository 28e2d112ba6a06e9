//===- ConvertAttention.cpp - scaled dot product attention (opset 23) ---------===//
//
// Spelled out: scores = Q·Kᵀ·scale, + mask, softmax over the keys, times V. Both products are
// layers, named after the node. What a cache needs (past and present keys) and lengths that depend
// on the data are reported.
//
//===----------------------------------------------------------------------===//
#include "Importer.h"

#include <cmath>
#include <limits>

using namespace mlir;
using namespace nibble;
using namespace nibble::importer;

namespace {
/// Q, K or V as batch×heads×length×width.
struct Heads {
  Value x;
  int64_t batch, heads, length, width;
};
} // namespace

/// Rank 3 (batch×length×heads·width) or 4 to heads; nothing: reported.
static std::optional<Heads> headsOf(NodeContext &n, size_t i, const char *attribute) {
  static const char *const names[] = {"Q", "K", "V"};
  Shape shape = n.shape(i);
  int64_t heads = n.integer(attribute, 0);
  bool joined = shape.size() == 3;
  if ((!joined && shape.size() != 4) || (joined && (heads < 1 || shape[2] % heads != 0)))
    return (void)n.error("its " + Twine(names[i]) + " has the shape " + shapeText(shape) +
                         (joined ? " for " + Twine(heads) + " heads" : Twine())),
           std::nullopt;
  if (failed(n.check(shape)))
    return std::nullopt;
  Value x = n.value(i);
  if (!x)
    return std::nullopt;
  if (!joined)
    return Heads{x, shape[0], shape[1], shape[2], shape[3]};
  int64_t width = shape[2] / heads;
  x = n.transpose(n.reshape(x, {shape[0], shape[1], heads, width}), {0, 2, 1, 3});
  return Heads{x, shape[0], heads, shape[1], width};
}

/// Each of K's or V's heads serves a group of Q's.
static Value repeatHeads(NodeContext &n, const Heads &h, int64_t heads) {
  if (h.heads == heads)
    return h.x;
  Value x = n.reshape(h.x, {h.batch, h.heads, 1, h.length, h.width});
  Shape repeated{h.batch, h.heads, heads / h.heads, h.length, h.width};
  x = nn::BroadcastOp::create(n.b(), n.loc(), n.type(repeated), x);
  return n.reshape(x, {h.batch, heads, h.length, h.width});
}

/// A layer of stacks: a (batch, heads, m, k) times b.
static Value product(NodeContext &n, Value a, Value b, bool transposeB) {
  Shape left = NodeContext::shapeOf(a), right = NodeContext::shapeOf(b);
  int64_t stack = left[0] * left[1], columns = right[transposeB ? 2 : 3];
  auto &builder = n.b();
  std::string name = n.node.name.empty() ? n.node.outputs.front() : n.node.name;
  SmallVector<NamedAttribute> attributes{
      builder.getNamedAttr("layer", builder.getStringAttr(n.importer.uniqueLayer(name)))};
  if (transposeB)
    attributes.push_back(builder.getNamedAttr("transpose_b", builder.getUnitAttr()));
  Value y = nn::MatMulOp::create(builder, n.loc(), TypeRange{n.type({stack, left[2], columns})},
                                 ValueRange{n.reshape(a, {stack, left[2], left[3]}),
                                            n.reshape(b, {stack, right[2], right[3]})},
                                 attributes);
  return n.reshape(y, {left[0], left[1], left[2], columns});
}

/// Scores with the mask of input 3 and that of `is_causal`; null: reported.
static Value masked(NodeContext &n, Value scores) {
  Shape shape = NodeContext::shapeOf(scores);
  Value never = n.splat(-std::numeric_limits<float>::infinity());
  if (n.integer("is_causal", 0) != 0) {
    Shape square{shape[2], shape[3]};
    if (failed(n.checkFold(square)))
      return {};
    HostTensor lower = HostTensor::zeros(DataType::Bool, square);
    for (int64_t i = 0, count = lower.size(); i < count; ++i)
      lower.ints[i] = i % shape[3] <= i / shape[3];
    scores = chooseByMask(n, lower, shape, scores, never);
  }
  if (!scores || !n.has(3))
    return scores;
  auto joined = broadcastShape(n.shape(3), shape);
  if (!joined || *joined != shape)
    return (void)n.error("its mask of shape " + shapeText(n.shape(3)) + " does not fit scores of " +
                         shapeText(shape)),
           Value();
  if (const HostTensor *mask = n.host(3); mask && !mask->isFloat())
    return chooseByMask(n, *mask, shape, scores, never);
  Value mask = n.value(3);
  return mask ? n.binary<nn::AddOp>(scores, mask) : Value();
}

static LogicalResult checkForm(NodeContext &n) {
  if (!n.isValue(0) || !n.has(1) || !n.has(2))
    return n.error("takes Q, K and V");
  if (n.has(4) || n.has(5) || n.has(6))
    return n.error("takes past keys and values, or lengths of them",
                   "attention over whole sequences is imported");
  for (const char *side : {"left_window_size", "right_window_size"})
    if (n.integer(side, -1) >= 0)
      return n.error("has a " + Twine(side), "export the window as a mask");
  for (size_t i = 1; i < n.node.outputs.size(); ++i)
    if (n.wants(i))
      return n.error("its output " + Twine(i) + " ('" + n.node.outputs[i] + "') is used",
                     "only Y is imported");
  return success();
}

static LogicalResult convertAttention(NodeContext &n) {
  if (failed(checkForm(n)))
    return failure();
  auto q = headsOf(n, 0, "q_num_heads");
  auto k = q ? headsOf(n, 1, "kv_num_heads") : std::nullopt;
  auto v = k ? headsOf(n, 2, "kv_num_heads") : std::nullopt;
  if (!v)
    return failure();
  bool fits = q->batch == k->batch && q->batch == v->batch && q->width == k->width &&
              k->length == v->length && k->heads == v->heads && q->heads % k->heads == 0;
  if (!fits)
    return n.error("Q, K and V of shapes " + shapeText(n.shape(0)) + ", " + shapeText(n.shape(1)) +
                   " and " + shapeText(n.shape(2)) + " do not fit");
  if (failed(n.check({q->batch, q->heads, q->length, k->length})))
    return failure();
  Value scores = product(n, q->x, repeatHeads(n, *k, q->heads), /*transposeB=*/true);
  double scale = n.real("scale", 1 / std::sqrt(static_cast<double>(q->width)));
  scores = n.binary<nn::MulOp>(scores, n.splat(static_cast<float>(scale)));
  double cap = n.real("softcap", 0);
  if (cap != 0) {
    Value ratio = n.binary<nn::DivOp>(scores, n.splat(static_cast<float>(cap)));
    scores = n.binary<nn::MulOp>(n.unary<nn::TanhOp>(ratio), n.splat(static_cast<float>(cap)));
  }
  scores = masked(n, scores);
  if (!scores)
    return failure();
  Value y = product(n, n.unary<nn::SoftmaxOp>(scores), repeatHeads(n, *v, q->heads), false);
  if (n.shape(0).size() == 3)
    y = n.reshape(n.transpose(y, {0, 2, 1, 3}), {q->batch, q->length, q->heads * v->width});
  n.set(0, y);
  return success();
}

void nibble::importer::addAttentionConverters(ConverterTable &table) {
  table["Attention"] = convertAttention;
}

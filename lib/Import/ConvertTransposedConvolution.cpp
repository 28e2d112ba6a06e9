//===- ConvertTransposedConvolution.cpp - ConvTranspose -----------------------===//
//
// A transposed convolution is the input gradient of the convolution whose output is its input: nn.conv2d_input_grad as a forward product.
// ONNX stores its weight as (in, out/groups, kh, kw), which is that convolution's O×I×KH×KW. Opset 1 to 22.
//
//===----------------------------------------------------------------------===//
#include "Importer.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::importer;

namespace {
/// Of each spatial dimension.
struct TransposedWindow {
  Shape strides, dilations, before, after, outputs;
};
} // namespace

static std::optional<TransposedWindow> readTransposedWindow(NodeContext &n, const Shape &spatial, const Shape &kernel) {
  size_t count = spatial.size();
  auto numbers = [&](llvm::StringRef name, size_t size, int64_t otherwise, int64_t low) -> std::optional<Shape> {
    Shape values = n.ints(name, Shape(size, otherwise));
    bool good = values.size() == size && llvm::all_of(values, [&](int64_t v) { return v >= low && v <= (1 << 20); });
    return good ? std::optional(values) : ((void)n.error("has " + name + " " + shapeText(values)), std::nullopt);
  };
  auto strides = numbers("strides", count, 1, 1), dilations = numbers("dilations", count, 1, 1), pads = numbers("pads", 2 * count, 0, 0),
       extra = numbers("output_padding", count, 0, 0);
  if (!strides || !dilations || !pads || !extra)
    return std::nullopt;
  std::string mode = n.text("auto_pad", "NOTSET");
  bool same = mode == "SAME_UPPER" || mode == "SAME_LOWER";
  if ((!same && mode != "NOTSET" && mode != "VALID" && !mode.empty()) || n.hasAttribute("output_shape"))
    return (void)n.error("has auto_pad '" + mode + "' or output_shape", "give pads and output_padding"), std::nullopt;
  TransposedWindow w{*strides, *dilations, {}, {}, {}};
  for (size_t d = 0; d < count; ++d) {
    int64_t full = w.strides[d] * (spatial[d] - 1) + (*extra)[d] + w.dilations[d] * (kernel[d] - 1) + 1;
    int64_t before = (*pads)[d], after = (*pads)[count + d];
    if (same) {
      int64_t total = full - spatial[d] * w.strides[d];
      before = mode == "SAME_UPPER" ? total / 2 : total - total / 2;
      after = total - before;
    }
    int64_t output = full - before - after;
    // What the convolution makes of that output has to be the input again.
    if (before < 0 || after < 0 || output < 1 || (*extra)[d] >= std::max(w.strides[d], w.dilations[d]) ||
        (output + before + after - w.dilations[d] * (kernel[d] - 1) - 1) / w.strides[d] + 1 != spatial[d])
      return (void)n.error("has padding that no convolution undoes in dimension " + Twine(2 + d)), std::nullopt;
    w.before.push_back(before), w.after.push_back(after), w.outputs.push_back(output);
  }
  return w;
}

static Value transposedBias(NodeContext &n, Value y, int64_t channels) {
  if (!n.has(2))
    return y;
  if (!n.constant(2) || n.shape(2) != Shape{channels})
    return (void)n.error("its bias has the shape " + shapeText(n.shape(2)) + ", an initializer of " + Twine(channels) + " expected"), Value();
  Value bias = n.parameter(2, train::Role::Bias);
  return bias ? n.binary<nn::AddOp>(y, bias) : Value();
}

static LogicalResult convertConvTranspose(NodeContext &n) {
  if (failed(checkConvolution(n)))
    return failure();
  Shape x = n.shape(0), w = n.shape(1);
  int64_t groups = n.integer("group", 1);
  if (groups < 1 || w[0] != x[1] || w[0] % groups != 0)
    return n.error("its weight " + shapeText(w) + " in " + Twine(groups) + " group(s) does not fit an input of shape " + shapeText(x));
  if (!n.constant(1))
    return n.error("its weight ('" + n.node.inputs[1] + "') depends on the data", "it has to be an initializer");
  auto window = readTransposedWindow(n, Shape(x.begin() + 2, x.end()), Shape(w.begin() + 2, w.end()));
  Value input = window ? n.value(0) : Value();
  if (!input)
    return failure();
  bool flat = x.size() == 3;
  Value channelsLast = n.toChannelsLast(input);
  Layout layout;
  if (flat) {
    channelsLast = n.reshape(channelsLast, {x[0], 1, x[2], x[1]});
    layout.push_back({false, {w[0], w[1], 1, w[2]}});
    for (Shape *numbers : {&window->strides, &window->dilations, &window->outputs})
      numbers->insert(numbers->begin(), 1);
    for (Shape *numbers : {&window->before, &window->after})
      numbers->insert(numbers->begin(), 0);
  }
  layout.push_back({true, {0, 2, 3, 1}});
  int64_t channels = w[1] * groups;
  Shape result{x[0], window->outputs[0], window->outputs[1], channels};
  if (failed(n.check(result)))
    return failure();
  n.fanIn = countElements(w) / w[0];
  Value weight = n.parameter(1, train::Role::Weight, layout);
  if (!weight)
    return failure();
  auto &b = n.b();
  Shape pads{window->before[0], window->before[1], window->after[0], window->after[1]};
  Value y = nn::Conv2DInputGradOp::create(b, n.loc(), n.type(result), channelsLast, weight, window->strides, pads, window->dilations,
                                          groups, n.layerName(1), Product::Forward, Precision::Unassigned, "");
  y = transposedBias(n, y, channels);
  if (!y)
    return failure();
  if (flat)
    y = n.reshape(y, {result[0], result[2], result[3]});
  n.importer.convolutions++;
  n.set(0, n.fromChannelsLast(y));
  return success();
}

void nibble::importer::addTransposedConvolutionConverters(ConverterTable &table) { table["ConvTranspose"] = convertConvTranspose; }

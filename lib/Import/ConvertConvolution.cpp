//===- ConvertConvolution.cpp - convolutions, and windows in general ---------===//
//
// Emitted as transpose, channels-last op, transpose; 1-d ones as 2-d ones of height 1.
//
//===----------------------------------------------------------------------===//
#include "Importer.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::importer;

/// One number a spatial dimension from `name` (all `otherwise` where it is absent), each in [low,
/// 2^31].
static std::optional<Shape> numbersOf(NodeContext &n, llvm::StringRef name, size_t count,
                                      int64_t otherwise, int64_t low) {
  Shape values = n.ints(name, Shape(count, otherwise));
  if (values.size() != count)
    return (void)n.error(name + " has " + Twine(values.size()) + " numbers where " + Twine(count) +
                         " are expected"),
           std::nullopt;
  for (int64_t value : values)
    if (value < low || value > kMaxElements)
      return (void)n.error(name + " holds " + Twine(value)), std::nullopt;
  return values;
}

/// auto_pad: the pads of one dimension.
static void autoPad(const std::string &mode, int64_t size, int64_t reach, int64_t stride,
                    int64_t &before, int64_t &after) {
  before = after = 0;
  if (mode == "VALID")
    return;
  int64_t outputs = (size + stride - 1) / stride;
  int64_t total = std::max<int64_t>(0, (outputs - 1) * stride + reach - size);
  before = mode == "SAME_UPPER" ? total / 2 : total - total / 2;
  after = total - before;
}

std::optional<Window> nibble::importer::readWindow(NodeContext &n, const Shape &spatial,
                                                   Shape kernel, bool pool) {
  size_t count = spatial.size();
  Window w;
  auto fromAttribute = numbersOf(n, "kernel_shape", count, 0, kernel.empty() ? 1 : 0);
  if (!fromAttribute)
    return std::nullopt;
  if (!kernel.empty() && n.hasAttribute("kernel_shape") && *fromAttribute != kernel)
    return (void)n.error("kernel_shape says " + shapeText(*fromAttribute) + ", the weight is " +
                         shapeText(kernel)),
           std::nullopt;
  w.kernel = kernel.empty() ? *fromAttribute : kernel;
  auto strides = numbersOf(n, "strides", count, 1, 1),
       dilations = strides ? numbersOf(n, "dilations", count, 1, 1) : std::nullopt;
  auto pads = dilations ? numbersOf(n, "pads", 2 * count, 0, 0) : std::nullopt;
  if (!pads)
    return std::nullopt;
  w.strides = *strides, w.dilations = *dilations, w.pads = *pads;
  std::string mode = n.text("auto_pad", "NOTSET");
  if (mode != "NOTSET" && mode != "VALID" && mode != "SAME_UPPER" && mode != "SAME_LOWER" &&
      !mode.empty())
    return (void)n.error("auto_pad is '" + mode + "'"), std::nullopt;
  bool ceil = pool && n.integer("ceil_mode", 0) != 0;
  for (size_t d = 0; d < count; ++d) {
    int64_t kernelSize = w.kernel[d];
    if (kernelSize < 1 || kernelSize > kMaxElements || w.dilations[d] > kMaxElements / kernelSize)
      return (void)n.error("has a kernel of size " + Twine(kernelSize)), std::nullopt;
    int64_t reach = w.dilations[d] * (kernelSize - 1) + 1, stride = w.strides[d];
    if (mode != "NOTSET" && !mode.empty())
      autoPad(mode, spatial[d], reach, stride, w.pads[d], w.pads[count + d]);
    int64_t room = spatial[d] + w.pads[d] + w.pads[count + d] - reach;
    if (room < 0)
      return (void)n.error("its window reaches over " + Twine(reach) + ", the padded input has " +
                           Twine(room + reach) + " in dimension " + Twine(2 + d)),
             std::nullopt;
    int64_t outputs = room / stride + 1;
    // With ceil_mode one more window, unless it would begin in the padding behind (ONNX 1.16 and
    // PyTorch).
    if (ceil && room % stride != 0 && outputs * stride < spatial[d] + w.pads[d])
      ++outputs;
    w.outputs.push_back(outputs);
  }
  return w;
}

/// Zero padding of space alone that made `x` moves into the convolution's own pads.
static Value absorbPadding(NodeContext &n, Value x, Window &window) {
  auto pad = x.getDefiningOp<nn::UnsliceOp>();
  if (!pad)
    return x;
  Shape inner = NodeContext::shapeOf(pad.getX()), outer = NodeContext::shapeOf(x);
  size_t space = window.kernel.size();
  if (inner.size() != space + 2 || inner[0] != outer[0] || inner[1] != outer[1] ||
      llvm::any_of(pad.getSteps(), [](int64_t s) { return s != 1; }))
    return x;
  for (size_t d = 0; d < space; ++d) {
    int64_t before = pad.getStarts()[2 + d];
    window.pads[d] += before;
    window.pads[space + d] += outer[2 + d] - inner[2 + d] - before;
  }
  return pad.getX();
}

/// The weight as O x KH x KW x I.
static Value weightOf(NodeContext &n, const Shape &weight) {
  Layout layout;
  Shape shape = weight;
  if (shape.size() == 3) {
    shape.insert(shape.begin() + 2, 1);
    layout.push_back({false, shape});
  }
  layout.push_back({true, {0, 2, 3, 1}});
  n.fanIn = countElements(weight) / weight[0];
  if (n.constant(1))
    return n.parameter(1, train::Role::Weight, layout);
  return n.transpose(n.reshape(n.value(1), shape), {0, 2, 3, 1});
}

static Value addBias(NodeContext &n, Value y, int64_t outputs) {
  if (!n.has(2))
    return y;
  if (n.shape(2) != Shape{outputs})
    return (void)n.error("its bias has the shape " + shapeText(n.shape(2)) + " for " +
                         Twine(outputs) + " channels"),
           Value();
  Value bias;
  if (const Constant *constant = n.constant(2)) {
    // Exporters spell "no bias" as computed zeros.
    if (!constant->stored && llvm::all_of(constant->tensor->floats, [](float v) { return v == 0; }))
      return y;
    bias = n.parameter(2, train::Role::Bias);
  } else {
    bias = n.value(2);
  }
  return bias ? n.binary<nn::AddOp>(y, bias) : Value();
}

LogicalResult nibble::importer::checkConvolution(NodeContext &n) {
  if (!n.has(0) || !n.has(1))
    return n.error("takes an input and a weight");
  Shape x = n.shape(0), w = n.shape(1);
  if ((x.size() != 4 && x.size() != 3) || w.size() != x.size())
    return n.error("has an input of shape " + shapeText(x) + " and a weight of shape " +
                       shapeText(w),
                   "1-d and 2-d convolutions are imported");
  return success(succeeded(n.check(x)) && succeeded(n.check(w)));
}

static LogicalResult convertConv(NodeContext &n) {
  if (failed(checkConvolution(n)))
    return failure();
  Shape x = n.shape(0), w = n.shape(1);
  int64_t groups = n.integer("group", 1);
  if (groups < 1 || groups > x[1] || w[1] * groups != x[1] || w[0] % groups != 0)
    return n.error("its weight " + shapeText(w) + " in " + Twine(groups) +
                   " group(s) does not fit an input of shape " + shapeText(x));
  auto window = readWindow(n, Shape(x.begin() + 2, x.end()), Shape(w.begin() + 2, w.end()), false);
  Value input = window ? n.value(0) : Value();
  if (!input)
    return failure();
  input = absorbPadding(n, input, *window);
  x = NodeContext::shapeOf(input);
  bool flat = x.size() == 3;
  Value channelsLast = n.toChannelsLast(input);
  if (flat) {
    channelsLast = n.reshape(channelsLast, {x[0], 1, x[2], x[1]});
    for (Shape *numbers : {&window->strides, &window->dilations, &window->outputs})
      numbers->insert(numbers->begin(), 1);
    window->pads = {0, window->pads[0], 0, window->pads[1]};
  }
  Shape result{x[0], window->outputs[0], window->outputs[1], w[0]};
  if (failed(n.check(result)))
    return failure();
  Value weight = weightOf(n, w);
  if (!weight)
    return failure();
  auto &b = n.b();
  NamedAttribute attributes[] = {
      b.getNamedAttr("strides", b.getDenseI64ArrayAttr(window->strides)),
      b.getNamedAttr("pads", b.getDenseI64ArrayAttr(window->pads)),
      b.getNamedAttr("dilations", b.getDenseI64ArrayAttr(window->dilations)),
      b.getNamedAttr("groups", b.getI64IntegerAttr(groups)),
      b.getNamedAttr("layer", b.getStringAttr(n.layerName(1)))};
  Value y = nn::Conv2DOp::create(b, n.loc(), TypeRange{n.type(result)},
                                 ValueRange{channelsLast, weight}, attributes);
  std::string layer = y.getDefiningOp<nn::Conv2DOp>().getLayer().str();
  y = addBias(n, y, w[0]);
  if (y)
    y = insertNorm(n, y, layer);
  if (!y)
    return failure();
  if (flat)
    y = n.reshape(y, {result[0], result[2], result[3]});
  n.importer.convolutions++;
  n.set(0, n.fromChannelsLast(y));
  return success();
}

void nibble::importer::addConvolutionConverters(ConverterTable &table) {
  table["Conv"] = convertConv;
}

//===- ConvertPool.cpp - pooling ---------------------------------------------===//
#include "Importer.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::importer;

/// Input as N x H x W x C (a 1-d one with H = 1), window as 2-d.
static Value prepare(NodeContext &n, Window &window) {
  Value x = n.toChannelsLast(n.value(0));
  Shape shape = NodeContext::shapeOf(x);
  if (shape.size() == 4)
    return x;
  for (Shape *numbers : {&window.kernel, &window.strides, &window.dilations, &window.outputs})
    numbers->insert(numbers->begin(), 1);
  window.pads = {0, window.pads[0], 0, window.pads[1]};
  return n.reshape(x, {shape[0], 1, shape[1], shape[2]});
}

static void finish(NodeContext &n, Value y, size_t rank) {
  Shape shape = NodeContext::shapeOf(y);
  if (rank == 3)
    y = n.reshape(y, {shape[0], shape[2], shape[3]});
  n.set(0, n.fromChannelsLast(y));
}

static SmallVector<NamedAttribute> windowAttributes(OpBuilder &b, const Window &window) {
  return {b.getNamedAttr("kernel", b.getDenseI64ArrayAttr(window.kernel)),
          b.getNamedAttr("strides", b.getDenseI64ArrayAttr(window.strides)),
          b.getNamedAttr("pads", b.getDenseI64ArrayAttr(window.pads)),
          b.getNamedAttr("dilations", b.getDenseI64ArrayAttr(window.dilations))};
}

/// Checks rank and pads, gives the window; nothing: reported.
static std::optional<Window> poolWindow(NodeContext &n) {
  Shape x = n.shape(0);
  if ((x.size() != 4 && x.size() != 3) || !n.isValue(0))
    return (void)n.error("pools a tensor of shape " + shapeText(x),
                         "1-d and 2-d pooling of data is imported"),
           std::nullopt;
  auto window = readWindow(n, Shape(x.begin() + 2, x.end()), {}, true);
  if (!window)
    return std::nullopt;
  size_t space = x.size() - 2;
  for (size_t d = 0; d < space; ++d) {
    int64_t reach = window->dilations[d] * (window->kernel[d] - 1) + 1;
    if (window->pads[d] >= reach || window->pads[space + d] >= reach)
      return (void)n.error("its pads are as large as its window, so that some windows are empty"),
             std::nullopt;
  }
  return window;
}

static LogicalResult emitMaxPool(NodeContext &n, Window window) {
  size_t rank = n.shape(0).size();
  Value x = prepare(n, window);
  Shape in = NodeContext::shapeOf(x), out{in[0], window.outputs[0], window.outputs[1], in[3]};
  if (failed(n.check(out)))
    return failure();
  auto &b = n.b();
  int64_t taps = window.kernel[0] * window.kernel[1];
  Type index = RankedTensorType::get(out, taps <= 256 ? b.getI8Type() : b.getI32Type());
  auto pool = nn::MaxPoolOp::create(b, n.loc(), TypeRange{n.type(out), index}, ValueRange{x},
                                    windowAttributes(b, window));
  finish(n, pool.getResult(), rank);
  return success();
}

static LogicalResult convertMaxPool(NodeContext &n) {
  if (n.wants(1))
    return n.error("its second output, the indices, is used", "only the first output is imported");
  auto window = poolWindow(n);
  return window ? emitMaxPool(n, std::move(*window)) : failure();
}

static LogicalResult convertAveragePool(NodeContext &n) {
  auto window = poolWindow(n);
  if (!window)
    return failure();
  Shape x = n.shape(0);
  size_t space = x.size() - 2;
  bool countPads = n.integer("count_include_pad", 0) != 0,
       anyPad = llvm::any_of(window->pads, [](int64_t p) { return p > 0; });
  for (size_t d = 0; countPads && d < space; ++d) {
    int64_t end = (window->outputs[d] - 1) * window->strides[d] +
                  window->dilations[d] * (window->kernel[d] - 1) + 1;
    if (end > x[2 + d] + window->pads[d] + window->pads[space + d])
      return n.error(
          "counts padding in windows that reach beyond it (ceil_mode with count_include_pad)");
  }
  Value input = prepare(n, *window);
  Shape in = NodeContext::shapeOf(input), out{in[0], window->outputs[0], window->outputs[1], in[3]};
  if (failed(n.check(out)))
    return failure();
  auto attributes = windowAttributes(n.b(), *window);
  if (countPads && anyPad)
    attributes.push_back(n.b().getNamedAttr("count_include_pad", n.b().getUnitAttr()));
  finish(
      n,
      nn::AvgPoolOp::create(n.b(), n.loc(), TypeRange{n.type(out)}, ValueRange{input}, attributes),
      x.size());
  return success();
}

static LogicalResult convertGlobalAveragePool(NodeContext &n) {
  Shape x = n.shape(0);
  if (x.size() < 3 || !n.isValue(0))
    return n.error("pools a tensor of shape " + shapeText(x));
  SmallVector<int64_t> axes;
  for (size_t d = 1; d + 1 < x.size(); ++d)
    axes.push_back(d);
  n.set(0, n.fromChannelsLast(
               nn::ReduceMeanOp::create(n.b(), n.loc(), n.toChannelsLast(n.value(0)), axes)));
  return success();
}

static LogicalResult convertGlobalMaxPool(NodeContext &n) {
  Shape x = n.shape(0);
  if ((x.size() != 3 && x.size() != 4) || !n.isValue(0))
    return n.error("pools a tensor of shape " + shapeText(x),
                   "1-d and 2-d pooling of data is imported");
  size_t space = x.size() - 2;
  Window window{Shape(x.begin() + 2, x.end()), Shape(space, 1), Shape(space, 1),
                Shape(2 * space, 0), Shape(space, 1)};
  return emitMaxPool(n, std::move(window));
}

void nibble::importer::addPoolConverters(ConverterTable &table) {
  table["MaxPool"] = convertMaxPool;
  table["AveragePool"] = convertAveragePool;
  table["GlobalAveragePool"] = convertGlobalAveragePool;
  table["GlobalMaxPool"] = convertGlobalMaxPool;
}

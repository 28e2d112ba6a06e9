//===- ReadQuantized.cpp - quantized files, read as floats ------------------===//
//
// A file whose weights lie in 4 or 8 bits trains on from the floats that they stand for:
//   DequantizeLinear of a constant      the float tensor, under the constant's own name
//   QuantizeLinear → DequantizeLinear   the clip to the ends of the grid; nothing where the value
//   is
//                                       clipped to these ends already, or the grid is not one a
//                                       tensor (per-axis, blocked)
//   the pair on a constant              nothing: the constant is the master copy
// Rounding belongs to the recipe that trains on, so it is not carried over. Anything else
// (quantized values that reach another operator, scales that depend on data) stays, and the
// importer says which node it is. Sources: ONNX operators QuantizeLinear and DequantizeLinear,
// versions 10 to 25; OCP MX v1.0, section 5.3 (E2M1).
//
//===----------------------------------------------------------------------===//
#include "Decode.h"

#include <cmath>
#include <map>
#include <set>
#include <stdexcept>

using namespace nibble::importer;
using onnx::TensorProto;

//===----------------------------------------------------------------------===//
// Codes
//===----------------------------------------------------------------------===//

static bool isHalfByte(int32_t type) {
  return type == TensorProto::UINT4 || type == TensorProto::INT4 || type == TensorProto::FLOAT4E2M1;
}

int64_t nibble::importer::tensorBytes(int32_t dataType, int64_t count) {
  return isHalfByte(dataType) ? (count + 1) / 2 : count * elementBytes(dataType);
}

static double fromE2M1(unsigned bits) {
  static const double magnitudes[] = {0, 0.5, 1, 1.5, 2, 3, 4, 6};
  return (bits & 8 ? -1 : 1) * magnitudes[bits & 7];
}

/// The ends of a type's whole numbers (E2M1: of its numbers); false for other types.
static bool endsOf(int32_t type, double &low, double &high) {
  switch (type) {
  case TensorProto::UINT4:
    return low = 0, high = 15, true;
  case TensorProto::INT4:
    return low = -8, high = 7, true;
  case TensorProto::FLOAT4E2M1:
    return low = -6, high = 6, true;
  case TensorProto::UINT8:
    return low = 0, high = 255, true;
  case TensorProto::INT8:
    return low = -128, high = 127, true;
  case TensorProto::UINT16:
    return low = 0, high = 65535, true;
  case TensorProto::INT16:
    return low = -32768, high = 32767, true;
  case TensorProto::INT32:
    return low = -2147483648.0, high = 2147483647.0, true;
  default:
    return false;
  }
}

/// The numbers of a tensor of one of these types, or of a floating type.
static std::vector<double> numbersOf(const TensorProto &tensor) {
  std::vector<double> numbers;
  if (!isHalfByte(tensor.data_type())) {
    HostTensor decoded = decodeTensor(tensor);
    if (decoded.isFloat())
      numbers.assign(decoded.floats.begin(), decoded.floats.end());
    else
      numbers.assign(decoded.ints.begin(), decoded.ints.end());
    return numbers;
  }
  int64_t count = countElements({tensor.dims().begin(), tensor.dims().end()});
  int64_t bytes = tensor.has_raw_data() ? static_cast<int64_t>(tensor.raw_data().size())
                                        : tensor.int32_data_size();
  if (count < 0 || bytes != (count + 1) / 2)
    throw std::runtime_error("tensor '" + tensor.name() + "' has 4-bit elements, shape " +
                             shapeText({tensor.dims().begin(), tensor.dims().end()}) + " and " +
                             std::to_string(bytes) + " bytes");
  numbers.resize(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    int64_t byte = i / 2;
    unsigned pair = tensor.has_raw_data()
                        ? static_cast<unsigned char>(tensor.raw_data()[static_cast<size_t>(byte)])
                        : static_cast<unsigned>(tensor.int32_data(static_cast<int>(byte)));
    unsigned bits = i % 2 ? pair >> 4 & 15 : pair & 15;
    numbers[static_cast<size_t>(i)] = tensor.data_type() == TensorProto::FLOAT4E2M1 ? fromE2M1(bits)
                                      : tensor.data_type() == TensorProto::INT4 && bits > 7
                                          ? double(bits) - 16
                                          : double(bits);
  }
  return numbers;
}

//===----------------------------------------------------------------------===//
// The rewriting
//===----------------------------------------------------------------------===//

namespace {

/// Scales and zero points of a QuantizeLinear or DequantizeLinear, all constant.
struct Grid {
  const TensorProto *scaleTensor = nullptr;
  std::vector<double> scales, zeros; // zeros: one, or as many as scales
  int64_t axis = 1, block = 0;
  bool perTensor() const { return scales.size() == 1; }
  double zero(size_t i) const { return zeros[zeros.size() == 1 ? 0 : i]; }
};

class Rewriter {
public:
  explicit Rewriter(onnx::ModelProto &model) : graph(*model.mutable_graph()) {
    for (const auto &opset : model.opset_import())
      if (opset.domain().empty() || opset.domain() == "ai.onnx")
        version = opset.version();
    collect();
  }

  std::string run() {
    for (auto &node : *graph.mutable_node())
      if (node.op_type() == "DequantizeLinear" && node.domain().empty() && node.output_size() == 1)
        rewrite(node);
    if (weights + clips + passes == 0)
      return "";
    finish();
    return "quantization is read as floats: " + std::to_string(weights) +
           " constants dequantized, " + std::to_string(clips) +
           " quantized values clipped to their range, " + std::to_string(passes) +
           " passed on as they are";
  }

private:
  void collect() {
    for (auto &tensor : *graph.mutable_initializer())
      constants[tensor.name()] = &tensor;
    for (auto &node : *graph.mutable_node()) {
      for (const std::string &output : node.output())
        producers[output] = &node;
      if (node.op_type() == "Constant" && node.output_size() == 1)
        for (auto &attribute : *node.mutable_attribute())
          if (attribute.name() == "value" && attribute.has_t())
            constants[node.output(0)] = attribute.mutable_t();
    }
    countUses(graph);
    for (const auto &output : graph.output())
      outputs.insert(output.name());
  }

  /// Uses inside subgraphs count too: what they see must not change.
  void countUses(const onnx::GraphProto &inside) {
    for (const auto &node : inside.node()) {
      for (const std::string &input : node.input())
        ++uses[input];
      for (const auto &attribute : node.attribute()) {
        if (attribute.has_g())
          countUses(attribute.g());
        for (const auto &each : attribute.graphs())
          countUses(each);
      }
    }
    for (const auto &output : inside.output())
      ++uses[output.name()];
  }

  const TensorProto *constant(const onnx::NodeProto &node, int i) const {
    if (i >= node.input_size() || node.input(i).empty())
      return nullptr;
    auto found = constants.find(node.input(i));
    return found == constants.end() ? nullptr : found->second;
  }

  /// False where scale or zero point depend on data.
  bool readGrid(const onnx::NodeProto &node, Grid &grid) const {
    grid.scaleTensor = constant(node, 1);
    if (!grid.scaleTensor)
      return false;
    grid.scales = numbersOf(*grid.scaleTensor);
    grid.zeros = {0};
    if (node.input_size() > 2 && !node.input(2).empty()) {
      const TensorProto *zero = constant(node, 2);
      if (!zero)
        return false;
      grid.zeros = numbersOf(*zero);
    }
    for (const auto &attribute : node.attribute()) {
      if (attribute.name() == "axis")
        grid.axis = attribute.i();
      if (attribute.name() == "block_size")
        grid.block = attribute.i();
    }
    if (grid.scales.empty() || (grid.zeros.size() != 1 && grid.zeros.size() != grid.scales.size()))
      throw std::runtime_error(describe(node) + ": " + std::to_string(grid.zeros.size()) +
                               " zero points for " + std::to_string(grid.scales.size()) +
                               " scales");
    return true;
  }

  static std::string describe(const onnx::NodeProto &node) {
    return "node '" + node.name() + "' (" + node.op_type() + ")";
  }

  void rewrite(onnx::NodeProto &node) {
    Grid grid;
    if (node.input_size() < 2 || outputs.count(node.output(0)) || !readGrid(node, grid))
      return;
    const std::string x = node.input(0);
    if (auto found = constants.find(x); found != constants.end())
      return dequantize(node, *found->second, grid);
    auto producer = producers.find(x);
    if (producer == producers.end() || producer->second->op_type() != "QuantizeLinear")
      return;
    pair(*producer->second, node, grid);
  }

  //===--------------------------------------------------------------------===//
  // Constants
  //===--------------------------------------------------------------------===//

  /// Which scale element i of a tensor of this shape has.
  static std::vector<size_t> scaleIndices(const onnx::NodeProto &node, const Grid &grid,
                                          const std::vector<int64_t> &shape) {
    auto count = static_cast<size_t>(countElements(shape));
    std::vector<size_t> indices(count, 0);
    if (grid.perTensor())
      return indices;
    auto rank = static_cast<int64_t>(shape.size());
    int64_t axis = grid.axis < 0 ? grid.axis + rank : grid.axis;
    if (axis < 0 || axis >= rank || grid.block < 0)
      throw std::runtime_error(describe(node) + ": axis " + std::to_string(grid.axis) + " of " +
                               shapeText(shape));
    int64_t inner = 1, outer = 1, length = shape[static_cast<size_t>(axis)];
    for (int64_t d = 0; d < rank; ++d)
      (d < axis ? outer : d > axis ? inner : length) *= d == axis ? 1 : shape[d];
    int64_t blocks = grid.block && length > 0 ? (length - 1) / grid.block + 1 : length;
    int64_t wanted = grid.block ? outer * blocks * inner : length;
    if (static_cast<int64_t>(grid.scales.size()) != wanted)
      throw std::runtime_error(describe(node) + ": " + std::to_string(grid.scales.size()) +
                               " scales for a tensor of " + shapeText(shape));
    for (size_t i = 0; i < count; ++i) {
      int64_t in = static_cast<int64_t>(i) % inner, at = static_cast<int64_t>(i) / inner % length,
              out = static_cast<int64_t>(i) / inner / length;
      indices[i] =
          static_cast<size_t>(grid.block ? (out * blocks + at / grid.block) * inner + in : at);
    }
    return indices;
  }

  void dequantize(onnx::NodeProto &node, TensorProto &codes, const Grid &grid) {
    double low, high;
    if (!endsOf(codes.data_type(), low, high))
      return;
    std::vector<int64_t> shape(codes.dims().begin(), codes.dims().end());
    std::vector<double> numbers = numbersOf(codes);
    std::vector<size_t> indices = scaleIndices(node, grid, shape);
    std::vector<float> values(numbers.size());
    for (size_t i = 0; i < values.size(); ++i)
      values[i] =
          static_cast<float>((numbers[i] - grid.zero(indices[i])) * grid.scales[indices[i]]);
    TensorProto real;
    *real.mutable_dims() = codes.dims();
    real.set_data_type(grid.scaleTensor->data_type());
    real.set_name(codes.name());
    ++weights;
    if (uses[node.input(0)] == 1) { // the constant itself becomes real
      encodeTensor(real, values);
      codes = real;
      forgetType(node.input(0));
      rename(node.output(0), node.input(0));
    } else {
      real.set_name(node.output(0));
      encodeTensor(real, values);
      added.push_back(real);
    }
    removed.insert(&node);
  }

  //===--------------------------------------------------------------------===//
  // Values
  //===--------------------------------------------------------------------===//

  static int32_t codeType(const onnx::NodeProto &quantize, const TensorProto *zero) {
    if (zero)
      return zero->data_type();
    for (const auto &attribute : quantize.attribute())
      if (attribute.name() == "output_dtype" && attribute.i() != 0)
        return static_cast<int32_t>(attribute.i());
    return TensorProto::UINT8;
  }

  void pair(onnx::NodeProto &quantize, onnx::NodeProto &node, const Grid &grid) {
    Grid first;
    if (quantize.input_size() < 2 || !readGrid(quantize, first) || first.scales != grid.scales ||
        first.zeros != grid.zeros)
      return; // codes that are read with another scale are no round trip
    const std::string x = quantize.input(0);
    double low, high;
    bool bounded = grid.perTensor() && endsOf(codeType(quantize, constant(quantize, 2)), low, high);
    auto bound = [&](double end) {
      return static_cast<float>((end - grid.zero(0)) * grid.scales[0]);
    };
    if (!bounded || constants.count(x) || isClipped(x, bound(low), bound(high))) {
      ++passes;
      rename(node.output(0), x);
      removed.insert(&node);
    } else {
      ++clips;
      becomeClip(node, x, bound(low), bound(high), grid.scaleTensor->data_type());
    }
    if (--uses[quantize.output(0)] == 0)
      removed.insert(&quantize);
  }

  /// Is `x` the output of a Clip or Relu with bounds (nearly) inside [low, high]?
  bool isClipped(const std::string &x, float low, float high) const {
    auto found = producers.find(x);
    if (found == producers.end() || found->second->op_type() != "Clip")
      return false;
    const onnx::NodeProto &clip = *found->second;
    double ends[] = {-HUGE_VAL, HUGE_VAL};
    for (const auto &attribute : clip.attribute())
      (attribute.name() == "min" ? ends[0] : ends[1]) = attribute.f();
    for (int i : {1, 2})
      if (const TensorProto *end = constant(clip, i))
        if (std::vector<double> number = numbersOf(*end); number.size() == 1)
          ends[i - 1] = number[0];
    double slack = 1e-5 * (double(high) - low);
    return ends[0] >= low - slack && ends[1] <= high + slack;
  }

  void becomeClip(onnx::NodeProto &node, const std::string &x, float low, float high,
                  int32_t type) {
    std::string output = node.output(0), name = node.name();
    node.Clear();
    node.set_name(name);
    node.set_op_type("Clip");
    node.add_input(x);
    node.add_output(output);
    for (auto [end, value] : {std::pair("min", low), std::pair("max", high)}) {
      if (version < 11) {
        auto *attribute = node.add_attribute();
        attribute->set_name(end);
        attribute->set_type(onnx::AttributeProto::FLOAT);
        attribute->set_f(value);
        continue;
      }
      TensorProto bound;
      bound.set_name(freeName(output + "/" + end));
      bound.set_data_type(type);
      encodeTensor(bound, {value});
      node.add_input(bound.name());
      added.push_back(bound);
    }
  }

  std::string freeName(const std::string &wanted) {
    std::string name = wanted;
    for (int i = 1; constants.count(name) || producers.count(name) || !taken.insert(name).second;
         ++i)
      name = wanted + "_" + std::to_string(i);
    return name;
  }

  //===--------------------------------------------------------------------===//
  // The graph
  //===--------------------------------------------------------------------===//

  void rename(const std::string &from, const std::string &to) { renamed[from] = to; }

  /// What the file says of the type of a value that is real now.
  void forgetType(const std::string &name) {
    forgotten.insert(name);
    for (auto &input : *graph.mutable_input())
      if (input.name() == name)
        input.mutable_type()->mutable_tensor_type()->set_elem_type(constants[name]->data_type());
  }

  void renameInputs(onnx::GraphProto &inside) {
    auto current = [&](const std::string &name) {
      std::string last = name;
      for (auto found = renamed.find(last); found != renamed.end(); found = renamed.find(last))
        last = found->second;
      if (last != name)
        renamed[name] = last; // the next time it is one step
      return last;
    };
    for (auto &node : *inside.mutable_node()) {
      for (auto &input : *node.mutable_input())
        input = current(input);
      for (auto &attribute : *node.mutable_attribute())
        if (attribute.has_g())
          renameInputs(*attribute.mutable_g());
    }
  }

  /// Removes what is idle, constants that nobody uses any more included.
  void finish() {
    google::protobuf::RepeatedPtrField<onnx::NodeProto> kept;
    for (auto &node : *graph.mutable_node())
      if (!removed.count(&node))
        kept.Add()->Swap(&node);
      else
        for (const std::string &output : node.output())
          forgotten.insert(output);
    graph.mutable_node()->Swap(&kept);
    for (TensorProto &tensor : added)
      graph.add_initializer()->Swap(&tensor);
    renameInputs(graph);
    std::map<std::string, int> before;
    before.swap(uses);
    countUses(graph);
    google::protobuf::RepeatedPtrField<TensorProto> used;
    std::set<std::string> idle;
    for (auto &tensor : *graph.mutable_initializer())
      if (uses.count(tensor.name()) || !before.count(tensor.name()))
        used.Add()->Swap(&tensor);
      else
        idle.insert(tensor.name());
    graph.mutable_initializer()->Swap(&used);
    keep(*graph.mutable_value_info(), forgotten);
    keep(*graph.mutable_input(), idle); // old files list initializers as inputs too
  }

  /// Leaves out what is named in `without`.
  static void keep(google::protobuf::RepeatedPtrField<onnx::ValueInfoProto> &infos,
                   const std::set<std::string> &without) {
    google::protobuf::RepeatedPtrField<onnx::ValueInfoProto> kept;
    for (auto &info : infos)
      if (!without.count(info.name()))
        kept.Add()->Swap(&info);
    infos.Swap(&kept);
  }

  onnx::GraphProto &graph;
  int64_t version = 1;
  std::map<std::string, TensorProto *> constants;
  std::map<std::string, onnx::NodeProto *> producers;
  std::map<std::string, int> uses;
  std::set<std::string> outputs, forgotten, taken;
  std::map<std::string, std::string> renamed;
  std::set<const onnx::NodeProto *> removed;
  std::vector<TensorProto> added;
  int weights = 0, clips = 0, passes = 0;
};

} // namespace

std::string nibble::importer::readQuantized(onnx::ModelProto &model) {
  return Rewriter(model).run();
}

//===- WriteQuantized.cpp - products of codes, as QuantizeLinear writes them -===//
//
// Each operand of a quantized product reads a DequantizeLinear. In front of it stands, for a
// weight, the initializer of its codes (under the weight's own name where nobody else reads the
// weight), and for a value QuantizeLinear, before that a Clip where one is meant. INT4 and UINT4
// need opset 21: an older file is relabelled where no node changed its form in between, else ONNX's
// converter rewrites it.
//
// Inference multiplies floats then, whose sums round; Nibble's products are exact integers. The two
// can differ in a code that lies within that rounding of the middle of two levels.
//
//===----------------------------------------------------------------------===//
#include "Decode.h"

#include "nibble/Numerics/Int4.h"

#include "onnx/version_converter/convert.h"

#include <map>
#include <set>
#include <stdexcept>

using namespace nibble::importer;
using onnx::NodeProto;
using onnx::TensorProto;
using Codes = QuantizedOperand::Codes;

//===----------------------------------------------------------------------===//
// Opset 21
//===----------------------------------------------------------------------===//

static constexpr int64_t kOpset = 21, kIrVersion = 10;

/// The newest opset up to 21 at which nodes of this operator took another form (an attribute became
/// an input, a default changed); 0: none since opset 7. Extensions of types and new optional inputs
/// are no change. Source: ONNX's changelog (docs/Changelog.md of 1.23).
static int64_t formChanged(const std::string &op) {
  static const std::map<std::string, int64_t> table = {{"Squeeze", 13},
                                                       {"Unsqueeze", 13},
                                                       {"Softmax", 13},
                                                       {"LogSoftmax", 13},
                                                       {"Hardmax", 13},
                                                       {"ReduceSum", 13},
                                                       {"Split", 18},
                                                       {"Dropout", 12},
                                                       {"Clip", 11},
                                                       {"Pad", 11},
                                                       {"Slice", 10},
                                                       {"TopK", 11},
                                                       {"Upsample", 10},
                                                       {"Resize", 13},
                                                       {"BatchNormalization", 9},
                                                       {"Scan", 9},
                                                       {"GridSample", 20},
                                                       {"DFT", 20},
                                                       {"GroupNormalization", 21},
                                                       {"OneHot", 11}};
  if (auto found = table.find(op); found != table.end())
    return found->second;
  return op.rfind("Reduce", 0) == 0 ? 18 : 0;
}

static void bringToOpset21(onnx::ModelProto &model) {
  model.set_ir_version(std::max<int64_t>(model.ir_version(), kIrVersion));
  onnx::OperatorSetIdProto *own = nullptr;
  for (auto &opset : *model.mutable_opset_import())
    if (opset.domain().empty() || opset.domain() == "ai.onnx")
      own = &opset;
  if (!own || own->version() >= kOpset)
    return;
  int64_t from = own->version();
  bool rewrite = from < 7;
  for (const auto &node : model.graph().node())
    rewrite |= node.domain().empty() && from < formChanged(node.op_type());
  if (rewrite) {
    onnx::ModelProto converted;
    try {
      converted = onnx::version_conversion::ConvertVersion(model, kOpset);
    } catch (const std::exception &e) {
      throw std::runtime_error("4-bit tensors need opset 21, and this file of opset " +
                               std::to_string(from) + " cannot be converted: " + e.what());
    }
    *model.mutable_graph() = converted.graph();
  }
  own->set_version(kOpset);
}

//===----------------------------------------------------------------------===//
// Tensors
//===----------------------------------------------------------------------===//

static int32_t typeOf(Codes codes) {
  return codes == Codes::Int4    ? TensorProto::INT4
         : codes == Codes::UInt4 ? TensorProto::UINT4
                                 : TensorProto::INT8;
}

/// Whole numbers of a code type, packed as ONNX packs them.
static std::string packed(const std::vector<int> &codes, bool halfBytes) {
  std::string raw(halfBytes ? (codes.size() + 1) / 2 : codes.size(), '\0');
  for (size_t i = 0; i < codes.size(); ++i) {
    if (halfBytes)
      raw[i / 2] = static_cast<char>(raw[i / 2] | (codes[i] & 15) << (i % 2 * 4));
    else
      raw[i] = static_cast<char>(codes[i]);
  }
  return raw;
}

static TensorProto codeTensor(const std::string &name, Codes codes,
                              const std::vector<int> &numbers) {
  TensorProto tensor;
  tensor.set_name(name);
  tensor.set_data_type(typeOf(codes));
  tensor.set_raw_data(packed(numbers, codes != Codes::Int8));
  return tensor;
}

//===----------------------------------------------------------------------===//
// The rewriting
//===----------------------------------------------------------------------===//

namespace {

class Writer {
public:
  Writer(onnx::ModelProto &model, const NewValues &values)
      : graph(*model.mutable_graph()), values(values) {
    for (auto &node : *graph.mutable_node()) {
      for (const std::string &output : node.output())
        producers[output] = &node;
      names.insert(node.name());
    }
    for (auto &tensor : *graph.mutable_initializer())
      constants[tensor.name()] = &tensor;
    for (auto &node : *graph.mutable_node())
      for (auto &attribute : *node.mutable_attribute())
        if (node.op_type() == "Constant" && attribute.name() == "value" && attribute.has_t())
          constants[node.output(0)] = attribute.mutable_t();
    for (const auto &input : graph.input()) {
      names.insert(input.name());
      if (!constants.count(input.name()) && input.type().has_tensor_type() &&
          isFloat(static_cast<DataType>(input.type().tensor_type().elem_type()))) // tokens are not
        realType = input.type().tensor_type().elem_type();
    }
    for (const auto &[name, tensor] : constants)
      names.insert(name);
    for (const auto &[name, node] : producers)
      names.insert(name);
  }

  void run(const std::vector<QuantizedOperand> &operands) {
    for (const QuantizedOperand &operand : operands) {
      auto found = producers.find(operand.node);
      if (found == producers.end() ||
          operand.input >= static_cast<size_t>(found->second->input_size()))
        throw std::runtime_error("internal: no node with the output '" + operand.node +
                                 "' to quantize");
      quantize(*found->second, operand);
    }
    dropIdleWeights();
    google::protobuf::RepeatedPtrField<NodeProto> nodes;
    for (auto &node : *graph.mutable_node()) {
      for (NodeProto &before : inserted[&node])
        nodes.Add()->Swap(&before);
      if (!removed.count(&node))
        nodes.Add()->Swap(&node);
    }
    graph.mutable_node()->Swap(&nodes);
  }

private:
  std::string free(const std::string &wanted) {
    std::string name = wanted;
    for (int i = 1; !names.insert(name).second; ++i)
      name = wanted + "_" + std::to_string(i);
    return name;
  }

  /// Where the constant behind this input is read: the input itself, or that of the first of the
  /// nodes that only show it in another shape. Null: no constant.
  std::string *rootOf(NodeProto &node, int input) {
    static const std::set<std::string> views = {"Identity", "Reshape",   "Transpose",
                                                "Squeeze",  "Unsqueeze", "Flatten"};
    std::string *place = node.mutable_input(input);
    while (!constants.count(*place)) {
      auto found = producers.find(*place);
      if (found == producers.end() || !views.count(found->second->op_type()))
        return nullptr;
      place = found->second->mutable_input(0);
    }
    return place;
  }

  void quantize(NodeProto &node, const QuantizedOperand &operand) {
    int input = static_cast<int>(operand.input);
    std::string *root = operand.isWeight ? rootOf(node, input) : nullptr;
    if (root)
      *root = weight(*root, operand);
    else
      *node.mutable_input(input) = value(node, node.input(input), operand);
  }

  const std::string &addScale(const std::string &name, const QuantizedOperand &operand,
                              int32_t type) {
    if (type != TensorProto::FLOAT && type != TensorProto::FLOAT16 && type != TensorProto::BFLOAT16)
      throw std::runtime_error("QuantizeLinear takes float, half or bfloat16, and '" + name +
                               "' would be " + typeName(static_cast<DataType>(type)));
    TensorProto scale;
    scale.set_name(free(name));
    scale.set_data_type(type);
    encodeTensor(scale, {operand.scale});
    *graph.add_initializer() = scale;
    return graph.initializer().rbegin()->name();
  }

  NodeProto &insert(const NodeProto *before, const char *op, const std::string &name,
                    const std::vector<std::string> &inputs, const std::string &output) {
    NodeProto &node = inserted[before].emplace_back();
    node.set_name(free(name + "/" + op));
    node.set_op_type(op);
    for (const std::string &input : inputs)
      node.add_input(input);
    node.add_output(output);
    return node;
  }

  /// The output of DequantizeLinear of a constant's codes.
  std::string weight(const std::string &root, const QuantizedOperand &operand) {
    auto &done = weights[{root, operand.scale}];
    if (!done.output.empty())
      return done.output;
    const TensorProto &real = *constants.at(root);
    auto given = values.find(root);
    std::vector<float> elements = given != values.end() ? given->second : decodeTensor(real).floats;
    std::vector<int> codes(elements.size());
    for (size_t i = 0; i < codes.size(); ++i)
      codes[i] = nibble::numerics::quantizeNearest(elements[i], 1 / operand.scale,
                                                   operand.zeroPoint, operand.low, operand.high);
    TensorProto tensor = codeTensor(free(root + "/codes"), operand.codes, codes);
    *tensor.mutable_dims() = real.dims();
    done.codes = tensor.name();
    done.output = free(root + "/dequantized");
    std::string scale = addScale(root + "/scale", operand, real.data_type());
    *graph.add_initializer() = tensor;
    insert(&graph.node(0), "DequantizeLinear", root, {done.codes, scale}, done.output);
    return done.output;
  }

  /// The output of Clip, QuantizeLinear, DequantizeLinear of a value.
  std::string value(const NodeProto &reader, const std::string &x, const QuantizedOperand &o) {
    auto key = std::tuple(x, o.codes, o.scale, o.zeroPoint, o.clip.value_or(std::pair(0.f, 0.f)));
    std::string &output = dequantized[key];
    if (!output.empty())
      return output;
    int32_t type = realType;
    for (const std::string &input : reader.input())
      if (auto found = constants.find(input); found != constants.end())
        if (isFloat(static_cast<DataType>(found->second->data_type())))
          type = found->second->data_type();
    std::string clipped = x;
    if (o.clip) {
      std::vector<std::string> inputs = {x};
      for (auto [end, number] : {std::pair("/min", o.clip->first), {"/max", o.clip->second}}) {
        TensorProto bound;
        bound.set_name(free(x + end));
        bound.set_data_type(type);
        encodeTensor(bound, {number});
        inputs.push_back(bound.name());
        *graph.add_initializer() = bound;
      }
      clipped = free(x + "/clipped");
      insert(&reader, "Clip", x, inputs, clipped);
    }
    std::string scale = addScale(x + "/scale", o, type);
    std::string codes = free(x + "/codes");
    output = free(x + "/dequantized");
    std::vector<std::string> grid = {scale};
    if (o.zeroPoint != 0) {
      grid.push_back(free(x + "/zero_point"));
      *graph.add_initializer() = codeTensor(grid.back(), o.codes, {o.zeroPoint});
    }
    auto inputs = [&](const std::string &first) {
      std::vector<std::string> all = {first};
      all.insert(all.end(), grid.begin(), grid.end());
      return all;
    };
    NodeProto &quantize = insert(&reader, "QuantizeLinear", x, inputs(clipped), codes);
    if (o.zeroPoint == 0) {
      // Not a zero point of this type: onnxruntime 1.32 looks at it behind a Clip, and fails on 4
      // bits.
      auto *type = quantize.add_attribute();
      type->set_name("output_dtype");
      type->set_type(onnx::AttributeProto::INT);
      type->set_i(typeOf(o.codes));
    }
    insert(&reader, "DequantizeLinear", x, inputs(codes), output);
    return output;
  }

  /// A weight that only products of codes read leaves its name to its codes.
  void dropIdleWeights() {
    std::map<std::string, int> uses;
    countUses(graph, uses);
    std::set<std::string> idle;
    std::map<std::string, std::string> renamed;
    for (auto &[key, weight] : weights)
      if (!uses.count(key.first) && idle.insert(key.first).second)
        renamed[weight.codes] = key.first;
    google::protobuf::RepeatedPtrField<TensorProto> kept;
    for (auto &tensor : *graph.mutable_initializer())
      if (!idle.count(tensor.name()))
        kept.Add()->Swap(&tensor);
    for (auto &tensor : kept)
      if (auto found = renamed.find(tensor.name()); found != renamed.end())
        tensor.set_name(found->second);
    graph.mutable_initializer()->Swap(&kept);
    for (auto &node : *graph.mutable_node())
      if (node.op_type() == "Constant" && idle.count(node.output(0)))
        removed.insert(&node);
    for (auto &[before, nodes] : inserted)
      for (NodeProto &node : nodes)
        if (auto found = renamed.find(node.input(0)); found != renamed.end())
          node.set_input(0, found->second);
    google::protobuf::RepeatedPtrField<onnx::ValueInfoProto> inputs, infos;
    for (auto &input : *graph.mutable_input()) // old files list initializers as inputs too
      if (!idle.count(input.name()))
        inputs.Add()->Swap(&input);
    for (auto &info : *graph.mutable_value_info())
      if (!idle.count(info.name()))
        infos.Add()->Swap(&info);
    graph.mutable_input()->Swap(&inputs);
    graph.mutable_value_info()->Swap(&infos);
  }

  static void countUses(const onnx::GraphProto &inside, std::map<std::string, int> &uses) {
    for (const auto &node : inside.node()) {
      for (const std::string &input : node.input())
        ++uses[input];
      for (const auto &attribute : node.attribute())
        if (attribute.has_g())
          countUses(attribute.g(), uses);
    }
    for (const auto &output : inside.output())
      ++uses[output.name()];
  }

  struct Weight {
    std::string codes, output;
  };

  onnx::GraphProto &graph;
  const NewValues &values;
  int32_t realType = TensorProto::FLOAT;
  std::map<std::string, NodeProto *> producers;
  std::map<std::string, const TensorProto *> constants;
  std::set<std::string> names;
  std::map<const NodeProto *, std::vector<NodeProto>> inserted; // by the node they stand before
  std::set<const NodeProto *> removed;
  std::map<std::pair<std::string, float>, Weight> weights;
  std::map<std::tuple<std::string, Codes, float, int, std::pair<float, float>>, std::string>
      dequantized;
};

} // namespace

void nibble::importer::writeQuantized(onnx::ModelProto &model,
                                      const std::vector<QuantizedOperand> &operands,
                                      const NewValues &values) {
  bringToOpset21(model);
  Writer(model, values).run(operands);
}

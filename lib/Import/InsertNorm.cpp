//===- InsertNorm.cpp - batch normalization where the file has none ----------===//
//
// PyTorch's exporter folds batch normalization into the convolutions before it, and four bits train
// badly without. --insert-norm puts one behind each convolution. Its scale and shift cannot be known
// here: the driver sets them from the first batch, scale = sqrt(variance + epsilon) and shift = mean, so
// that the network computes what it did. Until then they are 1 and 0.
//
//===----------------------------------------------------------------------===//
#include "Importer.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::importer;

static constexpr float kEpsilon = 1e-5f, kMomentum = 0.9f;

/// Does a normalization follow the value, perhaps behind the addition of a constant?
static bool isNormalized(const Graph &graph, std::string value) {
  for (size_t steps = 0; steps <= graph.nodes.size(); ++steps) {
    const Node *reader = nullptr;
    for (const Node &node : graph.nodes)
      if (llvm::is_contained(node.inputs, value)) {
        if (reader)
          return false;
        reader = &node;
      }
    if (!reader || reader->outputs.empty())
      return false;
    if (llvm::StringRef(reader->op).ends_with("Normalization"))
      return true;
    bool addsConstant = reader->op == "Add" && llvm::any_of(reader->inputs, [&](const std::string &input) {
      return graph.initializers.count(input) != 0;
    });
    if (!addsConstant && reader->op != "Identity")
      return false;
    value = reader->outputs.front();
  }
  return false;
}

Value nibble::importer::insertNorm(NodeContext &n, Value y, llvm::StringRef layer) {
  const std::string &output = n.node.outputs.front();
  bool isOutput = llvm::any_of(n.importer.graph.outputs,
                               [&](const ValueInfo &info) { return info.name == output; });
  if (!n.importer.options.insertNorm || isOutput || isNormalized(n.importer.graph, output))
    return y;
  int64_t channels = NodeContext::shapeOf(y).back();
  llvm::SmallVector<std::string, 4> symbols;
  SmallVector<Value> operands = {y};
  struct {
    const char *suffix;
    float value;
    train::Role role;
  } const parts[] = {{".norm.weight", 1, train::Role::Norm},
                     {".norm.bias", 0, train::Role::Norm},
                     {".norm.running_mean", 0, train::Role::RunningStat},
                     {".norm.running_var", 1, train::Role::RunningStat}};
  for (auto &part : parts) {
    auto tensor = std::make_shared<HostTensor>(HostTensor::zeros(DataType::Float, {channels}));
    std::fill(tensor->floats.begin(), tensor->floats.end(), part.value);
    Constant constant{tensor, layer.str() + part.suffix, tensor, {}, /*stored=*/false};
    Value read = n.importer.parameter(n, constant, part.role);
    if (!read)
      return {};
    symbols.push_back(read.getDefiningOp<train::ReadOp>().getVariable().str());
    operands.push_back(read);
  }
  n.importer.insertedNorms[layer.str()] = symbols;
  n.importer.normalizations++;
  auto &b = n.b();
  NamedAttribute attributes[] = {b.getNamedAttr("epsilon", b.getF32FloatAttr(kEpsilon)),
                                 b.getNamedAttr("momentum", b.getF32FloatAttr(kMomentum)),
                                 b.getNamedAttr("nibble.inserted", b.getUnitAttr())};
  return nn::BatchNormOp::create(b, n.loc(), TypeRange{y.getType()}, operands, attributes);
}

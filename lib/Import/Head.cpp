//===- Head.cpp - the end of the network: final softmax, a fresh head --------===//
#include "Importer.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::importer;

static const Node *producerOf(const Graph &graph, const std::string &value) {
  for (const Node &node : graph.nodes)
    if (llvm::is_contained(node.outputs, value))
      return &node;
  return nullptr;
}

static int64_t countUses(const Graph &graph, const std::string &value) {
  int64_t uses = 0;
  for (const Node &node : graph.nodes)
    uses += llvm::count(node.inputs, value);
  return uses;
}

static bool isView(const Node &node) {
  return node.domain.empty() &&
         (node.op == "Identity" || node.op == "Reshape" || node.op == "Squeeze" ||
          node.op == "Unsqueeze" || node.op == "Flatten" || node.op == "Cast");
}

/// A Softmax or LogSoftmax (for binary cross-entropy a Sigmoid) from which only views lead to the output becomes part of the
/// cross-entropy; its converter lets the logits through where it runs over the classes.
void Importer::findMergedSoftmax() {
  if (options.loss == "mse")
    return;
  std::string value = outputName;
  for (size_t steps = 0; steps <= graph.nodes.size(); ++steps) {
    const Node *node = producerOf(graph, value);
    if (!node || node->inputs.empty() || (value != outputName && countUses(graph, value) != 1))
      return;
    bool taken = options.loss == "bce" ? node->op == "Sigmoid"
                                       : node->op == "Softmax" || node->op == "LogSoftmax";
    if (node->domain.empty() && taken) {
      mergedNode = node->outputs.front();
      return;
    }
    if (!isView(*node))
      return;
    value = node->inputs.front();
  }
}

/// The initializer behind a value, through Identity and Transpose; `flipped` tells of an odd number
/// of transposes.
static const HostTensor *rootOf(const Graph &graph, std::string value, std::string &root,
                                bool &flipped) {
  for (size_t steps = 0; steps <= graph.nodes.size(); ++steps) {
    if (auto found = graph.initializers.find(value); found != graph.initializers.end()) {
      root = value;
      return found->second.get();
    }
    const Node *node = producerOf(graph, value);
    if (!node || node->inputs.empty() || !node->domain.empty())
      return nullptr;
    if (node->op == "Constant") {
      const importer::Attribute *tensor = node->find("value");
      root = value;
      return tensor ? tensor->tensor.get() : nullptr;
    }
    if (node->op == "Transpose")
      flipped = !flipped;
    else if (node->op != "Identity")
      return nullptr;
    value = node->inputs.front();
  }
  return nullptr;
}

/// Swaps the dimension of `count` outputs for `classes`; the values are drawn when the variable is
/// made.
static void refit(Importer &importer, const std::string &root, const HostTensor &tensor,
                  size_t dimension, int64_t classes) {
  Shape shape = tensor.shape;
  shape[dimension] = classes;
  auto fresh = std::make_shared<HostTensor>(HostTensor::zeros(DataType::Float, shape));
  importer.slots[root].constant = Constant{fresh, root, fresh, {}, true};
  importer.reinitialized.insert(root);
}

bool Importer::replaceHead() {
  std::string value = outputName;
  const std::string advice = "--classes replaces the last Gemm, MatMul or Conv and its bias; "
                             "choose --output so that it ends in one";
  std::vector<const Node *> additions;
  for (size_t steps = 0; steps <= graph.nodes.size(); ++steps) {
    const Node *node = producerOf(graph, value);
    if (!node || node->inputs.empty() || !node->domain.empty())
      break;
    bool gemm = node->op == "Gemm", conv = node->op == "Conv";
    if ((gemm || conv || node->op == "MatMul") && node->inputs.size() >= 2) {
      std::string root;
      bool flipped = false;
      const HostTensor *weight = rootOf(graph, node->inputs[1], root, flipped);
      if (!weight || !weight->isFloat() || weight->shape.size() < 2)
        return problem(*node, "the head's weight is not an initializer", advice), false;
      const importer::Attribute *transB = node->find("transB");
      bool outputFirst = conv || ((gemm && transB && transB->i != 0) != flipped);
      size_t dimension = outputFirst ? 0 : weight->shape.size() - 1;
      int64_t old = weight->shape[dimension];
      refit(*this, root, *weight, dimension, options.classes);
      std::vector<std::string> biases;
      if (node->inputs.size() > 2 && !node->inputs[2].empty())
        biases.push_back(node->inputs[2]);
      for (const Node *add : additions)
        biases.insert(biases.end(), add->inputs.begin(), add->inputs.end());
      for (const std::string &bias : biases) {
        std::string biasRoot;
        bool ignored = false;
        const HostTensor *tensor = rootOf(graph, bias, biasRoot, ignored);
        if (!tensor || tensor->shape.empty())
          continue;
        for (size_t d = 0; d < tensor->shape.size(); ++d)
          if (tensor->shape[d] == old && tensor->size() == old)
            refit(*this, biasRoot, *tensor, d, options.classes);
      }
      return true;
    }
    if (node->op == "Add")
      additions.push_back(node);
    else if (!isView(*node) && node->op != "Softmax" && node->op != "LogSoftmax")
      return problem(*node, "lies between the last contraction and the output", advice), false;
    std::string next;
    for (const std::string &input : node->inputs)
      if (next.empty() && producerOf(graph, input) && producerOf(graph, input)->op != "Constant")
        next = input;
    value = next.empty() ? node->inputs.front() : next;
  }
  return problem({"", "", "no contraction was found at the end of the network", advice}), false;
}

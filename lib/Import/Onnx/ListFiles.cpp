//===- ListFiles.cpp - what belongs to an ONNX file ---------------------------===//
#include "Decode.h"

#include <algorithm>

using namespace nibble::importer;

namespace {

class Locations {
public:
  void add(const onnx::TensorProto &tensor) {
    if (tensor.data_location() != onnx::TensorProto::EXTERNAL)
      return;
    for (const auto &entry : tensor.external_data())
      if (entry.key() == "location")
        names.push_back(entry.value());
  }
  void add(const onnx::AttributeProto &attribute) {
    add(attribute.t());
    for (const onnx::TensorProto &tensor : attribute.tensors())
      add(tensor);
    if (attribute.has_g())
      add(attribute.g());
    for (const onnx::GraphProto &graph : attribute.graphs())
      add(graph);
  }
  template <typename Nodes> void addNodes(const Nodes &nodes) {
    for (const onnx::NodeProto &node : nodes)
      for (const onnx::AttributeProto &attribute : node.attribute())
        add(attribute);
  }
  void add(const onnx::GraphProto &graph) {
    for (const onnx::TensorProto &tensor : graph.initializer())
      add(tensor);
    for (const onnx::SparseTensorProto &tensor : graph.sparse_initializer()) {
      add(tensor.values());
      add(tensor.indices());
    }
    addNodes(graph.node());
  }

  std::vector<std::string> names;
};

} // namespace

std::vector<std::string> nibble::importer::externalFiles(const std::string &path) {
  try {
    onnx::ModelProto model;
    parseModel(path, model);
    Locations locations;
    locations.add(model.graph());
    for (const onnx::FunctionProto &function : model.functions())
      locations.addNodes(function.node());
    std::sort(locations.names.begin(), locations.names.end());
    locations.names.erase(std::unique(locations.names.begin(), locations.names.end()),
                          locations.names.end());
    return locations.names;
  } catch (const std::exception &) {
    return {}; // loading the file will say what is wrong
  }
}

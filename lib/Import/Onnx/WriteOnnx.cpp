//===- WriteOnnx.cpp - a trained copy of an ONNX file ------------------------===//
#include "Decode.h"

#include "onnx/checker.h"
#include "onnx/inliner/inliner.h"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <set>
#include <stdexcept>

#include <fcntl.h>
#include <unistd.h>

using namespace nibble::importer;
namespace fs = std::filesystem;

static uint16_t toBFloat(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  if (std::isnan(value))
    return static_cast<uint16_t>(bits >> 16 | 0x40);
  return static_cast<uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >>
                               16); // to nearest, ties to even
}

static uint16_t toHalf(float value) {
  auto sign = static_cast<uint16_t>(std::bit_cast<uint32_t>(value) >> 16 & 0x8000);
  float size = std::fabs(value);
  if (std::isnan(value))
    return sign | 0x7E00;
  if (size >= 65520.0f)
    return sign | 0x7C00;
  int exponent = size < 0x1p-14f ? -14 : std::ilogb(size);
  float units =
      std::nearbyint(std::ldexp(size, 10 - exponent)); // exact scaling; default mode rounds to even
  auto whole = static_cast<uint32_t>(units);
  return static_cast<uint16_t>(
      sign +
      (exponent == -14 ? whole : (uint32_t(exponent + 14) << 10) + whole)); // a carry moves on
}

template <typename T, typename Convert>
static std::string rawBytes(const std::vector<float> &values, Convert convert) {
  std::string raw(values.size() * sizeof(T), '\0');
  for (size_t i = 0; i < values.size(); ++i) {
    T element = convert(values[i]);
    std::memcpy(raw.data() + i * sizeof(T), &element, sizeof(T));
  }
  return raw;
}

void nibble::importer::encodeTensor(onnx::TensorProto &tensor, const std::vector<float> &values) {
  std::vector<int64_t> shape(tensor.dims().begin(), tensor.dims().end());
  if (countElements(shape) != static_cast<int64_t>(values.size()))
    throw std::runtime_error("'" + tensor.name() + "' has shape " + shapeText(shape) + ", not " +
                             std::to_string(values.size()) + " elements");
  std::string raw;
  switch (static_cast<DataType>(tensor.data_type())) {
  case DataType::Float:
    raw = rawBytes<float>(values, [](float v) { return v; });
    break;
  case DataType::Double:
    raw = rawBytes<double>(values, [](float v) { return double(v); });
    break;
  case DataType::Float16:
    raw = rawBytes<uint16_t>(values, toHalf);
    break;
  case DataType::BFloat16:
    raw = rawBytes<uint16_t>(values, toBFloat);
    break;
  default:
    throw std::runtime_error("'" + tensor.name() + "' is not a floating tensor");
  }
  tensor.clear_float_data();
  tensor.clear_double_data();
  tensor.clear_int32_data();
  tensor.set_raw_data(std::move(raw));
}

/// Sets the named tensors: initializers, and values of Constant nodes.
static std::set<std::string> replaceValues(onnx::GraphProto &graph, const NewValues &values) {
  std::set<std::string> done;
  auto replace = [&](const std::string &name, onnx::TensorProto &tensor) {
    if (auto found = values.find(name); found != values.end()) {
      encodeTensor(tensor, found->second);
      done.insert(name);
    }
  };
  for (auto &tensor : *graph.mutable_initializer())
    replace(tensor.name(), tensor);
  for (auto &node : *graph.mutable_node())
    if (node.op_type() == "Constant" && node.output_size() == 1)
      for (auto &attribute : *node.mutable_attribute())
        if (attribute.has_t())
          replace(node.output(0), *attribute.mutable_t());
  return done;
}

/// Gives tensors their new shapes; inputs that describe them, and outputs as wide as the old head,
/// follow.
static void reshape(onnx::GraphProto &graph, const NewShapes &shapes) {
  std::set<std::pair<int64_t, int64_t>> changes; // old and new dimensions
  auto set = [&](const std::string &name, onnx::TensorProto &tensor) {
    auto found = shapes.find(name);
    if (found == shapes.end())
      return;
    for (int d = 0; d < tensor.dims_size() && d < static_cast<int>(found->second.size()); ++d)
      if (tensor.dims(d) != found->second[d])
        changes.insert({tensor.dims(d), found->second[d]});
    tensor.mutable_dims()->Assign(found->second.begin(), found->second.end());
  };
  for (auto &tensor : *graph.mutable_initializer())
    set(tensor.name(), tensor);
  for (auto &node : *graph.mutable_node())
    if (node.op_type() == "Constant" && node.output_size() == 1)
      for (auto &attribute : *node.mutable_attribute())
        if (attribute.has_t())
          set(node.output(0), *attribute.mutable_t());
  for (auto &input : *graph.mutable_input())
    if (auto found = shapes.find(input.name()); found != shapes.end()) {
      auto *shape = input.mutable_type()->mutable_tensor_type()->mutable_shape();
      shape->clear_dim();
      for (int64_t dim : found->second)
        shape->add_dim()->set_dim_value(dim);
    }
  if (changes.empty())
    return;
  graph.clear_value_info(); // recorded shapes between the layers, some of them now wrong; they are
                            // optional
  for (auto &output : *graph.mutable_output()) {
    auto *type = output.mutable_type()->mutable_tensor_type();
    if (!output.type().has_tensor_type() || !type->has_shape() || type->shape().dim_size() == 0)
      continue;
    auto *last = type->mutable_shape()->mutable_dim(type->shape().dim_size() - 1);
    for (auto [from, to] : changes)
      if (last->has_dim_value() && last->dim_value() == from) {
        last->set_dim_value(to);
        break;
      }
  }
}

/// Writes beside `target`, flushes to the disk and renames: a reader sees the old file or the whole
/// new one.
static std::string writeAtomically(const std::string &target, const std::string &bytes) {
  std::string part = target + ".part";
  int file = ::open(part.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (file < 0)
    return "cannot write '" + part + "': " + std::strerror(errno);
  size_t done = 0;
  while (done < bytes.size()) {
    ssize_t count = ::write(file, bytes.data() + done, bytes.size() - done);
    if (count < 0 && errno == EINTR)
      continue;
    if (count <= 0)
      break;
    done += static_cast<size_t>(count);
  }
  bool good = done == bytes.size() && ::fsync(file) == 0;
  std::string why = good ? "" : std::strerror(errno);
  good = ::close(file) == 0 && good;
  if (good && ::rename(part.c_str(), target.c_str()) == 0)
    return "";
  if (why.empty())
    why = std::strerror(errno);
  ::unlink(part.c_str());
  return "cannot write '" + target + "': " + why;
}

/// The file, and its weights beside it where it is too large.
static std::string writeFiles(onnx::ModelProto &model, const std::string &target,
                              int64_t externalDataAbove) {
  std::string data;
  std::string beside = target + ".data";
  if (model.ByteSizeLong() > static_cast<uint64_t>(std::max<int64_t>(externalDataAbove, 0)))
    moveToExternalData(model, fs::path(beside).filename().string(), data);
  std::string bytes;
  if (model.ByteSizeLong() > INT32_MAX || !model.SerializeToString(&bytes))
    return "the model would be larger than 2 GiB";
  if (!data.empty()) // first, so that no file ever points to weights that are not there
    if (std::string wrong = writeAtomically(beside, data); !wrong.empty())
      return wrong;
  return writeAtomically(target, bytes);
}

void nibble::importer::takeInferenceForm(onnx::GraphProto &graph) {
  std::set<std::string> used;
  for (const auto &node : graph.node())
    used.insert(node.input().begin(), node.input().end());
  for (const auto &output : graph.output())
    used.insert(output.name());
  for (auto &node : *graph.mutable_node()) {
    bool norm = node.op_type() == "BatchNormalization", dropout = node.op_type() == "Dropout";
    if (!norm && !dropout)
      continue;
    auto *attributes = node.mutable_attribute();
    for (int i = attributes->size(); norm && i-- > 0;)
      if (attributes->Get(i).name() == "training_mode")
        attributes->DeleteSubrange(i, 1);
    for (auto &attribute : *attributes)
      if (attribute.name() == "is_test") // before opset 7
        attribute.set_i(1);
    if (dropout && node.input_size() > 2)
      node.mutable_input()->DeleteSubrange(2, node.input_size() - 2);
    while (norm && node.output_size() > 1 && !used.count(*node.output().rbegin()))
      node.mutable_output()->RemoveLast();
  }
}

/// Behind the node that makes a value: the value keeps its name, what goes in gets another one.
static void insertNorms(onnx::ModelProto &model, const std::vector<InsertedNorm> &norms) {
  onnx::GraphProto &graph = *model.mutable_graph();
  google::protobuf::RepeatedPtrField<onnx::NodeProto> nodes;
  std::set<std::string> done;
  for (auto &node : *graph.mutable_node()) {
    auto norm = std::find_if(norms.begin(), norms.end(), [&](const InsertedNorm &each) {
      return node.output_size() > 0 && node.output(0) == each.node;
    });
    onnx::NodeProto *copy = nodes.Add();
    copy->Swap(&node);
    if (norm == norms.end())
      continue;
    done.insert(norm->node);
    copy->set_output(0, norm->node + "/before_norm");
    onnx::NodeProto *added = nodes.Add();
    added->set_name(norm->name);
    added->set_op_type("BatchNormalization");
    added->add_input(copy->output(0));
    added->add_output(norm->node);
    auto *epsilon = added->add_attribute();
    epsilon->set_name("epsilon");
    epsilon->set_type(onnx::AttributeProto::FLOAT);
    epsilon->set_f(norm->epsilon);
    const char *const parts[] = {".weight", ".bias", ".running_mean", ".running_var"};
    for (size_t i = 0; i < 4; ++i) {
      onnx::TensorProto *tensor = graph.add_initializer();
      tensor->set_name(norm->name + parts[i]);
      tensor->set_data_type(onnx::TensorProto::FLOAT);
      tensor->add_dims(static_cast<int64_t>(norm->values[i].size()));
      encodeTensor(*tensor, norm->values[i]);
      added->add_input(tensor->name());
    }
  }
  graph.mutable_node()->Swap(&nodes);
  if (done.size() != norms.size())
    throw std::runtime_error("a convolution that --insert-norm normalized is not in the file");
}

std::string nibble::importer::writeOnnx(const std::string &source, const std::string &target,
                                        const NewValues &values, const NewShapes &shapes,
                                        const WriteOptions &options) {
  try {
    onnx::ModelProto model;
    parseModel(source, model);
    readExternalData(model, fs::path(source).parent_path().string());
    if (!options.quantized.empty() && model.functions_size() > 0)
      onnx::inliner::InlineLocalFunctions(model); // as OnnxFile does: nodes have the same names
    readQuantized(model);
    reshape(*model.mutable_graph(), shapes);
    std::set<std::string> done = replaceValues(*model.mutable_graph(), values);
    for (const auto &[name, elements] : values)
      if (!done.count(name))
        return "'" + source + "' has no initializer '" + name + "'";
    takeInferenceForm(*model.mutable_graph());
    if (!options.quantized.empty())
      writeQuantized(model, options.quantized, values);
    if (!options.norms.empty()) // afterwards: products are found by what they put out
      insertNorms(model, options.norms);
    onnx::checker::check_model(model);
    return writeFiles(model, target, options.externalDataAbove);
  } catch (const std::exception &e) {
    return source + ": " + e.what();
  }
}

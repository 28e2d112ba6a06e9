//===- WriteOnnx.cpp - a trained copy of an ONNX file ------------------------===//
#include "Decode.h"

#include "onnx/checker.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>
#include <stdexcept>

using namespace nibble::importer;
namespace fs = std::filesystem;

static uint16_t toBFloat(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  if (std::isnan(value))
    return static_cast<uint16_t>(bits >> 16 | 0x40);
  return static_cast<uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16); // to nearest, ties to even
}

static uint16_t toHalf(float value) {
  auto sign = static_cast<uint16_t>(std::bit_cast<uint32_t>(value) >> 16 & 0x8000);
  float size = std::fabs(value);
  if (std::isnan(value))
    return sign | 0x7E00;
  if (size >= 65520.0f)
    return sign | 0x7C00;
  int exponent = size < 0x1p-14f ? -14 : std::ilogb(size);
  float units = std::nearbyint(std::ldexp(size, 10 - exponent)); // exact scaling; default mode rounds to even
  auto whole = static_cast<uint32_t>(units);
  return static_cast<uint16_t>(sign + (exponent == -14 ? whole : (uint32_t(exponent + 14) << 10) + whole)); // a carry moves on
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
    throw std::runtime_error("'" + tensor.name() + "' has shape " + shapeText(shape) + ", not " + std::to_string(values.size()) + " elements");
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

std::string nibble::importer::writeOnnx(const std::string &source, const std::string &target, const NewValues &values) {
  try {
    onnx::ModelProto model;
    parseModel(source, model);
    readExternalData(model, fs::path(source).parent_path().string());
    std::set<std::string> done = replaceValues(*model.mutable_graph(), values);
    for (const auto &[name, elements] : values)
      if (!done.count(name))
        return "'" + source + "' has no initializer '" + name + "'";
    onnx::checker::check_model(model);
    std::string bytes;
    if (!model.SerializeToString(&bytes))
      return "the model would be larger than 2 GiB";
    std::ofstream file(target, std::ios::binary | std::ios::trunc);
    file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    file.close();
    return file ? "" : "cannot write '" + target + "'";
  } catch (const std::exception &e) {
    return source + ": " + e.what();
  }
}

//===- Decode.cpp - elements, attributes and types of an ONNX message --------===//
#include "Decode.h"

#include <bit>
#include <cstring>
#include <stdexcept>

using namespace nibble::importer;

static float fromHalf(uint16_t half) {
  uint32_t sign = uint32_t(half & 0x8000) << 16, exponent = (half >> 10) & 31,
           fraction = half & 1023;
  if (exponent == 31)
    return std::bit_cast<float>(sign | 0x7F800000 | fraction << 13);
  if (exponent != 0)
    return std::bit_cast<float>(sign | (exponent + 112) << 23 | fraction << 13);
  float tiny = static_cast<float>(fraction) * 0x1p-24f; // exact
  return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(tiny));
}

static float fromBFloat(uint16_t bits) { return std::bit_cast<float>(uint32_t(bits) << 16); }

int64_t nibble::importer::elementBytes(int32_t dataType) {
  switch (static_cast<DataType>(dataType)) {
  case DataType::UInt8:
  case DataType::Int8:
  case DataType::Bool:
    return 1;
  case DataType::UInt16:
  case DataType::Int16:
  case DataType::Float16:
  case DataType::BFloat16:
    return 2;
  case DataType::Float:
  case DataType::Int32:
  case DataType::UInt32:
    return 4;
  case DataType::Double:
  case DataType::Int64:
  case DataType::UInt64:
    return 8;
  default:
    return 0;
  }
}

/// Calls set(i, element i of type T) for the raw little-endian bytes.
template <typename T, typename Set> static void eachRaw(const std::string &raw, Set set) {
  for (size_t i = 0, n = raw.size() / sizeof(T); i < n; ++i) {
    T value;
    std::memcpy(&value, raw.data() + i * sizeof(T), sizeof(T));
    set(i, value);
  }
}

static void decodeRaw(const std::string &raw, HostTensor &out) {
  auto toInt = [&](size_t i, auto value) { out.ints[i] = static_cast<int64_t>(value); };
  auto toFloat = [&](size_t i, auto value) { out.floats[i] = static_cast<float>(value); };
  switch (out.type) {
  case DataType::Float:
    if (!raw.empty()) // an empty vector has no address
      std::memcpy(out.floats.data(), raw.data(), raw.size());
    return;
  case DataType::Double:
    return eachRaw<double>(raw, toFloat);
  case DataType::Float16:
    return eachRaw<uint16_t>(raw, [&](size_t i, uint16_t bits) { out.floats[i] = fromHalf(bits); });
  case DataType::BFloat16:
    return eachRaw<uint16_t>(raw,
                             [&](size_t i, uint16_t bits) { out.floats[i] = fromBFloat(bits); });
  case DataType::Bool:
    return eachRaw<uint8_t>(raw, [&](size_t i, uint8_t value) { out.ints[i] = value != 0; });
  case DataType::UInt8:
    return eachRaw<uint8_t>(raw, toInt);
  case DataType::Int8:
    return eachRaw<int8_t>(raw, toInt);
  case DataType::UInt16:
    return eachRaw<uint16_t>(raw, toInt);
  case DataType::Int16:
    return eachRaw<int16_t>(raw, toInt);
  case DataType::Int32:
    return eachRaw<int32_t>(raw, toInt);
  case DataType::UInt32:
    return eachRaw<uint32_t>(raw, toInt);
  default:
    return eachRaw<int64_t>(raw, toInt);
  }
}

/// Which of the typed fields holds elements of this type (onnx.proto, TensorProto).
static void decodeTyped(const onnx::TensorProto &tensor, HostTensor &out, size_t count) {
  auto want = [&](int have) {
    if (static_cast<size_t>(have) != count)
      throw std::runtime_error("tensor '" + tensor.name() + "' has shape " + shapeText(out.shape) +
                               " but " + std::to_string(have) + " elements");
  };
  switch (out.type) {
  case DataType::Float:
    want(tensor.float_data_size());
    out.floats.assign(tensor.float_data().begin(), tensor.float_data().end());
    return;
  case DataType::Double:
    want(tensor.double_data_size());
    for (size_t i = 0; i < count; ++i)
      out.floats[i] = static_cast<float>(tensor.double_data(static_cast<int>(i)));
    return;
  case DataType::Float16:
  case DataType::BFloat16:
    want(tensor.int32_data_size());
    for (size_t i = 0; i < count; ++i) {
      auto bits = static_cast<uint16_t>(tensor.int32_data(static_cast<int>(i)));
      out.floats[i] = out.type == DataType::Float16 ? fromHalf(bits) : fromBFloat(bits);
    }
    return;
  case DataType::Int64:
    want(tensor.int64_data_size());
    out.ints.assign(tensor.int64_data().begin(), tensor.int64_data().end());
    return;
  case DataType::UInt32:
  case DataType::UInt64:
    want(tensor.uint64_data_size());
    for (size_t i = 0; i < count; ++i)
      out.ints[i] = static_cast<int64_t>(tensor.uint64_data(static_cast<int>(i)));
    return;
  default:
    want(tensor.int32_data_size());
    out.ints.assign(tensor.int32_data().begin(), tensor.int32_data().end());
  }
}

HostTensor nibble::importer::decodeTensor(const onnx::TensorProto &tensor) {
  HostTensor out;
  out.type = static_cast<DataType>(tensor.data_type());
  out.shape.assign(tensor.dims().begin(), tensor.dims().end());
  int64_t count = out.size();
  if (count < 0)
    throw std::runtime_error(
        "tensor '" + tensor.name() + "' has the shape " + shapeText(out.shape) +
        ": a negative dimension, more than 64 of them, or more than 2^31 elements");
  if (!out.hasData())
    return out;
  bool raw = tensor.has_raw_data();
  // Sizes first, so that a small file cannot ask for much memory.
  if (raw &&
      tensor.raw_data().size() != static_cast<size_t>(count * elementBytes(tensor.data_type())))
    throw std::runtime_error("tensor '" + tensor.name() + "' (" + typeName(out.type) +
                             ") has shape " + shapeText(out.shape) + " but " +
                             std::to_string(tensor.raw_data().size()) + " bytes");
  if (!raw) {
    int64_t have = int64_t(tensor.float_data_size()) + tensor.double_data_size() +
                   tensor.int32_data_size() + tensor.int64_data_size() + tensor.uint64_data_size();
    if (have < count)
      throw std::runtime_error("tensor '" + tensor.name() + "' has shape " + shapeText(out.shape) +
                               " but " + std::to_string(have) + " elements");
  }
  if (out.isFloat())
    out.floats.resize(count);
  else
    out.ints.resize(count);
  if (raw)
    decodeRaw(tensor.raw_data(), out);
  else
    decodeTyped(tensor, out, count);
  return out;
}

static Attribute convertAttribute(const onnx::AttributeProto &proto) {
  Attribute a;
  a.name = proto.name();
  switch (proto.type()) {
  case onnx::AttributeProto::FLOAT:
    a.kind = Attribute::Kind::Float;
    a.f = proto.f();
    break;
  case onnx::AttributeProto::INT:
    a.kind = Attribute::Kind::Int;
    a.i = proto.i();
    break;
  case onnx::AttributeProto::STRING:
    a.kind = Attribute::Kind::String;
    a.s = proto.s();
    break;
  case onnx::AttributeProto::TENSOR:
    a.kind = Attribute::Kind::Tensor;
    if (proto.t().data_location() == onnx::TensorProto::EXTERNAL)
      throw std::runtime_error(
          "attribute '" + proto.name() +
          "' is a tensor with external data, which only initializers may have");
    a.tensor = std::make_shared<HostTensor>(decodeTensor(proto.t()));
    break;
  case onnx::AttributeProto::FLOATS:
    a.kind = Attribute::Kind::Floats;
    a.floats.assign(proto.floats().begin(), proto.floats().end());
    break;
  case onnx::AttributeProto::INTS:
    a.kind = Attribute::Kind::Ints;
    a.ints.assign(proto.ints().begin(), proto.ints().end());
    break;
  case onnx::AttributeProto::STRINGS:
    a.kind = Attribute::Kind::Strings;
    a.strings.assign(proto.strings().begin(), proto.strings().end());
    break;
  default:
    break;
  }
  return a;
}

Node nibble::importer::convertNode(const onnx::NodeProto &proto) {
  Node node;
  node.name = proto.name();
  node.op = proto.op_type();
  node.domain = proto.domain() == "ai.onnx" ? "" : proto.domain();
  node.inputs.assign(proto.input().begin(), proto.input().end());
  node.outputs.assign(proto.output().begin(), proto.output().end());
  for (const auto &attribute : proto.attribute())
    node.attributes.push_back(convertAttribute(attribute));
  return node;
}

ValueInfo nibble::importer::convertValueInfo(const onnx::ValueInfoProto &proto) {
  ValueInfo info;
  info.name = proto.name();
  if (!proto.type().has_tensor_type())
    return info;
  const auto &tensor = proto.type().tensor_type();
  info.type = static_cast<DataType>(tensor.elem_type());
  info.hasShape = tensor.has_shape();
  for (const auto &dim : tensor.shape().dim()) {
    Dimension d;
    if (dim.has_dim_value())
      d.value = dim.dim_value();
    else
      d.symbol = dim.dim_param();
    info.dims.push_back(d);
  }
  return info;
}

std::optional<std::vector<int64_t>> ValueInfo::staticShape() const {
  std::vector<int64_t> shape;
  for (const Dimension &dim : dims) {
    if (dim.value < 0)
      return std::nullopt;
    shape.push_back(dim.value);
  }
  if (!hasShape || countElements(shape) < 1)
    return std::nullopt;
  return shape;
}

const Attribute *Node::find(const std::string &attribute) const {
  for (const Attribute &a : attributes)
    if (a.name == attribute)
      return &a;
  return nullptr;
}

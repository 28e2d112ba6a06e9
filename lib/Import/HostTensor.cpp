//===- HostTensor.cpp - a tensor of an ONNX file, in plain C++ --------------===//
#include "nibble/Import/HostTensor.h"

using namespace nibble::importer;

bool nibble::importer::isFloat(DataType type) {
  return type == DataType::Float || type == DataType::Float16 || type == DataType::BFloat16 ||
         type == DataType::Double;
}

bool nibble::importer::isInteger(DataType type) {
  switch (type) {
  case DataType::UInt8:
  case DataType::Int8:
  case DataType::UInt16:
  case DataType::Int16:
  case DataType::Int32:
  case DataType::Int64:
  case DataType::Bool:
  case DataType::UInt32:
  case DataType::UInt64:
    return true;
  default:
    return false;
  }
}

std::string nibble::importer::typeName(DataType type) {
  static const char *const names[] = {"undefined",  "float",   "uint8",  "int8",   "uint16",
                                      "int16",      "int32",   "int64",  "string", "bool",
                                      "half",       "double",  "uint32", "uint64", "complex64",
                                      "complex128", "bfloat16"};
  auto number = static_cast<int32_t>(type);
  if (number >= 0 && number <= 16)
    return names[number];
  return "type " + std::to_string(number);
}

int64_t nibble::importer::countElements(const std::vector<int64_t> &shape) {
  int64_t count = 1;
  bool empty = false, huge = shape.size() > kMaxRank;
  for (int64_t dim : shape) {
    if (dim < 0)
      return -1;
    empty |= dim == 0;
    huge |= dim > kMaxElements;
    if (!huge && dim > 0) {
      count *= dim; // at most 2^62
      huge |= count > kMaxElements;
    }
  }
  return huge ? -1 : empty ? 0 : count;
}

std::string nibble::importer::shapeText(const std::vector<int64_t> &shape) {
  if (shape.empty())
    return "scalar";
  std::string text;
  for (int64_t dim : shape)
    text += (text.empty() ? "" : "x") + std::to_string(dim);
  return text;
}

HostTensor HostTensor::zeros(DataType type, std::vector<int64_t> shape) {
  HostTensor tensor;
  tensor.type = type;
  tensor.shape = std::move(shape);
  auto count = static_cast<size_t>(tensor.size());
  if (tensor.isFloat())
    tensor.floats.resize(count);
  else
    tensor.ints.resize(count);
  return tensor;
}

HostTensor HostTensor::vector(std::vector<int64_t> values) {
  HostTensor tensor;
  tensor.type = DataType::Int64;
  tensor.shape = {static_cast<int64_t>(values.size())};
  tensor.ints = std::move(values);
  return tensor;
}

template <typename T>
static void permute(const std::vector<T> &from, std::vector<T> &to,
                    const std::vector<int64_t> &shape, const std::vector<int64_t> &strides) {
  to.resize(from.size());
  std::vector<int64_t> index(shape.size());
  int64_t source = 0;
  for (T &element : to) {
    element = from[source];
    for (size_t d = shape.size(); d-- > 0;) { // count up, last dimension first
      source += strides[d];
      if (++index[d] < shape[d])
        break;
      source -= strides[d] * shape[d];
      index[d] = 0;
    }
  }
}

HostTensor nibble::importer::transposed(const HostTensor &x, const std::vector<int64_t> &perm) {
  std::vector<int64_t> strides(x.shape.size(), 1);
  for (size_t d = x.shape.size(); d-- > 1;)
    strides[d - 1] = strides[d] * x.shape[d];
  HostTensor y;
  y.type = x.type;
  std::vector<int64_t> sourceStrides;
  for (int64_t d : perm) {
    y.shape.push_back(x.shape[d]);
    sourceStrides.push_back(strides[d]);
  }
  permute(x.floats, y.floats, y.shape, sourceStrides);
  permute(x.ints, y.ints, y.shape, sourceStrides);
  return y;
}

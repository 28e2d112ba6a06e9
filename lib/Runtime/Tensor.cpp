//===- Tensor.cpp - A tensor in host memory -----------------------------------===//

#include "nibble/Runtime/Tensor.h"

#include "HalfFloat.h"

using namespace nibble;
using namespace nibble::runtime;

size_t nibble::runtime::byteWidth(DType type) {
  switch (type) {
  case DType::U8:
  case DType::I8:
    return 1;
  case DType::U16:
  case DType::I16:
  case DType::F16:
    return 2;
  case DType::U32:
  case DType::I32:
  case DType::F32:
    return 4;
  case DType::U64:
  case DType::I64:
  case DType::F64:
    return 8;
  }
  return 1;
}

const char *nibble::runtime::name(DType type) {
  static constexpr const char *names[] = {"u8",  "i8",  "u16", "i16", "u32", "i32",
                                          "u64", "i64", "f16", "f32", "f64"};
  return names[static_cast<size_t>(type)];
}

std::string nibble::runtime::formatShape(std::span<const int64_t> shape) {
  if (shape.empty())
    return "scalar";
  std::string text;
  for (size_t i = 0; i < shape.size(); ++i)
    text += (i ? "x" : "") + std::to_string(shape[i]);
  return text;
}

Result<int64_t> nibble::runtime::countElements(std::span<const int64_t> shape) {
  constexpr int64_t limit = int64_t(1) << 62;
  int64_t count = 1;
  bool tooLarge = false;
  for (int64_t dim : shape) {
    if (dim < 0)
      return Status::error("shape " + formatShape(shape) + " has a negative dimension");
    // A zero anywhere makes the product zero, however large the rest; keep looking for negative
    // ones.
    if (dim == 0 || count == 0) {
      count = 0;
      continue;
    }
    if (count > limit / dim)
      tooLarge = true;
    else
      count *= dim;
  }
  if (tooLarge && count != 0)
    return Status::error("shape " + formatShape(shape) + " has more elements than 2^62");
  return count;
}

int64_t Tensor::size() const { return static_cast<int64_t>(bytes.size() / byteWidth(type)); }

double Tensor::at(int64_t index) const {
  switch (type) {
  case DType::U8:
    return data<uint8_t>()[index];
  case DType::I8:
    return data<int8_t>()[index];
  case DType::U16:
    return data<uint16_t>()[index];
  case DType::I16:
    return data<int16_t>()[index];
  case DType::U32:
    return data<uint32_t>()[index];
  case DType::I32:
    return data<int32_t>()[index];
  case DType::U64:
    return static_cast<double>(data<uint64_t>()[index]);
  case DType::I64:
    return static_cast<double>(data<int64_t>()[index]);
  case DType::F16:
    return halfToFloat(data<uint16_t>()[index]);
  case DType::F32:
    return data<float>()[index];
  case DType::F64:
    return data<double>()[index];
  }
  return 0;
}

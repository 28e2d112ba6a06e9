//===- Tensor.h - A tensor in host memory -----------------------*- C++ -*-===//
//
// Element type, shape and bytes, row-major. Owns its memory.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_RUNTIME_TENSOR_H
#define NIBBLE_RUNTIME_TENSOR_H

#include "nibble/Runtime/Status.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace nibble::runtime {

/// Element types of host tensors; little-endian in memory, as on every host that is supported.
enum class DType : uint8_t { U8, I8, U16, I16, U32, I32, U64, I64, F16, F32, F64 };

/// Bytes of one element.
size_t byteWidth(DType type);
/// "u8", "f32" …
const char *name(DType type);

/// "1x28x28"; "scalar" for an empty shape.
std::string formatShape(std::span<const int64_t> shape);

/// Number of elements of `shape`, or an error where a dimension is negative or the product passes
/// 2^62.
Result<int64_t> countElements(std::span<const int64_t> shape);

struct Tensor {
  DType type = DType::F32;
  std::vector<int64_t> shape;
  /// Row-major elements; byteWidth(type) × product of shape bytes.
  std::vector<std::byte> bytes;

  int64_t size() const;
  template <typename T> const T *data() const { return reinterpret_cast<const T *>(bytes.data()); }
  template <typename T> T *data() { return reinterpret_cast<T *>(bytes.data()); }
  /// Element `index` (flat) as a double; exact except for 64-bit integers beyond 2^53.
  double at(int64_t index) const;
};

} // namespace nibble::runtime

#endif // NIBBLE_RUNTIME_TENSOR_H

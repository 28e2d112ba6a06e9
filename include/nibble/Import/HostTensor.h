//===- HostTensor.h - a tensor of an ONNX file, in plain C++ ------*- C++ -*-===//
//
// What the importer keeps of initializers and folds constants on. Pure C++ (no ONNX, no MLIR).
// Every floating type is held as float (half and bfloat16 are exact; double is rounded once), every
// integer type and bool as int64_t (uint64 wraps). Row-major.
//
//===----------------------------------------------------------------------===//
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace nibble::importer {

/// The numbers of onnx.TensorProto.DataType that the importer knows by name.
enum class DataType : int32_t {
  Undefined = 0,
  Float = 1,
  UInt8 = 2,
  Int8 = 3,
  UInt16 = 4,
  Int16 = 5,
  Int32 = 6,
  Int64 = 7,
  String = 8,
  Bool = 9,
  Float16 = 10,
  Double = 11,
  UInt32 = 12,
  UInt64 = 13,
  BFloat16 = 16
};

/// Float, half, bfloat16 or double.
bool isFloat(DataType type);
/// An integer of at most 64 bits, or bool.
bool isInteger(DataType type);
/// "float", "int64", ... or "type 17".
std::string typeName(DataType type);

/// Largest number of elements of any tensor of a graph (8 GiB of f32); sizes up to it are computed
/// without overflow.
inline constexpr int64_t kMaxElements = int64_t(1) << 31;
/// What constant folding may make in all, whatever the file: so many elements (256 MiB of integers)
/// and four times the elements of the file's own initializers.
inline constexpr int64_t kMaxFoldedElements = int64_t(1) << 25;
/// Largest number of dimensions, NumPy's.
inline constexpr size_t kMaxRank = 64;

/// Product of the dimensions; -1 where one is negative, there are more than kMaxRank, or the product
/// of those that are not 0 exceeds kMaxElements (so that strides never overflow).
int64_t countElements(const std::vector<int64_t> &shape);
/// "2x3x4"; "scalar" for rank 0.
std::string shapeText(const std::vector<int64_t> &shape);

struct HostTensor {
  DataType type = DataType::Float;
  std::vector<int64_t> shape;
  std::vector<float> floats; // isFloat(type)
  std::vector<int64_t> ints; // isInteger(type)

  bool isFloat() const { return importer::isFloat(type); }
  bool isInteger() const { return importer::isInteger(type); }
  /// False for strings, complex and sub-byte types: shape and type are known, the elements are not.
  bool hasData() const { return isFloat() || isInteger(); }
  int64_t size() const { return countElements(shape); }
  double at(int64_t i) const { return isFloat() ? floats[i] : static_cast<double>(ints[i]); }

  /// Zeros.
  static HostTensor zeros(DataType type, std::vector<int64_t> shape);
  /// A vector of int64 (a shape).
  static HostTensor vector(std::vector<int64_t> values);
};

/// Result dimension i is x's dimension perm[i]. `perm` is a permutation of x's rank.
HostTensor transposed(const HostTensor &x, const std::vector<int64_t> &perm);

} // namespace nibble::importer

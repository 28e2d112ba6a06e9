//===- Tensor.h - A value of the interpreter ----------------------*- C++ -*-===//
//
// A statically shaped tensor in row-major (flat) order, exactly as the IR has it: feature maps are
// channels-last, nothing is packed. Reals are held in T: float is the meaning of a program, double
// serves finite differences.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/Support/LLVM.h"

#include <cstdint>
#include <vector>

namespace nibble::reference {

/// What the elements are, and which vector of a Tensor holds them:
///   Real                      `reals`    f32 in the IR, and bf16, whose numbers are reals too
///   Double                    `doubles`  f64 in the IR (the learning rate), never narrowed
///   Wide                      `wides`    i64 in the IR (step, random state)
///   Mask, Index, Bits, Label  `ints`     i1 (0/1), i8 (0 … 255), i16 (0 … 65535), i32
///   Int4, Int8                `ints`     q4.int4, q4.int8: the signed code, zero point not
///   subtracted Log2, Log4                `ints`     q4.log<2>, q4.log<4>: the nibble 0 … 15
///   (Numerics/Log4.h)
enum class ElementKind { Real, Double, Wide, Mask, Index, Bits, Label, Int4, Int8, Log2, Log4 };

/// The kind of an IR element type, or failure for a type that no op of ours produces.
mlir::FailureOr<ElementKind> elementKind(mlir::Type elementType);

inline bool isCode(ElementKind kind) { return kind >= ElementKind::Int4; }
inline bool isLog(ElementKind kind) {
  return kind == ElementKind::Log2 || kind == ElementKind::Log4;
}

/// Number of elements of a shape; 1 for rank 0.
int64_t elementCount(llvm::ArrayRef<int64_t> shape);

template <typename T> struct Tensor {
  ElementKind kind = ElementKind::Real;
  llvm::SmallVector<int64_t, 4> shape;
  std::vector<T> reals;
  std::vector<int32_t> ints;
  std::vector<double> doubles;
  std::vector<int64_t> wides;

  Tensor() = default;
  /// Zeros.
  Tensor(ElementKind kind, llvm::ArrayRef<int64_t> shape);

  static Tensor real(llvm::ArrayRef<int64_t> shape) { return Tensor(ElementKind::Real, shape); }
  static Tensor real(llvm::ArrayRef<int64_t> shape, std::vector<T> values);
  /// An integer tensor of `kind` (Mask … Log4).
  static Tensor integer(ElementKind kind, llvm::ArrayRef<int64_t> shape,
                        std::vector<int32_t> values);
  static Tensor labels(std::vector<int32_t> values);
  /// Rank-0 tensors, and the random state.
  static Tensor scalar(T value) { return real({}, {value}); }
  static Tensor label(int32_t value) { return integer(ElementKind::Label, {}, {value}); }
  static Tensor flag(bool value) { return integer(ElementKind::Mask, {}, {value}); }
  static Tensor learningRate(double value);
  static Tensor step(int64_t value);
  static Tensor randomState(uint64_t seed, int64_t update);

  /// Zeros of a static ranked tensor type; failure for other types.
  static mlir::FailureOr<Tensor> zeros(mlir::Type type);
  /// The elements of a dense or dense_resource attribute; failure for other attributes.
  static mlir::FailureOr<Tensor> fromAttribute(mlir::ElementsAttr attribute);

  int64_t size() const { return elementCount(shape); }
  int64_t rank() const { return static_cast<int64_t>(shape.size()); }
  /// Whether kind and shape are those of the IR type.
  bool hasType(mlir::Type type) const;

  /// Same bits everywhere (NaN equals NaN of the same payload, −0 differs from +0).
  bool bitIdentical(const Tensor &other) const;
};

extern template struct Tensor<float>;
extern template struct Tensor<double>;

} // namespace nibble::reference

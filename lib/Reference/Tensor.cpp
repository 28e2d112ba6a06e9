//===- Tensor.cpp - A value of the interpreter --------------------------------===//
#include "nibble/Reference/Tensor.h"

#include "nibble/Dialect/Q4/IR/Q4.h"

#include "mlir/IR/DialectResourceBlobManager.h"

#include <cstring>

using namespace mlir;

namespace nibble::reference {

FailureOr<ElementKind> elementKind(Type type) {
  if (type.isF32() || type.isBF16())
    return ElementKind::Real;
  if (type.isF64())
    return ElementKind::Double;
  if (auto integer = dyn_cast<IntegerType>(type)) {
    switch (integer.getWidth()) {
    case 1:
      return ElementKind::Mask;
    case 8:
      return ElementKind::Index;
    case 16:
      return ElementKind::Bits;
    case 32:
      return ElementKind::Label;
    case 64:
      return ElementKind::Wide;
    }
  }
  if (isa<q4::Int4Type>(type))
    return ElementKind::Int4;
  if (isa<q4::Int8Type>(type))
    return ElementKind::Int8;
  if (auto log = dyn_cast<q4::LogType>(type))
    return log.getRadix() == 4 ? ElementKind::Log4 : ElementKind::Log2;
  return failure();
}

int64_t elementCount(ArrayRef<int64_t> shape) {
  int64_t count = 1;
  for (int64_t d : shape)
    count *= d;
  return count;
}

template <typename T>
Tensor<T>::Tensor(ElementKind kind, ArrayRef<int64_t> shape) : kind(kind), shape(shape) {
  size_t n = elementCount(shape);
  switch (kind) {
  case ElementKind::Real:
    reals.resize(n);
    break;
  case ElementKind::Double:
    doubles.resize(n);
    break;
  case ElementKind::Wide:
    wides.resize(n);
    break;
  default:
    ints.resize(n);
    break;
  }
}

template <typename T> Tensor<T> Tensor<T>::real(ArrayRef<int64_t> shape, std::vector<T> values) {
  Tensor t;
  t.shape.assign(shape.begin(), shape.end());
  t.reals = std::move(values);
  return t;
}
template <typename T>
Tensor<T> Tensor<T>::integer(ElementKind kind, ArrayRef<int64_t> shape,
                             std::vector<int32_t> values) {
  Tensor t;
  t.kind = kind;
  t.shape.assign(shape.begin(), shape.end());
  t.ints = std::move(values);
  return t;
}
template <typename T> Tensor<T> Tensor<T>::labels(std::vector<int32_t> values) {
  int64_t n = static_cast<int64_t>(values.size());
  return integer(ElementKind::Label, {n}, std::move(values));
}
template <typename T> Tensor<T> Tensor<T>::learningRate(double value) {
  Tensor t(ElementKind::Double, {});
  t.doubles[0] = value;
  return t;
}
template <typename T> Tensor<T> Tensor<T>::step(int64_t value) {
  Tensor t(ElementKind::Wide, {});
  t.wides[0] = value;
  return t;
}
template <typename T> Tensor<T> Tensor<T>::randomState(uint64_t seed, int64_t update) {
  Tensor t(ElementKind::Wide, {2});
  t.wides = {static_cast<int64_t>(seed), update};
  return t;
}

template <typename T> FailureOr<Tensor<T>> Tensor<T>::zeros(Type type) {
  auto ranked = dyn_cast<RankedTensorType>(type);
  if (!ranked || !ranked.hasStaticShape())
    return failure();
  FailureOr<ElementKind> kind = elementKind(ranked.getElementType());
  if (failed(kind))
    return failure();
  return Tensor(*kind, ranked.getShape());
}

/// Little-endian elements of a dense resource, of the width of the IR type; i1 takes a byte.
template <typename T> static LogicalResult readRaw(ArrayRef<char> bytes, Tensor<T> &t) {
  auto read = [&]<typename Stored>(Stored, auto &into) {
    if (bytes.size() != into.size() * sizeof(Stored))
      return failure();
    for (size_t i = 0; i < into.size(); ++i) {
      Stored value;
      std::memcpy(&value, bytes.data() + i * sizeof(Stored), sizeof(Stored));
      into[i] = value;
    }
    return success();
  };
  switch (t.kind) {
  case ElementKind::Real:
    return read(float(), t.reals);
  case ElementKind::Double:
    return read(double(), t.doubles);
  case ElementKind::Wide:
    return read(int64_t(), t.wides);
  case ElementKind::Mask:
  case ElementKind::Index:
    return read(uint8_t(), t.ints);
  case ElementKind::Bits:
    return read(uint16_t(), t.ints);
  case ElementKind::Label:
    return read(int32_t(), t.ints);
  default:
    return failure();
  }
}

template <typename T> FailureOr<Tensor<T>> Tensor<T>::fromAttribute(ElementsAttr attribute) {
  FailureOr<Tensor> t = zeros(attribute.getShapedType());
  if (failed(t) || isCode(t->kind))
    return failure();
  if (auto resource = dyn_cast<DenseResourceElementsAttr>(attribute)) {
    AsmResourceBlob *blob = resource.getRawHandle().getBlob();
    if (!blob || failed(readRaw(blob->getData(), *t)))
      return failure();
    return t;
  }
  auto dense = dyn_cast<DenseElementsAttr>(attribute);
  if (!dense)
    return failure();
  size_t i = 0;
  if (t->kind == ElementKind::Real) {
    for (APFloat v : dense.getValues<APFloat>())
      t->reals[i++] = v.convertToFloat();
  } else if (t->kind == ElementKind::Double) {
    for (APFloat v : dense.getValues<APFloat>())
      t->doubles[i++] = v.convertToDouble();
  } else if (t->kind == ElementKind::Wide) {
    for (APInt v : dense.getValues<APInt>())
      t->wides[i++] = v.getSExtValue();
  } else {
    bool isSigned = t->kind == ElementKind::Label;
    for (APInt v : dense.getValues<APInt>())
      t->ints[i++] = static_cast<int32_t>(isSigned ? v.getSExtValue() : v.getZExtValue());
  }
  return t;
}

template <typename T> bool Tensor<T>::hasType(Type type) const {
  auto ranked = dyn_cast<RankedTensorType>(type);
  if (!ranked || ranked.getShape() != ArrayRef<int64_t>(shape))
    return false;
  FailureOr<ElementKind> expected = elementKind(ranked.getElementType());
  size_t held = reals.size() + ints.size() + doubles.size() + wides.size();
  return succeeded(expected) && *expected == kind && held == static_cast<size_t>(size());
}

template <typename Vector> static bool sameBytes(const Vector &a, const Vector &b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(a[0])) == 0);
}
template <typename T> bool Tensor<T>::bitIdentical(const Tensor &other) const {
  return kind == other.kind && shape == other.shape && sameBytes(reals, other.reals) &&
         sameBytes(ints, other.ints) && sameBytes(doubles, other.doubles) &&
         sameBytes(wides, other.wides);
}

template struct Tensor<float>;
template struct Tensor<double>;

} // namespace nibble::reference

//===- Support.cpp - Broadcasting and views -----------------------------------===//
#include "Support.h"

using namespace nibble::reference;

llvm::SmallVector<int64_t, 4> nibble::reference::rowMajorStrides(llvm::ArrayRef<int64_t> shape) {
  llvm::SmallVector<int64_t, 4> strides(shape.size(), 1);
  for (int64_t d = static_cast<int64_t>(shape.size()) - 2; d >= 0; --d)
    strides[d] = strides[d + 1] * shape[d + 1];
  return strides;
}

Broadcast::Broadcast(llvm::ArrayRef<int64_t> operand, llvm::ArrayRef<int64_t> shape)
    : shape(shape) {
  int64_t size = elementCount(operand);
  // Leading ones of the operand repeat like missing dimensions.
  llvm::ArrayRef<int64_t> tail = operand.drop_while([](int64_t d) { return d == 1; });
  if (size == elementCount(shape))
    mode = Mode::Same;
  else if (size == 1)
    mode = Mode::Scalar;
  else if (tail == shape.take_back(tail.size()))
    mode = Mode::Trailing, period = size;
  else
    mode = Mode::General;
  llvm::SmallVector<int64_t, 4> own = rowMajorStrides(operand);
  strides.assign(shape.size(), 0);
  for (size_t d = 0; d < operand.size(); ++d)
    if (operand[d] != 1)
      strides[shape.size() - operand.size() + d] = own[d];
}

int64_t Broadcast::general(int64_t i) const {
  int64_t index = 0;
  for (size_t d = shape.size(); d-- > 0;) {
    index += i % shape[d] * strides[d];
    i /= shape[d];
  }
  return index;
}

ChannelView::ChannelView(llvm::ArrayRef<int64_t> shape) {
  channels = shape.empty() ? 1 : shape.back();
  rows = shape.empty() ? 1 : elementCount(shape.drop_back());
  size_t height = shape.size() == 4 ? shape[1] : 1, width = shape.size() == 4 ? shape[2] : 1;
  blockRows = numerics::channelBlockRows(static_cast<int>(shape.size()), height, width);
}

template <typename T> T nibble::reference::absMax(const Tensor<T> &x) {
  T max = 0;
  for (T v : x.reals) {
    if (v != v)
      return std::numeric_limits<T>::quiet_NaN();
    max = numerics::maxAbs(max, v);
  }
  return max;
}
template float nibble::reference::absMax(const Tensor<float> &);
template double nibble::reference::absMax(const Tensor<double> &);

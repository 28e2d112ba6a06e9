//===- Pool.cpp - Pooling and its gradients, channels-last --------------------===//
#include "Support.h"

namespace nibble::reference {

namespace {

/// The windows of a pool op: `outer` is the tensor of windows, `inner` the image they lie on.
struct Windows {
  template <typename Op>
  Windows(Op op, llvm::ArrayRef<int64_t> inner, llvm::ArrayRef<int64_t> outer)
      : batch(inner[0]), height(inner[1]), width(inner[2]), channels(inner[3]), outHeight(outer[1]),
        outWidth(outer[2]), kernelH(op.getKernel()[0]), kernelW(op.getKernel()[1]),
        strideH(op.getStrides()[0]), strideW(op.getStrides()[1]), padTop(op.getPads()[0]),
        padLeft(op.getPads()[1]), dilationH(op.getDilations()[0]), dilationW(op.getDilations()[1]) {
  }

  /// Calls fn(tap number kh·KW + kw, flat index of the pixel's channel 0) for the taps of window
  /// (n, oh, ow) inside the image.
  template <typename Fn> void forEachTap(int64_t n, int64_t oh, int64_t ow, Fn fn) const {
    for (int64_t kh = 0; kh < kernelH; ++kh)
      for (int64_t kw = 0; kw < kernelW; ++kw) {
        int64_t h = oh * strideH + kh * dilationH - padTop,
                w = ow * strideW + kw * dilationW - padLeft;
        if (h >= 0 && h < height && w >= 0 && w < width)
          fn(kh * kernelW + kw, ((n * height + h) * width + w) * channels);
      }
  }

  /// Calls fn(n, oh, ow, flat index of the window's channel 0) for all windows, ascending.
  template <typename Fn> void forEach(Fn fn) const {
    int64_t at = 0;
    for (int64_t n = 0; n < batch; ++n)
      for (int64_t oh = 0; oh < outHeight; ++oh)
        for (int64_t ow = 0; ow < outWidth; ++ow, at += channels)
          fn(n, oh, ow, at);
  }

  /// KH·KW, or the number of taps inside the image.
  int64_t divisor(bool countPad, int64_t n, int64_t oh, int64_t ow) const {
    if (countPad)
      return kernelH * kernelW;
    int64_t inside = 0;
    forEachTap(n, oh, ow, [&](int64_t, int64_t) { ++inside; });
    return inside;
  }

  int64_t batch, height, width, channels, outHeight, outWidth, kernelH, kernelW, strideH, strideW,
      padTop, padLeft, dilationH, dilationW;
};

/// y = the first largest tap; max starts at the first tap inside and is replaced where value > max.
template <typename T> mlir::LogicalResult maxPool(nn::MaxPoolOp op, Frame<T> &frame) {
  Tensor<T> y = frame.make(op.getResult()), index = frame.make(op.getIndex());
  const Tensor<T> &x = frame[op.getX()];
  Windows windows(op, x.shape, y.shape);
  bool empty = false;
  windows.forEach([&](int64_t n, int64_t oh, int64_t ow, int64_t at) {
    bool first = true;
    windows.forEachTap(n, oh, ow, [&](int64_t tap, int64_t pixel) {
      for (int64_t c = 0; c < windows.channels; ++c)
        if (first || x.reals[pixel + c] > y.reals[at + c]) {
          y.reals[at + c] = x.reals[pixel + c];
          index.ints[at + c] = static_cast<int32_t>(tap);
        }
      first = false;
    });
    empty |= first;
  });
  if (empty)
    return op.emitOpError("has a window without a tap inside the image");
  frame.set(op.getResult(), std::move(y));
  frame.set(op.getIndex(), std::move(index));
  return mlir::success();
}

/// dx[i] = Σ dy over the windows, ascending, whose index names i.
template <typename T> void maxPoolGrad(nn::MaxPoolGradOp op, Frame<T> &frame) {
  Tensor<T> dx = frame.make(op.getResult());
  const Tensor<T> &dy = frame[op.getDy()], &index = frame[op.getIndex()];
  Windows windows(op, dx.shape, dy.shape);
  windows.forEach([&](int64_t n, int64_t oh, int64_t ow, int64_t at) {
    windows.forEachTap(n, oh, ow, [&](int64_t tap, int64_t pixel) {
      for (int64_t c = 0; c < windows.channels; ++c)
        if (index.ints[at + c] == tap)
          dx.reals[pixel + c] += dy.reals[at + c];
    });
  });
  frame.set(op.getResult(), std::move(dx));
}

/// y = (Σ taps, ascending) / divisor.
template <typename T> mlir::LogicalResult avgPool(nn::AvgPoolOp op, Frame<T> &frame) {
  Tensor<T> y = frame.make(op.getResult());
  const Tensor<T> &x = frame[op.getX()];
  Windows windows(op, x.shape, y.shape);
  bool empty = false;
  windows.forEach([&](int64_t n, int64_t oh, int64_t ow, int64_t at) {
    windows.forEachTap(n, oh, ow, [&](int64_t, int64_t pixel) {
      for (int64_t c = 0; c < windows.channels; ++c)
        y.reals[at + c] += x.reals[pixel + c];
    });
    int64_t divisor = windows.divisor(op.getCountIncludePad(), n, oh, ow);
    empty |= divisor == 0;
    for (int64_t c = 0; c < windows.channels; ++c)
      y.reals[at + c] = y.reals[at + c] / static_cast<T>(divisor);
  });
  if (empty)
    return op.emitOpError("has a window without a tap inside the image");
  frame.set(op.getResult(), std::move(y));
  return mlir::success();
}

/// dx[i] = Σ dy / divisor over the windows, ascending, that hold i; each quotient rounded.
template <typename T> void avgPoolGrad(nn::AvgPoolGradOp op, Frame<T> &frame) {
  Tensor<T> dx = frame.make(op.getResult());
  const Tensor<T> &dy = frame[op.getDy()];
  Windows windows(op, dx.shape, dy.shape);
  windows.forEach([&](int64_t n, int64_t oh, int64_t ow, int64_t at) {
    T divisor = static_cast<T>(windows.divisor(op.getCountIncludePad(), n, oh, ow));
    windows.forEachTap(n, oh, ow, [&](int64_t, int64_t pixel) {
      for (int64_t c = 0; c < windows.channels; ++c)
        dx.reals[pixel + c] += dy.reals[at + c] / divisor;
    });
  });
  frame.set(op.getResult(), std::move(dx));
}

} // namespace

template <typename T> void addPool(OpTable<T> &table) {
  table.template add<nn::MaxPoolOp>(maxPool<T>);
  table.template add<nn::MaxPoolGradOp>(maxPoolGrad<T>);
  table.template add<nn::AvgPoolOp>(avgPool<T>);
  table.template add<nn::AvgPoolGradOp>(avgPoolGrad<T>);
}

NIBBLE_INSTANTIATE_FAMILY(addPool)

} // namespace nibble::reference

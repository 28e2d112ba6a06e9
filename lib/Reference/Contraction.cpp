//===- Contraction.cpp - Products of nn (reals) and q4 (codes) ----------------===//
//
// Float: one accumulator an output from +0, terms in the stated order, each an fma. Codes: the
// exact integer sum of (left − Z_left)·(right − Z_right), converted once, times
// (s_left·s_right·gain) (numerics.md, section 5). Both run through the same loops: `Acc`
// accumulates products of `E` (float, float), (double, double) or (int64, int32).
//
//===----------------------------------------------------------------------===//
#include "FusedRows.h"
#include "Support.h"

#include "nibble/Numerics/Log4.h"
#include "nibble/Numerics/Scale.h"

namespace nibble::reference {

//===----------------------------------------------------------------------===//
// Loops
//===----------------------------------------------------------------------===//

template <typename E>
static std::vector<E> transposed(const std::vector<E> &x, int64_t rows, int64_t cols) {
  std::vector<E> y(x.size());
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < cols; ++c)
      y[c * rows + r] = x[r * cols + c];
  return y;
}

/// y[m, n] = Σ_k a[m, k]·b[k, n], k ascending; a is stored (k, m) if transposeA, b (n, k) if
/// transposeB.
template <typename Acc, typename E>
static std::vector<Acc> matMul(const std::vector<E> &a, const std::vector<E> &b, int64_t m,
                               int64_t n, int64_t k, bool transposeA, bool transposeB) {
  std::vector<E> turned;
  if (transposeB)
    turned = transposed(b, n, k);
  const E *right = transposeB ? turned.data() : b.data();
  std::vector<Acc> y(m * n);
  for (int64_t row = 0; row < m; ++row)
    fusedRows(&y[row * n], n, &a[transposeA ? row : row * k], transposeA ? m : 1, right, n, k);
  return y;
}

/// Each pair of matrices of two stacks (of one, where the shapes have rank 2).
template <typename Acc, typename E>
static std::vector<Acc> matMuls(const std::vector<E> &a, const std::vector<E> &b,
                                llvm::ArrayRef<int64_t> result, int64_t k, bool transposeA,
                                bool transposeB) {
  int64_t m = result[result.size() - 2], n = result.back();
  int64_t matrices = result.size() == 3 ? result[0] : 1;
  if (matrices == 1)
    return matMul<Acc>(a, b, m, n, k, transposeA, transposeB);
  std::vector<Acc> y;
  y.reserve(matrices * m * n);
  for (int64_t i = 0; i < matrices; ++i) {
    std::vector<E> left(a.begin() + i * m * k, a.begin() + (i + 1) * m * k),
        right(b.begin() + i * k * n, b.begin() + (i + 1) * k * n);
    std::vector<Acc> one = matMul<Acc>(left, right, m, n, k, transposeA, transposeB);
    y.insert(y.end(), one.begin(), one.end());
  }
  return y;
}

/// Input row (column) of tap `k` of output row (column) `o`; outside the image it is no term.
static int64_t tapOf(int64_t o, int64_t stride, int64_t k, int64_t dilation, int64_t pad) {
  return o * stride + k * dilation - pad;
}

/// The output row (column) whose tap `k` is input row `i`, or −1.
static int64_t outputOf(int64_t i, int64_t stride, int64_t k, int64_t dilation, int64_t pad,
                        int64_t outputs) {
  int64_t distance = i + pad - k * dilation;
  return distance >= 0 && distance % stride == 0 && distance / stride < outputs ? distance / stride
                                                                                : -1;
}

/// Weights O×KH×KW×I as KH×KW×I×O within each group: the outputs of a pixel become contiguous.
template <typename E>
static std::vector<E> outputsLast(const std::vector<E> &w, const nn::ConvShape &s) {
  int64_t taps = s.kernelHeight * s.kernelWidth, in = s.channels / s.groups,
          out = s.outChannels / s.groups;
  std::vector<E> turned(w.size());
  for (int64_t o = 0; o < s.outChannels; ++o)
    for (int64_t t = 0; t < taps; ++t)
      for (int64_t c = 0; c < in; ++c)
        turned[((o / out * taps + t) * in + c) * out + o % out] = w[(o * taps + t) * in + c];
  return turned;
}

/// y[n, oh, ow, o] = Σ_{kh, kw, c} x[n, oh·s + kh·d − pad, …, c]·w[o, kh, kw, c].
template <typename Acc, typename E>
static std::vector<Acc> conv(const std::vector<E> &x, const std::vector<E> &weights,
                             const nn::ConvShape &s) {
  int64_t in = s.channels / s.groups, out = s.outChannels / s.groups,
          taps = s.kernelHeight * s.kernelWidth;
  std::vector<E> w = outputsLast(weights, s);
  std::vector<Acc> y(s.batch * s.outHeight * s.outWidth * s.outChannels);
  auto pixel = [&](Acc *acc, int64_t n, int64_t oh, int64_t ow, int64_t g) {
    for (int64_t kh = 0; kh < s.kernelHeight; ++kh) {
      int64_t ih = tapOf(oh, s.strideH, kh, s.dilationH, s.padTop);
      for (int64_t kw = 0; kw < s.kernelWidth; ++kw) {
        int64_t iw = tapOf(ow, s.strideW, kw, s.dilationW, s.padLeft);
        if (ih < 0 || ih >= s.height || iw < 0 || iw >= s.width)
          continue;
        const E *tap = &w[(g * taps + kh * s.kernelWidth + kw) * in * out];
        fusedRows(acc, out, &x[((n * s.height + ih) * s.width + iw) * s.channels + g * in], 1, tap,
                  out, in);
      }
    }
  };
  Acc *acc = y.data();
  for (int64_t n = 0; n < s.batch; ++n)
    for (int64_t oh = 0; oh < s.outHeight; ++oh)
      for (int64_t ow = 0; ow < s.outWidth; ++ow)
        for (int64_t g = 0; g < s.groups; ++g, acc += out)
          pixel(acc, n, oh, ow, g);
  return y;
}

/// dx[n, h, w, c] = Σ_{kh, kw, o} dy[n, oh, ow, o]·w[o, kh, kw, c] over the outputs whose tap (kh,
/// kw) is (h, w).
template <typename Acc, typename E>
static std::vector<Acc> convInputGrad(const std::vector<E> &dy, const std::vector<E> &w,
                                      const nn::ConvShape &s) {
  int64_t in = s.channels / s.groups, out = s.outChannels / s.groups,
          taps = s.kernelHeight * s.kernelWidth;
  std::vector<Acc> dx(s.batch * s.height * s.width * s.channels);
  auto pixel = [&](Acc *acc, int64_t n, int64_t ih, int64_t iw, int64_t g) {
    for (int64_t kh = 0; kh < s.kernelHeight; ++kh) {
      int64_t oh = outputOf(ih, s.strideH, kh, s.dilationH, s.padTop, s.outHeight);
      for (int64_t kw = 0; kw < s.kernelWidth; ++kw) {
        int64_t ow = outputOf(iw, s.strideW, kw, s.dilationW, s.padLeft, s.outWidth);
        if (oh < 0 || ow < 0)
          continue;
        const E *tap = &w[(g * out * taps + kh * s.kernelWidth + kw) * in];
        fusedRows(acc, in,
                  &dy[((n * s.outHeight + oh) * s.outWidth + ow) * s.outChannels + g * out], 1, tap,
                  taps * in, out);
      }
    }
  };
  Acc *acc = dx.data();
  for (int64_t n = 0; n < s.batch; ++n)
    for (int64_t ih = 0; ih < s.height; ++ih)
      for (int64_t iw = 0; iw < s.width; ++iw)
        for (int64_t g = 0; g < s.groups; ++g, acc += in)
          pixel(acc, n, ih, iw, g);
  return dx;
}

/// dw[o, kh, kw, c] = Σ_{n, oh, ow} x[n, oh·s + kh·d − pad, …, c]·dy[n, oh, ow, o]. The columns of
/// a row whose tap lies inside are consecutive: [first, last).
template <typename Acc, typename E>
static std::vector<Acc> convWeightGrad(const std::vector<E> &x, const std::vector<E> &dy,
                                       const nn::ConvShape &s) {
  int64_t in = s.channels / s.groups, out = s.outChannels / s.groups;
  std::vector<Acc> dw(s.outChannels * s.kernelHeight * s.kernelWidth * in);
  auto weight = [&](Acc *acc, int64_t o, int64_t kh, int64_t kw) {
    int64_t first = 0, last = s.outWidth;
    while (first < last && tapOf(first, s.strideW, kw, s.dilationW, s.padLeft) < 0)
      ++first;
    while (last > first && tapOf(last - 1, s.strideW, kw, s.dilationW, s.padLeft) >= s.width)
      --last;
    if (first == last)
      return;
    int64_t iw = tapOf(first, s.strideW, kw, s.dilationW, s.padLeft);
    for (int64_t n = 0; n < s.batch; ++n)
      for (int64_t oh = 0; oh < s.outHeight; ++oh) {
        int64_t ih = tapOf(oh, s.strideH, kh, s.dilationH, s.padTop);
        if (ih < 0 || ih >= s.height)
          continue;
        const E *row = &x[((n * s.height + ih) * s.width + iw) * s.channels + o / out * in];
        const E *grad = &dy[((n * s.outHeight + oh) * s.outWidth + first) * s.outChannels + o];
        fusedRows(acc, in, grad, s.outChannels, row, s.strideW * s.channels, last - first);
      }
  };
  Acc *acc = dw.data();
  for (int64_t o = 0; o < s.outChannels; ++o)
    for (int64_t kh = 0; kh < s.kernelHeight; ++kh)
      for (int64_t kw = 0; kw < s.kernelWidth; ++kw, acc += in)
        weight(acc, o, kh, kw);
  return dw;
}

//===----------------------------------------------------------------------===//
// Products of reals
//===----------------------------------------------------------------------===//

template <typename T> static void addReal(OpTable<T> &table) {
  table.template add<nn::MatMulOp>([](nn::MatMulOp op, Frame<T> &frame) {
    Tensor<T> y = frame.make(op.getResult());
    y.reals = matMuls<T, T>(frame[op.getA()].reals, frame[op.getB()].reals, y.shape,
                            op.getContractionLength(), op.getTransposeA(), op.getTransposeB());
    frame.set(op.getResult(), std::move(y));
  });
  table.template add<nn::Conv2DOp>([](nn::Conv2DOp op, Frame<T> &frame) {
    Tensor<T> y = frame.make(op.getResult());
    y.reals = conv<T, T>(frame[op.getX()].reals, frame[op.getW()].reals, nn::convShape(op));
    frame.set(op.getResult(), std::move(y));
  });
  table.template add<nn::Conv2DInputGradOp>([](nn::Conv2DInputGradOp op, Frame<T> &frame) {
    Tensor<T> y = frame.make(op.getResult());
    y.reals =
        convInputGrad<T, T>(frame[op.getDy()].reals, frame[op.getW()].reals, nn::convShape(op));
    frame.set(op.getResult(), std::move(y));
  });
  table.template add<nn::Conv2DWeightGradOp>([](nn::Conv2DWeightGradOp op, Frame<T> &frame) {
    Tensor<T> y = frame.make(op.getResult());
    y.reals =
        convWeightGrad<T, T>(frame[op.getX()].reals, frame[op.getDy()].reals, nn::convShape(op));
    frame.set(op.getResult(), std::move(y));
  });
}

//===----------------------------------------------------------------------===//
// Products of codes
//===----------------------------------------------------------------------===//

/// The integers that codes stand for: q − Z, or ±radix^(e−1).
template <typename T>
static std::vector<int32_t> integers(const Tensor<T> &codes, int32_t zeroPoint) {
  std::vector<int32_t> values = codes.ints;
  for (int32_t &v : values)
    v = isLog(codes.kind) ? numerics::decodeLog(v, codes.kind == ElementKind::Log4 ? 4 : 2)
                          : v - zeroPoint;
  return values;
}

/// Runs `product` on the operands' integers; result = float(Σ)·(s_left·s_right·gain).
template <typename Op, typename T, typename Fn>
static void coded(Op op, Frame<T> &frame, Fn product) {
  auto zeroPoint = [&](mlir::Value z) { return z ? intScalar(frame[z]) : 0; };
  std::vector<int64_t> sums =
      product(integers(frame[op.getLeft()], zeroPoint(op.getLeftZeroPoint())),
              integers(frame[op.getRight()], zeroPoint(op.getRightZeroPoint())));
  T gain = op.getGain() ? realScalar(frame[op.getGain()]) : T(1);
  float scale = numerics::productScale(realScalar(frame[op.getLeftScale()]),
                                       realScalar(frame[op.getRightScale()]), gain);
  Tensor<T> y = frame.make(op.getResult());
  for (size_t i = 0; i < sums.size(); ++i)
    y.reals[i] = numerics::scaleProduct(sums[i], scale);
  frame.set(op.getResult(), std::move(y));
}

template <typename T> static void addCodes(OpTable<T> &table) {
  using Ints = std::vector<int32_t>;
  table.template addCoded<q4::MatMulOp>([](q4::MatMulOp op, Frame<T> &frame) {
    coded(op, frame, [&](const Ints &a, const Ints &b) {
      return matMuls<int64_t>(a, b, op.getResult().getType().getShape(), op.getContractionLength(),
                              op.getTransposeA(), op.getTransposeB());
    });
  });
  table.template addCoded<q4::Conv2DOp>([](q4::Conv2DOp op, Frame<T> &frame) {
    coded(op, frame,
          [&](const Ints &x, const Ints &w) { return conv<int64_t>(x, w, nn::convShape(op)); });
  });
  table.template addCoded<q4::Conv2DInputGradOp>([](q4::Conv2DInputGradOp op, Frame<T> &frame) {
    coded(op, frame, [&](const Ints &dy, const Ints &w) {
      return convInputGrad<int64_t>(dy, w, nn::convShape(op));
    });
  });
  table.template addCoded<q4::Conv2DWeightGradOp>([](q4::Conv2DWeightGradOp op, Frame<T> &frame) {
    coded(op, frame, [&](const Ints &x, const Ints &dy) {
      return convWeightGrad<int64_t>(x, dy, nn::convShape(op));
    });
  });
}

template <typename T> void addContraction(OpTable<T> &table) {
  addReal(table);
  addCodes(table);
}

NIBBLE_INSTANTIATE_FAMILY(addContraction)

} // namespace nibble::reference

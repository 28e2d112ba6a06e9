//===- Elementwise.cpp - nn ops that work element by element ------------------===//
//
// Every element is one formula of numerics.md, section 5; functions come from Numerics/Math.h.
// Operands broadcast as in NumPy.
//
//===----------------------------------------------------------------------===//
#include "Support.h"

#include "nibble/Numerics/Math.h"
#include "nibble/Numerics/Random.h"

#include <cmath>

namespace nibble::reference {

/// result[i] = f(x[i]).
template <typename T, typename Fn>
static void unary(mlir::Value x, mlir::Value result, Frame<T> &frame, Fn f) {
  Tensor<T> y = frame.make(result);
  const std::vector<T> &in = frame[x].reals;
  for (size_t i = 0; i < in.size(); ++i)
    y.reals[i] = f(in[i]);
  frame.set(result, std::move(y));
}

/// result[i] = f(a, b) of two broadcast real operands; the result is real or a mask.
template <typename T, typename Fn>
static void binary(mlir::Value a, mlir::Value b, mlir::Value result, Frame<T> &frame, Fn f) {
  Tensor<T> y = frame.make(result);
  const Tensor<T> &left = frame[a], &right = frame[b];
  Broadcast atLeft(left.shape, y.shape), atRight(right.shape, y.shape);
  for (int64_t i = 0, n = y.size(); i < n; ++i) {
    auto value = f(left.reals[atLeft(i)], right.reals[atRight(i)]);
    if constexpr (std::is_same_v<decltype(value), bool>)
      y.ints[i] = value;
    else
      y.reals[i] = value;
  }
  frame.set(result, std::move(y));
}

/// The same of three real operands.
template <typename T, typename Fn>
static void ternary(mlir::Value a, mlir::Value b, mlir::Value c, mlir::Value result,
                    Frame<T> &frame, Fn f) {
  Tensor<T> y = frame.make(result);
  const Tensor<T> &x0 = frame[a], &x1 = frame[b], &x2 = frame[c];
  Broadcast at0(x0.shape, y.shape), at1(x1.shape, y.shape), at2(x2.shape, y.shape);
  for (int64_t i = 0, n = y.size(); i < n; ++i) {
    auto value = f(x0.reals[at0(i)], x1.reals[at1(i)], x2.reals[at2(i)]);
    if constexpr (std::is_same_v<decltype(value), bool>)
      y.ints[i] = value;
    else
      y.reals[i] = value;
  }
  frame.set(result, std::move(y));
}

template <typename T> static void addUnary(OpTable<T> &table) {
  auto plain = [&]<typename Op>(Op, auto f) {
    table.template add<Op>(
        [f](Op op, Frame<T> &frame) { unary(op.getX(), op.getResult(), frame, f); });
  };
  plain(nn::NegOp(), [](T x) { return -x; });
  plain(nn::AbsOp(), [](T x) { return std::fabs(x); });
  plain(nn::SqrtOp(), [](T x) { return numerics::sqrt(x); });
  plain(nn::ExpOp(), [](T x) { return numerics::exp(x); });
  plain(nn::LogOp(), [](T x) { return numerics::log(x); });
  plain(nn::ErfOp(), [](T x) { return numerics::erf(x); });
  plain(nn::TanhOp(), [](T x) { return numerics::tanh(x); });
  plain(nn::SigmoidOp(), [](T x) { return numerics::sigmoid(x); });
  plain(nn::ReluOp(), [](T x) { return numerics::relu(x); });
  table.template add<nn::LeakyReluOp>([](nn::LeakyReluOp op, Frame<T> &frame) {
    T slope = real<T>(op.getSlope());
    unary(op.getX(), op.getResult(), frame, [slope](T x) { return T(0) > x ? slope * x : x; });
  });
  table.template add<nn::ClipOp>([](nn::ClipOp op, Frame<T> &frame) {
    T lo = real<T>(op.getLo()), hi = real<T>(op.getHi());
    unary(op.getX(), op.getResult(), frame, [lo, hi](T x) { return numerics::clip(x, lo, hi); });
  });
}

template <typename T> static void addBinary(OpTable<T> &table) {
  auto plain = [&]<typename Op>(Op, auto f) {
    table.template add<Op>(
        [f](Op op, Frame<T> &frame) { binary(op.getA(), op.getB(), op.getResult(), frame, f); });
  };
  plain(nn::AddOp(), [](T a, T b) { return a + b; });
  plain(nn::SubOp(), [](T a, T b) { return a - b; });
  plain(nn::MulOp(), [](T a, T b) { return a * b; });
  plain(nn::DivOp(), [](T a, T b) { return a / b; });
  plain(nn::MinOp(), [](T a, T b) { return b < a ? b : a; });
  plain(nn::MaxOp(), [](T a, T b) { return a < b ? b : a; });
}

template <typename T> static bool compare(nn::Comparison predicate, T a, T b) {
  switch (predicate) {
  case nn::Comparison::LT:
    return a < b;
  case nn::Comparison::LE:
    return a <= b;
  case nn::Comparison::GT:
    return a > b;
  case nn::Comparison::GE:
    return a >= b;
  case nn::Comparison::EQ:
    return a == b;
  }
  return false;
}

/// Masks and what is made of them.
template <typename T> static void addMasks(OpTable<T> &table) {
  table.template add<nn::CompareOp>([](nn::CompareOp op, Frame<T> &frame) {
    nn::Comparison predicate = op.getPredicate();
    binary(op.getA(), op.getB(), op.getResult(), frame,
           [predicate](T a, T b) { return compare(predicate, a, b); });
  });
  // lo < x < hi
  table.template add<nn::InsideOp>([](nn::InsideOp op, Frame<T> &frame) {
    ternary(op.getX(), op.getLo(), op.getHi(), op.getResult(), frame,
            [](T x, T lo, T hi) { return lo < x && x < hi; });
  });
  // bit ? x : +0
  table.template add<nn::MaskOp>([](nn::MaskOp op, Frame<T> &frame) {
    Tensor<T> y = frame.make(op.getResult());
    const Tensor<T> &x = frame[op.getX()], &bits = frame[op.getBits()];
    Broadcast atX(x.shape, y.shape), atBits(bits.shape, y.shape);
    for (int64_t i = 0, n = y.size(); i < n; ++i)
      y.reals[i] = bits.ints[atBits(i)] ? x.reals[atX(i)] : T(0);
    frame.set(op.getResult(), std::move(y));
  });
  // bit ? a : b
  table.template add<nn::SelectOp>([](nn::SelectOp op, Frame<T> &frame) {
    Tensor<T> y = frame.make(op.getResult());
    const Tensor<T> &bits = frame[op.getBits()], &a = frame[op.getA()], &b = frame[op.getB()];
    Broadcast atBits(bits.shape, y.shape), atA(a.shape, y.shape), atB(b.shape, y.shape);
    for (int64_t i = 0, n = y.size(); i < n; ++i)
      y.reals[i] = bits.ints[atBits(i)] ? a.reals[atA(i)] : b.reals[atB(i)];
    frame.set(op.getResult(), std::move(y));
  });
  // keep where u ≥ RNE(65536·ratio)
  table.template add<nn::KeepMaskOp>([](nn::KeepMaskOp op, Frame<T> &frame) {
    Tensor<T> y = frame.make(op.getResult());
    uint32_t threshold = numerics::dropThreshold(op.getRatio().convertToFloat());
    const Tensor<T> &bits = frame[op.getBits()];
    for (int64_t i = 0, n = y.size(); i < n; ++i)
      y.ints[i] = static_cast<uint32_t>(bits.ints[i]) >= threshold;
    frame.set(op.getResult(), std::move(y));
  });
}

template <typename T> void addElementwise(OpTable<T> &table) {
  addUnary(table);
  addBinary(table);
  addMasks(table);
  // a·b + c, rounded once
  table.template add<nn::FmaOp>([](nn::FmaOp op, Frame<T> &frame) {
    ternary(op.getA(), op.getB(), op.getC(), op.getResult(), frame,
            [](T a, T b, T c) { return std::fma(a, b, c); });
  });
  // clip(x, lo, α), lo = 0 or −α
  table.template add<nn::ClipLearnedOp>([](nn::ClipLearnedOp op, Frame<T> &frame) {
    T hi = realScalar(frame[op.getAlpha()]), lo = op.getOneSided() ? T(0) : -hi;
    unary(op.getX(), op.getResult(), frame, [lo, hi](T x) { return numerics::clip(x, lo, hi); });
  });
  // A graph's dropout means inference, where it is the identity; training spells it out as bits,
  // mask and scale.
  table.template add<nn::DropoutOp>(
      [](nn::DropoutOp op, Frame<T> &frame) { frame.set(op.getResult(), frame.share(op.getX())); });
}

NIBBLE_INSTANTIATE_FAMILY(addElementwise)

} // namespace nibble::reference

//===- Scale.cpp - q4 ops that make ranges, scales and flags ------------------===//
//
// Every rule is Numerics/Scale.h. What a float training step needs (flags, the start of a learned
// clip) works in double too.
//
//===----------------------------------------------------------------------===//
#include "Support.h"

#include "nibble/Numerics/Log4.h"
#include "nibble/Numerics/Scale.h"

#include <limits>

namespace nibble::reference {

/// {min(0, min x), max(0, max x)}, both NaN where any element is NaN.
template <typename T> static std::pair<T, T> range(const Tensor<T> &x) {
  T lo = 0, hi = 0;
  for (T v : x.reals) {
    if (v != v)
      return {std::numeric_limits<T>::quiet_NaN(), std::numeric_limits<T>::quiet_NaN()};
    lo = v < lo ? v : lo;
    hi = v > hi ? v : hi;
  }
  return {lo, hi};
}

/// Statistics of a tensor.
template <typename T> static void addStatistics(OpTable<T> &table) {
  table.template add<q4::AbsMaxOp>([](q4::AbsMaxOp op, Frame<T> &frame) {
    frame.set(op.getResult(), Tensor<T>::scalar(absMax(frame[op.getX()])));
  });
  table.template add<q4::RangeOp>([](q4::RangeOp op, Frame<T> &frame) {
    auto [lo, hi] = range(frame[op.getX()]);
    frame.set(op.getLo(), Tensor<T>::scalar(lo));
    frame.set(op.getHi(), Tensor<T>::scalar(hi));
  });
  // α = c1·√mean(w²) + c0·mean|w|; flat sums, each square rounded.
  table.template addCoded<q4::SawbClipOp>([](q4::SawbClipOp op, Frame<T> &frame) {
    const Tensor<T> &w = frame[op.getW()];
    double squares =
        numerics::flatSum(w.size(), [&](size_t i) -> T { return w.reals[i] * w.reals[i]; });
    double magnitudes =
        numerics::flatSum(w.size(), [&](size_t i) -> T { return std::fabs(w.reals[i]); });
    frame.set(op.getAlpha(),
              Tensor<T>::scalar(numerics::sawbClip(squares, magnitudes, w.size(), absMax(w))));
  });
}

/// Flags of a step.
template <typename T> static void addFlags(OpTable<T> &table) {
  table.template add<q4::NonFiniteOp>([](q4::NonFiniteOp op, Frame<T> &frame) {
    bool infinities = op.getInfinities();
    bool found = llvm::any_of(frame[op.getX()].reals, [infinities](T v) {
      return infinities ? numerics::isNonfinite(v) : numerics::isNan(v);
    });
    frame.set(op.getResult(), Tensor<T>::flag(found));
  });
  table.template add<q4::OrOp>([](q4::OrOp op, Frame<T> &frame) {
    bool any =
        llvm::any_of(op.getFlags(), [&](mlir::Value flag) { return intScalar(frame[flag]) != 0; });
    frame.set(op.getResult(), Tensor<T>::flag(any));
  });
}

/// From maxima to scales.
template <typename T> static void addScales(OpTable<T> &table) {
  table.template addCoded<q4::ScaleOp>([](q4::ScaleOp op, Frame<T> &frame) {
    float s =
        numerics::scaleFromMax(realScalar(frame[op.getMax()]), op.getDivisor().convertToFloat());
    frame.set(op.getScale(), Tensor<T>::scalar(s));
  });
  table.template addCoded<q4::AffineScaleOp>([](q4::AffineScaleOp op, Frame<T> &frame) {
    auto s = numerics::minMaxScale(realScalar(frame[op.getLo()]), realScalar(frame[op.getHi()]));
    frame.set(op.getScale(), Tensor<T>::scalar(s.scale));
    frame.set(op.getZeroPoint(), Tensor<T>::label(s.zeroPoint));
  });
  // 4⁻³/M, M = s or 2s.
  table.template addCoded<q4::LogScaleOp>([](q4::LogScaleOp op, Frame<T> &frame) {
    float mult = numerics::phaseMultiplier(realScalar(frame[op.getGradScale()]), op.getOdd());
    frame.set(op.getScale(), Tensor<T>::scalar(numerics::radix4Step(mult)));
  });
  table.template addCoded<q4::GradScaleUpdateOp>([](q4::GradScaleUpdateOp op, Frame<T> &frame) {
    float s = numerics::updateGradScale(realScalar(frame[op.getGradScale()]),
                                        realScalar(frame[op.getMax()]));
    frame.set(op.getResult(), Tensor<T>::scalar(s));
  });
}

/// Ranges that last.
template <typename T> static void addRanges(OpTable<T> &table) {
  table.template addCoded<q4::MovingRangeOp>([](q4::MovingRangeOp op, Frame<T> &frame) {
    float state = realScalar(frame[op.getState()]), value = realScalar(frame[op.getValue()]);
    frame.set(op.getResult(), Tensor<T>::scalar(numerics::movingRange(state, value)));
  });
  // α, or while it is unset `init`, or max|x| where `init` is 0; at least `floor`.
  table.template add<q4::InitClipOp>([](q4::InitClipOp op, Frame<T> &frame) {
    numerics::ScalarOps<T> o;
    T init = real<T>(op.getInit());
    T first = init != T(0) ? init : absMax(frame[op.getX()]);
    T alpha = numerics::generic::learnedClip(o, realScalar(frame[op.getAlpha()]), first,
                                             op.getFloor().convertToFloat());
    frame.set(op.getResult(), Tensor<T>::scalar(alpha));
  });
  // The stored maximum, or this batch's while it is unset.
  table.template add<q4::FrozenRangeOp>([](q4::FrozenRangeOp op, Frame<T> &frame) {
    T state = realScalar(frame[op.getState()]);
    frame.set(op.getResult(), Tensor<T>::scalar(state != T(0) ? state : absMax(frame[op.getX()])));
  });
}

template <typename T> void addScale(OpTable<T> &table) {
  addStatistics(table);
  addFlags(table);
  addScales(table);
  addRanges(table);
}

NIBBLE_INSTANTIATE_FAMILY(addScale)

} // namespace nibble::reference

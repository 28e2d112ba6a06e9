//===- Scale.h - From statistics of a tensor to its scale ---------*- C++ -*-===//
//
// numerics.md sections 1 to 4: scales from maxima and ranges, SAWB, GradScale, gain, learned clips,
// moving ranges, and the one way in which a product's exact integer becomes a float. What is
// derived from sums is computed in f64 and rounded once: the generic forms of those functions take
// a policy whose F is f64, and their result is rounded to f32 by the caller.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_NUMERICS_SCALE_H
#define NIBBLE_NUMERICS_SCALE_H

#include "nibble/Numerics/Ops.h"

namespace nibble::numerics {

/// Below this maximum a tensor counts as zero: s = 1, and every code is zero's.
inline constexpr float kSmallestMax = 0x1p-100f;
inline constexpr float kLargestFloat = 0x1.fffffep+127f;

/// Learned clips (PACT). The penalty is decay * alpha^2, so an optimizer's weight decay
/// (g += lambda * theta) is 2 * decay.
inline constexpr float kClipFloor = 0x1p-10f;
inline constexpr double kClipDecay = 2e-4;
inline constexpr double kClipWeightDecay = 2 * kClipDecay;

/// SAWB for 15 levels -7 ... 7: alpha = c1*sqrt(mean w^2) + c0*mean |w|.
inline constexpr double kSawbC1 = 12.035;
inline constexpr double kSawbC0 = -12.03;
/// SAWB for 16 half-step levels +-(2k + 1)/15 without zero (kept for comparison; no recipe uses
/// it).
inline constexpr double kSawbHalfStepC1 = 12.68;
inline constexpr double kSawbHalfStepC0 = -12.80;

/// The moving average of the rounds' ranges.
inline constexpr float kRangeKeep = 0.99f;
inline constexpr float kRangeTake = 0.01f;

/// GradScale's rule, replaceable as data: a = s*max|dY|; a > shrinkAbove -> s/2; a < growBelow ->
/// 2s; a zero or not finite -> unchanged; clamped to [min, max]. All powers of two.
struct GradScaleRule {
  float start = 1024.0f;
  float shrinkAbove = 64.0f;
  float growBelow = 32.0f;
  float min = 0x1p-18f;
  float max = 0x1p61f;
};

namespace generic {

/// s = max/divisor, or 1 if max is below 2^-100 or NaN; an infinite max counts as the largest
/// float, so that s and 1/s stay finite and positive and infinities saturate.
template <typename Ops>
typename Ops::F scaleFromMax(Ops &o, typename Ops::F max, typename Ops::F divisor) {
  auto largest = o.constF(kLargestFloat), one = o.constF(1.0f);
  auto finite = o.select(o.lt(largest, max), largest, max);
  auto tiny = o.bor(o.lt(max, o.constF(kSmallestMax)), isNan(o, max));
  return o.select(tiny, one, o.div(finite, divisor));
}

/// r = 1/s rounded.
template <typename Ops> typename Ops::F reciprocal(Ops &o, typename Ops::F s) {
  return o.div(o.constF(1.0f), s);
}

/// The zero point of a min-max grid as an integer in -8 ... 7: RNE(-lo*r) - 8, with lo <= 0.
template <typename Ops>
typename Ops::I minMaxZeroPoint(Ops &o, typename Ops::F lo, typename Ops::F r) {
  auto y = clip(o, o.mul(neg(o, lo), r), o.constF(0.0f), o.constF(15.0f));
  return o.isub(roundToInt(o, y), o.constI(8));
}

/// hi - lo of a range widened to hold zero: max(0, hi) - min(0, lo); s = scaleFromMax(this, 15).
template <typename Ops>
typename Ops::F minMaxWidth(Ops &o, typename Ops::F lo, typename Ops::F hi) {
  auto zero = o.constF(0.0f);
  return o.sub(o.select(o.lt(zero, hi), hi, zero), o.select(o.lt(lo, zero), lo, zero));
}

/// GradScale after one update with the maximum of |dY|.
template <typename Ops>
typename Ops::F updateGradScale(Ops &o, typename Ops::F s, typename Ops::F maxAbs,
                                const GradScaleRule &rule = {}) {
  auto a = o.mul(s, maxAbs);
  auto up = o.mul(s, o.constF(2.0f)), down = o.mul(s, o.constF(0.5f));
  auto moved = o.select(o.lt(o.constF(rule.shrinkAbove), a), down,
                        o.select(o.lt(a, o.constF(rule.growBelow)), up, s));
  auto keep = o.bor(o.bnot(o.lt(o.constF(0.0f), a)), isNonfinite(o, a));
  return clip(o, o.select(keep, s, moved), o.constF(rule.min), o.constF(rule.max));
}

/// The clip in force: alpha, or, while it is unset (0), max|x| of this pass; never below the floor.
template <typename Ops>
typename Ops::F learnedClip(Ops &o, typename Ops::F alpha, typename Ops::F maxAbs,
                            float floor = kClipFloor) {
  auto set = o.select(o.lt(o.constF(0.0f), alpha), alpha, maxAbs);
  auto bottom = o.constF(floor);
  return o.select(o.lt(bottom, set), set, bottom);
}

/// 0.99*average + 0.01*value, each step rounded, or `value` where `unset` holds.
template <typename Ops>
typename Ops::F movingRange(Ops &o, typename Ops::F average, typename Ops::F value,
                            typename Ops::B unset) {
  auto mixed = o.add(o.mul(o.constF(kRangeKeep), average), o.mul(o.constF(kRangeTake), value));
  return o.select(unset, value, mixed);
}

/// s_left*s_right*gain, multiplied in this order.
template <typename Ops>
typename Ops::F productScale(Ops &o, typename Ops::F left, typename Ops::F right,
                             typename Ops::F gain) {
  return o.mul(o.mul(left, right), gain);
}

/// SAWB's clip in f64 (F = f64) from the sums of w^2 and |w|; round the result once.
template <typename Ops>
typename Ops::F sawbClip(Ops &o, typename Ops::F sumSquares, typename Ops::F sumAbs,
                         typename Ops::F count, typename Ops::F maxAbs, double c1 = kSawbC1,
                         double c0 = kSawbC0) {
  auto root = o.mul(o.constF(c1), o.sqrt(o.div(sumSquares, count)));
  auto alpha = o.add(root, o.mul(o.constF(c0), o.div(sumAbs, count)));
  return o.select(o.lt(o.constF(0.0), alpha), alpha, maxAbs);
}

/// <g, g>/<g, Q(g)> in f64 (F = f64), 1 if the denominator is not positive; round once.
template <typename Ops> typename Ops::F gain(Ops &o, typename Ops::F gg, typename Ops::F gq) {
  return o.select(o.lt(o.constF(0.0), gq), o.div(gg, gq), o.constF(1.0));
}

} // namespace generic

inline float scaleFromMax(float max, float divisor) {
  FloatOps o;
  return generic::scaleFromMax(o, max, divisor);
}

inline float reciprocal(float s) { return 1.0f / s; }

/// Scale and zero point of the min-max grid of a range.
struct ScaleAndZero {
  float scale;
  int zeroPoint;
};

/// numerics.md section 1, `minmax`: lo = min(0, min), hi = max(0, max), s = (hi - lo)/15,
/// Z = RNE(-lo*r) - 8.
inline ScaleAndZero minMaxScale(float min, float max) {
  FloatOps o;
  float lo = min < 0.0f ? min : 0.0f;
  float s = generic::scaleFromMax(o, generic::minMaxWidth(o, min, max), 15.0f);
  return {s, generic::minMaxZeroPoint(o, lo, reciprocal(s))};
}

/// SAWB's clip alpha > 0 for 15 levels; max|w| where the formula gives nothing positive.
inline float sawbClip(double sumSquares, double sumAbs, int64_t n, float maxAbs) {
  DoubleOps o;
  return float(generic::sawbClip(o, sumSquares, sumAbs, double(n), double(maxAbs)));
}

/// The same for the 16 half-step levels.
inline float sawbClipHalfStep(double sumSquares, double sumAbs, int64_t n, float maxAbs) {
  DoubleOps o;
  return float(generic::sawbClip(o, sumSquares, sumAbs, double(n), double(maxAbs), kSawbHalfStepC1,
                                 kSawbHalfStepC0));
}

/// A tensor's codes against the tensor: ⟨x, Q(x)⟩/⟨x, x⟩, 1 where x is 0.
inline float fidelityGain(double xx, double xq) {
  return xx > 0 ? static_cast<float>(xq / xx) : 1.0f;
}
/// ‖x − Q(x)‖²/‖x‖², 0 where x is 0.
inline float fidelityNoise(double xx, double dd) {
  return xx > 0 ? static_cast<float>(dd / xx) : 0.0f;
}

/// The gain of one quantized copy of dY.
inline float gain(double gg, double gq) {
  DoubleOps o;
  return static_cast<float>(generic::gain(o, gg, gq));
}

inline float updateGradScale(float s, float maxAbs, const GradScaleRule &rule = {}) {
  FloatOps o;
  return generic::updateGradScale(o, s, maxAbs, rule);
}

inline float learnedClip(float alpha, float maxAbs, float floor = kClipFloor) {
  FloatOps o;
  return generic::learnedClip(o, alpha, maxAbs, floor);
}
inline double learnedClip(double alpha, double maxAbs, float floor = kClipFloor) {
  DoubleOps o;
  return generic::learnedClip(o, alpha, maxAbs, floor);
}

/// The moving average of one maximum; 0 is unset and takes the value.
inline float movingRange(float average, float value) {
  FloatOps o;
  return generic::movingRange(o, average, value, average == 0.0f);
}

/// A range [lo, hi]; {0, 0} is unset.
struct Range {
  float lo = 0.0f;
  float hi = 0.0f;
};

/// The moving average of a range: both ends, each as above, unset together.
inline Range movingRange(Range average, Range value) {
  FloatOps o;
  bool unset = average.lo == 0.0f && average.hi == 0.0f;
  return {generic::movingRange(o, average.lo, value.lo, unset),
          generic::movingRange(o, average.hi, value.hi, unset)};
}

inline float productScale(float left, float right, float gain = 1.0f) {
  return left * right * gain;
}

/// The exact integer of a product, converted once (nearest even), times the scale, rounded.
inline float scaleProduct(int64_t exact, float scale) { return static_cast<float>(exact) * scale; }

} // namespace nibble::numerics

#endif // NIBBLE_NUMERICS_SCALE_H

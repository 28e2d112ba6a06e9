//===- Quantize.cpp - q4 ops between reals and codes --------------------------===//
//
// Every number is Numerics/Int4.h or Numerics/Log4.h.
//
//===----------------------------------------------------------------------===//
#include "Support.h"

#include "nibble/Numerics/Int4.h"
#include "nibble/Numerics/Log4.h"
#include "nibble/Numerics/Rounding.h"
#include "nibble/Numerics/Scale.h"

namespace nibble::reference {

static int radixOf(ElementKind kind) { return kind == ElementKind::Log4 ? 4 : 2; }

/// q = clamp(RNE(x·r) + Z), or with noise the stochastic rounding; r = 1/s.
template <typename T> static void quantize(q4::QuantizeOp op, Frame<T> &frame) {
  Tensor<T> codes = frame.make(op.getCodes());
  const Tensor<T> &x = frame[op.getX()];
  float r = numerics::reciprocal(realScalar(frame[op.getScale()]));
  int z = op.getZeroPoint() ? intScalar(frame[op.getZeroPoint()]) : 0;
  numerics::LevelSet set{static_cast<int>(op.getQmin()), static_cast<int>(op.getQmax()), z};
  const int32_t *noise = op.getNoise() ? frame[op.getNoise()].ints.data() : nullptr;
  for (size_t i = 0; i < x.reals.size(); ++i)
    codes.ints[i] =
        noise ? numerics::quantizeStochastic(x.reals[i], r, set, static_cast<uint16_t>(noise[i]))
              : numerics::quantizeNearest(x.reals[i], r, set);
  frame.set(op.getCodes(), std::move(codes));
}

/// Radix 4: nearest on the grid 4^k/M, with step = 4⁻³/M, so M = 4⁻³/step. Radix 2: stochastic,
/// LUQ.
template <typename T> static void quantizeLog(q4::QuantizeLogOp op, Frame<T> &frame) {
  Tensor<T> codes = frame.make(op.getCodes());
  const Tensor<T> &x = frame[op.getX()];
  float step = realScalar(frame[op.getScale()]);
  bool radix4 = codes.kind == ElementKind::Log4;
  float mult = numerics::radix4Step(step); // the map between step and M is its own inverse
  const int32_t *noise = op.getNoise() ? frame[op.getNoise()].ints.data() : nullptr;
  for (size_t i = 0; i < x.reals.size(); ++i)
    codes.ints[i] = radix4 ? numerics::encodeRadix4Nearest(x.reals[i], mult)
                           : numerics::encodeRadix2Stochastic(x.reals[i], step,
                                                              static_cast<uint16_t>(noise[i]));
  frame.set(op.getCodes(), std::move(codes));
}

/// What one code stands for, rounded.
template <typename T>
static float worth(const Tensor<T> &codes, size_t i, int zeroPoint, float scale) {
  return isLog(codes.kind) ? numerics::dequantizeLog(codes.ints[i], radixOf(codes.kind), scale)
                           : numerics::dequantize(codes.ints[i], zeroPoint, scale);
}

template <typename T> static void dequantize(q4::DequantizeOp op, Frame<T> &frame) {
  Tensor<T> y = frame.make(op.getResult());
  const Tensor<T> &codes = frame[op.getCodes()];
  int z = op.getZeroPoint() ? intScalar(frame[op.getZeroPoint()]) : 0;
  float scale = realScalar(frame[op.getScale()]);
  for (size_t i = 0; i < y.reals.size(); ++i)
    y.reals[i] = worth(codes, i, z, scale);
  frame.set(op.getResult(), std::move(y));
}

template <typename T> static void narrow(q4::NarrowOp op, Frame<T> &frame) {
  Tensor<T> y = frame[op.getX()];
  for (T &v : y.reals)
    v = numerics::narrowToBf16(v);
  frame.set(op.getResult(), std::move(y));
}

template <typename T> static void widen(q4::WidenOp op, Frame<T> &frame) {
  frame.set(op.getResult(), frame[op.getX()]);
}

/// ⟨g, g⟩/⟨g, Q(g)⟩; products rounded, sums of the whole tensor.
template <typename T> static void gain(q4::GainOp op, Frame<T> &frame) {
  const Tensor<T> &g = frame[op.getG()], &codes = frame[op.getCodes()];
  float scale = realScalar(frame[op.getScale()]);
  ChannelView view(g.shape);
  double gg = view.tensorSum([&](int64_t i) -> T { return g.reals[i] * g.reals[i]; });
  double gq =
      view.tensorSum([&](int64_t i) -> T { return g.reals[i] * worth(codes, i, 0, scale); });
  frame.set(op.getResult(), Tensor<T>::scalar(numerics::gain(gg, gq)));
}

/// ⟨x, Q(x)⟩/⟨x, x⟩ and ‖x − Q(x)‖²/‖x‖²; products rounded, sums of the whole tensor.
template <typename T> static void fidelity(q4::FidelityOp op, Frame<T> &frame) {
  const Tensor<T> &x = frame[op.getX()], &codes = frame[op.getCodes()];
  int32_t zero = op.getZeroPoint() ? intScalar(frame[op.getZeroPoint()]) : 0;
  float scale = realScalar(frame[op.getScale()]);
  ChannelView view(x.shape);
  double xx = view.tensorSum([&](int64_t i) -> T { return x.reals[i] * x.reals[i]; });
  double xq = view.tensorSum(
      [&](int64_t i) -> T { return x.reals[i] * worth(codes, i, zero, scale); });
  double dd = view.tensorSum([&](int64_t i) -> T {
    T d = x.reals[i] - worth(codes, i, zero, scale);
    return d * d;
  });
  frame.set(op.getGain(), Tensor<T>::scalar(numerics::fidelityGain(xx, xq)));
  frame.set(op.getNoise(), Tensor<T>::scalar(numerics::fidelityNoise(xx, dd)));
}

/// {codes at an end of their set, codes of zero}. qmin is an end only if it is not zero's code.
template <typename T> static void codeCounts(q4::CodeCountsOp op, Frame<T> &frame) {
  const Tensor<T> &codes = frame[op.getCodes()];
  int32_t zero = op.getZeroPoint() ? intScalar(frame[op.getZeroPoint()]) : 0;
  int32_t qmin = static_cast<int32_t>(op.getQmin()), qmax = static_cast<int32_t>(op.getQmax());
  int32_t ends = 0, zeros = 0;
  for (int32_t code : codes.ints) {
    if (isLog(codes.kind)) {
      ends += (code & 7) == numerics::kLogMaxExponent;
      zeros += (code & 7) == 0;
    } else {
      ends += code == qmax || (code == qmin && qmin != zero);
      zeros += code == zero;
    }
  }
  frame.set(op.getResult(), Tensor<T>::labels({ends, zeros}));
}

template <typename T> void addQuantize(OpTable<T> &table) {
  table.template addCoded<q4::QuantizeOp>(quantize<T>);
  table.template addCoded<q4::QuantizeLogOp>(quantizeLog<T>);
  table.template addCoded<q4::DequantizeOp>(dequantize<T>);
  table.template add<q4::NarrowOp>(narrow<T>);
  table.template add<q4::WidenOp>(widen<T>);
  table.template addCoded<q4::GainOp>(gain<T>);
  table.template addCoded<q4::FidelityOp>(fidelity<T>);
  table.template addCoded<q4::CodeCountsOp>(codeCounts<T>);
}

NIBBLE_INSTANTIATE_FAMILY(addQuantize)

} // namespace nibble::reference

//===- Schedule.h - Learning rates over time ----------------------*- C++ -*-===//
//
// In f64 (numerics.md section 5), by additions, multiplications and one division, so that the rate
// of an update is the same on every machine. The rate is rounded to f32 where an update uses it.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_NUMERICS_SCHEDULE_H
#define NIBBLE_NUMERICS_SCHEDULE_H

#include "nibble/Numerics/Optimizer.h"

namespace nibble::numerics {

/// cos(pi*x) for 0 <= x <= 1, within 2 ulp of 1 (Remez fits of scripts/numerics/fit.py).
constexpr double cosPi(double x) {
  if (x > 0.5)
    return -cosPi(1.0 - x);
  if (x <= 0.25) {
    constexpr double c[] = {-0x1.3bd3cc9be45dep+2, 0x1.03c1f081b5ab0p+2,  -0x1.55d3c7e3c95bdp+0,
                            0x1.e1f50683b4493p-3,  -0x1.a6d1ecb753de3p-6, 0x1.f9cc6add7b5bep-10,
                            -0x1.b26fec1d6bb2bp-14};
    double z = x * x, sum = c[6];
    for (int i = 5; i >= 0; --i)
      sum = sum * z + c[i];
    return 1.0 + z * sum;
  }
  constexpr double s[] = {0x1.921fb54442d18p+1,  -0x1.4abbce625be53p+2, 0x1.466bc6775aad9p+1,
                          -0x1.32d2cce62ac24p-1, 0x1.50783485cc006p-4,  -0x1.e3074b502de1fp-8,
                          0x1.e8eed159ae936p-12, -0x1.6c5b93983c0b1p-16};
  double y = 0.5 - x, z = y * y, sum = s[7];
  for (int i = 6; i >= 0; --i)
    sum = sum * z + s[i];
  return y * sum;
}

enum class ScheduleKind { Constant, Step, Cosine };

/// The rate of update t = 0, 1, 2 ... of `total`. During the first `warmup` updates it grows
/// linearly, base*(t + 1)/warmup; what follows counts from the end of the warm-up:
///   Constant  base
///   Step      base * gamma^floor(t/stepSize)
///   Cosine    final + (base - final)*(1 + cos(pi*t/(total - warmup)))/2; `final` from the end on
struct LearningRate {
  ScheduleKind kind = ScheduleKind::Constant;
  double base = 0.1;
  double final = 0.0;
  double gamma = 0.1;
  int64_t stepSize = 1;
  int64_t warmup = 0;
  int64_t total = 1;

  constexpr double at(int64_t t) const {
    if (t < warmup)
      return base * static_cast<double>(t + 1) / static_cast<double>(warmup);
    t -= warmup;
    switch (kind) {
    case ScheduleKind::Constant:
      return base;
    case ScheduleKind::Step:
      return base * powInteger(gamma, stepSize > 0 ? t / stepSize : 0);
    case ScheduleKind::Cosine:
      break;
    }
    int64_t length = total - warmup;
    if (t >= length)
      return final;
    double phase = static_cast<double>(t) / static_cast<double>(length);
    return final + (base - final) * (1.0 + cosPi(phase)) * 0.5;
  }
};

} // namespace nibble::numerics

#endif // NIBBLE_NUMERICS_SCHEDULE_H

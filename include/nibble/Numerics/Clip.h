//===- Clip.h - The learned clip and its gradient -----------------*- C++ -*-===//
//
// numerics.md section 1, PACT (Choi et al., 2018). y = clip(x, lo, alpha), lo = 0 (one-sided) or
// -alpha (two-sided). dx = dy where lo < x < alpha, else +0. dalpha is a whole-tensor sum
// (Reduce.h, tensorSum) of clipTerm: +dy where x >= alpha, -dy where x <= -alpha (two-sided only),
// else +0. Generic over f32 and f64.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_NUMERICS_CLIP_H
#define NIBBLE_NUMERICS_CLIP_H

#include "nibble/Numerics/Scale.h"

namespace nibble::numerics {

namespace generic {

/// The pass bit: lo < x < hi.
template <typename Ops>
typename Ops::B clipPasses(Ops &o, typename Ops::F x, typename Ops::F lo, typename Ops::F hi) {
  return o.band(o.lt(lo, x), o.lt(x, hi));
}

/// The term of dalpha.
template <typename Ops>
typename Ops::F clipTerm(Ops &o, typename Ops::F x, typename Ops::F dy, typename Ops::F alpha,
                         bool twoSided) {
  auto zero = o.constF(0.0f);
  auto above = o.bnot(o.bor(o.lt(x, alpha), isNan(o, x)));
  auto below = zero;
  if (twoSided) {
    auto minusAlpha = o.sub(zero, alpha);
    auto isBelow = o.bnot(o.bor(o.lt(minusAlpha, x), isNan(o, x)));
    below = o.select(isBelow, o.sub(zero, dy), zero);
  }
  return o.select(above, dy, below);
}

} // namespace generic

template <typename T> bool clipPasses(T x, T lo, T hi) { return lo < x && x < hi; }

template <typename T> T clipTerm(T x, T dy, T alpha, bool twoSided) {
  ScalarOps<T> o;
  return generic::clipTerm(o, x, dy, alpha, twoSided);
}

} // namespace nibble::numerics

#endif // NIBBLE_NUMERICS_CLIP_H

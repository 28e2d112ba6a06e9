//===- Optimizer.h - SGD, Adam, AdamW ------------------------------*- C++ -*-===//
//
// numerics.md section 5. Every operation of an update is rounded, in the order written here, from
// left to right; rates and corrections are computed in f64 and rounded once. Which terms exist is
// fixed at compile time (SgdForm, AdamForm): a parameter without decay has no decay term at all
// (adding 0*theta would turn -0 into +0).
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_NUMERICS_OPTIMIZER_H
#define NIBBLE_NUMERICS_OPTIMIZER_H

#include "nibble/Numerics/Ops.h"

namespace nibble::numerics {

struct SgdForm {
  bool decay = false;
  bool momentum = false;
  bool nesterov = false; ///< needs momentum
};

struct AdamForm {
  bool decay = false;     ///< a decay term exists
  bool decoupled = false; ///< AdamW: theta -= lr*lambda*theta first, instead of g += lambda*theta
};

namespace generic {

/// Clipping by the global norm (o is over f64): the factor of all gradients, 1 where norm <= limit.
template <typename Ops>
typename Ops::F clipFactor(Ops &o, typename Ops::F norm, typename Ops::F limit) {
  return o.select(o.lt(limit, norm), o.div(limit, norm), o.constF(1.0));
}

/// What SGD leaves behind; without momentum, velocity is the velocity given.
template <typename Ops> struct SgdResult {
  typename Ops::F theta, velocity;
};

/// g += lambda*theta; v = mu*v + g; theta -= lr*v (Nesterov: lr*(g + mu*v)).
template <typename Ops>
SgdResult<Ops> sgd(Ops &o, SgdForm form, typename Ops::F theta, typename Ops::F velocity,
                   typename Ops::F g, typename Ops::F lr, typename Ops::F mu,
                   typename Ops::F lambda) {
  if (form.decay)
    g = o.add(g, o.mul(lambda, theta));
  auto direction = g;
  if (form.momentum) {
    velocity = o.add(o.mul(mu, velocity), g);
    direction = form.nesterov ? o.add(g, o.mul(mu, velocity)) : velocity;
  }
  return {o.sub(theta, o.mul(lr, direction)), velocity};
}

template <typename Ops> struct AdamResult {
  typename Ops::F theta, m, v;
};

/// AdamW first theta -= decay*theta (decay = lr*lambda); Adam with decay first g += decay*theta
/// (decay = lambda). m = b1*m + c1*g; v = b2*v + c2*(g*g); theta -= (rate*m)/(sqrt(v) + eps), with
/// c = 1 - b and rate = adamRate(...).
template <typename Ops>
AdamResult<Ops> adam(Ops &o, AdamForm form, typename Ops::F theta, typename Ops::F m,
                     typename Ops::F v, typename Ops::F g, typename Ops::F rate,
                     typename Ops::F decay, typename Ops::F b1, typename Ops::F c1,
                     typename Ops::F b2, typename Ops::F c2, typename Ops::F eps) {
  if (form.decay) {
    auto decayed = o.mul(decay, theta);
    if (form.decoupled)
      theta = o.sub(theta, decayed);
    else
      g = o.add(g, decayed);
  }
  m = o.add(o.mul(b1, m), o.mul(c1, g));
  v = o.add(o.mul(b2, v), o.mul(c2, o.mul(g, g)));
  auto step = o.div(o.mul(rate, m), o.add(o.sqrt(v), eps));
  return {o.sub(theta, step), m, v};
}

} // namespace generic

/// The norm of all gradients: flat sums (Reduce.h) of g*g, each square rounded to the gradients' type,
/// one a parameter, added ascending in f64; its root, unrounded.
inline double gradientNorm(const double *sums, size_t count) {
  double sum = 0.0;
  for (size_t i = 0; i < count; ++i)
    sum += sums[i];
  return std::sqrt(sum);
}

/// min(1, limit/norm) in f64; the caller rounds once.
inline double clipFactor(double norm, double limit) {
  ScalarOps<double> o;
  return generic::clipFactor(o, norm, limit);
}

/// One element of SGD in T = float or double; theta and velocity are updated.
template <typename T> void sgd(SgdForm form, T &theta, T &velocity, T g, T lr, T mu, T lambda) {
  ScalarOps<T> o;
  auto r = generic::sgd(o, form, theta, velocity, g, lr, mu, lambda);
  theta = r.theta;
  velocity = r.velocity;
}

/// The constants of Adam, each computed in f64 and rounded once.
template <typename T> struct AdamConstants {
  T b1, c1, b2, c2, eps;

  AdamConstants(double beta1, double beta2, double epsilon)
      : b1(T(beta1)), c1(T(1.0 - beta1)), b2(T(beta2)), c2(T(1.0 - beta2)), eps(T(epsilon)) {}
};

/// One element of Adam or AdamW; decay is lambda (Adam) or adamwDecay(lr, lambda) (AdamW).
template <typename T>
void adam(AdamForm form, T &theta, T &m, T &v, T g, T rate, T decay, const AdamConstants<T> &c) {
  ScalarOps<T> o;
  auto r = generic::adam(o, form, theta, m, v, g, rate, decay, c.b1, c.c1, c.b2, c.c2, c.eps);
  theta = r.theta;
  m = r.m;
  v = r.v;
}

/// x^n, n >= 0, by repeated squaring from the lowest bit of n.
constexpr double powInteger(double x, int64_t n) {
  double result = 1.0;
  for (; n > 0; n >>= 1) {
    if (n & 1)
      result *= x;
    x *= x;
  }
  return result;
}

/// lr*sqrt(1 - b2^t)/(1 - b1^t), t from 1, in f64 from left to right.
inline double adamRate64(double lr, int64_t t, double beta1, double beta2) {
  return lr * std::sqrt(1.0 - powInteger(beta2, t)) / (1.0 - powInteger(beta1, t));
}

/// The same, rounded once.
inline float adamRate(double lr, int64_t t, double beta1, double beta2) {
  return static_cast<float>(adamRate64(lr, t, beta1, beta2));
}

/// lr*lambda, rounded once: the factor of AdamW's decay.
inline float adamwDecay(double lr, double lambda) { return static_cast<float>(lr * lambda); }

} // namespace nibble::numerics

#endif // NIBBLE_NUMERICS_OPTIMIZER_H

//===- Norm.cpp - Batch and layer normalization -------------------------------===//
//
// numerics.md, section 5; what is derived from the sums is Numerics/BatchNorm.h and LayerNorm.h.
//
//===----------------------------------------------------------------------===//
#include "Support.h"

#include "nibble/Numerics/BatchNorm.h"
#include "nibble/Numerics/LayerNorm.h"

#include <cmath>

namespace nibble::reference {

/// c = running mean; Σd, Σd² with d = z − c; from them mean, variance, rstd, the map a, b, and the
/// new running statistics.
template <typename T> static void batchStats(nn::BatchStatsOp op, Frame<T> &frame) {
  const Tensor<T> &x = frame[op.getX()], &oldMean = frame[op.getMean()],
                  &oldVariance = frame[op.getVariance()];
  const Tensor<T> &gamma = frame[op.getScale()], &beta = frame[op.getBias()];
  Tensor<T> a = frame.make(op.getA()), b = a, mean = a, rstd = a, newMean = a, newVariance = a;
  double eps = op.getEpsilon().convertToFloat(), momentum = op.getMomentum().convertToFloat();
  ChannelView view(x.shape);
  for (int64_t c = 0; c < view.channels; ++c) {
    T center = oldMean.reals[c];
    double sum = view.channelSum(c, [&](int64_t i) -> T { return x.reals[i] - center; });
    double squares = view.channelSum(c, [&](int64_t i) -> T {
      T d = x.reals[i] - center;
      return d * d;
    });
    auto stats = numerics::batchNormStats<T>(sum, squares, view.rows, center, eps);
    auto map = numerics::batchNormForward<T>(gamma.reals[c], beta.reals[c], stats.mean, stats.rstd);
    a.reals[c] = map.a, b.reals[c] = map.b, mean.reals[c] = stats.mean, rstd.reals[c] = stats.rstd;
    newMean.reals[c] = numerics::runningStat<T>(center, stats.mean, momentum);
    newVariance.reals[c] = numerics::runningStat<T>(oldVariance.reals[c], stats.variance, momentum);
  }
  frame.set(op.getA(), std::move(a));
  frame.set(op.getB(), std::move(b));
  frame.set(op.getBatchMean(), std::move(mean));
  frame.set(op.getRstd(), std::move(rstd));
  frame.set(op.getNewMean(), std::move(newMean));
  frame.set(op.getNewVariance(), std::move(newVariance));
}

/// rstd = 1/√(var + ε), a = γ·rstd, b = β − mean·a of running statistics.
template <typename T> struct Fold {
  std::vector<T> a, b, rstd;
  Fold(const Tensor<T> &gamma, const Tensor<T> &beta, const Tensor<T> &mean,
       const Tensor<T> &variance, double eps) {
    for (size_t c = 0; c < gamma.reals.size(); ++c) {
      rstd.push_back(numerics::reciprocalStd<T>(variance.reals[c], eps));
      auto map =
          numerics::batchNormForward<T>(gamma.reals[c], beta.reals[c], mean.reals[c], rstd[c]);
      a.push_back(map.a);
      b.push_back(map.b);
    }
  }
};

template <typename T> static void batchNormFold(nn::BatchNormFoldOp op, Frame<T> &frame) {
  Fold<T> fold(frame[op.getScale()], frame[op.getBias()], frame[op.getMean()],
               frame[op.getVariance()], op.getEpsilon().convertToFloat());
  auto channels = op.getA().getType().getShape();
  frame.set(op.getA(), Tensor<T>::real(channels, std::move(fold.a)));
  frame.set(op.getB(), Tensor<T>::real(channels, std::move(fold.b)));
  frame.set(op.getRstd(), Tensor<T>::real(channels, std::move(fold.rstd)));
}

/// A graph's batch_norm means inference: y = fma(x, a, b) with the running statistics. Training
/// spells it out.
template <typename T> static void batchNorm(nn::BatchNormOp op, Frame<T> &frame) {
  Fold<T> fold(frame[op.getScale()], frame[op.getBias()], frame[op.getMean()],
               frame[op.getVariance()], op.getEpsilon().convertToFloat());
  Tensor<T> y = frame.make(op.getResult());
  const Tensor<T> &x = frame[op.getX()];
  size_t channels = fold.a.size();
  for (size_t i = 0; i < y.reals.size(); ++i)
    y.reals[i] = std::fma(x.reals[i], fold.a[i % channels], fold.b[i % channels]);
  frame.set(op.getResult(), std::move(y));
}

/// S₁ = Σdy, S₂ = Σdy·(z − mean); k₁, k₂, k₃ of dz = fma(k₁, dy, fma(k₂, z, k₃)); dγ = S₂·rstd, dβ
/// = S₁.
template <typename T> static void batchNormGrad(nn::BatchNormGradOp op, Frame<T> &frame) {
  const Tensor<T> &dy = frame[op.getDy()], &x = frame[op.getX()], &gamma = frame[op.getScale()];
  const Tensor<T> &mean = frame[op.getBatchMean()], &rstd = frame[op.getRstd()];
  Tensor<T> k1 = frame.make(op.getK1()), k2 = k1, k3 = k1, dscale = k1, dbias = k1;
  ChannelView view(dy.shape);
  for (int64_t c = 0; c < view.channels; ++c) {
    T center = mean.reals[c];
    double s1 = view.channelSum(c, [&](int64_t i) { return dy.reals[i]; });
    double s2 = view.channelSum(c, [&](int64_t i) -> T {
      T d = x.reals[i] - center;
      return dy.reals[i] * d;
    });
    auto k =
        numerics::batchNormBackward<T>(s1, s2, view.rows, gamma.reals[c], center, rstd.reals[c]);
    k1.reals[c] = k.k1, k2.reals[c] = k.k2, k3.reals[c] = k.k3, dscale.reals[c] = k.dgamma,
    dbias.reals[c] = k.dbeta;
  }
  frame.set(op.getK1(), std::move(k1));
  frame.set(op.getK2(), std::move(k2));
  frame.set(op.getK3(), std::move(k3));
  frame.set(op.getDscale(), std::move(dscale));
  frame.set(op.getDbias(), std::move(dbias));
}

/// The same from x̂ itself, whose mean is 0 and deviation 1; a = γ·rstd stands where γ stood.
template <typename T> static void normalizedGrad(nn::NormalizedGradOp op, Frame<T> &frame) {
  const Tensor<T> &dy = frame[op.getDy()], &x = frame[op.getX()], &slope = frame[op.getSlope()];
  Tensor<T> k2 = frame.make(op.getK2()), k3 = k2, dscale = k2, dbias = k2;
  ChannelView view(dy.shape);
  for (int64_t c = 0; c < view.channels; ++c) {
    double s1 = view.channelSum(c, [&](int64_t i) { return dy.reals[i]; });
    double s2 = view.channelSum(c, [&](int64_t i) -> T { return dy.reals[i] * x.reals[i]; });
    auto k = numerics::batchNormBackward<T>(s1, s2, view.rows, slope.reals[c], T(0), T(1));
    k2.reals[c] = k.k2, k3.reals[c] = k.k3, dscale.reals[c] = k.dgamma, dbias.reals[c] = k.dbeta;
  }
  frame.set(op.getK2(), std::move(k2));
  frame.set(op.getK3(), std::move(k3));
  frame.set(op.getDscale(), std::move(dscale));
  frame.set(op.getDbias(), std::move(dbias));
}

/// Two passes a row: mean, then rstd from Σ(x − mean)²; y = fma((x − mean)·rstd, γ, β).
template <typename T> static void layerNorm(nn::LayerNormOp op, Frame<T> &frame) {
  const Tensor<T> &x = frame[op.getX()], &gamma = frame[op.getScale()];
  const Tensor<T> *beta = op.getBias() ? &frame[op.getBias()] : nullptr;
  Tensor<T> y = frame.make(op.getResult()), mean = frame.make(op.getMean()), rstd = mean;
  numerics::ScalarOps<T> o;
  int64_t n = gamma.size();
  double eps = op.getEpsilon().convertToFloat();
  for (int64_t r = 0, at = 0; r < mean.size(); ++r, at += n) {
    const T *row = &x.reals[at];
    T m =
        op.getRms() ? T(0) : T(numerics::flatSum(n, [&](size_t i) { return row[i]; }) / double(n));
    double squares = numerics::flatSum(n, [&](size_t i) -> T {
      T d = row[i] - m;
      return d * d;
    });
    T s = numerics::layerNormRstd<T>(squares, n, eps);
    mean.reals[r] = m, rstd.reals[r] = s;
    for (int64_t i = 0; i < n; ++i) {
      T normalized = numerics::generic::layerNormalized(o, row[i], m, s);
      y.reals[at + i] =
          beta ? std::fma(normalized, gamma.reals[i], beta->reals[i]) : normalized * gamma.reals[i];
    }
  }
  frame.set(op.getResult(), std::move(y));
  frame.set(op.getMean(), std::move(mean));
  frame.set(op.getRstd(), std::move(rstd));
}

/// dx of each row from S₁ = Σdy·γ and S₂ = Σdy·γ·x̂; dγ = Σdy·x̂ and dβ = Σdy over the rows.
template <typename T> static void layerNormGrad(nn::LayerNormGradOp op, Frame<T> &frame) {
  const Tensor<T> &dy = frame[op.getDy()], &x = frame[op.getX()], &gamma = frame[op.getScale()],
                  &mean = frame[op.getMean()], &rstd = frame[op.getRstd()];
  Tensor<T> dx = frame.make(op.getDx()), dscale = frame.make(op.getDscale()), dbias = dscale;
  numerics::ScalarOps<T> o;
  int64_t n = gamma.size();
  auto normalized = [&](int64_t i) -> T {
    return numerics::generic::layerNormalized(o, x.reals[i], mean.reals[i / n], rstd.reals[i / n]);
  };
  auto g = [&](int64_t i) -> T { return dy.reals[i] * gamma.reals[i % n]; };
  for (int64_t r = 0, at = 0; r < mean.size(); ++r, at += n) {
    double s1 = op.getRms() ? 0.0 : numerics::flatSum(n, [&](size_t i) { return g(at + i); });
    double s2 = numerics::flatSum(n, [&](size_t i) -> T { return g(at + i) * normalized(at + i); });
    T k1 = T(s1 / double(n)), minusK2 = -T(s2 / double(n));
    for (int64_t i = at; i < at + n; ++i)
      dx.reals[i] =
          numerics::generic::layerNormDx(o, g(i), normalized(i), k1, minusK2, rstd.reals[r]);
  }
  ChannelView view(dy.shape);
  for (int64_t c = 0; c < n; ++c) {
    dscale.reals[c] =
        T(view.channelSum(c, [&](int64_t i) -> T { return dy.reals[i] * normalized(i); }));
    dbias.reals[c] = T(view.channelSum(c, [&](int64_t i) { return dy.reals[i]; }));
  }
  frame.set(op.getDx(), std::move(dx));
  frame.set(op.getDscale(), std::move(dscale));
  frame.set(op.getDbias(), std::move(dbias));
}

template <typename T> void addNorm(OpTable<T> &table) {
  table.template add<nn::LayerNormOp>(layerNorm<T>);
  table.template add<nn::LayerNormGradOp>(layerNormGrad<T>);
  table.template add<nn::BatchNormOp>(batchNorm<T>);
  table.template add<nn::BatchStatsOp>(batchStats<T>);
  table.template add<nn::BatchNormFoldOp>(batchNormFold<T>);
  table.template add<nn::BatchNormGradOp>(batchNormGrad<T>);
  table.template add<nn::NormalizedGradOp>(normalizedGrad<T>);
}

NIBBLE_INSTANTIATE_FAMILY(addNorm)

} // namespace nibble::reference

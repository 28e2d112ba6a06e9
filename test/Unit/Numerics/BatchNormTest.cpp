//===- BatchNormTest.cpp - Coefficients of batch norm -----------------------===//

#include "Laws.h"
#include <gtest/gtest.h>

using namespace nibble::numerics;
using namespace nibble::numerics::test;

namespace {

constexpr int64_t kRows = 500;
constexpr double kEps = 1e-5;

template <typename T> std::vector<T> activations(double mean, double sigma) {
  RandomBits bits(23, 0, fnv1a32("norm"));
  std::vector<T> z(kRows);
  for (int64_t i = 0; i < kRows; ++i)
    z[i] = static_cast<T>(mean + sigma * gaussian(bits, uint64_t(i)));
  return z;
}

template <typename T> BatchNormStats<T> statsOf(const std::vector<T> &z, T c) {
  double sum = channelSum(z.size(), kChannelBlockRows, [&](size_t i) { return z[i] - c; });
  double squares = channelSum(z.size(), kChannelBlockRows, [&](size_t i) {
    T d = z[i] - c;
    return d * d;
  });
  return batchNormStats(sum, squares, int64_t(z.size()), c, kEps);
}

} // namespace

// Whatever the shift c, mean and variance are those of the data; a far-off mean costs no accuracy
// once c is near.
TEST(BatchNorm, Statistics) {
  auto z = activations<float>(1000.0, 0.5);
  double mean = 0, variance = 0;
  for (float v : z)
    mean += double(v) / kRows;
  for (float v : z)
    variance += (v - mean) * (v - mean) / kRows;
  auto stats = statsOf(z, 999.9f);
  EXPECT_NEAR(stats.mean, mean, 1e-4);
  EXPECT_NEAR(stats.variance / variance, 1.0, 1e-5);
  EXPECT_NEAR(stats.rstd, 1 / std::sqrt(variance + kEps), 1e-4);
}

// The variance is never negative, so rstd is finite.
TEST(BatchNorm, VarianceOfAConstant) {
  auto stats = batchNormStats(10.0, 0.999999, 100, 0.0f, kEps);
  EXPECT_EQ(stats.variance, 0.0f);
  EXPECT_EQ(stats.rstd, static_cast<float>(1 / std::sqrt(kEps)));
  EXPECT_EQ(reciprocalStd(0.0f, kEps), stats.rstd);
}

// The output has mean beta and standard deviation gamma.
TEST(BatchNorm, Forward) {
  auto z = activations<float>(3.0, 2.0);
  auto stats = statsOf(z, 0.0f);
  auto [a, b] = batchNormForward(1.5f, -0.25f, stats.mean, stats.rstd);
  double mean = 0, square = 0;
  for (float v : z) {
    double y = std::fma(v, a, b);
    mean += y / kRows;
    square += y * y / kRows;
  }
  EXPECT_NEAR(mean, -0.25, 1e-5);
  EXPECT_NEAR(std::sqrt(square - mean * mean), 1.5, 1e-4);
}

// The backward coefficients are the derivative: against central differences in double, for dz,
// dgamma and dbeta.
TEST(BatchNorm, BackwardIsTheDerivative) {
  auto z = activations<double>(0.7, 1.3);
  double gamma = 1.4, beta = 0.2;
  auto weight = [](size_t i) { return std::sin(double(i)) + 0.3; };
  auto loss = [&](const std::vector<double> &z, double gamma, double beta) {
    auto stats = statsOf(z, 0.1);
    auto [a, b] = batchNormForward(gamma, beta, stats.mean, stats.rstd);
    double sum = 0;
    for (size_t i = 0; i < z.size(); ++i)
      sum += weight(i) * std::fma(z[i], a, b);
    return sum;
  };
  auto stats = statsOf(z, 0.1);
  double s1 = channelSum(z.size(), 96, weight);
  double s2 = channelSum(z.size(), 96, [&](size_t i) { return weight(i) * (z[i] - stats.mean); });
  auto k = batchNormBackward(s1, s2, kRows, gamma, stats.mean, stats.rstd);
  const double h = 1e-5;
  for (size_t i : {size_t(0), size_t(17), size_t(499)}) {
    auto up = z, down = z;
    up[i] += h;
    down[i] -= h;
    double want = (loss(up, gamma, beta) - loss(down, gamma, beta)) / (2 * h);
    EXPECT_NEAR(std::fma(k.k1, weight(i), std::fma(k.k2, z[i], k.k3)), want, 1e-6);
  }
  EXPECT_NEAR(k.dgamma, (loss(z, gamma + h, beta) - loss(z, gamma - h, beta)) / (2 * h), 1e-6);
  EXPECT_NEAR(k.dbeta, (loss(z, gamma, beta + h) - loss(z, gamma, beta - h)) / (2 * h), 1e-6);
}

// Running statistics mix by ONNX's momentum, each operation rounded.
TEST(BatchNorm, Running) {
  volatile float kept = 2.0f * 0.9f, taken = 3.0f * static_cast<float>(1.0 - 0.9);
  EXPECT_EQ(runningStat(2.0f, 3.0f, 0.9), kept + taken);
}

//===- LossTest.cpp - Softmax, cross-entropy, squared error -----------------===//

#include "Laws.h"
#include <gtest/gtest.h>

using namespace nibble::numerics;
using namespace nibble::numerics::test;

// Probabilities sum to one, log-softmax is their logarithm, and a shift of all logits changes
// nothing where the shift is exact.
TEST(Softmax, SumsToOne) {
  RandomBits bits(3, 0, 0);
  for (size_t n : {size_t(1), size_t(10), size_t(1000)}) {
    auto x = [&](size_t i) { return std::floor(uniform(bits, i) * 4096.0f) / 256.0f; };
    auto shifted = [&](size_t i) { return x(i) + 64.0f; };
    auto row = softmaxRow<float>(n, x);
    auto moved = softmaxRow<float>(n, shifted);
    double sum = 0;
    for (size_t i = 0; i < n; ++i) {
      float p = softmax(row, x(i));
      sum += p;
      EXPECT_NEAR(logSoftmax(row, x(i)), std::log(double(p)), 1e-5);
      EXPECT_EQ(softmax(moved, shifted(i)), p);
    }
    EXPECT_NEAR(sum, 1.0, 1e-6);
  }
}

// Huge logits neither overflow nor lose the label's loss.
TEST(CrossEntropy, HugeLogits) {
  float x[3] = {1.0e30f, -1.0e30f, 1.0e30f};
  auto row = softmaxRow<float>(3, [&](size_t i) { return x[i]; });
  EXPECT_NEAR(crossEntropy(row, x[0]), std::log(2.0), 1e-6);
  EXPECT_EQ(softmax(row, x[1]), 0.0f);
  x[1] = kNan;
  row = softmaxRow<float>(3, [&](size_t i) { return x[i]; });
  EXPECT_TRUE(std::isnan(crossEntropy(row, x[0])));
}

// The gradient of the mean cross-entropy, against central differences in double.
TEST(CrossEntropy, GradientIsTheDerivative) {
  std::vector<double> x = {0.3, -1.2, 2.0, 0.7, 0.0};
  const size_t label = 3;
  const int64_t rows = 4;
  auto loss = [&](const std::vector<double> &x) {
    auto row = softmaxRow<double>(x.size(), [&](size_t i) { return x[i]; });
    return meanOf<double>(crossEntropy(row, x[label]), rows);
  };
  auto row = softmaxRow<double>(x.size(), [&](size_t i) { return x[i]; });
  for (size_t i = 0; i < x.size(); ++i) {
    auto up = x, down = x;
    up[i] += 1e-5;
    down[i] -= 1e-5;
    double got = crossEntropyGradient(softmax(row, x[i]), i == label, meanWeight<double>(rows));
    EXPECT_NEAR(got, (loss(up) - loss(down)) / 2e-5, 1e-9);
  }
}

// The gradient of the mean squared error, against central differences in double.
TEST(SquaredError, GradientIsTheDerivative) {
  double x = 1.3, y = 0.4, h = 1e-5;
  double want = (squaredError(x + h, y) - squaredError(x - h, y)) / (2 * h) / 6;
  EXPECT_NEAR(squaredErrorGradient(x, y, 6), want, 1e-9);
  EXPECT_EQ(meanOf<float>(1.0, 3), static_cast<float>(1.0 / 3.0));
}

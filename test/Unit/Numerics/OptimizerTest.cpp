//===- OptimizerTest.cpp - Updates and learning rates -----------------------===//

#include "Laws.h"
#include <gtest/gtest.h>

using namespace nibble::numerics;
using namespace nibble::numerics::test;

// SGD follows its formula, every operation rounded, in each of its forms.
TEST(Sgd, Formula) {
  RandomBits bits(1, 0, 0);
  const float lr = 0.05f, mu = 0.9f, lambda = 1e-4f;
  for (int i = 0; i < 1000; ++i) {
    float theta = uniform(bits, 3 * i), v = uniform(bits, 3 * i + 1), g = uniform(bits, 3 * i + 2);
    for (bool nesterov : {false, true}) {
      volatile float decay = lambda * theta, g1 = g + decay, kept = mu * v, v1 = kept + g1;
      volatile float ahead = mu * v1, direction = nesterov ? g1 + ahead : v1;
      volatile float step = lr * direction;
      float t = theta, w = v;
      sgd({true, true, nesterov}, t, w, g, lr, mu, lambda);
      ASSERT_EQ(t, theta - step);
      ASSERT_EQ(w, v1);
    }
    float t = theta, w = 0.0f;
    sgd({}, t, w, g, lr, 0.0f, 0.0f);
    volatile float step = lr * g;
    ASSERT_EQ(t, theta - step);
    ASSERT_EQ(w, 0.0f);
  }
}

// An undecayed parameter has no decay term: the sign of a zero gradient survives.
TEST(Sgd, NoDecayTermWithoutDecay) {
  float theta = 1.0f, v = -0.0f;
  sgd({false, true, false}, theta, v, -0.0f, 0.1f, 0.9f, 0.0f);
  EXPECT_EQ(toBits(v), toBits(-0.0f));
}

// Momentum minimizes a quadratic (a sanity check of signs).
TEST(Sgd, Converges) {
  double theta = 5.0, v = 0.0;
  for (int i = 0; i < 300; ++i)
    sgd<double>({false, true, true}, theta, v, 2 * (theta - 3.0), 0.05, 0.9, 0.0);
  EXPECT_NEAR(theta, 3.0, 1e-9);
}

// Adam and AdamW in float follow the double recurrence of ONNX's definition.
TEST(Adam, FollowsTheDefinition) {
  const double lr = 0.01, b1 = 0.9, b2 = 0.999, eps = 1e-8, lambda = 0.05;
  AdamConstants<float> c(b1, b2, eps);
  for (bool decoupled : {false, true}) {
    float theta = 0.7f, m = 0, v = 0;
    double wide = 0.7f, wm = 0, wv = 0;
    for (int t = 1; t <= 200; ++t) {
      float g = std::sin(float(t)) * 0.3f;
      float decay = decoupled ? adamwDecay(lr, lambda) : float(lambda);
      adam({true, decoupled}, theta, m, v, g, adamRate(lr, t, b1, b2), decay, c);
      double wg = g;
      if (decoupled)
        wide -= lr * lambda * wide;
      else
        wg += lambda * wide;
      wm = b1 * wm + (1 - b1) * wg;
      wv = b2 * wv + (1 - b2) * wg * wg;
      wide -=
          lr * std::sqrt(1 - std::pow(b2, t)) / (1 - std::pow(b1, t)) * wm / (std::sqrt(wv) + eps);
      ASSERT_NEAR(theta, wide, 2e-6) << t;
    }
  }
}

// One step of Adam, rounded operation by operation in the written order.
TEST(Adam, OneStepExactly) {
  AdamConstants<float> c(0.9, 0.999, 1e-8);
  float theta = 0.3f, m = 0.02f, v = 0.004f, g = 0.11f, rate = adamRate(0.001, 5, 0.9, 0.999);
  volatile float m0 = c.b1 * m, m1 = c.c1 * g, mm = m0 + m1;
  volatile float gg = g * g, v0 = c.b2 * v, v1 = c.c2 * gg, vv = v0 + v1;
  volatile float top = rate * mm, root = std::sqrt(vv), bottom = root + c.eps, step = top / bottom;
  float want = theta - step;
  adam({}, theta, m, v, g, rate, 0.0f, c);
  EXPECT_EQ(theta, want);
  EXPECT_EQ(m, mm);
  EXPECT_EQ(v, vv);
  EXPECT_EQ(c.c1, static_cast<float>(1.0 - 0.9));
}

// Powers by repeated squaring are the C library's within the rounding of their multiplications.
TEST(AdamRate, AgainstPow) {
  EXPECT_EQ(powInteger(0.9, 0), 1.0);
  EXPECT_EQ(powInteger(2.0, 40), 0x1p40);
  for (int64_t t : {1, 2, 3, 10, 100, 999, 12345, 1000000}) {
    double b = std::pow(0.999, double(t));
    EXPECT_NEAR(powInteger(0.999, t) / (b > 0 ? b : 1), b > 0 ? 1.0 : 0.0, double(t) * 0x1p-52);
    double want = 0.001 * std::sqrt(1 - b) / (1 - std::pow(0.9, double(t)));
    EXPECT_NEAR(adamRate64(0.001, t, 0.9, 0.999) / want, 1.0, 1e-11);
  }
  EXPECT_EQ(adamRate(0.5, 1, 0.0, 0.0), 0.5f);
}

// cos(pi x) is right to 2 ulp of 1 and exact where it is rational.
TEST(Schedule, CosPi) {
  EXPECT_EQ(cosPi(0.0), 1.0);
  EXPECT_EQ(cosPi(0.5), 0.0);
  EXPECT_EQ(cosPi(1.0), -1.0);
  for (int i = 0; i <= 10000; ++i) {
    double x = i / 10000.0;
    long double want = std::cos(3.141592653589793238462643L * x);
    ASSERT_NEAR(cosPi(x), double(want), 0x1p-51) << x;
  }
}

// Each schedule begins and ends where it says, and the warm-up grows linearly to the base.
TEST(Schedule, Kinds) {
  LearningRate constant{.base = 0.05};
  EXPECT_EQ(constant.at(0), 0.05);
  EXPECT_EQ(constant.at(1000), 0.05);
  LearningRate step{.kind = ScheduleKind::Step, .base = 0.1, .gamma = 0.5, .stepSize = 10};
  EXPECT_EQ(step.at(9), 0.1);
  EXPECT_EQ(step.at(10), 0.05);
  EXPECT_EQ(step.at(25), 0.025);
  LearningRate cosine{.kind = ScheduleKind::Cosine, .base = 0.1, .total = 100};
  EXPECT_EQ(cosine.at(0), 0.1);
  EXPECT_NEAR(cosine.at(50), 0.05, 1e-15);
  EXPECT_EQ(cosine.at(100), 0.0);
  EXPECT_EQ(cosine.at(1000), 0.0);
  LearningRate warm{
      .kind = ScheduleKind::Cosine, .base = 0.1, .final = 0.01, .warmup = 5, .total = 105};
  EXPECT_NEAR(warm.at(0), 0.02, 1e-15);
  EXPECT_EQ(warm.at(4), 0.1);
  EXPECT_EQ(warm.at(5), 0.1);
  EXPECT_EQ(warm.at(105), 0.01);
  for (int t = 6; t < 105; ++t)
    EXPECT_LT(warm.at(t), warm.at(t - 1));
}

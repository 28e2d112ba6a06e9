//===- MathTest.cpp - Functions against a wide reference --------------------===//
//
// The bounds stated in docs/numerics.md were measured over all 2^32 floats (NIBBLE_MATH_STRIDE=1);
// the test walks every 1,009th float, which takes a second a function.

#include "Laws.h"
#include <cstdlib>
#include <gtest/gtest.h>

using namespace nibble::numerics;
using namespace nibble::numerics::test;

namespace {

/// One unit in the last place of f32 at t.
double ulpAt(double t) {
  int exponent;
  std::frexp(t, &exponent);
  return std::ldexp(1.0, std::max(exponent - 24, -149));
}

/// The largest error of f against g in ulps over a dense walk; non-finite results must be equal.
template <typename F, typename G> double worstError(F f, G g) {
  const char *text = std::getenv("NIBBLE_MATH_STRIDE");
  uint64_t stride = text ? std::strtoull(text, nullptr, 10) : 1009;
  double worst = 0;
  for (uint64_t b = 0; b < (uint64_t(1) << 32); b += stride ? stride : 1) {
    float x = fromBits(static_cast<uint32_t>(b)), y = f(x);
    double t = g(static_cast<double>(x));
    auto rounded = static_cast<float>(t);
    if (std::isnan(t) || std::isinf(rounded) || t == 0) {
      bool same = std::isnan(t) ? std::isnan(y) : y == rounded;
      if (!same) {
        ADD_FAILURE() << "at " << x << " got " << y << ", expected " << t;
        return INFINITY;
      }
      continue;
    }
    worst = std::fmax(worst, std::fabs(y - t) / ulpAt(t));
  }
  std::printf("largest error %.4f ulp\n", worst);
  return worst;
}

double wideSigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }

} // namespace

// Each function stays within its stated bound of the double result, for denormals and ends too.
TEST(Math, ExpWithinOneUlp) {
  EXPECT_LE(worstError([](float x) { return exp(x); }, [](double x) { return std::exp(x); }), 1.0);
}
TEST(Math, LogWithinOneUlp) {
  EXPECT_LE(worstError([](float x) { return log(x); }, [](double x) { return std::log(x); }), 1.0);
}
TEST(Math, TanhWithinOneAndAHalfUlp) {
  EXPECT_LE(worstError([](float x) { return tanh(x); }, [](double x) { return std::tanh(x); }),
            1.5);
}
TEST(Math, SigmoidWithinTwoAndAHalfUlp) {
  EXPECT_LE(worstError([](float x) { return sigmoid(x); }, wideSigmoid), 2.5);
}
TEST(Math, ErfWithinOneAndAHalfUlp) {
  EXPECT_LE(worstError([](float x) { return erf(x); }, [](double x) { return std::erf(x); }), 1.5);
}

// The ends: where results are infinite, zero, one or undefined.
TEST(Math, Ends) {
  EXPECT_EQ(exp(0.0f), 1.0f);
  EXPECT_EQ(exp(-0.0f), 1.0f);
  EXPECT_EQ(exp(kInfinity), kInfinity);
  EXPECT_EQ(exp(-kInfinity), 0.0f);
  EXPECT_EQ(exp(88.8f), kInfinity);
  EXPECT_LT(exp(88.72f), kInfinity);
  EXPECT_GT(exp(-103.0f), 0.0f);
  EXPECT_EQ(exp(-104.0f), 0.0f);
  EXPECT_EQ(log(1.0f), 0.0f);
  EXPECT_EQ(log(0.0f), -kInfinity);
  EXPECT_EQ(log(-0.0f), -kInfinity);
  EXPECT_EQ(log(kInfinity), kInfinity);
  EXPECT_TRUE(std::isnan(log(-1.0f)));
  EXPECT_TRUE(std::isnan(log(-kInfinity)));
  EXPECT_EQ(tanh(kInfinity), 1.0f);
  EXPECT_EQ(tanh(-10.0f), -1.0f);
  EXPECT_EQ(toBits(tanh(-0.0f)), toBits(-0.0f));
  EXPECT_EQ(sigmoid(0.0f), 0.5f);
  EXPECT_EQ(sigmoid(kInfinity), 1.0f);
  EXPECT_EQ(sigmoid(-kInfinity), 0.0f);
  EXPECT_EQ(erf(kInfinity), 1.0f);
  EXPECT_EQ(erf(-5.0f), -1.0f);
  EXPECT_EQ(toBits(erf(-0.0f)), toBits(-0.0f));
  for (float y : {exp(kNan), log(kNan), tanh(kNan), sigmoid(kNan), erf(kNan)})
    EXPECT_TRUE(std::isnan(y));
}

// tanh and erf are odd in every bit, and stay inside [-1, 1].
TEST(Math, OddAndBounded) {
  for (float x : finiteBf16()) {
    ASSERT_EQ(toBits(tanh(-x)), toBits(-tanh(x)));
    ASSERT_EQ(toBits(erf(-x)), toBits(-erf(x)));
    ASSERT_LE(std::fabs(tanh(x)), 1.0f);
    ASSERT_LE(std::fabs(erf(x)), 1.0f);
  }
}

// In double the functions are the C library's: finite differences see no error of ours.
TEST(Math, Double) {
  namespace numerics = nibble::numerics;
  EXPECT_EQ(numerics::exp(0.3), std::exp(0.3));
  EXPECT_EQ(numerics::log(0.3), std::log(0.3));
  EXPECT_EQ(numerics::tanh(0.3), std::tanh(0.3));
  EXPECT_EQ(numerics::erf(0.3), std::erf(0.3));
  EXPECT_EQ(numerics::sigmoid(0.3), wideSigmoid(0.3));
}

//===- PolicyTest.cpp - Definitions use nothing but their policy ------------===//
//
// Codegen instantiates the definitions for values that have no C++ operators. Here they are
// instantiated for opaque pairs of lanes: that this compiles shows that only policy functions are
// called, that the lanes agree with the scalar forms shows that they are one definition.

#include "Laws.h"
#include <gtest/gtest.h>

using namespace nibble::numerics;
using namespace nibble::numerics::test;

namespace {

template <typename T> struct Pair {
  T lane[2];
};

template <typename Fn> auto lanes(Fn fn) -> Pair<decltype(fn(0))> { return {{fn(0), fn(1)}}; }

/// Two lanes at a time; a stateful object, like an IR builder.
struct PairOps {
  using F = Pair<float>;
  using I = Pair<int32_t>;
  using B = Pair<bool>;
  FloatOps s;
  int count = 0;

  template <typename Fn> auto each(Fn fn) {
    ++count;
    return lanes(fn);
  }
#define UNARY(NAME, X)                                                                             \
  auto NAME(X a) {                                                                                 \
    return each([&](int l) { return s.NAME(a.lane[l]); });                                         \
  }
#define BINARY(NAME, X, Y)                                                                         \
  auto NAME(X a, Y b) {                                                                            \
    return each([&](int l) { return s.NAME(a.lane[l], b.lane[l]); });                              \
  }
#define SHIFT(NAME)                                                                                \
  auto NAME(I a, int n) {                                                                          \
    return each([&](int l) { return s.NAME(a.lane[l], n); });                                      \
  }
  F constF(float x) { return {{x, x}}; }
  I constI(int32_t x) { return {{x, x}}; }
  BINARY(add, F, F) BINARY(sub, F, F) BINARY(mul, F, F) BINARY(div, F, F) F fma(F a, F b, F c) {
    return each([&](int l) { return s.fma(a.lane[l], b.lane[l], c.lane[l]); });
  }
  UNARY(sqrt, F)
  BINARY(iadd, I, I)
  BINARY(isub, I, I)
  BINARY(imul, I, I) BINARY(umulHigh, I, I) BINARY(iand, I, I) BINARY(ior, I, I) BINARY(ixor, I, I)
      SHIFT(shl) SHIFT(lshr) SHIFT(ashr) UNARY(bits, F) UNARY(fromBits, I) UNARY(toFloat, I)
          BINARY(lt, F, F) BINARY(unordered, F, F) BINARY(ilt, I, I) BINARY(band, B, B)
              BINARY(bor, B, B) UNARY(bnot, B) F select(B c, F a, F b) {
    return each([&](int l) { return s.select(c.lane[l], a.lane[l], b.lane[l]); });
  }
  F scale(F y, I n, F real) {
    return each([&](int l) { return s.scale(y.lane[l], n.lane[l], real.lane[l]); });
  }
  I select(B c, I a, I b) {
    return each([&](int l) { return s.select(c.lane[l], a.lane[l], b.lane[l]); });
  }
#undef UNARY
#undef BINARY
#undef SHIFT
};

/// Applies fn to neighbouring bf16 inputs as lanes and hands both lanes to check(x, lane result).
template <typename Fn, typename Check> void forAllPairs(Fn fn, Check check) {
  auto all = finiteBf16();
  all.push_back(kInfinity);
  all.push_back(kNan);
  PairOps o;
  for (size_t i = 0; i + 1 < all.size(); i += 2) {
    auto y = fn(o, Pair<float>{{all[i], all[i + 1]}});
    check(all[i], y.lane[0]);
    check(all[i + 1], y.lane[1]);
  }
}

void sameFloat(float want, float got) {
  if (std::isnan(want))
    ASSERT_TRUE(std::isnan(got));
  else
    ASSERT_EQ(toBits(want), toBits(got));
}

} // namespace

// Functions: lanes equal scalars bit for bit.
TEST(Policy, Math) {
  forAllPairs([](PairOps &o, auto x) { return generic::exp(o, x); },
              [](float x, float y) { sameFloat(exp(x), y); });
  forAllPairs([](PairOps &o, auto x) { return generic::log(o, x); },
              [](float x, float y) { sameFloat(log(x), y); });
  forAllPairs([](PairOps &o, auto x) { return generic::tanh(o, x); },
              [](float x, float y) { sameFloat(tanh(x), y); });
  forAllPairs([](PairOps &o, auto x) { return generic::sigmoid(o, x); },
              [](float x, float y) { sameFloat(sigmoid(x), y); });
  forAllPairs([](PairOps &o, auto x) { return generic::erf(o, x); },
              [](float x, float y) { sameFloat(erf(x), y); });
}

// Quantizers: lanes equal scalars.
TEST(Policy, Quantizers) {
  forAllPairs(
      [](PairOps &o, auto x) {
        return generic::quantizeNearest(o, x, o.constF(3.7f), o.constF(-7), o.constF(7));
      },
      [](float x, int q) { ASSERT_EQ(quantizeNearest(x, 3.7f, kTwoSided15), q); });
  forAllPairs(
      [](PairOps &o, auto x) {
        return generic::quantizeStochastic(o, x, o.constF(3.7f), o.constF(0), o.constF(15),
                                           o.constI(12345));
      },
      [](float x, int q) { ASSERT_EQ(quantizeStochastic(x, 3.7f, kOneSided, 12345), q - 8); });
  forAllPairs(
      [](PairOps &o, auto x) { return generic::encodeRadix4Nearest(o, x, o.constF(1024.0f)); },
      [](float x, int code) { ASSERT_EQ(int(encodeRadix4Nearest(x, 1024.0f)), code); });
  forAllPairs(
      [](PairOps &o, auto x) {
        return generic::encodeRadix2Stochastic(o, x, o.constF(0.37f), o.constI(999));
      },
      [](float x, int code) { ASSERT_EQ(int(encodeRadix2Stochastic(x, 0.37f, 999)), code); });
  forAllPairs([](PairOps &o, auto x) { return generic::toBf16(o, x); },
              [](float x, int h) { ASSERT_EQ(int(toBf16(x)), h); });
}

// Random blocks, scales, updates and clips compile and agree.
TEST(Policy, TheRest) {
  PairOps o;
  std::array<Pair<int32_t>, 4> c = {Pair<int32_t>{{0, 1}}, o.constI(0), o.constI(7), o.constI(9)};
  generic::philox4x32(o, c, o.constI(5), o.constI(6));
  for (int l = 0; l < 2; ++l) {
    RandomBits bits((uint64_t(6) << 32) | 5, 7, 9);
    for (int j = 0; j < 8; ++j)
      EXPECT_EQ(generic::halfWord(o, c, j).lane[l], bits.at(uint64_t(8 * l + j)));
  }
  Pair<float> max{{0.03f, 0.2f}}, s = o.constF(1024.0f);
  for (int l = 0; l < 2; ++l) {
    EXPECT_EQ(generic::updateGradScale(o, s, max).lane[l], updateGradScale(1024.0f, max.lane[l]));
    EXPECT_EQ(generic::scaleFromMax(o, max, o.constF(7)).lane[l], scaleFromMax(max.lane[l], 7));
    EXPECT_EQ(generic::learnedClip(o, max, s).lane[l], max.lane[l]);
    EXPECT_EQ(generic::clipTerm(o, s, max, s, true).lane[l], max.lane[l]);
  }
  auto r = generic::sgd(o, {true, true, true}, s, max, max, max, max, max);
  float theta = 1024.0f, v = 0.2f;
  sgd({true, true, true}, theta, v, 0.2f, 0.2f, 0.2f, 0.2f);
  EXPECT_EQ(r.theta.lane[1], theta);
  EXPECT_EQ(r.velocity.lane[1], v);
  EXPECT_GT(o.count, 0);
}

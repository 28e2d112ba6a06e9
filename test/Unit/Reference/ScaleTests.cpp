//===- ScaleTests.cpp - Ranges, scales and flags ------------------------------===//
#include "TestSupport.h"

#include "nibble/Numerics/Scale.h"

using namespace nibble;
using namespace nibble::reference;
using namespace nibble::reference::test;

/// One op with rank-0 or vector operands and `result` as its one result type.
static TensorF op(const std::string &name, llvm::ArrayRef<TensorF> arguments,
                  const std::string &attributes = "", const std::string &result = "tensor<f32>") {
  std::string parameters, operands, types;
  for (auto [i, a] : llvm::enumerate(arguments)) {
    std::string type = a.kind == ElementKind::Mask ? "tensor<i1>" : realType(a.shape),
                comma = i ? ", " : "";
    parameters += comma + "%a" + std::to_string(i) + ": " + type;
    operands += comma + "%a" + std::to_string(i);
    types += comma + type;
  }
  auto y = run<float>(
      oneOp(parameters,
            name + " " + operands + " " + attributes + " : (" + types + ") -> " + result, result),
      arguments);
  return y.empty() ? TensorF() : y[0];
}
static float scalar(float value, const std::string &name, const std::string &attributes = "") {
  return op(name, {TensorF::scalar(value)}, attributes).reals.at(0);
}

// max|x|, NaN where any element is NaN, wherever it stands.
TEST(Scale, AbsMax) {
  expectBits(op("q4.absmax", {vec({1, -3, 2})}), {3});
  expectBits(op("q4.absmax", {vec({kNan, -3})}), {kNan});
  expectBits(op("q4.absmax", {vec({5, kNan})}), {kNan});
  expectBits(op("q4.absmax", {vec({5, -kInf})}), {kInf});
}

// A range always holds zero.
TEST(Scale, Range) {
  auto range = [](const TensorF &x) {
    std::string type = realType(x.shape);
    return run<float>(
        "func.func @f(%x: " + type +
            ") -> (tensor<f32>, tensor<f32>) {\n %l, %h = q4.range %x : (" + type +
            ") -> (tensor<f32>, tensor<f32>)\n return %l, %h : tensor<f32>, tensor<f32>\n}",
        {x});
  };
  auto both = range(vec({-2, 5, 1})), positive = range(vec({2, 5})), nan = range(vec({1, kNan, 3}));
  expectBits(both[0], {-2});
  expectBits(both[1], {5});
  expectBits(positive[0], {0});
  expectBits(positive[1], {5});
  expectBits(nan[0], {kNan});
  expectBits(nan[1], {kNan});
}

// NaN always raises the flag, infinities only where they are asked for; flags are joined by OR.
TEST(Scale, Flags) {
  auto flag = [](std::vector<float> x, const std::string &attributes) {
    return op("q4.non_finite", {vec(std::move(x))}, attributes, "tensor<i1>").ints.at(0);
  };
  EXPECT_EQ(flag({1, 2}, ""), 0);
  EXPECT_EQ(flag({1, kNan}, ""), 1);
  EXPECT_EQ(flag({1, kInf}, ""), 0);
  EXPECT_EQ(flag({1, -kInf}, "{infinities}"), 1);
  EXPECT_EQ(flag({1, 3e38f}, "{infinities}"), 0);
  EXPECT_EQ(op("q4.or", {TensorF::flag(false), TensorF::flag(true), TensorF::flag(false)}, "",
               "tensor<i1>")
                .ints[0],
            1);
  EXPECT_EQ(op("q4.or", {TensorF::flag(false), TensorF::flag(false)}, "", "tensor<i1>").ints[0], 0);
}

// SAWB by hand: 12.035·√mean(w²) − 12.03·mean|w|; nearly constant weights fall back to max|w|.
TEST(Scale, SawbClip) {
  double expected = 12.035 * std::sqrt((1.0 + 4 + 9 + 0) / 4) - 12.03 * (1.0 + 2 + 3 + 0) / 4;
  expectBits(op("q4.sawb_clip", {vec({1, -2, 3, 0})}), {static_cast<float>(expected)});
  std::vector<float> w(1000, 0.0f);
  w[0] = 1; // mean|w| is small beside the root mean square: α is well above 0
  EXPECT_GT(op("q4.sawb_clip", {vec(w)}).reals[0], 0.0f);
  // α = 0.005·|w| for constant |w|, still positive; all zero: max|w| = 0.
  expectBits(op("q4.sawb_clip", {vec({0, 0})}), {0});
}

// s = max/divisor; 1 below 2⁻¹⁰⁰.
TEST(Scale, Scale) {
  EXPECT_EQ(scalar(3, "q4.scale", "{divisor = 7.0 : f32}"), 3.0f / 7);
  EXPECT_EQ(scalar(0, "q4.scale", "{divisor = 7.0 : f32}"), 1);
  EXPECT_EQ(scalar(0x1p-101f, "q4.scale", "{divisor = 15.0 : f32}"), 1);
}

// min–max: (hi − lo)/15 and RNE(−lo/s) − 8.
TEST(Scale, AffineScale) {
  auto r = run<float>("func.func @f(%l: tensor<f32>, %h: tensor<f32>) -> (tensor<f32>, "
                      "tensor<i32>) {\n %s, %z = q4.affine_scale %l, "
                      "%h : (tensor<f32>, tensor<f32>) -> (tensor<f32>, tensor<i32>)\n return %s, "
                      "%z : tensor<f32>, tensor<i32>\n}",
                      {TensorF::scalar(-5), TensorF::scalar(10)});
  expectBits(r[0], {1});
  EXPECT_EQ(r[1].ints[0], -3);
}

// The step of the radix-4 grid: 1/(64·s), half of it in the odd phase.
TEST(Scale, LogScale) {
  EXPECT_EQ(scalar(1024, "q4.log_scale"), 0x1p-16f);
  EXPECT_EQ(scalar(1024, "q4.log_scale", "{odd}"), 0x1p-17f);
}

// GradScale halves above 64, doubles below 32, and stays otherwise, at zero, at NaN and at
// infinity; it stays within its bounds.
TEST(Scale, GradScale) {
  auto update = [](float s, float max) {
    return op("q4.grad_scale_update", {TensorF::scalar(s), TensorF::scalar(max)}).reals[0];
  };
  EXPECT_EQ(update(1024, 0.1f), 512);
  EXPECT_EQ(update(1024, 0.01f), 2048);
  EXPECT_EQ(update(1024, 0.05f), 1024);
  EXPECT_EQ(update(1024, 0), 1024);
  EXPECT_EQ(update(1024, kNan), 1024);
  EXPECT_EQ(update(1024, kInf), 1024);
  EXPECT_EQ(update(0x1p61f, 0x1p-100f), 0x1p61f);
  EXPECT_EQ(update(0x1p-18f, 0x1p60f), 0x1p-18f);
}

// Ranges that last: a moving average that takes its first value whole; a clip that is set by the
// first pass, or by `init`, and never falls below its floor; a frozen range that calibrates on the
// first batch.
TEST(Scale, Ranges) {
  auto pair = [](const std::string &name, float state, const TensorF &x,
                 const std::string &attributes = "") {
    return op(name, {TensorF::scalar(state), x}, attributes).reals.at(0);
  };
  EXPECT_EQ(pair("q4.moving_range", 0, TensorF::scalar(5)), 5);
  EXPECT_EQ(pair("q4.moving_range", 10, TensorF::scalar(5)), 0.99f * 10 + 0.01f * 5);
  std::string unset = "{init = 0.0 : f32, floor = 0.5 : f32}",
              six = "{init = 6.0 : f32, floor = 0.5 : f32}";
  EXPECT_EQ(pair("q4.init_clip", 2, vec({1, -9}), unset), 2);
  EXPECT_EQ(pair("q4.init_clip", 0, vec({1, -9}), unset), 9);
  EXPECT_EQ(pair("q4.init_clip", 0, vec({1, -9}), six), 6);
  EXPECT_EQ(pair("q4.init_clip", 0.25f, vec({1, -9}), unset), 0.5f);
  EXPECT_EQ(pair("q4.frozen_range", 2, vec({1, -9})), 2);
  EXPECT_EQ(pair("q4.frozen_range", 0, vec({1, -9})), 9);
}

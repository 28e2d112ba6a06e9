//===- ElementwiseTests.cpp - Values of nn's element-wise ops -----------------===//
#include "TestSupport.h"

#include "nibble/Numerics/Math.h"

using namespace nibble;
using namespace nibble::reference;
using namespace nibble::reference::test;

static TensorF unary(const std::string &op, std::vector<float> x,
                     const std::string &attributes = "") {
  std::string type = realType({static_cast<int64_t>(x.size())});
  auto y = run<float>(oneOp("%x: " + type, op + " %x " + attributes + " : " + type, type),
                      {vec(std::move(x))});
  return y.empty() ? TensorF() : y[0];
}

static TensorF binary(const std::string &op, const TensorF &a, const TensorF &b,
                      llvm::ArrayRef<int64_t> result) {
  std::string types = realType(a.shape) + ", " + realType(b.shape);
  auto y =
      run<float>(oneOp("%a: " + realType(a.shape) + ", %b: " + realType(b.shape),
                       op + " %a, %b : (" + types + ") -> " + realType(result), realType(result)),
                 {a, b});
  return y.empty() ? TensorF() : y[0];
}

// Sign operations touch the sign bit alone, of zeros too.
TEST(Elementwise, SignOps) {
  expectBits(unary("nn.neg", {1.5f, -0.0f, 0.0f, -kInf}), {-1.5f, 0.0f, -0.0f, kInf});
  expectBits(unary("nn.abs", {-1.5f, -0.0f, kNan}), {1.5f, 0.0f, kNan});
}

// relu(x) = 0 > x ? +0 : x: NaN and −0 pass; leaky_relu and clip are the formulas of their
// summaries.
TEST(Elementwise, PiecewiseLinear) {
  expectBits(unary("nn.relu", {-2.0f, 3.0f, -0.0f, kNan, -kInf}), {0.0f, 3.0f, -0.0f, kNan, 0.0f});
  expectBits(unary("nn.leaky_relu", {-2.0f, 3.0f}, "{slope = 0.25 : f32}"), {-0.5f, 3.0f});
  expectBits(unary("nn.clip", {-2.0f, 0.5f, 7.0f, kNan}, "{lo = -1.0 : f32, hi = 6.0 : f32}"),
             {-1.0f, 0.5f, 6.0f, kNan});
}

// Functions are those of Numerics, bit for bit.
TEST(Elementwise, FunctionsAreNumerics) {
  for (float x : {0.0f, 0.5f, 1.0f, 3.75f, 20.0f}) {
    expectBits(unary("nn.exp", {x, -x}), {numerics::exp(x), numerics::exp(-x)});
    expectBits(unary("nn.log", {x, x + 1}), {numerics::log(x), numerics::log(x + 1)});
    expectBits(unary("nn.erf", {x, -x}), {numerics::erf(x), numerics::erf(-x)});
    expectBits(unary("nn.tanh", {x, -x}), {numerics::tanh(x), numerics::tanh(-x)});
    expectBits(unary("nn.sigmoid", {x, -x}), {numerics::sigmoid(x), numerics::sigmoid(-x)});
    expectBits(unary("nn.sqrt", {x, x * 2}), {std::sqrt(x), std::sqrt(x * 2)});
  }
}

// Operands broadcast as in NumPy: scalars, trailing dimensions, and dimensions of 1 in the middle.
TEST(Elementwise, Broadcast) {
  TensorF a = TensorF::real({2, 3}, {1, 2, 3, 4, 5, 6});
  expectBits(binary("nn.add", a, TensorF::scalar(10), {2, 3}), {11, 12, 13, 14, 15, 16});
  expectBits(binary("nn.sub", a, vec({1, 2, 3}), {2, 3}), {0, 0, 0, 3, 3, 3});
  expectBits(binary("nn.mul", a, TensorF::real({2, 1}, {2, -1}), {2, 3}), {2, 4, 6, -4, -5, -6});
  expectBits(binary("nn.div", TensorF::real({2, 1}, {6, 12}), vec({1, 2, 3}), {2, 3}),
             {6, 3, 2, 12, 6, 4});
}

// min and max return their first operand where neither is smaller (numerics.md): that decides NaN
// and zeros.
TEST(Elementwise, MinMax) {
  TensorF a = vec({1, 2, kNan, 0.0f}), b = vec({2, 1, 1, -0.0f});
  expectBits(binary("nn.min", a, b, {4}), {1, 1, kNan, 0.0f});
  expectBits(binary("nn.max", a, b, {4}), {2, 2, kNan, 0.0f});
}

// fma rounds once: (1 + 2⁻¹²)² = 1 + 2⁻¹¹ + 2⁻²⁴, whose last term a product rounded by itself
// loses.
TEST(Elementwise, FmaRoundsOnce) {
  float a = 1.0f + 0x1p-12f;
  auto y =
      run<float>(oneOp("%a: tensor<f32>, %b: tensor<f32>, %c: tensor<f32>",
                       "nn.fma %a, %b, %c : (tensor<f32>, tensor<f32>, tensor<f32>) -> tensor<f32>",
                       "tensor<f32>"),
                 {TensorF::scalar(a), TensorF::scalar(a), TensorF::scalar(-1.0f - 0x1p-11f)});
  expectBits(y[0], {0x1p-24f});
}

// Comparisons are ordered: NaN compares false with everything.
TEST(Elementwise, Compare) {
  auto compare = [](const std::string &predicate) {
    return run<float>(oneOp("%a: tensor<4xf32>, %b: tensor<f32>",
                            "nn.compare %a, %b {predicate = #nn.cmp<" + predicate +
                                ">} : (tensor<4xf32>, tensor<f32>) -> tensor<4xi1>",
                            "tensor<4xi1>"),
                      {vec({1, 2, 3, kNan}), TensorF::scalar(2)})[0]
        .ints;
  };
  using Ints = std::vector<int32_t>;
  EXPECT_EQ(compare("lt"), (Ints{1, 0, 0, 0}));
  EXPECT_EQ(compare("le"), (Ints{1, 1, 0, 0}));
  EXPECT_EQ(compare("gt"), (Ints{0, 0, 1, 0}));
  EXPECT_EQ(compare("ge"), (Ints{0, 1, 1, 0}));
  EXPECT_EQ(compare("eq"), (Ints{0, 1, 0, 0}));
}

// inside is strict at both ends; a learned clip stops at ±α, or at 0 and α.
TEST(Elementwise, LearnedClip) {
  TensorF x = vec({-3, -2, -1, 0, 1, 2, 3}), alpha = TensorF::scalar(2);
  auto clip = [&](const std::string &attributes) {
    return run<float>(oneOp("%x: tensor<7xf32>, %a: tensor<f32>",
                            "nn.clip_learned %x, %a " + attributes +
                                " : (tensor<7xf32>, tensor<f32>) -> tensor<7xf32>",
                            "tensor<7xf32>"),
                      {x, alpha})[0];
  };
  expectBits(clip(""), {-2, -2, -1, 0, 1, 2, 2});
  expectBits(clip("{one_sided}"), {0, 0, 0, 0, 1, 2, 2});
  auto bits = run<float>(
      oneOp("%x: tensor<7xf32>, %l: tensor<f32>, %h: tensor<f32>",
            "nn.inside %x, %l, %h : (tensor<7xf32>, tensor<f32>, tensor<f32>) -> tensor<7xi1>",
            "tensor<7xi1>"),
      {x, TensorF::scalar(-2), alpha})[0];
  EXPECT_EQ(bits.ints, (std::vector<int32_t>{0, 0, 1, 1, 1, 0, 0}));
}

// mask gives +0 (not −0·x) where the bit is unset, even of NaN; select chooses between two values.
TEST(Elementwise, MaskAndSelect) {
  TensorF bits = TensorF::integer(ElementKind::Mask, {3}, {1, 0, 0});
  expectBits(run<float>(oneOp("%x: tensor<3xf32>, %b: tensor<3xi1>",
                              "nn.mask %x, %b : (tensor<3xf32>, tensor<3xi1>) -> tensor<3xf32>",
                              "tensor<3xf32>"),
                        {vec({-5, -7, kNan}), bits})[0],
             {-5, 0.0f, 0.0f});
  expectBits(
      run<float>(
          oneOp(
              "%b: tensor<3xi1>, %x: tensor<3xf32>, %y: tensor<f32>",
              "nn.select %b, %x, %y : (tensor<3xi1>, tensor<3xf32>, tensor<f32>) -> tensor<3xf32>",
              "tensor<3xf32>"),
          {bits, vec({1, 2, 3}), TensorF::scalar(9)})[0],
      {1, 9, 9});
}

// Dropout keeps where the 16 bits are at or above RNE(65536·ratio); as the graph has it, it is
// inference's identity.
TEST(Elementwise, Dropout) {
  TensorF bits = TensorF::integer(ElementKind::Bits, {4}, {0, 16383, 16384, 65535});
  auto keep =
      run<float>(oneOp("%u: tensor<4xi16>",
                       "nn.keep_mask %u {ratio = 0.25 : f32} : (tensor<4xi16>) -> tensor<4xi1>",
                       "tensor<4xi1>"),
                 {bits})[0];
  EXPECT_EQ(keep.ints, (std::vector<int32_t>{0, 0, 1, 1}));
  expectBits(
      run<float>(oneOp("%x: tensor<2xf32>",
                       "nn.dropout %x {ratio = 0.5 : f32} : (tensor<2xf32>) -> tensor<2xf32>",
                       "tensor<2xf32>"),
                 {vec({1, -2})})[0],
      {1, -2});
}

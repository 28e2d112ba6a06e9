//===- NormTests.cpp - Batch normalization, softmax, losses -------------------===//
#include "TestSupport.h"

#include "nibble/Numerics/BatchNorm.h"
#include "nibble/Numerics/Loss.h"

using namespace nibble;
using namespace nibble::reference;
using namespace nibble::reference::test;

namespace {

const std::string kC = "tensor<2xf32>";

std::string results(const std::string &op, const std::string &parameters,
                    const std::string &operands, const std::string &attributes,
                    const std::string &types, int count) {
  std::string names, resultTypes;
  for (int i = 0; i < count; ++i) {
    names += (i ? ", %r" : "%r") + std::to_string(i);
    resultTypes += (i ? ", " : "") + kC;
  }
  return "func.func @f(" + parameters + ") -> (" + resultTypes + ") {\n  " + names + " = " + op +
         " " + operands + " {" + attributes + "} : (" + types + ") -> (" + resultTypes +
         ")\n  return " + names + " : " + resultTypes + "\n}";
}

llvm::SmallVector<TensorF> batchStats(const TensorF &x, const TensorF &mean,
                                      const TensorF &variance) {
  std::string type = realType(x.shape),
              types = type + ", " + kC + ", " + kC + ", " + kC + ", " + kC;
  return run<float>(
      results("nn.batch_stats",
              "%x: " + type + ", %g: " + kC + ", %b: " + kC + ", %m: " + kC + ", %v: " + kC,
              "%x, %g, %b, %m, %v", "epsilon = 0.25 : f32, momentum = 0.75 : f32", types, 6),
      {x, vec({2, 1}), vec({3, 0}), mean, variance});
}

} // namespace

// Statistics of a batch by hand: channel 0 holds 1, 3, 1, 3 (mean 2, variance 1), channel 1 is
// constant; 1/√(1 + 1/4).
TEST(Norm, BatchStats) {
  TensorF x = TensorF::real({4, 2}, {1, 5, 3, 5, 1, 5, 3, 5});
  auto r = batchStats(x, vec({1, 5}), vec({0.5f, 2}));
  float rstd0 = static_cast<float>(1 / std::sqrt(1.25)), a0 = 2 * rstd0;
  expectBits(r[0], {a0, 2});
  expectBits(r[1], {static_cast<float>(3.0 - 2.0 * a0), -10});
  expectBits(r[2], {2, 5});
  expectBits(r[3], {rstd0, 2});
  expectBits(r[4], {0.75f * 1 + 0.25f * 2, 5});
  expectBits(r[5], {0.75f * 0.5f + 0.25f * 1, 1.5f});
}

// A row by hand: 1, 3, 1, 3 has mean 2, variance 1 and rstd 1/√(1 + 1/4); the root mean square of
// 3, 3, 3, 3 is 3.
TEST(Norm, LayerNorm) {
  std::string x = "tensor<2x4xf32>", v = "tensor<4xf32>", r = "tensor<2xf32>";
  auto program = [&](const std::string &attributes) {
    return "func.func @f(%x: " + x + ", %g: " + v + ", %b: " + v + ") -> (" + x + ", " + r + ", " +
           r + ") {\n  %0, %1, %2 = nn.layer_norm %x, %g, %b {epsilon = 0.25 : f32" + attributes +
           "} : (" + x + ", " + v + ", " + v + ") -> (" + x + ", " + r + ", " + r +
           ")\n  return %0, %1, %2 : " + x + ", " + r + ", " + r + "\n}";
  };
  TensorF rows = TensorF::real({2, 4}, {1, 3, 1, 3, 3, 3, 3, 3});
  float s = static_cast<float>(1 / std::sqrt(1.25));
  auto y = run<float>(program(""), {rows, vec({1, 2, 4, 8}), vec({0, 1, 0, -1})});
  expectBits(y[0], {-s, std::fma(s, 2.0f, 1.0f), -4 * s, std::fma(s, 8.0f, -1.0f), 0, 1, 0, -1});
  expectBits(y[1], {2, 3});
  expectBits(y[2], {s, 2});
  auto q = run<float>(program(", rms"), {rows, vec({1, 1, 1, 1}), vec({0, 0, 0, 0})});
  float t = static_cast<float>(1 / std::sqrt(9.25));
  expectBits(q[1], {0, 0});
  EXPECT_EQ(q[2].reals[1], t);
  EXPECT_EQ(q[0].reals[4], 3 * t);
}

// The running mean is only a pivot: the batch's statistics do not depend on it beyond rounding; a
// variance is never negative.
TEST(Norm, PivotDoesNotMatter) {
  TensorF x = TensorF::real({4, 2}, {1000, 5, 1001, 5, 1002, 5, 1003, 5});
  auto near = batchStats(x, vec({1001, 5}), vec({1, 1})),
       far = batchStats(x, vec({0, 4}), vec({1, 1}));
  for (int i : {0, 2, 3})
    for (int c : {0, 1})
      EXPECT_NEAR(near[i].reals[c], far[i].reals[c], 1e-3 * std::fabs(near[i].reals[c]));
}

// In evaluation a batch norm is one fma with the folded running statistics, as batch_norm_fold
// gives them.
TEST(Norm, FoldAndInference) {
  TensorF x = TensorF::real({2, 2}, {1, 2, 3, 4});
  std::string attributes = "epsilon = 0.25 : f32";
  TensorF gamma = vec({2, 1}), beta = vec({3, 0}), mean = vec({1, 2}), variance = vec({0.75f, 2});
  std::string parameters = "%g: " + kC + ", %b: " + kC + ", %m: " + kC + ", %v: " + kC;
  auto fold = run<float>(results("nn.batch_norm_fold", parameters, "%g, %b, %m, %v", attributes,
                                 kC + ", " + kC + ", " + kC + ", " + kC, 3),
                         {gamma, beta, mean, variance});
  expectBits(fold[2], {1, static_cast<float>(1 / 1.5)});
  expectBits(fold[0], {2, static_cast<float>(1 / 1.5)});
  std::string type = "tensor<2x2xf32>";
  auto y = run<float>(
      oneOp("%x: " + type + ", " + parameters,
            "nn.batch_norm %x, %g, %b, %m, %v {epsilon = 0.25 : f32, momentum = 0.9 : f32} : (" +
                type + ", " + kC + ", " + kC + ", " + kC + ", " + kC + ") -> " + type,
            type),
      {x, gamma, beta, mean, variance});
  std::vector<float> expected;
  for (int i = 0; i < 4; ++i)
    expected.push_back(std::fma(x.reals[i], fold[0].reals[i % 2], fold[1].reals[i % 2]));
  expectBits(y[0], expected);
}

// Coefficients of the input gradient: with them Σ dz = 0 and Σ dz·(z − mean) = dγ·rstd-free part
// vanishes up to ε; dβ = Σ dy.
TEST(Norm, BatchNormGrad) {
  TensorF dy = TensorF::real({4, 2}, {1, 0, 2, 0, 3, 1, -2, 1}),
          x = TensorF::real({4, 2}, {1, 5, 3, 6, 1, 5, 3, 6});
  std::string type = "tensor<4x2xf32>";
  auto r = run<float>(
      results("nn.batch_norm_grad",
              "%d: " + type + ", %x: " + type + ", %g: " + kC + ", %m: " + kC + ", %r: " + kC,
              "%d, %x, %g, %m, %r", "", type + ", " + type + ", " + kC + ", " + kC + ", " + kC, 5),
      {dy, x, vec({2, 1}), vec({2, 5.5f}), vec({1, 2})});
  expectBits(r[4], {4, 2});              // S₁
  expectBits(r[3], {-4, 0});             // S₂·rstd
  expectBits(r[0], {2, 2});              // γ·rstd
  expectBits(r[1], {2, 0});              // −k₁·rstd²·S₂/n = −2·(−4)/4
  expectBits(r[2], {-2.0f - 2 * 2, -1}); // −k₁·S₁/n − k₂·mean
  float sum = 0;
  for (int i = 0; i < 4; ++i)
    sum += r[0].reals[0] * dy.reals[2 * i] + r[1].reals[0] * x.reals[2 * i] + r[2].reals[0];
  EXPECT_EQ(sum, 0); // normalization does not see a shift of its input
}

// From x̂ and a = γ·rstd: what BatchNormGrad gives for mean 0 and deviation 1.
TEST(Norm, NormalizedGrad) {
  TensorF dy = TensorF::real({4, 2}, {1, 0, 2, 0, 3, 1, -2, 1}),
          x = TensorF::real({4, 2}, {-1, -1, 1, 1, -1, -1, 1, 1});
  std::string type = "tensor<4x2xf32>";
  auto r = run<float>(results("nn.batch_norm_grad_normalized",
                              "%d: " + type + ", %x: " + type + ", %a: " + kC, "%d, %x, %a", "",
                              type + ", " + type + ", " + kC, 4),
                      {dy, x, vec({2, 1})});
  expectBits(r[0], {2, 0});       // −a·S₂/n
  expectBits(r[1], {-2, -0.5f});  // −a·S₁/n
  expectBits(r[2], {-4, 0});      // S₂
  expectBits(r[3], {4, 2});       // S₁
}

// Rows of softmax sum to 1; log_softmax is its logarithm; both are Numerics' formulas.
TEST(Loss, Softmax) {
  TensorF x = TensorF::real({2, 3}, {1, 2, 3, -1000, 0, 1000});
  auto p = run<float>(
      oneOp("%x: tensor<2x3xf32>", "nn.softmax %x : tensor<2x3xf32>", "tensor<2x3xf32>"), {x})[0];
  auto l = run<float>(
      oneOp("%x: tensor<2x3xf32>", "nn.log_softmax %x : tensor<2x3xf32>", "tensor<2x3xf32>"),
      {x})[0];
  for (int r = 0; r < 2; ++r) {
    EXPECT_NEAR(p.reals[3 * r] + p.reals[3 * r + 1] + p.reals[3 * r + 2], 1, 1e-6);
    auto row = numerics::softmaxRow<float>(3, [&](size_t i) { return x.reals[3 * r + i]; });
    for (int i = 0; i < 3; ++i)
      EXPECT_EQ(l.reals[3 * r + i], numerics::logSoftmax(row, x.reals[3 * r + i]));
  }
  EXPECT_NEAR(p.reals[0], std::exp(-2.0) / (1 + std::exp(-1.0) + std::exp(-2.0)), 1e-6);
  expectBits(TensorF::real({3}, {p.reals[3], p.reals[4], p.reals[5]}), {0, 0, 1});
}

namespace {
const std::string kLoss = R"(
  func.func @f(%x: tensor<4x3xf32>, %l: tensor<4xi32>) -> (tensor<f32>, tensor<i32>) {
    %loss, %c = nn.softmax_cross_entropy %x, %l : (tensor<4x3xf32>, tensor<4xi32>) -> (tensor<f32>, tensor<i32>)
    return %loss, %c : tensor<f32>, tensor<i32>
  }
  func.func @valid(%x: tensor<4x3xf32>, %l: tensor<4xi32>, %v: tensor<i32>) -> (tensor<f32>, tensor<i32>) {
    %loss, %c = nn.softmax_cross_entropy %x, %l, %v
        : (tensor<4x3xf32>, tensor<4xi32>, tensor<i32>) -> (tensor<f32>, tensor<i32>)
    return %loss, %c : tensor<f32>, tensor<i32>
  })";
const TensorF kLogits = TensorF::real({4, 3}, {1, 0, 0, 0, 2, 2, 0, 0, 5, 7, 7, 7});
} // namespace

// The mean of −log p; a row is right when its *first* maximum is the label (ties do not count for
// later classes).
TEST(Loss, CrossEntropy) {
  auto r = run<float>(kLoss, {kLogits, TensorF::labels({0, 2, 2, 0})});
  double rows[] = {std::log(std::exp(1) + 2) - 1, std::log(1 + 2 * std::exp(2)) - 2,
                   std::log(2 + std::exp(5)) - 5, std::log(3)};
  EXPECT_NEAR(r[0].reals[0], (rows[0] + rows[1] + rows[2] + rows[3]) / 4, 1e-6);
  EXPECT_EQ(r[1].ints[0], 3);
}

// With `valid` the loss is the sum over the first rows and padding is not looked at, not even its
// labels.
TEST(Loss, CrossEntropyOfValidRows) {
  Program program(kLoss);
  auto r = Interpreter<float>().run(program.function("valid"),
                                    {kLogits, TensorF::labels({0, 1, 99, -1}), TensorF::label(2)});
  ASSERT_TRUE(mlir::succeeded(r)) << program.errors;
  double rows[] = {std::log(std::exp(1) + 2) - 1, std::log(1 + 2 * std::exp(2)) - 2};
  EXPECT_NEAR(r->outputs[0].reals[0], rows[0] + rows[1], 1e-6);
  EXPECT_EQ(r->outputs[1].ints[0], 2);
}

// A label beyond the classes is an error that names row, label and classes.
TEST(Loss, LabelOutOfRange) {
  Program program(kLoss);
  auto r =
      Interpreter<float>().run(program.function("f"), {kLogits, TensorF::labels({0, 1, 3, 0})});
  EXPECT_TRUE(mlir::failed(r));
  EXPECT_NE(program.errors.find("row 2 has label 3, there are 3 classes"), std::string::npos)
      << program.errors;
}

// (p − onehot)·(dloss/rows): each row sums to zero up to rounding.
TEST(Loss, CrossEntropyGradient) {
  auto d = run<float>(oneOp("%x: tensor<4x3xf32>, %l: tensor<4xi32>, %d: tensor<f32>",
                            "nn.softmax_cross_entropy_grad %x, %l, %d : (tensor<4x3xf32>, "
                            "tensor<4xi32>, tensor<f32>) -> "
                            "tensor<4x3xf32>",
                            "tensor<4x3xf32>"),
                      {kLogits, TensorF::labels({0, 1, 2, 0}), TensorF::scalar(2)})[0];
  auto row = numerics::softmaxRow<float>(3, [&](size_t i) { return kLogits.reals[i]; });
  EXPECT_EQ(d.reals[0], (numerics::softmax(row, 1.0f) - 1) * 0.5f);
  EXPECT_EQ(d.reals[1], numerics::softmax(row, 0.0f) * 0.5f);
  for (int r = 0; r < 4; ++r)
    EXPECT_NEAR(d.reals[3 * r] + d.reals[3 * r + 1] + d.reals[3 * r + 2], 0, 1e-6);
}

// Mean of squares; with `valid` the sum of the first rows' means; the gradient is 2(y −
// t)/count·dloss.
TEST(Loss, Mse) {
  TensorF y = TensorF::real({2, 2}, {1, 2, 3, 4}), t = TensorF::real({2, 2}, {0, 2, 1, 0});
  std::string type = "tensor<2x2xf32>";
  auto loss = run<float>(oneOp("%y: " + type + ", %t: " + type,
                               "nn.mse %y, %t : (" + type + ", " + type + ") -> tensor<f32>",
                               "tensor<f32>"),
                         {y, t});
  expectBits(loss[0], {21.0f / 4});
  auto first = run<float>(
      oneOp("%y: " + type + ", %t: " + type + ", %v: tensor<i32>",
            "nn.mse %y, %t, %v : (" + type + ", " + type + ", tensor<i32>) -> tensor<f32>",
            "tensor<f32>"),
      {y, t, TensorF::label(1)});
  expectBits(first[0], {0.5f});
  auto d = run<float>(
      oneOp("%y: " + type + ", %t: " + type + ", %d: tensor<f32>",
            "nn.mse_grad %y, %t, %d : (" + type + ", " + type + ", tensor<f32>) -> " + type, type),
      {y, t, TensorF::scalar(1)});
  expectBits(d[0], {0.5f, 0, 1, 2});
}

// −t·log σ(x) − (1 − t)·log(1 − σ(x)), stable for large logits; a row is right where every answer
// is.
TEST(Loss, BinaryCrossEntropy) {
  TensorF x = TensorF::real({2, 2}, {0, -100, 3, 1}), t = TensorF::real({2, 2}, {0.25f, 0, 1, 0});
  std::string type = "tensor<2x2xf32>";
  auto r = run<float>(R"(
func.func @f(%x: tensor<2x2xf32>, %t: tensor<2x2xf32>) -> (tensor<f32>, tensor<i32>) {
  %0, %1 = nn.binary_cross_entropy %x, %t : (tensor<2x2xf32>, tensor<2x2xf32>) -> (tensor<f32>, tensor<i32>)
  return %0, %1 : tensor<f32>, tensor<i32>
})",
                      {x, t});
  double expected = (std::log(2) + 0 + std::log1p(std::exp(-3.0)) + std::log1p(std::exp(1.0))) / 4;
  EXPECT_NEAR(r[0].reals[0], expected, 1e-7);
  EXPECT_EQ(r[1].ints[0], 1); // of the second row's answers one is wrong
  auto d = run<float>(oneOp("%x: " + type + ", %t: " + type + ", %d: tensor<f32>",
                            "nn.binary_cross_entropy_grad %x, %t, %d : (" + type + ", " + type +
                                ", tensor<f32>) -> " + type,
                            type),
                      {x, t, TensorF::scalar(4)});
  EXPECT_EQ(d[0].reals[0], 0.25f); // σ(0) − ¼
  EXPECT_NEAR(d[0].reals[2], -1 / (1 + std::exp(3.0)), 1e-7);
}

// NaN in a logit makes the loss NaN: that is what the guard then sees.
TEST(Loss, NanTravels) {
  TensorF x = kLogits;
  x.reals[4] = kNan;
  auto r = run<float>(kLoss, {x, TensorF::labels({0, 0, 2, 0})});
  EXPECT_TRUE(std::isnan(r[0].reals[0]));
}

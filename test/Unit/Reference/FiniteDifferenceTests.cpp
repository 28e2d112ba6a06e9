//===- FiniteDifferenceTests.cpp - The gradient check itself ------------------===//
#include "TestSupport.h"

#include "nibble/Reference/FiniteDifference.h"

using namespace nibble;
using namespace nibble::reference;
using namespace nibble::reference::test;

namespace {

/// y = a·tanh(x) with `formula` as the gradient of x.
std::string pair(const std::string &last) {
  return R"(
  func.func @y(%x: tensor<3x4xf32>, %a: tensor<4xf32>) -> tensor<3x4xf32> {
    %t = nn.tanh %x : tensor<3x4xf32>
    %y = nn.mul %t, %a : (tensor<3x4xf32>, tensor<4xf32>) -> tensor<3x4xf32>
    return %y : tensor<3x4xf32>
  }
  func.func @g(%x: tensor<3x4xf32>, %a: tensor<4xf32>, %dy: tensor<3x4xf32>) -> (tensor<3x4xf32>, tensor<4xf32>) {
    %one = arith.constant dense<1.0> : tensor<f32>
    %t = nn.tanh %x : tensor<3x4xf32>
    %tt = nn.mul %t, %t : (tensor<3x4xf32>, tensor<3x4xf32>) -> tensor<3x4xf32>
    %s = nn.sub %one, %tt : (tensor<f32>, tensor<3x4xf32>) -> tensor<3x4xf32>
    %da0 = nn.mul %dy, %t : (tensor<3x4xf32>, tensor<3x4xf32>) -> tensor<3x4xf32>
    %da = nn.channel_sum %da0 : (tensor<3x4xf32>) -> tensor<4xf32>
    %d0 = nn.mul %dy, %s : (tensor<3x4xf32>, tensor<3x4xf32>) -> tensor<3x4xf32>
    %dx = )" +
         last + R"(
    return %dx, %da : tensor<3x4xf32>, tensor<4xf32>
  })";
}

GradientCheck check(const std::string &last) {
  Program program(pair(last));
  return checkGradient(program.function("y"), program.function("g"),
                       {randomReals({3, 4}, -1, 1, 5, 1), randomReals({4}, 0.5, 2, 5, 2)}, {0, 1});
}

const char *kTrain = R"(
  train.variable @w : tensor<3x2xf32> {role = #train.role<weight>, trainable}
  func.func @train_step(%x: tensor<4x2xf32>, %labels: tensor<4xi32>, %lr: tensor<f64>, %step: tensor<i64>, %rng: tensor<2xi64>)
      -> (tensor<f32>, tensor<i32>) {
    %w = train.read @w : tensor<3x2xf32>
    %z = nn.matmul %x, %w {transpose_b} : (tensor<4x2xf32>, tensor<3x2xf32>) -> tensor<4x3xf32>
    %loss, %c = nn.softmax_cross_entropy %z, %labels : (tensor<4x3xf32>, tensor<4xi32>) -> (tensor<f32>, tensor<i32>)
    %one = arith.constant dense<ONE> : tensor<f32>
    %dz = nn.softmax_cross_entropy_grad %z, %labels, %one : (tensor<4x3xf32>, tensor<4xi32>, tensor<f32>) -> tensor<4x3xf32>
    %dw = nn.matmul %dz, %x {transpose_a} : (tensor<4x3xf32>, tensor<4x2xf32>) -> tensor<3x2xf32>
    %zero = arith.constant dense<0.0> : tensor<3x2xf32>
    %rate = train.rate %lr, %step : (tensor<f64>, tensor<i64>) -> tensor<f32>
    %new, %v = train.sgd %w, %dw, %zero, %rate {momentum = 0.0 : f32, decay = 0.0 : f32}
        : (tensor<3x2xf32>, tensor<3x2xf32>, tensor<3x2xf32>, tensor<f32>) -> (tensor<3x2xf32>, tensor<3x2xf32>)
    train.write @w, %new : tensor<3x2xf32>
    return %loss, %c : tensor<f32>, tensor<i32>
  })";

GradientCheck checkStep(const std::string &one) {
  std::string text = kTrain;
  text.replace(text.find("ONE"), 3, one);
  Program program(text);
  auto store = *VariableStore<double>::fromModule(*program.module);
  store.set("w", randomReals({3, 2}, -1, 1, 9, 1));
  return checkTrainStep(*program.module,
                        {randomReals({4, 2}, -1, 1, 9, 2), TensorD::labels({0, 1, 2, 1}),
                         TensorD::learningRate(0.1), TensorD::step(1), TensorD::randomState(0, 0)},
                        store);
}

} // namespace

// A right gradient passes, with broadcast inputs of several shapes.
TEST(FiniteDifference, RightGradientPasses) {
  GradientCheck right =
      check("nn.mul %d0, %a : (tensor<3x4xf32>, tensor<4xf32>) -> tensor<3x4xf32>");
  EXPECT_TRUE(right) << right.message;
  EXPECT_LT(right.worst, 1e-6);
}

// A gradient that forgot a factor fails, and the message has both numbers.
TEST(FiniteDifference, WrongGradientFails) {
  GradientCheck wrong = check("nn.relu %d0 : tensor<3x4xf32>");
  EXPECT_FALSE(wrong);
  EXPECT_NE(wrong.message.find("difference quotient"), std::string::npos) << wrong.message;
}

// A whole train step is checked through its update: (θ − θ')/lr is the loss's gradient, or the
// check says that it is not.
TEST(FiniteDifference, TrainStep) {
  GradientCheck right = checkStep("1.0"), wrong = checkStep("1.5");
  EXPECT_TRUE(right) << right.message;
  EXPECT_FALSE(wrong);
  EXPECT_NE(wrong.message.find("@w"), std::string::npos) << wrong.message;
}

// Random tensors lie in their interval and depend on seed and stream alone.
TEST(FiniteDifference, RandomReals) {
  TensorD a = randomReals({1000}, -2, 3, 1, 1);
  EXPECT_TRUE(a.bitIdentical(randomReals({1000}, -2, 3, 1, 1)));
  EXPECT_FALSE(a.bitIdentical(randomReals({1000}, -2, 3, 1, 2)));
  double sum = 0;
  for (double v : a.reals) {
    EXPECT_TRUE(v >= -2 && v < 3);
    sum += v;
  }
  EXPECT_NEAR(sum / 1000, 0.5, 0.2);
}

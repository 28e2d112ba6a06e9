//===- OptimizerTest.cpp - one step of each optimizer, by hand, bit for bit -----------===//
#include "Fixture.h"

#include <cmath>

using namespace mlir;
using namespace nibble;
using namespace nibble::test;
using reference::Tensor;
using reference::VariableStore;

namespace {

/// loss = mean (w·x − t)² of one weight and one sample: g = 2·x·(w·x − t), rounded as nn.mse_grad
/// and the product are.
constexpr char oneWeight[] = R"(
module attributes {nibble.loss = "mse"} {
  train.variable @w : tensor<1x1xf32> {role = #train.role<weight>, trainable, decay}
  func.func @forward(%x: tensor<1x1xf32>) -> tensor<1x1xf32> {
    %w = train.read @w : tensor<1x1xf32>
    %y = nn.matmul %x, %w {layer = "fc"} : (tensor<1x1xf32>, tensor<1x1xf32>) -> tensor<1x1xf32>
    return %y : tensor<1x1xf32>
  }
})";

class OptimizerTest : public DifferentiateTest {
protected:
  void prepare(const std::string &step) {
    module = parse(oneWeight);
    ASSERT_TRUE(module && differentiate(*module, "f32", step));
    auto initial = VariableStore<float>::fromModule(*module);
    ASSERT_TRUE(succeeded(initial));
    store = *initial;
    store.set("w", Tensor<float>::real({1, 1}, {w}));
  }
  /// Step number `number` from 1; w·x − t and the gradient in f32.
  void runStep(int number) {
    float error = std::fma(x, store["w"].reals[0], 0.0f) - t;
    g = std::fma(x, error * 2.0f, 0.0f);
    Tensor<float> arguments[] = {Tensor<float>::real({1, 1}, {x}), Tensor<float>::real({1, 1}, {t}),
                                 Tensor<float>::learningRate(lr), Tensor<float>::step(number),
                                 Tensor<float>::randomState(1, number - 1)};
    auto result = reference::Interpreter<float>().run(
        module->lookupSymbol<func::FuncOp>("train_step"), arguments, store);
    ASSERT_TRUE(succeeded(result));
    ASSERT_EQ(result->status, reference::RunStatus::Ok);
  }

  OwningOpRef<ModuleOp> module;
  VariableStore<float> store;
  float w = 0.3f, x = 1.7f, t = -0.9f, g = 0;
  double lr = 0.05;
};

/// g += λθ; v = μv + g; θ −= lr·(g + μv), each operation rounded to f32 (numerics.md, section 5).
TEST_F(OptimizerTest, NesterovBitForBit) {
  prepare("momentum=0.9,nesterov=true,weight-decay=1e-3");
  volatile float theta = w, v = 0, rate = static_cast<float>(lr), mu = 0.9f, lambda = 1e-3f;
  for (int number = 1; number <= 3; ++number) {
    runStep(number);
    volatile float decay = lambda * theta, gradient = g + decay, carried = mu * v;
    v = carried + gradient;
    volatile float ahead = mu * v, sum = gradient + ahead, move = rate * sum;
    theta = theta - move;
    EXPECT_EQ(store["w"].reals[0], theta) << "step " << number;
    EXPECT_EQ(store["w.velocity"].reals[0], v) << "step " << number;
  }
}

/// ONNX's Adam: θ −= lr·√(1 − β₂ᵗ)/(1 − β₁ᵗ) · m/(√v + ε); AdamW first θ −= lr·λ·θ.
TEST_F(OptimizerTest, AdamWBitForBit) {
  prepare("optimizer=adamw,beta1=0.9,beta2=0.999,adam-eps=1e-8,weight-decay=0.01");
  volatile float theta = w, m = 0, v = 0, b1 = 0.9f, b2 = 0.999f, c1 = 1 - 0.9, c2 = 1 - 0.999,
                 eps = 1e-8f;
  for (int number = 1; number <= 3; ++number) {
    runStep(number);
    volatile float m1 = b1 * m, m2 = c1 * g, v1 = b2 * v, square = g * g, v2 = c2 * square;
    m = m1 + m2;
    v = v1 + v2;
    volatile float rate = static_cast<float>(lr * std::sqrt(1 - std::pow(0.999, number)) /
                                             (1 - std::pow(0.9, number)));
    volatile float decay = static_cast<float>(lr * 0.01) * theta;
    theta = theta - decay;
    volatile float root = std::sqrt(v), denominator = root + eps, up = rate * m,
                   move = up / denominator;
    theta = theta - move;
    EXPECT_EQ(store["w"].reals[0], theta) << "step " << number;
    EXPECT_EQ(store["w.m"].reals[0], m) << "step " << number;
    EXPECT_EQ(store["w.v"].reals[0], v) << "step " << number;
  }
}

/// Clipping by global norm: g·min(1, limit/‖g‖), the factor rounded once; below the limit nothing
/// changes.
TEST_F(OptimizerTest, ClippedGradientBitForBit) {
  for (const char *limit : {"0.25", "1000"}) {
    prepare(std::string("momentum=0,clip-norm=") + limit);
    volatile float theta = w, rate = static_cast<float>(lr);
    for (int number = 1; number <= 3; ++number) {
      runStep(number);
      double norm = std::sqrt(static_cast<double>(g * g)), most = std::stod(limit);
      auto factor = static_cast<float>(norm > most ? most / norm : 1.0);
      volatile float clipped = g * factor, move = rate * clipped;
      theta = theta - move;
      EXPECT_EQ(store["w"].reals[0], theta) << "limit " << limit << ", step " << number;
    }
  }
}

/// A non-finite loss writes nothing.
TEST_F(OptimizerTest, NonFiniteChangesNothing) {
  prepare("momentum=0.9");
  Tensor<float> arguments[] = {Tensor<float>::real({1, 1}, {INFINITY}),
                               Tensor<float>::real({1, 1}, {t}), Tensor<float>::learningRate(lr),
                               Tensor<float>::step(1), Tensor<float>::randomState(1, 0)};
  auto before = store;
  auto result = reference::Interpreter<float>().run(
      module->lookupSymbol<func::FuncOp>("train_step"), arguments, store);
  ASSERT_TRUE(succeeded(result));
  EXPECT_EQ(result->status, reference::RunStatus::NonFinite);
  EXPECT_TRUE(store.bitIdentical(before));
}

} // namespace

//===- GradientTest.cpp - every rule against finite differences -------------------===//
#include "Fixture.h"

#include "nibble/Differentiate/GradientFunction.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::test;

namespace {

class GradientTest : public DifferentiateTest, public ::testing::WithParamInterface<Case> {};

/// The gradient that the rule builds is the difference quotient of the op, in double, on random
/// shapes.
TEST_P(GradientTest, IsTheDifferenceQuotient) {
  std::mt19937 random(1);
  for (uint64_t seed = 1; seed <= 8; ++seed) {
    Program program = GetParam().make(random);
    auto module = parse(program.text);
    ASSERT_TRUE(module);
    auto forward = module->lookupSymbol<func::FuncOp>("f");
    SmallVector<unsigned> differentiable;
    SmallVector<reference::Tensor<double>> inputs;
    for (auto [i, input] : llvm::enumerate(program.inputs)) {
      inputs.push_back(randomInput(input, seed, 100 + i));
      if (input.differentiable())
        differentiable.push_back(i);
    }
    auto gradient = buildGradientFunction(forward, differentiable);
    ASSERT_TRUE(succeeded(gradient)) << program.text;
    ASSERT_TRUE(succeeded(module->verify()));
    auto check =
        reference::checkGradient(forward, *gradient, inputs, differentiable, {.seed = seed});
    EXPECT_TRUE(check.ok) << check.message << program.text;
    if (!check.ok)
      gradient->dump();
  }
}

/// A gradient that is off by a factor of 1.001 is found: the comparison is able to fail.
TEST_F(DifferentiateTest, ComparisonFindsAWrongFactor) {
  auto module = parse(R"(
    func.func @f(%x: tensor<5xf32>) -> tensor<5xf32> {
      %y = nn.tanh %x : tensor<5xf32>
      return %y : tensor<5xf32>
    }
    func.func @wrong(%x: tensor<5xf32>, %dy: tensor<5xf32>) -> tensor<5xf32> {
      %one = arith.constant dense<1.001> : tensor<f32>
      %y = nn.tanh %x : tensor<5xf32>
      %yy = nn.mul %y, %y : (tensor<5xf32>, tensor<5xf32>) -> tensor<5xf32>
      %s = nn.sub %one, %yy : (tensor<f32>, tensor<5xf32>) -> tensor<5xf32>
      %dx = nn.mul %dy, %s : (tensor<5xf32>, tensor<5xf32>) -> tensor<5xf32>
      return %dx : tensor<5xf32>
    })");
  ASSERT_TRUE(module);
  auto x = reference::randomReals({5}, -1, 1, 1, 1);
  auto check = reference::checkGradient(module->lookupSymbol<func::FuncOp>("f"),
                                        module->lookupSymbol<func::FuncOp>("wrong"), {x}, {0});
  EXPECT_FALSE(check.ok);
}

INSTANTIATE_TEST_SUITE_P(Rules, GradientTest, ::testing::ValuesIn(cases()),
                         [](const auto &info) { return info.param.name; });

} // namespace

//===- StepTest.cpp - whole steps against finite differences ------------------------===//
#include "Fixture.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::test;
using reference::Tensor;
using reference::VariableStore;

namespace {

/// A step's variables at random values in [lo, hi); scales and variances positive.
VariableStore<double> randomStore(ModuleOp module) {
  auto store = VariableStore<double>::fromModule(module);
  EXPECT_TRUE(succeeded(store));
  uint32_t stream = 1;
  for (auto variable : module.getOps<train::VariableOp>()) {
    auto shape = cast<RankedTensorType>(variable.getType()).getShape();
    bool positive =
        variable.getRole() == train::Role::RunningStat || variable.getRole() == train::Role::Clip;
    if (variable.getRole() != train::Role::Moment)
      store->set(variable.getSymName(), reference::randomReals(shape, positive ? 0.5 : -1,
                                                               positive ? 1.5 : 1, 7, stream++));
  }
  return *store;
}

class StepTest : public DifferentiateTest {
protected:
  /// Checks every trainable variable of a plain SGD step of the network against difference
  /// quotients.
  void check(const std::string &text, const std::string &recipe, ArrayRef<int64_t> input,
             Tensor<double> target) {
    auto module = parse(text);
    ASSERT_TRUE(module);
    ASSERT_TRUE(differentiate(*module, recipe, "momentum=0"));
    Tensor<double> arguments[] = {reference::randomReals(input, -1, 1, 3, 0), target,
                                  Tensor<double>::learningRate(0.25), Tensor<double>::step(1),
                                  Tensor<double>::randomState(11, 0)};
    auto result = reference::checkTrainStep(*module, arguments, randomStore(*module));
    EXPECT_TRUE(result.ok) << result.message;
    if (!result.ok)
      module->dump();
  }
};

/// The gradient of a convolutional network with trained and frozen batch norm, dropout, pooling and
/// a residual path is the difference quotient of its loss.
TEST_F(StepTest, ConvolutionalNetwork) {
  check(R"(
module attributes {nibble.loss = "softmax_cross_entropy"} {
  train.variable @conv1 : tensor<4x3x3x2xf32> {role = #train.role<weight>, trainable}
  train.variable @scale : tensor<4xf32> {role = #train.role<norm>, trainable}
  train.variable @shift : tensor<4xf32> {role = #train.role<norm>, trainable}
  train.variable @mean : tensor<4xf32> {role = #train.role<running_stat>}
  train.variable @variance : tensor<4xf32> {role = #train.role<running_stat>}
  train.variable @conv2 : tensor<4x3x3x4xf32> {role = #train.role<weight>, trainable}
  train.variable @scale2 : tensor<4xf32> {role = #train.role<norm>, trainable}
  train.variable @shift2 : tensor<4xf32> {role = #train.role<norm>, trainable}
  train.variable @mean2 : tensor<4xf32> {role = #train.role<running_stat>}
  train.variable @variance2 : tensor<4xf32> {role = #train.role<running_stat>}
  train.variable @fc : tensor<36x5xf32> {role = #train.role<weight>, trainable}
  train.variable @bias : tensor<5xf32> {role = #train.role<bias>, trainable}
  func.func @forward(%x: tensor<3x6x6x2xf32>) -> tensor<3x5xf32> {
    %w1 = train.read @conv1 : tensor<4x3x3x2xf32>
    %s1 = train.read @scale : tensor<4xf32>
    %b1 = train.read @shift : tensor<4xf32>
    %m1 = train.read @mean : tensor<4xf32>
    %v1 = train.read @variance : tensor<4xf32>
    %w2 = train.read @conv2 : tensor<4x3x3x4xf32>
    %s2 = train.read @scale2 : tensor<4xf32>
    %b2 = train.read @shift2 : tensor<4xf32>
    %m2 = train.read @mean2 : tensor<4xf32>
    %v2 = train.read @variance2 : tensor<4xf32>
    %w3 = train.read @fc : tensor<36x5xf32>
    %b3 = train.read @bias : tensor<5xf32>
    %0 = nn.conv2d %x, %w1 {layer = "conv1", strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>} : (tensor<3x6x6x2xf32>, tensor<4x3x3x2xf32>) -> tensor<3x6x6x4xf32>
    %1 = nn.batch_norm %0, %s1, %b1, %m1, %v1 {epsilon = 1.0e-3 : f32, momentum = 0.9 : f32} : (tensor<3x6x6x4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<3x6x6x4xf32>
    %2 = nn.tanh %1 : tensor<3x6x6x4xf32>
    %3 = nn.conv2d %2, %w2 {layer = "conv2", strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>} : (tensor<3x6x6x4xf32>, tensor<4x3x3x4xf32>) -> tensor<3x6x6x4xf32>
    %4 = nn.batch_norm %3, %s2, %b2, %m2, %v2 {epsilon = 1.0e-3 : f32, momentum = 0.9 : f32, frozen} : (tensor<3x6x6x4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<3x6x6x4xf32>
    %5 = nn.add %4, %2 : (tensor<3x6x6x4xf32>, tensor<3x6x6x4xf32>) -> tensor<3x6x6x4xf32>
    %6 = nn.dropout %5 {ratio = 0.25 : f32} : (tensor<3x6x6x4xf32>) -> tensor<3x6x6x4xf32>
    %7, %i = nn.max_pool %6 {kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<3x6x6x4xf32>) -> (tensor<3x3x3x4xf32>, tensor<3x3x3x4xi8>)
    %8 = nn.reshape %7 : (tensor<3x3x3x4xf32>) -> tensor<3x36xf32>
    %9 = nn.matmul %8, %w3 {layer = "fc"} : (tensor<3x36xf32>, tensor<36x5xf32>) -> tensor<3x5xf32>
    %10 = nn.add %9, %b3 : (tensor<3x5xf32>, tensor<5xf32>) -> tensor<3x5xf32>
    return %10 : tensor<3x5xf32>
  }
})",
        "f32", {3, 6, 6, 2}, Tensor<double>::labels({4, 0, 2}));
}

/// With learned clips the gradients of weights and of the clips' bounds are difference quotients
/// too (the bounds' own decay is set to 0, for it is no part of the loss).
TEST_F(StepTest, LearnedClips) {
  check(R"(
module attributes {nibble.loss = "mse"} {
  train.variable @w1 : tensor<5x6xf32> {role = #train.role<weight>, trainable}
  train.variable @w2 : tensor<6x6xf32> {role = #train.role<weight>, trainable}
  train.variable @w3 : tensor<6x6xf32> {role = #train.role<weight>, trainable}
  train.variable @w4 : tensor<6x3xf32> {role = #train.role<weight>, trainable}
  func.func @forward(%x: tensor<4x5xf32>) -> tensor<4x3xf32> {
    %w1 = train.read @w1 : tensor<5x6xf32>
    %w2 = train.read @w2 : tensor<6x6xf32>
    %w3 = train.read @w3 : tensor<6x6xf32>
    %w4 = train.read @w4 : tensor<6x3xf32>
    %0 = nn.matmul %x, %w1 {layer = "one"} : (tensor<4x5xf32>, tensor<5x6xf32>) -> tensor<4x6xf32>
    %1 = nn.relu %0 : tensor<4x6xf32>
    %2 = nn.matmul %1, %w2 {layer = "two"} : (tensor<4x6xf32>, tensor<6x6xf32>) -> tensor<4x6xf32>
    %3 = nn.matmul %2, %w3 {layer = "three"} : (tensor<4x6xf32>, tensor<6x6xf32>) -> tensor<4x6xf32>
    %4 = nn.matmul %3, %w4 {layer = "four"} : (tensor<4x6xf32>, tensor<6x3xf32>) -> tensor<4x3xf32>
    return %4 : tensor<4x3xf32>
  }
})",
        "ibm,pact-decay=0", {4, 5}, reference::randomReals({4, 3}, -1, 1, 5, 0));
}

} // namespace

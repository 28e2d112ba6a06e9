//===- RecordedTest.cpp - gradients and steps recorded from PyTorch ------------------===//
//
// An independent implementation in double (record.py made RecordedValues.h) and the interpreter in
// double agree on two networks: loss, gradients, running statistics, and the variables after three
// steps of each optimizer.
//
//===----------------------------------------------------------------------===//
#include "Fixture.h"
#include "RecordedValues.h"

#include <cmath>

using namespace mlir;
using namespace nibble;
using namespace nibble::test;
using reference::Tensor;
using reference::VariableStore;

namespace {

/// Element i of tensor k, as in record.py.
std::vector<double> wave(int k, size_t n, double factor = 1, double offset = 0) {
  std::vector<double> values;
  for (size_t i = 0; i < n; ++i)
    values.push_back(offset + factor * std::sin(1 + 0.7 * i + 10 * k));
  return values;
}

constexpr char convNetwork[] = R"(
module attributes {nibble.loss = "softmax_cross_entropy"} {
  train.variable @conv : tensor<4x3x2x1xf32> {role = #train.role<weight>, trainable, decay}
  train.variable @scale : tensor<4xf32> {role = #train.role<norm>, trainable}
  train.variable @shift : tensor<4xf32> {role = #train.role<norm>, trainable}
  train.variable @mean : tensor<4xf32> {role = #train.role<running_stat>}
  train.variable @variance : tensor<4xf32> {role = #train.role<running_stat>}
  train.variable @fc : tensor<3x24xf32> {role = #train.role<weight>, trainable, decay}
  train.variable @bias : tensor<3xf32> {role = #train.role<bias>, trainable}
  func.func @forward(%x: tensor<3x7x6x2xf32>) -> tensor<3x3xf32> {
    %w = train.read @conv : tensor<4x3x2x1xf32>
    %s = train.read @scale : tensor<4xf32>
    %b = train.read @shift : tensor<4xf32>
    %m = train.read @mean : tensor<4xf32>
    %v = train.read @variance : tensor<4xf32>
    %fc = train.read @fc : tensor<3x24xf32>
    %bias = train.read @bias : tensor<3xf32>
    %0 = nn.conv2d %x, %w {layer = "conv", strides = array<i64: 2, 1>, pads = array<i64: 1, 0, 1, 0>, dilations = array<i64: 1, 1>, groups = 2} : (tensor<3x7x6x2xf32>, tensor<4x3x2x1xf32>) -> tensor<3x4x5x4xf32>
    %1 = nn.batch_norm %0, %s, %b, %m, %v {epsilon = 9.765625e-4 : f32, momentum = 0.75 : f32} : (tensor<3x4x5x4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<3x4x5x4xf32>
    %2 = nn.relu %1 : tensor<3x4x5x4xf32>
    %3, %i = nn.max_pool %2 {kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, pads = array<i64: 0, 1, 0, 1>, dilations = array<i64: 1, 1>} : (tensor<3x4x5x4xf32>) -> (tensor<3x2x3x4xf32>, tensor<3x2x3x4xi8>)
    %4 = nn.reshape %3 : (tensor<3x2x3x4xf32>) -> tensor<3x24xf32>
    %5 = nn.matmul %4, %fc {layer = "fc", transpose_b} : (tensor<3x24xf32>, tensor<3x24xf32>) -> tensor<3x3xf32>
    %6 = nn.add %5, %bias : (tensor<3x3xf32>, tensor<3xf32>) -> tensor<3x3xf32>
    return %6 : tensor<3x3xf32>
  }
})";

constexpr char smoothNetwork[] = R"(
module attributes {nibble.loss = "mse", nibble.recipe = "ibm,pact-decay=0"} {
  train.variable @a : tensor<5x4xf32> {role = #train.role<weight>, trainable}
  train.variable @b : tensor<4xf32> {role = #train.role<bias>, trainable}
  train.variable @c : tensor<4x4xf32> {role = #train.role<weight>, trainable}
  train.variable @alpha : tensor<f32> {role = #train.role<clip>, trainable}
  train.variable @beta : tensor<f32> {role = #train.role<clip>, trainable}
  func.func @forward(%x: tensor<3x5xf32>) -> tensor<3x4xf32> {
    %a = train.read @a : tensor<5x4xf32>
    %b = train.read @b : tensor<4xf32>
    %c = train.read @c : tensor<4x4xf32>
    %alpha = train.read @alpha : tensor<f32>
    %beta = train.read @beta : tensor<f32>
    %half = arith.constant dense<0.5> : tensor<f32>
    %0 = nn.matmul %x, %a {layer = "a"} : (tensor<3x5xf32>, tensor<5x4xf32>) -> tensor<3x4xf32>
    %1 = nn.add %0, %b : (tensor<3x4xf32>, tensor<4xf32>) -> tensor<3x4xf32>
    %2 = nn.leaky_relu %1 {slope = 0.25 : f32} : tensor<3x4xf32>
    %mean = nn.reduce_mean %2 {axes = array<i64: 1>} : (tensor<3x4xf32>) -> tensor<3x1xf32>
    %centred = nn.sub %2, %mean : (tensor<3x4xf32>, tensor<3x1xf32>) -> tensor<3x4xf32>
    %square = nn.mul %2, %2 : (tensor<3x4xf32>, tensor<3x4xf32>) -> tensor<3x4xf32>
    %power = nn.reduce_mean %square {axes = array<i64: 1>} : (tensor<3x4xf32>) -> tensor<3x1xf32>
    %shifted = nn.add %power, %half : (tensor<3x1xf32>, tensor<f32>) -> tensor<3x1xf32>
    %root = nn.sqrt %shifted : tensor<3x1xf32>
    %3 = nn.div %centred, %root : (tensor<3x4xf32>, tensor<3x1xf32>) -> tensor<3x4xf32>
    %4 = nn.clip_learned %3, %alpha : (tensor<3x4xf32>, tensor<f32>) -> tensor<3x4xf32>
    %t = nn.tanh %4 : tensor<3x4xf32>
    %s = nn.sigmoid %4 : tensor<3x4xf32>
    %ts = nn.mul %t, %s : (tensor<3x4xf32>, tensor<3x4xf32>) -> tensor<3x4xf32>
    %e = nn.erf %4 : tensor<3x4xf32>
    %5 = nn.add %ts, %e : (tensor<3x4xf32>, tensor<3x4xf32>) -> tensor<3x4xf32>
    %6 = nn.matmul %5, %c {layer = "c"} : (tensor<3x4xf32>, tensor<4x4xf32>) -> tensor<3x4xf32>
    %7 = nn.softmax %6 : tensor<3x4xf32>
    %8 = nn.relu %7 : tensor<3x4xf32>
    %9 = nn.clip_learned %8, %beta {one_sided} : (tensor<3x4xf32>, tensor<f32>) -> tensor<3x4xf32>
    return %9 : tensor<3x4xf32>
  }
})";

class RecordedTest : public DifferentiateTest {
protected:
  double tolerance = 1e-9;

  void set(VariableStore<double> &store, const char *name, std::vector<double> values) {
    store.set(name, Tensor<double>::real(store[name].shape, std::move(values)));
  }

  void setConvVariables(VariableStore<double> &store) {
    set(store, "conv", wave(1, 24));
    set(store, "scale", wave(2, 4, 0.5, 1));
    set(store, "shift", wave(3, 4, 0.5));
    set(store, "mean", wave(6, 4));
    set(store, "variance", wave(7, 4, 1, 1.5));
    set(store, "fc", wave(4, 72, 0.5));
    set(store, "bias", wave(5, 3));
  }

  /// Runs `count` steps; returns the last loss.
  double run(ModuleOp module, VariableStore<double> &store, Tensor<double> x, Tensor<double> target,
             double lr, int count) {
    double loss = NAN;
    auto step = module.lookupSymbol<func::FuncOp>("train_step");
    for (int i = 1; i <= count; ++i) {
      Tensor<double> arguments[] = {x, target, Tensor<double>::learningRate(lr),
                                    Tensor<double>::step(i), Tensor<double>::randomState(1, i - 1)};
      auto result = reference::Interpreter<double>().run(step, arguments, store);
      if (failed(result) || result->status != reference::RunStatus::Ok)
        return NAN;
      loss = result->outputs[0].reals[0];
    }
    return loss;
  }

  /// |ours − recorded| ≤ tolerance · max(1, |recorded|).
  void expectNear(const std::string &name, const std::vector<double> &ours,
                  const std::vector<double> &recorded) {
    ASSERT_EQ(ours.size(), recorded.size()) << name;
    for (size_t i = 0; i < ours.size(); ++i)
      EXPECT_NEAR(ours[i], recorded[i], tolerance * std::max(1.0, std::fabs(recorded[i])))
          << name << "[" << i << "]";
  }

  /// Of one step without momentum at rate 1 the gradient is θ − θ'.
  void expectGradients(const VariableStore<double> &before, const VariableStore<double> &after,
                       double loss, const Record &record) {
    expectNear("loss", {loss}, record.at("loss"));
    for (auto &[name, recorded] : record) {
      if (name == "loss")
        continue;
      std::vector<double> ours = after[name].reals;
      if (name != "mean" && name != "variance")
        for (size_t i = 0; i < ours.size(); ++i)
          ours[i] = before[name].reals[i] - ours[i];
      expectNear(name, ours, recorded);
    }
  }

  void checkOptimizer(const std::string &step, const Record &record) {
    auto module = parse(convNetwork);
    ASSERT_TRUE(module && differentiate(*module, "f32", step + ",weight-decay=0.0625"));
    auto store = VariableStore<double>::fromModule(*module);
    ASSERT_TRUE(succeeded(store));
    setConvVariables(*store);
    run(*module, *store, Tensor<double>::real({3, 7, 6, 2}, wave(0, 252)),
        Tensor<double>::labels({2, 0, 1}), 0.125, 3);
    for (auto &[name, recorded] : record)
      expectNear(name, (*store)[name].reals, recorded);
  }
};

/// Grouped strided convolution, batch norm, relu, max-pool, linear layer, cross-entropy: loss,
/// gradients, running statistics.
TEST_F(RecordedTest, ConvolutionalNetwork) {
  auto module = parse(convNetwork);
  ASSERT_TRUE(module && differentiate(*module, "f32", "momentum=0"));
  auto before = VariableStore<double>::fromModule(*module);
  ASSERT_TRUE(succeeded(before));
  setConvVariables(*before);
  auto after = *before;
  double loss = run(*module, after, Tensor<double>::real({3, 7, 6, 2}, wave(0, 252)),
                    Tensor<double>::labels({2, 0, 1}), 1, 1);
  expectGradients(*before, after, loss, convGradients);
}

/// Leaky relu, a spelled-out normalization, both kinds of learned clip, tanh, sigmoid, erf,
/// softmax, mean squared error. The network has clips of its own; a float recipe adds none. The
/// derivative of erf holds 2/√π as an f32.
TEST_F(RecordedTest, SmoothNetworkWithClips) {
  tolerance = 2e-8;
  auto module = parse(smoothNetwork);
  ASSERT_TRUE(module && differentiate(*module, "f32,pact-decay=0", "momentum=0"));
  auto before = VariableStore<double>::fromModule(*module);
  ASSERT_TRUE(succeeded(before));
  set(*before, "a", wave(1, 20));
  set(*before, "b", wave(2, 4));
  set(*before, "c", wave(3, 16, 0.5));
  set(*before, "alpha", {0.75});
  set(*before, "beta", {0.5});
  auto after = *before;
  double loss = run(*module, after, Tensor<double>::real({3, 5}, wave(0, 15)),
                    Tensor<double>::real({3, 4}, wave(9, 12)), 1, 1);
  expectGradients(*before, after, loss, smoothGradients);
}

/// Three steps of each optimizer; decay on the weights alone.
TEST_F(RecordedTest, Sgd) { checkOptimizer("momentum=0.75", sgdSteps); }
TEST_F(RecordedTest, Nesterov) { checkOptimizer("momentum=0.75,nesterov=true", nesterovSteps); }
TEST_F(RecordedTest, Adam) {
  checkOptimizer("optimizer=adam,beta1=0.75,beta2=0.875,adam-eps=1e-12", adamSteps);
}
TEST_F(RecordedTest, AdamW) {
  checkOptimizer("optimizer=adamw,beta1=0.75,beta2=0.875,adam-eps=1e-12", adamwSteps);
}

} // namespace

#include "Networks.h"

#include "nibble/Dialect/NN/IR/NN.h"
#include "nibble/Dialect/Q4/IR/Q4.h"
#include "nibble/Dialect/Train/IR/Train.h"
#include "nibble/Differentiate/Adjoint.h"
#include "nibble/Differentiate/Pipeline.h"
#include "nibble/Quantize/Passes.h"
#include "nibble/Quantize/Pipeline.h"
#include "nibble/Reference/FiniteDifference.h"

#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"

#include <cmath>
#include <limits>

using namespace mlir;
using namespace nibble;
using namespace nibble::test;
using reference::Tensor;

const char *const test::mlp = R"(
module attributes {nibble.loss = "softmax_cross_entropy", nibble.classes = 10 : i64} {
  train.variable @fc1.weight : tensor<32x16xf32> {role = #train.role<weight>, trainable, decay}
  train.variable @fc1.bias : tensor<32xf32> {role = #train.role<bias>, trainable}
  train.variable @fc2.weight : tensor<32x32xf32> {role = #train.role<weight>, trainable, decay}
  train.variable @fc3.weight : tensor<32x32xf32> {role = #train.role<weight>, trainable, decay}
  train.variable @fc4.weight : tensor<10x32xf32> {role = #train.role<weight>, trainable, decay}
  func.func @forward(%x : tensor<8x16xf32>) -> tensor<8x10xf32> {
    %w1 = train.read @fc1.weight : tensor<32x16xf32>
    %b1 = train.read @fc1.bias : tensor<32xf32>
    %w2 = train.read @fc2.weight : tensor<32x32xf32>
    %w3 = train.read @fc3.weight : tensor<32x32xf32>
    %w4 = train.read @fc4.weight : tensor<10x32xf32>
    %y1 = nn.matmul %x, %w1 {layer = "fc1", transpose_b} : (tensor<8x16xf32>, tensor<32x16xf32>) -> tensor<8x32xf32>
    %z1 = nn.add %y1, %b1 : (tensor<8x32xf32>, tensor<32xf32>) -> tensor<8x32xf32>
    %h1 = nn.relu %z1 : tensor<8x32xf32>
    %y2 = nn.matmul %h1, %w2 {layer = "fc2", transpose_b} : (tensor<8x32xf32>, tensor<32x32xf32>) -> tensor<8x32xf32>
    %h2 = nn.tanh %y2 : tensor<8x32xf32>
    %y3 = nn.matmul %h2, %w3 {layer = "fc3", transpose_b} : (tensor<8x32xf32>, tensor<32x32xf32>) -> tensor<8x32xf32>
    %h3 = nn.relu %y3 : tensor<8x32xf32>
    %y4 = nn.matmul %h3, %w4 {layer = "fc4", transpose_b} : (tensor<8x32xf32>, tensor<10x32xf32>) -> tensor<8x10xf32>
    return %y4 : tensor<8x10xf32>
  }
})";

const char *const test::residual = R"(
module attributes {nibble.loss = "softmax_cross_entropy", nibble.classes = 4 : i64} {
  train.variable @stem.weight : tensor<8x3x3x2xf32> {role = #train.role<weight>, trainable, decay}
  train.variable @bn.scale : tensor<8xf32> {role = #train.role<norm>, trainable, value = dense<1.0> : tensor<8xf32>}
  train.variable @bn.bias : tensor<8xf32> {role = #train.role<norm>, trainable}
  train.variable @bn.mean : tensor<8xf32> {role = #train.role<running_stat>}
  train.variable @bn.var : tensor<8xf32> {role = #train.role<running_stat>, value = dense<1.0> : tensor<8xf32>}
  train.variable @a.weight : tensor<12x3x3x8xf32> {role = #train.role<weight>, trainable, decay}
  train.variable @b.weight : tensor<12x3x3x12xf32> {role = #train.role<weight>, trainable, decay}
  train.variable @short.weight : tensor<12x1x1x8xf32> {role = #train.role<weight>, trainable, decay}
  train.variable @fc.weight : tensor<4x12xf32> {role = #train.role<weight>, trainable, decay}
  func.func @forward(%x : tensor<4x6x6x2xf32>) -> tensor<4x4xf32> {
    %ws = train.read @stem.weight : tensor<8x3x3x2xf32>
    %g = train.read @bn.scale : tensor<8xf32>
    %b = train.read @bn.bias : tensor<8xf32>
    %m = train.read @bn.mean : tensor<8xf32>
    %v = train.read @bn.var : tensor<8xf32>
    %wa = train.read @a.weight : tensor<12x3x3x8xf32>
    %wb = train.read @b.weight : tensor<12x3x3x12xf32>
    %wc = train.read @short.weight : tensor<12x1x1x8xf32>
    %wf = train.read @fc.weight : tensor<4x12xf32>
    %y = nn.conv2d %x, %ws {layer = "stem", strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>,
        dilations = array<i64: 1, 1>} : (tensor<4x6x6x2xf32>, tensor<8x3x3x2xf32>) -> tensor<4x6x6x8xf32>
    %n = nn.batch_norm %y, %g, %b, %m, %v {epsilon = 1.0e-5 : f32, momentum = 0.9 : f32}
        : (tensor<4x6x6x8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>) -> tensor<4x6x6x8xf32>
    %h = nn.relu %n : tensor<4x6x6x8xf32>
    %ya = nn.conv2d %h, %wa {layer = "a", strides = array<i64: 2, 2>, pads = array<i64: 1, 1, 1, 1>,
        dilations = array<i64: 1, 1>} : (tensor<4x6x6x8xf32>, tensor<12x3x3x8xf32>) -> tensor<4x3x3x12xf32>
    %ha = nn.relu %ya : tensor<4x3x3x12xf32>
    %yb = nn.conv2d %ha, %wb {layer = "b", strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>,
        dilations = array<i64: 1, 1>} : (tensor<4x3x3x12xf32>, tensor<12x3x3x12xf32>) -> tensor<4x3x3x12xf32>
    %yc = nn.conv2d %h, %wc {layer = "short", strides = array<i64: 2, 2>, pads = array<i64: 0, 0, 0, 0>,
        dilations = array<i64: 1, 1>} : (tensor<4x6x6x8xf32>, tensor<12x1x1x8xf32>) -> tensor<4x3x3x12xf32>
    %s = nn.add %yb, %yc : (tensor<4x3x3x12xf32>, tensor<4x3x3x12xf32>) -> tensor<4x3x3x12xf32>
    %r = nn.relu %s : tensor<4x3x3x12xf32>
    %p = nn.reduce_mean %r {axes = array<i64: 1, 2>} : (tensor<4x3x3x12xf32>) -> tensor<4x1x1x12xf32>
    %f = nn.reshape %p : (tensor<4x1x1x12xf32>) -> tensor<4x12xf32>
    %o = nn.matmul %f, %wf {layer = "fc", transpose_b} : (tensor<4x12xf32>, tensor<4x12xf32>) -> tensor<4x4xf32>
    return %o : tensor<4x4xf32>
  }
})";

/// Elements uniform in [lo, hi).
static Tensor<float> uniform(ArrayRef<int64_t> shape, double lo, double hi, uint32_t stream) {
  Tensor<double> wide = reference::randomReals(shape, lo, hi, /*seed=*/7, stream);
  return Tensor<float>::real(shape, std::vector<float>(wide.reals.begin(), wide.reals.end()));
}

Network::Network(const char *forward, const std::string &recipe, bool share, int64_t microBatches)
    : microBatches(microBatches) {
  DialectRegistry registry;
  registry.insert<nn::NNDialect, q4::Q4Dialect, train::TrainDialect, func::FuncDialect,
                  arith::ArithDialect>();
  registerDifferentiableModels(registry);
  context = std::make_unique<MLIRContext>(registry);
  context->loadAllAvailableDialects();
  module = parseSourceString<ModuleOp>(forward, context.get());
  if (!module)
    return;
  PassManager manager(context.get());
  DifferentiateOptions differentiate;
  differentiate.recipe = recipe;
  differentiate.step = "accumulate=" + std::to_string(microBatches);
  buildDifferentiatePipeline(manager, differentiate);
  QuantizeOptions quantize;
  if (share)
    buildQuantizePipeline(manager, quantize);
  else
    manager.addPass(createInsertQuantizers());
  good = succeeded(manager.run(*module));
  if (good)
    initialize();
}

/// Weights uniform with He's deviation √(2/fan-in), pixels in [0, 1), label i of row i.
void Network::initialize() {
  store = *reference::VariableStore<float>::fromModule(*module);
  uint32_t stream = 0;
  for (auto variable : module->getOps<train::VariableOp>())
    if (variable.getRole() == train::Role::Weight) {
      auto type = cast<RankedTensorType>(variable.getType());
      double fanIn = static_cast<double>(type.getNumElements()) / type.getDimSize(0),
             bound = std::sqrt(6.0 / fanIn);
      store.set(variable.getSymName(), uniform(type.getShape(), -bound, bound, ++stream));
    }
  auto type = cast<RankedTensorType>(function("train_step").getArgument(0).getType());
  x = uniform(type.getShape(), 0.0, 1.0, 1000);
  std::vector<int32_t> rows(type.getDimSize(0));
  for (size_t i = 0; i < rows.size(); ++i)
    rows[i] = static_cast<int32_t>(i % 4);
  labels = Tensor<float>::labels(rows);
}

float Network::step(float lr) {
  std::vector<Tensor<float>> arguments = {x, labels, Tensor<float>::learningRate(lr),
                                          Tensor<float>::step(calls / microBatches + 1),
                                          Tensor<float>::randomState(/*seed=*/3, calls)};
  auto result = interpreter.run(function("train_step"), arguments, store);
  if (failed(result))
    return std::numeric_limits<float>::quiet_NaN();
  ++calls;
  last = *result;
  return last.outputs[0].reals[0];
}

float Network::train(int steps, float lr) {
  float loss = std::numeric_limits<float>::quiet_NaN();
  for (int i = 0; i < steps; ++i)
    loss = step(lr);
  return loss;
}

Tensor<float> Network::evaluate(const Tensor<float> &rows) {
  std::vector<Tensor<float>> arguments = {
      rows, labels, Tensor<float>::label(static_cast<int32_t>(rows.shape[0]))};
  auto result = interpreter.run(function("eval_step"), arguments, store);
  if (failed(result))
    return {};
  last = *result;
  return last.outputs[2];
}

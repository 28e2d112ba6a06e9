//===- InterpretedStepTests.cpp - The interpreter behind the trainer's door ---===//
#include "nibble/Driver/InterpretedStep.h"

#include "nibble/Dialect/NN/IR/NN.h"
#include "nibble/Dialect/Q4/IR/Q4.h"
#include "nibble/Dialect/Train/IR/Train.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Parser/Parser.h"
#include "gtest/gtest.h"

#include <limits>

using namespace mlir;
using namespace nibble;

namespace {

/// A linear classifier: weights are trained by plain SGD; the report has one layer.
const char *kModule = R"(
module attributes {nibble.classes = 3 : i64} {
  train.variable @w : tensor<3x2xf32> {role = #train.role<weight>, trainable}
  func.func @train_step(%x: tensor<4x2xf32>, %labels: tensor<4xi32>, %lr: tensor<f64>, %step: tensor<i64>, %rng: tensor<2xi64>)
      -> (tensor<f32>, tensor<i32>) {
    %w = train.read @w : tensor<3x2xf32>
    %z = nn.matmul %x, %w {transpose_b} : (tensor<4x2xf32>, tensor<3x2xf32>) -> tensor<4x3xf32>
    %loss, %c = nn.softmax_cross_entropy %z, %labels : (tensor<4x3xf32>, tensor<4xi32>) -> (tensor<f32>, tensor<i32>)
    %one = arith.constant dense<1.0> : tensor<f32>
    %dz = nn.softmax_cross_entropy_grad %z, %labels, %one : (tensor<4x3xf32>, tensor<4xi32>, tensor<f32>) -> tensor<4x3xf32>
    %dw = nn.matmul %dz, %x {transpose_a} : (tensor<4x3xf32>, tensor<4x2xf32>) -> tensor<3x2xf32>
    %zero = arith.constant dense<0.0> : tensor<3x2xf32>
    %rate = train.rate %lr, %step : (tensor<f64>, tensor<i64>) -> tensor<f32>
    %new, %v = train.sgd %w, %dw, %zero, %rate {momentum = 0.0 : f32, decay = 0.0 : f32}
        : (tensor<3x2xf32>, tensor<3x2xf32>, tensor<3x2xf32>, tensor<f32>) -> (tensor<3x2xf32>, tensor<3x2xf32>)
    %flag = q4.non_finite %dw {infinities} : (tensor<3x2xf32>) -> tensor<i1>
    train.report %one {keys = ["fc/output_gradient/scale"]} : tensor<f32>
    train.guard %flag : tensor<i1>
    train.write @w, %new : tensor<3x2xf32>
    return %loss, %c : tensor<f32>, tensor<i32>
  }
  func.func @eval_step(%x: tensor<4x2xf32>, %labels: tensor<4xi32>, %valid: tensor<i32>)
      -> (tensor<f32>, tensor<i32>, tensor<4x3xf32>) {
    %w = train.read @w : tensor<3x2xf32>
    %z = nn.matmul %x, %w {transpose_b} : (tensor<4x2xf32>, tensor<3x2xf32>) -> tensor<4x3xf32>
    %loss, %c = nn.softmax_cross_entropy %z, %labels, %valid
        : (tensor<4x3xf32>, tensor<4xi32>, tensor<i32>) -> (tensor<f32>, tensor<i32>)
    return %loss, %c, %z : tensor<f32>, tensor<i32>, tensor<4x3xf32>
  }
})";

struct InterpretedStepTest : testing::Test {
  InterpretedStepTest() {
    context.loadDialect<nn::NNDialect, q4::Q4Dialect, train::TrainDialect, func::FuncDialect,
                        arith::ArithDialect>();
    step = make();
  }
  std::unique_ptr<InterpretedStep> make(const char *text = kModule) {
    auto result = InterpretedStep::create(parseSourceString<ModuleOp>(text, &context), 1);
    EXPECT_TRUE(result.ok()) << result.message();
    return result.ok() ? std::move(*result) : nullptr;
  }

  MLIRContext context;
  std::unique_ptr<InterpretedStep> step;
  std::vector<float> x{1, 0, 0, 1, -1, -1, 1, 0};
  std::vector<int32_t> labels{0, 1, 2, 0};
  runtime::Batch batch{x.data(), labels.data(), nullptr, 4};
};

} // namespace

// Shapes and classes come from the functions and the module.
TEST_F(InterpretedStepTest, Describes) {
  EXPECT_EQ(step->batchSize(), 4);
  EXPECT_EQ(step->inputShape(), (std::vector<int64_t>{4, 2}));
  EXPECT_EQ(step->numClasses(), 3);
  EXPECT_TRUE(step->targetShape().empty());
}

// Training lowers the loss and answers every row; the report's layers come along; evaluation sums
// over the valid rows alone.
TEST_F(InterpretedStepTest, TrainsAndEvaluates) {
  runtime::StepResult result;
  for (int64_t i = 0; i < 50; ++i) {
    ASSERT_TRUE(step->train(batch, 0.5, i, result).ok());
    ASSERT_EQ(result.code, runtime::StepCode::Ok);
    if (i == 0)
      EXPECT_FLOAT_EQ(result.loss, std::log(3.0f));
  }
  EXPECT_LT(result.loss, 0.2f);
  EXPECT_EQ(result.correct, 4);
  ASSERT_EQ(result.layers.size(), 1u);
  EXPECT_EQ(result.layers[0].name, "fc");
  runtime::EvalResult all, half;
  ASSERT_TRUE(step->evaluate(batch, all).ok());
  batch.validRows = 2;
  ASSERT_TRUE(step->evaluate(batch, half).ok());
  EXPECT_EQ(all.correct, 4);
  EXPECT_EQ(half.correct, 2);
  EXPECT_LT(half.lossSum, all.lossSum);
}

// A step on NaN is NONFINITE and changes nothing; the next good step goes on as if it had not been.
TEST_F(InterpretedStepTest, NonFiniteChangesNothing) {
  auto twin = make();
  runtime::StepResult result;
  ASSERT_TRUE(step->train(batch, 0.5, 0, result).ok());
  ASSERT_TRUE(twin->train(batch, 0.5, 0, result).ok());
  x[3] = std::numeric_limits<float>::quiet_NaN();
  ASSERT_TRUE(step->train(batch, 0.5, 1, result).ok());
  EXPECT_EQ(result.code, runtime::StepCode::NonFinite);
  EXPECT_TRUE(step->variables().bitIdentical(twin->variables()));
}

// The state has every variable that steps change, with type and shape, and may be read and written in place.
TEST_F(InterpretedStepTest, State) {
  std::vector<runtime::StateView> state = step->state();
  ASSERT_EQ(state.size(), 1u);
  EXPECT_EQ(state[0].name, "w");
  EXPECT_EQ(state[0].role, "weight");
  EXPECT_EQ(state[0].type, runtime::DType::F32);
  EXPECT_EQ(state[0].shape, (std::vector<int64_t>{3, 2}));
  ASSERT_EQ(state[0].bytes.size(), 24u);
  reinterpret_cast<float *>(state[0].bytes.data())[4] = 2.5f;
  EXPECT_EQ(step->variables()["w"].reals[4], 2.5f);
}

// k steps, the state copied into another step, k steps there: the bits of 2k steps.
TEST_F(InterpretedStepTest, StateCarriesARun) {
  auto other = make();
  runtime::StepResult result, otherResult;
  for (int64_t i = 0; i < 5; ++i)
    ASSERT_TRUE(step->train(batch, 0.3, i, result).ok());
  std::vector<runtime::StateView> from = step->state(), to = other->state();
  for (size_t i = 0; i < from.size(); ++i)
    llvm::copy(from[i].bytes, to[i].bytes.begin());
  for (int64_t i = 5; i < 10; ++i) {
    ASSERT_TRUE(step->train(batch, 0.3, i, result).ok());
    ASSERT_TRUE(other->train(batch, 0.3, i, otherResult).ok());
    EXPECT_EQ(result.loss, otherResult.loss);
  }
  EXPECT_TRUE(step->variables().bitIdentical(other->variables()));
}

// What cannot run is an error with the interpreter's message, not an abort.
TEST_F(InterpretedStepTest, Errors) {
  runtime::StepResult result;
  labels[2] = 3;
  Status status = step->train(batch, 0.5, 0, result);
  EXPECT_NE(status.message().find("row 2 has label 3"), std::string::npos) << status.message();
  batch.labels = nullptr;
  EXPECT_FALSE(step->train(batch, 0.5, 0, result).ok());
  EXPECT_FALSE(InterpretedStep::create(parseSourceString<ModuleOp>("module {}", &context), 1).ok());
}

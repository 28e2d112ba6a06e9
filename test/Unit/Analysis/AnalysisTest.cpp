//===- AnalysisTest.cpp - streams, signs, slices -----------------------------------===//
#include "nibble/Analysis/NonNegative.h"
#include "nibble/Analysis/Slices.h"
#include "nibble/Analysis/Streams.h"
#include "nibble/Analysis/StridedView.h"
#include "nibble/Dialect/NN/IR/NN.h"
#include "nibble/Dialect/Train/IR/Train.h"
#include "nibble/Numerics/Random.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Parser/Parser.h"

#include <gtest/gtest.h>

using namespace mlir;
using namespace nibble;

namespace {

class AnalysisTest : public ::testing::Test {
protected:
  AnalysisTest() {
    context
        .loadDialect<nn::NNDialect, train::TrainDialect, arith::ArithDialect, func::FuncDialect>();
  }
  /// A function of %x and the variable %w, both tensor<2x3xf32>, whose last op is named by `body`.
  OwningOpRef<ModuleOp> parse(const std::string &body) {
    std::string text = "train.variable @w : tensor<2x3xf32> {role = #train.role<weight>}\n"
                       "func.func @f(%x: tensor<2x3xf32>, %rng: tensor<2xi64>) {\n  %w = "
                       "train.read @w : tensor<2x3xf32>\n  " +
                       body + "\n  return\n}\n";
    auto module = parseSourceString<ModuleOp>(text, &context);
    EXPECT_TRUE(module) << text;
    return module;
  }
  static Value last(ModuleOp module) {
    Block &block = module.lookupSymbol<func::FuncOp>("f").getBody().front();
    return block.getTerminator()->getPrevNode()->getResult(0);
  }
  MLIRContext context{MLIRContext::Threading::DISABLED};
};

/// A stream is the FNV-1a hash of its name, plus 1 until free; bits that are already drawn and the
/// data order count as taken.
TEST_F(AnalysisTest, StreamsAreHashesPlusOneUntilFree) {
  auto empty = parse("");
  Streams streams(*empty);
  // FNV-1a-32 of "a" is 0xE40C292C (the published test vector).
  EXPECT_EQ(streams.take("a"), 0xE40C292Cu);
  EXPECT_EQ(streams.take("a"), 0xE40C292Du);
  EXPECT_EQ(Streams::name("conv1", "input_gradient", "dy"), "conv1/input_gradient/dy");
  EXPECT_EQ(streams.take("shuffle"), numerics::kShuffleStream + 1);

  auto drawn =
      parse("%b = train.random_bits %rng {stream = " + std::to_string(int32_t(0xE40C292Cu)) +
            " : i32} : (tensor<2xi64>) -> tensor<4xi16>");
  EXPECT_EQ(Streams(*drawn).take("a"), 0xE40C292Du);
}

/// Values that are provably not negative are found, and nothing is claimed of others.
TEST_F(AnalysisTest, NonNegative) {
  const std::string t = "tensor<2x3xf32>", relu = "%r = nn.relu %x : " + t + "\n",
                    both = " : (" + t + ", " + t + ") -> " + t;
  const std::pair<std::string, bool> bodies[] = {
      {relu, true},
      {"%y = nn.sigmoid %x : " + t, true},
      {"%y = nn.softmax %x : " + t, true},
      {"%y = nn.log_softmax %x : " + t, false},
      {"%y = nn.tanh %x : " + t, false},
      {relu + "%y = nn.tanh %r : " + t, true},
      {relu + "%y = nn.neg %r : " + t, false},
      {relu + "%y = nn.add %r, %r" + both, true},
      {relu + "%y = nn.add %r, %x" + both, false},
      {relu + "%y = nn.sub %r, %r" + both, false},
      {relu + "%y = nn.max %x, %r" + both, true},
      {relu + "%y = nn.min %x, %r" + both, false},
      {"%y = nn.mul %x, %x" + both, false},
      {"%y = nn.clip %x {lo = 0.0 : f32, hi = 6.0 : f32} : " + t, true},
      {"%y = nn.clip %x {lo = -1.0 : f32, hi = 1.0 : f32} : " + t, false},
      {relu + "%y = nn.reshape %r : (" + t + ") -> tensor<6xf32>", true},
      {relu + "%y = nn.transpose %r {perm = array<i64: 1, 0>} : (" + t + ") -> tensor<3x2xf32>",
       true},
      {relu + "%y = nn.reduce_mean %r {axes = array<i64: 1>} : (" + t + ") -> tensor<2x1xf32>",
       true},
      {"%y = arith.constant dense<[0.0, 1.0]> : tensor<2xf32>", true},
      {"%y = arith.constant dense<[1.0, -1.0]> : tensor<2xf32>", false},
  };
  for (auto &[body, expected] : bodies) {
    auto module = parse(body);
    ASSERT_TRUE(module);
    EXPECT_EQ(isNonNegative(last(*module)), expected) << body;
  }
}

/// A weight depends on a variable and on no argument; the network's input on arguments and no
/// variable.
TEST_F(AnalysisTest, WeightsAndInputs) {
  const std::string t = "tensor<2x3xf32>", both = " : (" + t + ", " + t + ") -> " + t;
  struct Expected {
    std::string body;
    bool weight, input;
  };
  const Expected bodies[] = {{"%y = nn.neg %w : " + t, true, false},
                             {"%y = nn.neg %x : " + t, false, true},
                             {"%y = nn.add %x, %w" + both, false, false},
                             {"%y = arith.constant dense<1.0> : " + t, false, false}};
  for (const Expected &expected : bodies) {
    auto module = parse(expected.body);
    ASSERT_TRUE(module);
    EXPECT_EQ(isWeight(last(*module)), expected.weight) << expected.body;
    EXPECT_EQ(isNetworkInput(last(*module)), expected.input) << expected.body;
  }
}

// Element i of a chain of moves is the element that moving step by step finds.
TEST_F(AnalysisTest, StridedViews) {
  auto viewOf = [&](const std::string &body) -> std::string {
    OwningOpRef<ModuleOp> module = parse(body);
    auto view = stridedView(last(*module).getDefiningOp(), movesElements);
    if (!view)
      return "none";
    std::string text = std::to_string(view->offset);
    for (StridedView::Level level : view->levels)
      text += " " + std::to_string(level.size) + ":" + std::to_string(level.stride);
    return text + (view->isWholeBlocks() ? " blocks" : "");
  };
  std::string big = "%a = nn.broadcast %x : (tensor<2x3xf32>) -> tensor<4x2x3xf32>\n";
  EXPECT_EQ(viewOf("%t = nn.transpose %x {perm = array<i64: 1, 0>} : (tensor<2x3xf32>) -> tensor<3x2xf32>"), "0 3:1 2:3");
  EXPECT_EQ(viewOf(big), "0 4:0 6:1");
  EXPECT_EQ(viewOf(big + "%s = nn.slice %a {starts = array<i64: 1, 0, 2>, steps = array<i64: 2, 1, 1>} : (tensor<4x2x3xf32>) -> tensor<2x2x1xf32>"),
            "2 2:0 2:3");
  EXPECT_EQ(viewOf("%b = nn.slice %x {starts = array<i64: 0, 2>, steps = array<i64: 1, -1>} : (tensor<2x3xf32>) -> tensor<2x3xf32>"), "none");
  // The middle two thirds of each row, as one row of four, cross a row of the memory: no digits fit.
  EXPECT_EQ(viewOf("%s = nn.slice %x {starts = array<i64: 0, 1>, steps = array<i64: 1, 1>} : (tensor<2x3xf32>) -> tensor<2x2xf32>\n"
                   "%r = nn.reshape %s : (tensor<2x2xf32>) -> tensor<4xf32>\n"
                   "%t = nn.slice %r {starts = array<i64: 1>, steps = array<i64: 1>} : (tensor<4xf32>) -> tensor<2xf32>"),
            "none");
  std::string wide = "%e = nn.broadcast %y : (tensor<1xf32>) -> tensor<2x64xf32>";
  EXPECT_EQ(viewOf("%p = nn.slice %x {starts = array<i64: 1, 1>, steps = array<i64: 1, 1>} : (tensor<2x3xf32>) -> tensor<1x1xf32>\n"
                   "%y = nn.reshape %p : (tensor<1x1xf32>) -> tensor<1xf32>\n" + wide),
            "4 128:0 blocks");
}
} // namespace

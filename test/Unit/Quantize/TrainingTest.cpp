// Laws of a quantized training step, each for every recipe.
#include "Networks.h"

#include "nibble/Dialect/Q4/IR/Q4.h"
#include "nibble/Recipe/Recipe.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

using namespace mlir;
using namespace nibble;
using namespace nibble::test;
using reference::RunStatus;
using reference::Tensor;

namespace {

std::vector<std::string> allRecipes() {
  std::vector<std::string> recipes = recipeNames();
  for (const char *changed :
       {"ibm,activations=dynamic", "ibm,activations=minmax,first-last=int4,shortcuts=int4",
        "ibm,two-phase=false", "ibm+,swap-phases=true", "int4,separate-draws=true,gain=true",
        "luq,first-last=float", "w4a4,first-last=int4",
        "luq,separate-draws=true,activations=dynamic,shortcuts=float", "luq,residuals=int8",
        "ibm,residuals=int4", "int4,residuals=f32", "ibm,residuals=recompute"})
    recipes.push_back(changed);
  return recipes;
}

class EveryRecipe : public testing::TestWithParam<std::string> {};

/// Adds every code tensor of the step to what it returns.
unsigned returnCodes(func::FuncOp function) {
  Operation *end = function.getBody().front().getTerminator();
  SmallVector<Value> results(end->getOperands());
  function.walk([&](Operation *op) {
    if (isa<q4::QuantizeOp, q4::QuantizeLogOp>(op))
      results.push_back(op->getResult(0));
  });
  unsigned first = end->getNumOperands();
  end->setOperands(results);
  function.setType(FunctionType::get(function.getContext(), function.getArgumentTypes(),
                                     ValueRange(results).getTypes()));
  return first;
}

} // namespace

// A network trained on one batch learns it: the loss falls to less than half, and no step is
// refused.
TEST_P(EveryRecipe, LossOfOneBatchFalls) {
  for (const char *forward : {mlp, residual}) {
    Network network(forward, GetParam());
    ASSERT_TRUE(network.ok());
    float first = network.step();
    ASSERT_TRUE(std::isfinite(first));
    float last = network.train(60);
    EXPECT_LT(last, first / 2);
    EXPECT_EQ(network.last.status, RunStatus::Ok);
  }
}

// Four bits are sixteen codes: no int4 or logarithmic tensor ever has more, and a layer's gradient
// is not all zeros.
TEST_P(EveryRecipe, CodesAreAtMostSixteen) {
  for (const char *forward : {mlp, residual}) {
    Network network(forward, GetParam());
    ASSERT_TRUE(network.ok());
    unsigned first = returnCodes(network.function("train_step"));
    // GradScale has found its place by step 32.
    network.train(32);
    for (size_t i = first; i < network.last.outputs.size(); ++i) {
      const Tensor<float> &codes = network.last.outputs[i];
      std::set<int32_t> distinct(codes.ints.begin(), codes.ints.end());
      EXPECT_LE(distinct.size(), codes.kind == reference::ElementKind::Int8 ? 255u : 16u);
      EXPECT_GE(distinct.size(), 2u);
    }
  }
}

// Sharing, merging and folding quantizers changes no number: parameters are those of the step in
// which each product quantizes its own copies.
TEST_P(EveryRecipe, SharingCodesChangesNoBit) {
  for (const char *forward : {mlp, residual}) {
    std::string recipe = GetParam() + ",residuals=f32"; // what is kept is no matter of sharing
    Network shared(forward, recipe), plain(forward, recipe, /*share=*/false);
    ASSERT_TRUE(shared.ok() && plain.ok());
    shared.train(5);
    plain.train(5);
    EXPECT_TRUE(shared.store.bitIdentical(plain.store));
  }
}

// What is multiplied again is what was multiplied.
TEST(Residuals, RecomputingChangesNoBit) {
  for (std::string recipe : {"ibm", "luq", "int4"}) {
    Network again(residual, recipe + ",residuals=recompute"), kept(residual, recipe + ",residuals=f32");
    ASSERT_TRUE(again.ok() && kept.ok());
    again.train(5);
    kept.train(5);
    EXPECT_TRUE(again.store.bitIdentical(kept.store)) << recipe;
  }
}

// With every layer kept float, each recipe is the f32 trainer bit for bit.
TEST_P(EveryRecipe, KeepFloatEverywhereIsF32) {
  for (const char *forward : {mlp, residual}) {
    Network kept(forward, GetParam() + ",keep-float=.*"), real(forward, "f32");
    ASSERT_TRUE(kept.ok() && real.ok());
    EXPECT_EQ(kept.train(5), real.train(5));
    EXPECT_TRUE(kept.store.bitIdentical(real.store));
  }
}

// The same seed and update give the same step; a step depends on nothing else.
TEST_P(EveryRecipe, StepsRepeat) {
  Network first(mlp, GetParam()), second(mlp, GetParam());
  first.train(3);
  second.train(3);
  EXPECT_TRUE(first.store.bitIdentical(second.store));
}

// A NaN among the pixels ends the step with NONFINITE before anything is written, ranges and scales
// included.
TEST_P(EveryRecipe, NanLeavesStateAlone) {
  Network network(mlp, GetParam());
  network.train(2);
  auto before = network.store;
  Tensor<float> x = network.input();
  x.reals[5] = std::nanf("");
  network.setInput(x);
  network.step();
  EXPECT_EQ(network.last.status, RunStatus::NonFinite);
  EXPECT_TRUE(network.store.bitIdentical(before));
}

// Each quantized tensor is reported, with fractions in [0, 1] and a positive scale.
TEST_P(EveryRecipe, ReportsAreFractionsAndScales) {
  Network network(mlp, GetParam());
  network.train(2);
  bool isFloat = findRecipe(GetParam()) && findRecipe(GetParam())->isFloat();
  EXPECT_EQ(network.last.report.empty(), isFloat);
  for (auto &[key, value] : network.last.report) {
    EXPECT_GE(value, 0.0f) << key;
    if (StringRef(key).ends_with("/scale"))
      EXPECT_GT(value, 0.0f) << key;
    else
      EXPECT_LE(value, 1.0f) << key;
  }
  if (!isFloat)
    for (const char *key : {"fc2/input/saturation", "fc2/weight/underflow", "fc3/input/scale"})
      EXPECT_TRUE(network.last.report.count(key)) << key;
}

INSTANTIATE_TEST_SUITE_P(Recipes, EveryRecipe, testing::ValuesIn(allRecipes()),
                         [](const auto &info) {
                           std::string name = info.param;
                           for (char &c : name)
                             if (!std::isalnum(static_cast<unsigned char>(c)))
                               c = c == '+' ? 'P' : '_';
                           return name;
                         });

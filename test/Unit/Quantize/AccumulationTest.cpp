// Laws of an update of several micro-batches, each for every recipe (numerics.md, sections 6 and
// 7).
#include "Networks.h"

#include "nibble/Dialect/Q4/IR/Q4.h"
#include "nibble/Dialect/Train/IR/Train.h"
#include "nibble/Recipe/Recipe.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>

using namespace mlir;
using namespace nibble;
using namespace nibble::test;
using reference::RunStatus;
using reference::Tensor;

namespace {

constexpr auto kBits = [](float v) { return std::bit_cast<uint32_t>(v); };

class Accumulation : public testing::TestWithParam<std::string> {};

/// Sums and shadows, which live within an update.
bool isTransient(StringRef name) {
  return name.ends_with(".gradient_sum") || name.ends_with(".shadow");
}

/// Names of variables that differ, sums and shadows left out.
std::vector<std::string> differing(Network &a, Network &b) {
  std::vector<std::string> names;
  for (auto variable : a.module->getOps<train::VariableOp>()) {
    std::string name = variable.getSymName().str();
    if (isTransient(name) || !b.module->lookupSymbol(name))
      continue;
    const std::vector<float> &left = a.store[name].reals, &right = b.store[name].reals;
    if (!llvm::equal(llvm::map_range(left, kBits), llvm::map_range(right, kBits)))
      names.push_back(name);
  }
  return names;
}

Tensor<float> scaled(Tensor<float> x, float factor) {
  for (float &v : x.reals)
    v *= factor;
  return x;
}

/// Adds codes of weights to what the step returns; the first one's place.
unsigned returnWeightCodes(func::FuncOp function) {
  Operation *end = function.getBody().front().getTerminator();
  SmallVector<Value> results(end->getOperands());
  function.walk([&](q4::QuantizeOp op) {
    if (op.getX().getDefiningOp<train::ReadOp>())
      results.push_back(op.getResult());
  });
  unsigned first = end->getNumOperands();
  end->setOperands(results);
  function.setType(FunctionType::get(function.getContext(), function.getArgumentTypes(),
                                     ValueRange(results).getTypes()));
  return first;
}

} // namespace

// Until the last micro-batch nothing changes but sums and shadows; then something does.
TEST_P(Accumulation, OnlyTheLastCallWrites) {
  for (const char *forward : {mlp, residual}) {
    Network before(forward, GetParam(), true, 3), after(forward, GetParam(), true, 3);
    ASSERT_TRUE(before.ok() && after.ok());
    for (int update = 0; update < 3; ++update) {
      after.train(2);
      EXPECT_EQ(differing(before, after), std::vector<std::string>());
      after.train(1);
      EXPECT_GE(differing(before, after).size(), 3u);
      before.train(3);
      EXPECT_EQ(differing(before, after), std::vector<std::string>());
    }
  }
}

// Two equal micro-batches make the update of one, bit for bit: (g + g)/2 = g. Random bits differ on
// purpose, so recipes that draw are left out, and so are running statistics, which see the batch
// twice.
TEST_P(Accumulation, EqualMicroBatchesAreOneBatch) {
  Network once(mlp, GetParam()), twice(mlp, GetParam(), true, 2);
  ASSERT_TRUE(once.ok() && twice.ok());
  bool draws = false;
  once.module->walk([&](train::RandomBitsOp) { draws = true; });
  for (int update = 0; update < 4; ++update) {
    once.train(1);
    twice.train(2);
    EXPECT_EQ(differing(twice, once).empty(), !draws);
  }
}

// Micro-batches draw different bits.
TEST_P(Accumulation, MicroBatchesDrawTheirOwnBits) {
  Network network(mlp, GetParam(), true, 2);
  bool draws = false;
  network.module->walk([&](train::RandomBitsOp) { draws = true; });
  network.train(3);
  Tensor<float> sum = network.store["fc2.weight.gradient_sum"];
  network.train(1);
  Tensor<float> both = network.store["fc2.weight.gradient_sum"];
  bool doubled = true;
  for (size_t i = 0; i < sum.reals.size(); ++i)
    doubled &= both.reals[i] == 2 * sum.reals[i];
  EXPECT_EQ(doubled, !draws);
}

// All micro-batches of an update multiply the same codes of the weights, whatever the batch.
TEST_P(Accumulation, CodesOfWeightsStayWithinAnUpdate) {
  if (parseRecipe(GetParam())->isFloat())
    return;
  Network network(mlp, GetParam(), true, 2);
  unsigned first = returnWeightCodes(network.function("train_step"));
  Tensor<float> x = network.input();
  std::vector<std::vector<int32_t>> before;
  for (int call = 0; call < 6; ++call) {
    network.setInput(scaled(x, static_cast<float>(1 + call % 3)));
    network.step(/*lr=*/0.5f);
    ASSERT_GT(network.last.outputs.size(), first);
    std::vector<std::vector<int32_t>> now;
    for (size_t i = first; i < network.last.outputs.size(); ++i)
      now.push_back(network.last.outputs[i].ints);
    if (call > 0)
      EXPECT_EQ(now == before, call % 2 == 1) << call;
    before = now;
  }
}

// The first batch sets a bound, and the other micro-batches of the update use it.
TEST_P(Accumulation, FirstMicroBatchSetsBounds) {
  Network once(mlp, GetParam()), twice(mlp, GetParam(), true, 2);
  Tensor<float> x = once.input();
  once.step(/*lr=*/0);
  twice.step(/*lr=*/0);
  twice.setInput(scaled(x, 3));
  twice.step(/*lr=*/0);
  for (auto variable : once.module->getOps<train::VariableOp>())
    if (variable.getRole() == train::Role::Clip)
      EXPECT_EQ(once.store[variable.getSymName()].reals, twice.store[variable.getSymName()].reals)
          << variable.getSymName().str();
}

// A NaN in any micro-batch ends the update with NONFINITE; state is as before the update, and the
// next attempt is not affected by what was left in sums and shadows.
TEST_P(Accumulation, NanLeavesStateAlone) {
  for (const char *forward : {mlp, residual})
    for (int bad = 0; bad < 2; ++bad) {
      Network broken(forward, GetParam(), true, 2), whole(forward, GetParam(), true, 2);
      broken.train(2), whole.train(2);
      Tensor<float> good = broken.input(), poisoned = good;
      poisoned.reals[5] = std::nanf("");
      broken.setInput(scaled(good, 2));
      broken.train(bad);
      auto before = broken.store;
      broken.setInput(poisoned);
      broken.step();
      EXPECT_EQ(broken.last.status, RunStatus::NonFinite);
      EXPECT_TRUE(broken.store.bitIdentical(before));
      EXPECT_EQ(differing(broken, whole), std::vector<std::string>());
      broken.setInput(good);
      broken.setCount(2);
      broken.train(2), whole.train(2);
      EXPECT_EQ(differing(broken, whole), std::vector<std::string>());
    }
}

INSTANTIATE_TEST_SUITE_P(Recipes, Accumulation,
                         testing::Values("f32", "w4a4", "ibm", "ibm+", "luq", "int4",
                                         "ibm,activations=minmax", "luq,activations=dynamic"),
                         [](const auto &info) {
                           std::string name = info.param;
                           for (char &c : name)
                             if (!std::isalnum(static_cast<unsigned char>(c)))
                               c = c == '+' ? 'P' : '_';
                           return name;
                         });

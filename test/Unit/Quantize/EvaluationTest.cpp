// Evaluation uses frozen ranges: a sample's answer does not depend on its batch mates.
#include "Networks.h"

#include <gtest/gtest.h>

#include <algorithm>

using namespace nibble;
using namespace nibble::test;
using reference::Tensor;

namespace {

class Frozen : public testing::TestWithParam<const char *> {};

/// The batch with every row but the first scaled: the first row meets other mates.
Tensor<float> withOtherMates(Tensor<float> x, float factor) {
  int64_t row = x.size() / x.shape[0];
  for (int64_t i = row; i < x.size(); ++i)
    x.reals[i] *= factor;
  return x;
}

std::vector<float> firstRow(const Tensor<float> &y) {
  return {y.reals.begin(), y.reals.begin() + y.size() / y.shape[0]};
}

} // namespace

// After training, scaling the other rows leaves the first row's answer as it was, and evaluation
// changes no state.
TEST_P(Frozen, AfterTraining) {
  for (const char *forward : {mlp, residual}) {
    Network network(forward, GetParam());
    ASSERT_TRUE(network.ok());
    network.train(3);
    auto before = network.store;
    auto answer = firstRow(network.evaluate(network.input()));
    EXPECT_EQ(answer, firstRow(network.evaluate(withOtherMates(network.input(), 9.0f))));
    EXPECT_TRUE(network.store.bitIdentical(before));
  }
}

// Before any training the first batch that is evaluated calibrates, and its ranges are kept.
TEST_P(Frozen, FirstBatchCalibrates) {
  for (const char *forward : {mlp, residual}) {
    Network network(forward, GetParam());
    ASSERT_TRUE(network.ok());
    auto answer = firstRow(network.evaluate(network.input()));
    EXPECT_EQ(answer, firstRow(network.evaluate(withOtherMates(network.input(), 9.0f))));
  }
}

// Without calibration that would not be so: a fresh network that sees the other mates first answers
// otherwise.
TEST(Calibration, DependsOnTheFirstBatch) {
  Network one(mlp, "ibm"), other(mlp, "ibm");
  auto answer = firstRow(one.evaluate(one.input()));
  EXPECT_NE(answer, firstRow(other.evaluate(withOtherMates(other.input(), 9.0f))));
}

// A NaN in the batch that would calibrate is refused, and nothing is kept of it.
TEST(Calibration, RefusesNan) {
  Network network(mlp, "ibm");
  auto before = network.store;
  Tensor<float> x = network.input();
  x.reals[0] = std::nanf("");
  network.evaluate(x);
  EXPECT_EQ(network.last.status, reference::RunStatus::NonFinite);
  EXPECT_TRUE(network.store.bitIdentical(before));
}

// The moving average of a min–max range starts with the first round's range and moves both ends
// together.
TEST(Calibration, MinMaxRangeMoves) {
  Network network(mlp, "ibm,first-last=int4");
  ASSERT_TRUE(network.ok());
  auto end = [&](const char *name) { return network.store[name].reals[0]; };
  network.step();
  Tensor<float> x = network.input();
  float high = *std::max_element(x.reals.begin(), x.reals.end());
  EXPECT_EQ(end("fc1.range_lo"), 0.0f);
  EXPECT_EQ(end("fc1.range_hi"), high);
  x.reals[0] = -2.0f;
  network.setInput(x);
  network.step();
  // lo was 0, which is a value here and not "unset".
  EXPECT_EQ(end("fc1.range_lo"), 0.99f * 0.0f + 0.01f * -2.0f);
  EXPECT_EQ(end("fc1.range_hi"),
            0.99f * high + 0.01f * *std::max_element(x.reals.begin(), x.reals.end()));
}

INSTANTIATE_TEST_SUITE_P(Activations, Frozen,
                         testing::Values("ibm", "w4a4,activations=dynamic",
                                         "int4,activations=minmax,first-last=int4",
                                         "luq,first-last=float", "ibm,first-last=int4"));

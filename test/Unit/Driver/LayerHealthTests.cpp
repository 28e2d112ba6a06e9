//===- LayerHealthTests.cpp - Report keys to layers ---------------------------===//
#include "nibble/Driver/LayerHealth.h"

#include "gtest/gtest.h"

using namespace nibble;

// Keys LAYER/output_gradient/MEASURE become layers, in the order of their first key; names may hold
// slashes; measures of input and weight go to the layers that there are.
TEST(LayerHealth, FromKeys) {
  HealthReport report({"/a/conv/input/underflow", "/a/conv/output_gradient/saturation",
                       "fc/output_gradient/underflow", "/a/conv/output_gradient/scale",
                       "/a/conv/output_gradient/underflow"});
  std::vector<float> numbers{9, 0.25f, 1, 0.5f, 0.75f};
  auto layers = report.update(numbers);
  ASSERT_EQ(layers.size(), 2u);
  ASSERT_TRUE(layers[0].input && !layers[0].weight && !layers[1].input);
  EXPECT_EQ(layers[0].input->underflow, 9);
  EXPECT_FALSE(layers[0].isMeasured());
  EXPECT_EQ(layers[0].name, "/a/conv");
  EXPECT_EQ(layers[0].saturation, 0.25f);
  EXPECT_EQ(layers[0].scale, 0.5f);
  EXPECT_EQ(layers[0].underflow, 0.75f);
  EXPECT_EQ(layers[1].name, "fc");
  EXPECT_EQ(layers[1].underflow, 1);
}

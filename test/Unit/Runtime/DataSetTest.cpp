//===- DataSetTest.cpp - Samples into batches ------------------------------------------------===//

#include "nibble/Runtime/DataSet.h"

#include "FakeStep.h"

#include <gtest/gtest.h>

using namespace nibble;
using namespace nibble::runtime;
using namespace nibble::test;

namespace {

// Law: a batch holds the asked samples in their order; padding repeats them and is not counted.
TEST(BatchSource, FillsAndPads) {
  FakeStep step;
  DataSet set = countingSet(20);
  Result<BatchSource> source = BatchSource::create(set, Normalization(), step);
  ASSERT_TRUE(source) << source.message();
  Batch full = source->fill(std::vector<uint32_t>{3, 19, 0, 12});
  EXPECT_EQ(std::vector<float>(full.x, full.x + 8),
            (std::vector<float>{3, 3, 19, 19, 0, 0, 12, 12}));
  EXPECT_EQ(std::vector<int32_t>(full.labels, full.labels + 4), (std::vector<int32_t>{3, 9, 0, 2}));
  EXPECT_EQ(full.validRows, 4);
  Batch partial = source->fill(std::vector<uint32_t>{5, 6, 7});
  EXPECT_EQ(partial.validRows, 3);
  EXPECT_EQ(std::vector<float>(partial.x, partial.x + 8),
            (std::vector<float>{5, 5, 6, 6, 7, 7, 5, 5}));
}

// Law: tokens arrive as the numbers they are, whatever normalization there is, with a label for
// each; a number that is no token, and another count of labels, name the sample.
TEST(BatchSource, TokensAndTheirLabels) {
  FakeStep step;
  step.input = {2, 3};
  step.tokens = step.classes = 5;
  step.answers = 3;
  DataSet set;
  set.x.type = DType::U8;
  set.x.shape = {2, 3};
  for (int v : {0, 1, 2, 4, 3, 2})
    set.x.bytes.push_back(static_cast<std::byte>(v));
  set.labels = {1, 2, 4, 3, 2, 0};
  Result<Normalization> unit = Normalization::create("unit", set);
  ASSERT_TRUE(unit);
  Result<BatchSource> source = BatchSource::create(set, *unit, step);
  ASSERT_TRUE(source) << source.message();
  Batch batch = source->fill(std::vector<uint32_t>{1, 0});
  EXPECT_EQ(std::vector<float>(batch.x, batch.x + 6), (std::vector<float>{4, 3, 2, 0, 1, 2}));
  EXPECT_EQ(std::vector<int32_t>(batch.labels, batch.labels + 6),
            (std::vector<int32_t>{3, 2, 0, 1, 2, 4}));

  step.tokens = 4;
  EXPECT_NE(BatchSource::create(set, *unit, step)
                .message()
                .find("sample 1 holds 4, but the network reads tokens: whole numbers from 0 to 3"),
            std::string::npos);
  step.tokens = 5;
  set.labels.resize(2);
  EXPECT_NE(BatchSource::create(set, *unit, step)
                .message()
                .find("y has 1 labels a sample, but the network's loss takes 3"),
            std::string::npos);
}

// Law: bytes and the same values as floats give the same batch, bit for bit, channel by channel.
TEST(BatchSource, BytesEqualFloats) {
  FakeStep step;
  step.input = {2, 2, 1, 3};
  DataSet bytes;
  bytes.x.type = DType::U8;
  bytes.x.shape = {2, 2, 1, 3};
  DataSet floats = bytes;
  floats.x.type = DType::F32;
  for (int v : {0, 1, 77, 128, 200, 255, 3, 9, 27, 81, 243, 250})
    bytes.x.bytes.push_back(static_cast<std::byte>(v));
  floats.x.bytes.resize(48);
  for (int i = 0; i < 12; ++i)
    floats.x.data<float>()[i] = static_cast<float>(bytes.x.data<uint8_t>()[i]);
  bytes.labels = floats.labels = {0, 1};

  Result<Normalization> normalization = Normalization::create("0.1,0.2,0.3,0.7", bytes);
  ASSERT_TRUE(normalization);
  Result<BatchSource> a = BatchSource::create(bytes, *normalization, step);
  Result<BatchSource> b = BatchSource::create(floats, *normalization, step);
  ASSERT_TRUE(a && b);
  std::vector<uint32_t> both = {0, 1};
  EXPECT_EQ(std::memcmp(a->fill(both).x, b->fill(both).x, 48), 0);
  EXPECT_EQ(a->fill(both).x[5], (255.0f / 255 - 0.2f) / 0.7f);
}

// Law: a sample shape with as many elements as the input's is taken as it lies; another is an error
// with both shapes.
TEST(BatchSource, ReshapesOrNamesBothShapes) {
  FakeStep step;
  step.input = {4, 784};
  EXPECT_TRUE(BatchSource::create(countingSet(4, {1, 28, 28}), Normalization(), step).ok());
  step.input = {4, 3, 32, 32};
  Result<BatchSource> source =
      BatchSource::create(countingSet(4, {1, 28, 28}), Normalization(), step);
  ASSERT_FALSE(source.ok());
  EXPECT_NE(source.message().find("1x28x28"), std::string::npos);
  EXPECT_NE(source.message().find("3x32x32"), std::string::npos);
}

// Law: a label outside the classes is refused, with the sample and the value.
TEST(BatchSource, LabelsOutsideTheClasses) {
  FakeStep step;
  for (int32_t bad : {10, 255, -1}) {
    DataSet set = countingSet(20);
    set.labels[17] = bad;
    Result<BatchSource> source = BatchSource::create(set, Normalization(), step);
    ASSERT_FALSE(source.ok());
    EXPECT_NE(source.message().find("sample 17 has label " + std::to_string(bad)),
              std::string::npos)
        << source.message();
  }
}

// Law: a loss with real targets takes them from y, or from whole numbers when it wants one a
// sample.
TEST(BatchSource, RealTargets) {
  FakeStep step;
  step.classes = 0;
  step.target = {4, 1};
  DataSet set = countingSet(4);
  Result<BatchSource> source = BatchSource::create(set, Normalization(), step);
  ASSERT_TRUE(source) << source.message();
  EXPECT_EQ(source->fill(std::vector<uint32_t>{2, 3, 0, 1}).targets[1], 3.0f);

  step.target = {4, 3};
  EXPECT_FALSE(BatchSource::create(set, Normalization(), step).ok());
  set.labels.clear();
  set.targets.shape = {4, 3};
  set.targets.bytes.resize(48);
  set.targets.data<float>()[11] = 2.5f;
  source = BatchSource::create(set, Normalization(), step);
  ASSERT_TRUE(source) << source.message();
  Batch batch = source->fill(std::vector<uint32_t>{3, 0, 1, 2});
  EXPECT_EQ(batch.labels, nullptr);
  EXPECT_EQ(batch.targets[2], 2.5f);

  step.classes = 10; // and a classifier does not take real targets
  EXPECT_FALSE(BatchSource::create(set, Normalization(), step).ok());
}

} // namespace

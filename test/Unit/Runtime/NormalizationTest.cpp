//===- NormalizationTest.cpp - What is done to samples -------------------------------------===//

#include "nibble/Runtime/Normalization.h"

#include "nibble/Runtime/DataSet.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

using namespace nibble;
using namespace nibble::runtime;

namespace {

template <typename T>
DataSet makeSet(DType type, std::vector<int64_t> shape, const std::vector<T> &values,
                DataOrigin origin = DataOrigin::Npz) {
  DataSet set;
  set.origin = origin;
  set.x.type = type;
  set.x.shape = std::move(shape);
  set.x.bytes.resize(values.size() * sizeof(T));
  std::memcpy(set.x.bytes.data(), values.data(), set.x.bytes.size());
  return set;
}

/// Two samples of two channels with two bytes each.
DataSet byteImages(DataOrigin origin) {
  return makeSet<uint8_t>(DType::U8, {2, 2, 1, 2}, {0, 255, 10, 10, 51, 102, 10, 10}, origin);
}

// Law: byte images are divided by 255 unless told otherwise; npz data are left alone, bytes too.
TEST(Normalization, DefaultsFollowTheOrigin) {
  EXPECT_EQ(Normalization::create("", byteImages(DataOrigin::Idx))->apply(51, 0), 51.0f / 255);
  EXPECT_EQ(Normalization::create("", byteImages(DataOrigin::Cifar))->apply(51, 0), 51.0f / 255);
  EXPECT_EQ(Normalization::create("", byteImages(DataOrigin::Npz))->apply(51, 0), 51.0f);
  EXPECT_EQ(Normalization::create("none", byteImages(DataOrigin::Idx))->apply(51, 0), 51.0f);
  EXPECT_EQ(Normalization::create("unit", byteImages(DataOrigin::Npz))->apply(51, 0), 51.0f / 255);
}

// Law: after `auto`, each channel of the training set has mean 0 and deviation 1; a constant one
// becomes 0.
TEST(Normalization, AutoStandardizesEachChannel) {
  DataSet set = byteImages(DataOrigin::Idx);
  Result<Normalization> n = Normalization::create("auto", set);
  ASSERT_TRUE(n) << n.message();
  double sum = 0, squares = 0;
  for (uint8_t value : {0, 255, 51, 102}) {
    double y = n->apply(value, 0);
    sum += y;
    squares += y * y;
  }
  EXPECT_NEAR(sum, 0, 1e-6);
  EXPECT_NEAR(squares / 4, 1, 1e-6);
  EXPECT_NEAR(n->apply(10, 1), 0, 1e-7);
}

// Law: float data are standardized as they stand, without a division by 255.
TEST(Normalization, AutoOnFloats) {
  DataSet set = makeSet<float>(DType::F32, {2, 2}, {1000, 1002, 1004, 1006});
  Result<Normalization> n = Normalization::create("auto", set);
  ASSERT_TRUE(n);
  EXPECT_EQ(n->divisor, 1);
  EXPECT_FLOAT_EQ(n->mean[0], 1003);
  EXPECT_FLOAT_EQ(n->deviation[0], std::sqrt(5.0f));
}

// Law: given numbers apply after the division by 255 to bytes: one for all, mean and deviation, or
// each channel's.
TEST(Normalization, Numbers) {
  DataSet set = byteImages(DataOrigin::Idx);
  float x = 51.0f / 255;
  EXPECT_EQ(Normalization::create("0.25", set)->apply(51, 1), x - 0.25f);
  EXPECT_EQ(Normalization::create("0.25,0.5", set)->apply(51, 1), (x - 0.25f) / 0.5f);
  EXPECT_EQ(Normalization::create("0.25,0.75,0.5,2", set)->apply(51, 1), (x - 0.75f) / 2.0f);
}

// Law: a bad --normalize is refused and quoted, or counted against the channels.
TEST(Normalization, BadSpecificationsAreRefused) {
  DataSet set = byteImages(DataOrigin::Idx);
  for (const char *spec :
       {"automatic", "0.5,", ",", "0.5;0.5", "nan", "0.5,0", "0.5,-1", "1,2,3", "1,2,3,4,5"})
    EXPECT_FALSE(Normalization::create(spec, set).ok()) << spec;
  EXPECT_NE(Normalization::create("1,2,3", set).message().find("2 channels"), std::string::npos);
}

} // namespace

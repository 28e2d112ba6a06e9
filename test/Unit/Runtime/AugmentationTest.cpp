//===- AugmentationTest.cpp - Images moved and mirrored -------------------------------------===//

#include "nibble/Runtime/Augmentation.h"

#include "FakeStep.h"

#include "nibble/Runtime/Trainer.h"

#include <gtest/gtest.h>

#include <set>

using namespace nibble;
using namespace nibble::runtime;
using namespace nibble::test;

namespace {

Augmentation parsed(const std::string &spec) {
  Result<Augmentation> result = Augmentation::parse(spec);
  EXPECT_TRUE(result) << result.message();
  return result ? *result : Augmentation();
}

// Law: what is accepted is said, and nothing else is.
TEST(Augmentation, Parse) {
  EXPECT_EQ(parsed("flip,crop"), (Augmentation{true, 4}));
  EXPECT_EQ(parsed("crop=2"), (Augmentation{false, 2}));
  EXPECT_FALSE(static_cast<bool>(parsed("none")));
  for (const char *wrong : {"rotate", "crop=0", "crop=65", "crop=x", "flip,rotate"})
    EXPECT_NE(Augmentation::parse(wrong).message().find("flip, crop or crop=N"), std::string::npos) << wrong;
}

// Law: a move is a function of seed, epoch and sample, and differs between them; places are even: each of
// the 9×9 with its share, half of the images mirrored (5 standard deviations).
TEST(Augmentation, MovesAreEven) {
  Augmentation both{true, 4};
  EXPECT_EQ(both.moveOf(1, 2, 3), both.moveOf(1, 2, 3));
  int64_t mirrored = 0, count = 81 * 400;
  std::vector<int64_t> places(81);
  for (int64_t sample = 0; sample < count; ++sample) {
    Augmentation::Move move = both.moveOf(5, 1, static_cast<uint32_t>(sample));
    mirrored += move.mirrored;
    ++places.at(static_cast<size_t>((move.down + 4) * 9 + move.right + 4));
  }
  EXPECT_NEAR(static_cast<double>(mirrored), 0.5 * static_cast<double>(count), 5 * 0.5 * std::sqrt(count));
  for (int64_t n : places)
    EXPECT_NEAR(static_cast<double>(n), 400, 5 * 20);
  int64_t same = 0;
  for (uint32_t sample = 0; sample < 1000; ++sample)
    same += both.moveOf(5, 1, sample) == both.moveOf(5, 2, sample);
  EXPECT_LT(same, 50);
}

// Law: moved by one row down and mirrored, each pixel is where it should be; what comes in is outside's value.
TEST(Augmentation, Pixels) {
  float plane[] = {1, 2, 3, 4, 5, 6}, scratch[6];
  Augmentation::apply({true, -1, 0}, plane, 2, 3, 9, scratch);
  EXPECT_EQ(std::vector<float>(plane, plane + 6), (std::vector<float>{9, 9, 9, 3, 2, 1}));
  float other[] = {1, 2, 3, 4, 5, 6};
  Augmentation::apply({false, 0, 1}, other, 2, 3, 0, scratch);
  EXPECT_EQ(std::vector<float>(other, other + 6), (std::vector<float>{2, 3, 0, 5, 6, 0}));
}

DataPair images(int64_t count) {
  DataPair pair;
  pair.train = countingSet(count, {1, 3, 3});
  for (int64_t i = 0; i < count * 9; ++i) // each pixel another number
    pair.train->x.data<float>()[i] = static_cast<float>(i + 1);
  pair.validation = pair.train;
  return pair;
}

// Law: training sees moved images, evaluation the images as they are; two runs see the same ones.
TEST(Augmentation, OnlyTrainingIsMoved) {
  TrainOptions options;
  options.epochs = 2;
  options.augment = {true, 1};
  std::vector<FakeStep> steps(2);
  for (FakeStep &step : steps) {
    step.input = {4, 1, 3, 3};
    Result<Trainer> trainer = Trainer::create(step, images(8), options, {});
    ASSERT_TRUE(trainer) << trainer.message();
    ASSERT_TRUE(trainer->run());
  }
  ASSERT_EQ(steps[0].trained.size(), 4u);
  bool anyMoved = false;
  for (size_t call = 0; call < 4; ++call) {
    EXPECT_EQ(steps[0].trained[call].x, steps[1].trained[call].x);
    for (size_t row = 0; row < 4; ++row) { // the middle pixel tells the sample: it moves by at most one
      const float *x = steps[0].trained[call].x.data() + 9 * row;
      anyMoved |= x[1] != x[0] + 1;
    }
  }
  EXPECT_TRUE(anyMoved);
  for (size_t i = 0; i < 72; ++i)
    EXPECT_EQ(steps[0].evaluatedX[i], static_cast<float>(i + 1));
}

// Law: samples that are no images are refused.
TEST(Augmentation, NeedsImages) {
  FakeStep step;
  TrainOptions options;
  options.augment.flip = true;
  DataPair pair;
  pair.train = countingSet(9);
  Result<Trainer> trainer = Trainer::create(step, std::move(pair), options, {});
  EXPECT_NE(trainer.message().find("channels x rows x columns"), std::string::npos) << trainer.message();
}

} // namespace

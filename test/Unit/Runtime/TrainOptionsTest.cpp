//===- TrainOptionsTest.cpp - Options of the training loop ----------------------------------===//

#include "nibble/Runtime/TrainOptions.h"

#include <gtest/gtest.h>

#include <set>

using namespace nibble;
using namespace nibble::runtime;

namespace {

// Law: every option of the table has a help text, a name of its own, and is set by that name.
TEST(TrainOptions, TableIsWhole) {
  std::set<std::string_view> names;
  for (const OptionInfo &option : trainOptionTable()) {
    EXPECT_TRUE(names.insert(option.name).second) << option.name;
    EXPECT_FALSE(option.help.empty()) << option.name;
  }
  TrainOptions o;
  for (auto [name, value] : {std::pair("epochs", "4"),
                             {"lr", "0.125"},
                             {"schedule", "step"},
                             {"warmup", "10"},
                             {"step-size", "7"},
                             {"gamma", "0.5"},
                             {"seed", "18446744073709551615"},
                             {"data", "d"},
                             {"val", "v"},
                             {"normalize", "unit"},
                             {"log", "l"},
                             {"log-layers-every", "3"},
                             {"eval-only", ""},
                             {"checkpoint", "c"},
                             {"checkpoint-every", "50"},
                             {"keep-checkpoints", "0"},
                             {"resume", "r"},
                             {"overwrite", "true"},
                             {"label-column", "y"},
                             {"augment", "flip,crop=2"},
                             {"early-stop", "5"}}) {
    EXPECT_TRUE(setTrainOption(o, name, value)) << name;
    names.erase(name);
  }
  EXPECT_TRUE(names.empty()) << "this test does not set --" << *names.begin();
  EXPECT_EQ(o.epochs, 4);
  EXPECT_EQ(o.augment, (Augmentation{true, 2}));
  EXPECT_EQ(o.earlyStop, 5);
  EXPECT_EQ(o.lr, 0.125);
  EXPECT_EQ(o.schedule, numerics::ScheduleKind::Step);
  EXPECT_EQ(o.seed, UINT64_MAX);
  EXPECT_TRUE(o.evalOnly && o.resume && o.overwrite);
  EXPECT_EQ(o.checkpointEvery, 50);
  EXPECT_EQ(o.keepCheckpoints, 0);
  EXPECT_EQ(o.checkpoint + o.resumeFile, "cr");
  TrainOptions last;
  EXPECT_TRUE(setTrainOption(last, "resume", "").ok() && last.resume && last.resumeFile.empty());
}

// Law: a value that does not fit is refused, quoted with its option, and leaves the field as it
// was.
TEST(TrainOptions, BadValuesAreRefused) {
  TrainOptions o;
  for (auto [name, value] : {std::pair("epochs", "0"),
                             {"epochs", "4x"},
                             {"epochs", ""},
                             {"lr", "-1"},
                             {"lr", "nan"},
                             {"lr", "inf"},
                             {"schedule", "linear"},
                             {"seed", "-1"},
                             {"eval-only", "maybe"},
                             {"no-such", "1"}}) {
    Status status = setTrainOption(o, name, value);
    EXPECT_FALSE(status.ok()) << name << "=" << value;
    EXPECT_NE(status.message().find(name), std::string::npos);
  }
  EXPECT_EQ(o.epochs, TrainOptions().epochs);
  EXPECT_EQ(o.lr, TrainOptions().lr);
}

// Law: warm-up rises to the base rate; then constant stays, step falls by gamma, cosine falls to 0
// at the end.
TEST(TrainOptions, Schedules) {
  TrainOptions o;
  o.lr = 1;
  o.warmup = 4;
  for (auto kind : {numerics::ScheduleKind::Constant, numerics::ScheduleKind::Step,
                    numerics::ScheduleKind::Cosine}) {
    o.schedule = kind;
    EXPECT_EQ(learningRate(o, 0, 100), 0.25);
    EXPECT_EQ(learningRate(o, 3, 100), 1);
    EXPECT_EQ(learningRate(o, 4, 100), 1);
  }
  EXPECT_NEAR(learningRate(o, 52, 100), 0.5, 1e-12);
  EXPECT_EQ(learningRate(o, 100, 100), 0);
  EXPECT_GT(learningRate(o, 99, 100), 0);
  o.schedule = numerics::ScheduleKind::Step;
  EXPECT_NEAR(learningRate(o, 99, 100), 0.01,
              1e-15); // a third of 96 is 32: two falls before the end
  o.stepSize = 10;
  o.gamma = 0.5;
  EXPECT_EQ(learningRate(o, 13, 100), 1);
  EXPECT_EQ(learningRate(o, 14, 100), 0.5);
}

} // namespace

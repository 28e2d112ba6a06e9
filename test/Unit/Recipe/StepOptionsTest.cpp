//===- StepOptionsTest.cpp - loss and optimizer options -----------------------===//
#include "nibble/Recipe/StepOptions.h"

#include <gtest/gtest.h>

using namespace nibble;

namespace {

/// parse(toString(o)) = o with every option changed, and the empty text is the defaults.
TEST(StepOptions, TextRoundTrips) {
  EXPECT_EQ(parseStepOptions(""), StepOptions());
  StepOptions options;
  StepOptions before;
  const std::pair<const char *, const char *> changes[] = {
      {"loss", "mse"},          {"optimizer", "adamw"}, {"momentum", "0.5"}, {"nesterov", "true"},
      {"weight-decay", "1e-4"}, {"beta1", "0.8"},       {"beta2", "0.99"},   {"adam-eps", "1e-6"},
      {"clip-norm", "2"},       {"label-smoothing", "0.1"},
      {"accumulate", "4"},
      {"calibrate", "true"}};
  for (auto [key, value] : changes) {
    EXPECT_EQ(setStepOption(options, key, value), "") << key;
    EXPECT_NE(options, before) << key << " changed nothing";
    before = options;
  }
  EXPECT_EQ(parseStepOptions(toString(options)), options) << toString(options);
}

/// What is wrong is named together with what is accepted, and a wrong value changes nothing.
TEST(StepOptions, ErrorsSayWhatIsAccepted) {
  StepOptions options;
  EXPECT_EQ(setStepOption(options, "optimizer", "lion"),
            "--optimizer: sgd, adam or adamw expected, found 'lion'");
  EXPECT_EQ(setStepOption(options, "momentum", "1"),
            "--momentum: a number from 0 to below 1 expected, found '1'");
  EXPECT_EQ(setStepOption(options, "adam-eps", "0"),
            "--adam-eps: a positive number (a normal f32) expected, found '0'");
  EXPECT_NE(setStepOption(options, "lr", "1").find("momentum"), std::string::npos);
  EXPECT_EQ(options, StepOptions());
  std::string error;
  EXPECT_FALSE(parseStepOptions("loss=hinge", &error));
  EXPECT_EQ(error, "--loss: model, softmax_cross_entropy, mse or bce expected, found 'hinge'");
}

} // namespace

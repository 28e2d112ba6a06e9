//===- CheckpointTest.cpp - A run in a file ------------------------------------------------===//

#include "nibble/Runtime/Checkpoint.h"

#include "FakeStep.h"
#include "Files.h"

#include <cmath>

using namespace nibble;
using namespace nibble::runtime;
using namespace nibble::test;

namespace {

std::string content(const std::string &path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

Checkpoint example() {
  Checkpoint c;
  c.tool = toolVersion();
  c.run = {{"recipe.gradients", "radix4"}, {"seed", "3"}, {"program", "abc"}};
  c.options = {{"epochs", "5"}, {"lr", "0.05"}};
  c.progress.step = 120;
  c.progress.epochsDone = 1;
  c.progress.sampler = {1, 512};
  c.progress.epochSteps = 4;
  c.progress.epochLoss = 0.1 + 0.2;
  c.progress.epochCorrect = 17;
  c.progress.validation = Score{INFINITY, 1.0 / 3, 10};
  c.progress.best = Score{NAN, 0.5, 10};
  c.progress.bestStep = 116;
  c.progress.layers = {{"conv\xFF", 0.1f, 1e-40f, 3.4e38f}, {"fc", 0, 1, -0.0f}};
  c.progress.lastRate = 1e-300;
  c.progress.logRecords = 121;
  c.normalization = {255, {0.1f, 0.2f}, {0.3f, 1e-30f}};
  return c;
}

// Law: everything that a checkpoint holds comes back with its bits.
TEST(Checkpoint, RoundTrip) {
  TempFolder folder;
  FakeStep step;
  Checkpoint saved = example();
  std::string path = folder.path("c.safetensors");
  ASSERT_TRUE(saveCheckpoint(path, saved, step).ok());
  Result<Checkpoint> read = loadCheckpoint(path);
  ASSERT_TRUE(read) << read.message();
  EXPECT_EQ(read->tool, saved.tool);
  std::sort(saved.run.begin(), saved.run.end()); // metadata have no order
  EXPECT_EQ(read->run, saved.run);
  EXPECT_EQ(read->options, saved.options);
  const RunProgress &a = read->progress, &b = saved.progress;
  EXPECT_EQ(a.step, b.step);
  EXPECT_EQ(a.epochsDone, b.epochsDone);
  EXPECT_EQ(a.sampler, b.sampler);
  EXPECT_EQ(a.epochSteps, b.epochSteps);
  EXPECT_EQ(a.epochLoss, b.epochLoss);
  EXPECT_EQ(a.epochCorrect, b.epochCorrect);
  EXPECT_EQ(a.validation, b.validation);
  EXPECT_TRUE(a.best && std::isnan(a.best->loss) && a.best->accuracy == 0.5);
  EXPECT_EQ(a.bestStep, b.bestStep);
  ASSERT_EQ(a.layers.size(), 2u);
  EXPECT_EQ(a.layers[0].name, "conv%FF");
  EXPECT_EQ(a.layers[0].saturation, 0.1f);
  EXPECT_EQ(a.layers[0].underflow, 1e-40f);
  EXPECT_EQ(a.layers[0].scale, 3.4e38f);
  EXPECT_TRUE(std::signbit(a.layers[1].scale));
  EXPECT_EQ(a.lastRate, b.lastRate);
  EXPECT_EQ(a.logRecords, b.logRecords);
  EXPECT_EQ(read->normalization.divisor, 255);
  EXPECT_EQ(read->normalization.mean, saved.normalization.mean);
  EXPECT_EQ(read->normalization.deviation, saved.normalization.deviation);
}

// Law: a file is a function of what it holds; restoring into another step makes that step's file
// the same.
TEST(Checkpoint, SameStateSameBytes) {
  TempFolder folder;
  FakeStep one, other;
  one.weights = {0.1f, -0.0f, 7};
  one.scale = 3;
  std::string a = folder.path("a"), b = folder.path("b");
  ASSERT_TRUE(saveCheckpoint(a, example(), one).ok());
  Result<Checkpoint> read = loadCheckpoint(a);
  ASSERT_TRUE(read);
  ASSERT_TRUE(restoreState(*read, example().run, other, Restore::Exactly).ok());
  ASSERT_TRUE(saveCheckpoint(b, example(), other).ok());
  EXPECT_EQ(content(a), content(b));
}

// Law: every truncation and every damaged byte is refused with the file's name: a checksum covers
// what the format does not.
TEST(Checkpoint, EveryDamageIsSeen) {
  TempFolder folder;
  FakeStep step;
  std::string path = folder.path("c.safetensors");
  ASSERT_TRUE(saveCheckpoint(path, example(), step).ok());
  std::string bytes = content(path);
  expectEveryTruncationRefused(folder, "c.safetensors", bytes,
                               [&] { return loadCheckpoint(path).status(); });
  forEveryDamagedByte(folder, "c.safetensors", bytes, [&](size_t at) {
    Result<Checkpoint> read = loadCheckpoint(path);
    if (read) // white space of the header, or a digit of JSON written in another way
      EXPECT_EQ(read->progress.step, 120) << "byte " << at;
    else
      EXPECT_NE(read.message().find("c.safetensors"), std::string::npos);
    (void)loadCheckpointHeader(path);
  });
}

// Law: another format version, and a safetensors file that is none of ours, are told apart from
// damage.
TEST(Checkpoint, OtherFiles) {
  TempFolder folder;
  auto write = [&](const std::string &header) {
    return folder.write("c", littleEndian<uint64_t>(header.size()) + header);
  };
  EXPECT_NE(loadCheckpoint(write("{}")).message().find("not a checkpoint of Nibble"),
            std::string::npos);
  EXPECT_NE(loadCheckpoint(write(R"({"__metadata__":{"format":"nibble-checkpoint",)"
                                 R"("format_version":"2"}})"))
                .message()
                .find("has checkpoint format 2; this version of Nibble reads format 1"),
            std::string::npos);
}

// Law: another run is refused with a line for each field that differs, the checkpoint's value and
// ours; the program's hash is no reason as long as a field is.
TEST(Checkpoint, NamesWhatDiffers) {
  Checkpoint saved = example();
  saved.path = "c.safetensors";
  EXPECT_TRUE(checkSameRun(saved, saved.run).ok());
  Status status = checkSameRun(
      saved, {{"recipe.gradients", "luq"}, {"seed", "4"}, {"data.samples", "9"}, {"program", "x"}});
  EXPECT_EQ(status.message(),
            "c.safetensors: was saved by another run, so training cannot go on from it:\n"
            "recipe.gradients is radix4 in the checkpoint and luq here\n"
            "seed is 3 in the checkpoint and 4 here\n"
            "data.samples is not set in the checkpoint and 9 here");
  EXPECT_TRUE(changedOptions(saved, saved.options).empty());
  ASSERT_EQ(changedOptions(saved, {{"epochs", "6"}, {"lr", "0.05"}}).size(), 1u);
}

/// A FakeStep whose first tensor has another shape, or that lacks one.
class OtherStep : public FakeStep {
public:
  std::vector<StateView> state() override {
    std::vector<StateView> views = FakeStep::state();
    change(views);
    return views;
  }
  std::function<void(std::vector<StateView> &)> change;
};

// Law: a network that the tensors do not fit is refused by name, and nothing was written to it;
// evaluation may do without moments and scales, not without weights.
TEST(Checkpoint, NamesTensorsThatDoNotFit) {
  TempFolder folder;
  OtherStep step;
  step.change = [](auto &) {};
  std::string path = folder.path("c");
  ASSERT_TRUE(saveCheckpoint(path, example(), step).ok());
  Result<Checkpoint> saved = loadCheckpoint(path);
  ASSERT_TRUE(saved);
  RunFields run = example().run;
  auto refused = [&](Restore how) {
    step.weights = {9, 9, 9};
    std::string message = restoreState(*saved, run, step, how).message();
    if (!message.empty())
      EXPECT_EQ(step.weights[0], 9);
    return message;
  };
  step.change = [](auto &views) { views[0].shape = {3, 1}; };
  EXPECT_NE(refused(Restore::Exactly).find("'w' is f32 3 in the checkpoint and f32 3x1 here"),
            std::string::npos);
  EXPECT_NE(refused(Restore::ForEvaluation), "");
  step.change = [](auto &views) { views[1].name = "w.adam"; };
  std::string both = refused(Restore::Exactly);
  EXPECT_NE(both.find("it has no 'w.adam' (moment, f32 3)"), std::string::npos) << both;
  EXPECT_NE(both.find("it has 'w.momentum' (f32 3), which this network has not"),
            std::string::npos);
  EXPECT_EQ(refused(Restore::ForEvaluation), "");
  EXPECT_EQ(step.weights[0], 1);
  step.change = [](auto &) {};
  run.back().second = "another";
  EXPECT_NE(refused(Restore::Exactly).find("another program"), std::string::npos);
}

} // namespace

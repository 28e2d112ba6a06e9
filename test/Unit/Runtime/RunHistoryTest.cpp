//===- RunHistoryTest.cpp - Logs, condensed; observers of a run ------------------------------===//

#include "nibble/Runtime/RunHistory.h"
#include "nibble/Runtime/Trainer.h"

#include "FakeStep.h"
#include "Files.h"

#include <nlohmann/json.hpp>

#include <cmath>

using namespace nibble;
using namespace nibble::runtime;
using namespace nibble::test;

namespace {

std::vector<std::string> linesOf(const std::string &path) {
  std::ifstream in(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);)
    lines.push_back(line);
  return lines;
}

/// Remembers what it is told.
struct Recorder : RunObserver {
  std::vector<std::string> recalled, recorded;
  int refreshed = 0, ended = 0;
  void recall(std::string_view line) override { recalled.emplace_back(line); }
  void record(std::string_view line) override { recorded.emplace_back(line); }
  void refresh(bool last) override { ++(last ? ended : refreshed); }
};

ModelSummary model() {
  ModelSummary m;
  m.tool = "nibble test";
  m.network = "net.onnx";
  m.recipe = "ibm";
  m.parameters = 15;
  m.products = {{"conv", "conv2d", "Y", "int4", "int4", 4, 1000, ""},
                {"conv", "", "dX", "", "", 0, 0, "not computed"},
                {"fc", "matmul", "Y", "int8", "int8", 8, 500, "last layer"}};
  m.notes = {"a note"};
  return m;
}

TrainOptions options(int64_t epochs, const std::string &log = "") {
  TrainOptions o;
  o.epochs = epochs;
  o.log = log;
  o.logLayersEvery = 2;
  return o;
}

DataPair data() {
  DataPair pair;
  pair.train = countingSet(23);
  pair.validation = countingSet(9);
  return pair;
}

// Law: however many numbers a curve takes, it keeps their count and sum, its extremes and its last
// number, within its capacity; buckets are in order and do not overlap.
TEST(Curve, JoinsNeighboursWithoutLosingAnything) {
  for (int64_t count : {1, 7, 8, 9, 16, 17, 1000, 4097}) {
    Curve curve(8);
    double sum = 0;
    for (int64_t step = 1; step <= count; ++step) {
      double value = std::sin(static_cast<double>(step));
      sum += value;
      curve.add(step, value);
    }
    int64_t numbers = 0, last = 0;
    double total = 0;
    for (const Curve::Bucket &bucket : curve.buckets()) {
      EXPECT_EQ(bucket.first, last + 1);
      EXPECT_EQ(bucket.count, bucket.last - bucket.first + 1);
      EXPECT_LE(bucket.low, bucket.mean() + 1e-12);
      EXPECT_GE(bucket.high, bucket.mean() - 1e-12);
      last = bucket.last, numbers += bucket.count, total += bucket.sum;
    }
    EXPECT_LE(curve.buckets().size(), 8u);
    EXPECT_EQ(numbers, count);
    EXPECT_NEAR(total, sum, 1e-9);
    EXPECT_NEAR(curve.recentMean(1), sum / static_cast<double>(count), 1e-9);
    EXPECT_EQ(curve.latest(), std::sin(static_cast<double>(count)));
  }
}

// Law: what is not finite is left out, and an empty curve answers.
TEST(Curve, LeavesOutWhatIsNotFinite) {
  Curve curve;
  curve.add(1, NAN);
  curve.add(2, INFINITY);
  EXPECT_TRUE(curve.empty());
  EXPECT_EQ(curve.latest(), 0);
  EXPECT_EQ(curve.recentMean(0.25), 0);
}

// Law: an observer is told every line of the log, the first of them the model with the trainer's
// figures in it; it is also told where there is no log.
TEST(RunObserver, IsToldWhatTheLogHolds) {
  TempFolder folder;
  for (bool withLog : {true, false}) {
    Recorder recorder;
    RunControl control;
    control.model = model();
    control.observers = {&recorder};
    FakeStep step;
    step.health = {{"conv", 0.25f, 0.5f, 8}};
    std::string log = withLog ? folder.path("log.jsonl") : "";
    Result<Trainer> trainer = Trainer::create(step, data(), options(2, log), {}, control);
    ASSERT_TRUE(trainer) << trainer.message();
    ASSERT_TRUE(trainer->run().ok());
    if (withLog)
      EXPECT_EQ(recorder.recorded, linesOf(log));
    EXPECT_EQ(recorder.recorded.size(), 1u + 2 * 5 + 2);
    EXPECT_EQ(recorder.refreshed, 2);
    EXPECT_EQ(recorder.ended, 1);
    RunHistory run;
    for (const std::string &line : recorder.recorded)
      EXPECT_TRUE(run.add(line)) << line;
    ASSERT_TRUE(run.model);
    EXPECT_EQ(run.model->steps, 10);
    EXPECT_EQ(run.model->samples, 23);
    EXPECT_EQ(run.model->batchSize, 4);
    EXPECT_EQ(run.model->classes, 10);
    EXPECT_TRUE(run.isFinished());
  }
}

// Law: the model record reads back as it was written, every field.
TEST(ModelSummary, ReadsBack) {
  ModelSummary m = model();
  m.command = "nibble-train 'a b.onnx' --out \"x\"";
  m.savedBytes = int64_t(1) << 40;
  m.compileSeconds = 1.5;
  m.interpreted = true;
  RunHistory run;
  ASSERT_TRUE(run.add(toLogLine(m)));
  ASSERT_TRUE(run.model);
  EXPECT_EQ(toLogLine(*run.model), toLogLine(m));
  EXPECT_EQ(run.model->products.size(), 3u);
  EXPECT_EQ(run.model->savedBytes, int64_t(1) << 40);
}

// Law: a run that goes on recalls to its observers exactly the lines that the checkpoint keeps, and
// writes no second model record.
TEST(RunObserver, RecallsWhatAResumedRunKeeps) {
  TempFolder temp;
  std::string log = temp.path("log.jsonl");
  auto process = [&](FakeStep &step, Recorder &recorder, bool resume) {
    Result<CheckpointFolder> opened = CheckpointFolder::open(temp.path("run"), {.resume = resume});
    if (!opened)
      return opened.status();
    RunControl control{&*opened, {{"recipe.name", "fake"}}};
    control.model = model();
    control.observers = {&recorder};
    Result<Trainer> trainer = Trainer::create(step, data(), options(3, log), {}, control);
    return trainer ? trainer->run().status() : trainer.status();
  };
  FakeStep first, second;
  Recorder before, after;
  first.tamper = [&](StepResult &result) {
    if (first.trained.size() == 8)
      result.loss = NAN;
    return Status::success();
  };
  EXPECT_FALSE(process(first, before, false).ok()); // in epoch 2, with a checkpoint after epoch 1
  EXPECT_TRUE(process(second, after, true).ok());
  ASSERT_EQ(after.recalled.size(), 7u); // model, 5 steps, epoch
  EXPECT_TRUE(std::equal(after.recalled.begin(), after.recalled.end(), before.recorded.begin()));
  std::vector<std::string> whole = after.recalled;
  whole.insert(whole.end(), after.recorded.begin(), after.recorded.end());
  EXPECT_EQ(whole, linesOf(log));
  EXPECT_EQ(std::count_if(whole.begin(), whole.end(),
                          [](const std::string &line) {
                            return line.find("\"type\":\"model\"") != std::string::npos;
                          }),
            1);
}

// Law: a step that fails leaves its layers' health in the error record.
TEST(RunObserver, ErrorsCarryTheLayersOfTheirStep) {
  Recorder recorder;
  RunControl control;
  control.observers = {&recorder};
  FakeStep step;
  step.health = {{"conv", 0.25f, 0.75f, 8}};
  step.tamper = [](StepResult &result) {
    result.loss = INFINITY;
    return Status::success();
  };
  Result<Trainer> trainer = Trainer::create(step, data(), options(1), {}, control);
  ASSERT_TRUE(trainer);
  EXPECT_FALSE(trainer->run().ok());
  RunHistory run;
  for (const std::string &line : recorder.recorded)
    run.add(line);
  ASSERT_TRUE(run.error);
  EXPECT_EQ(run.error->step, 1);
  ASSERT_EQ(run.layers.size(), 1u);
  EXPECT_EQ(run.layers[0].underflow.latest(), 0.75);
  EXPECT_EQ(recorder.ended, 1);
  EXPECT_FALSE(run.isFinished());
}

// Law: lines that are no records are counted and left out; fields of strange types too. A file
// without any record, or that cannot be read, is an error that names it.
TEST(RunHistory, StrangeLogs) {
  TempFolder folder;
  std::string path = folder.write(
      "log.jsonl",
      "not "
      "json\n[1,2]\n{\"type\":\"step\",\"step\":\"x\",\"loss\":[],\"layers\":[1,{\"name\":2},{}]}\n"
      "{\"type\":\"model\",\"precision\":{\"a\":1},\"notes\":[1],\"steps\":1e300,\"tool\":7}\n"
      "{\"type\":\"later kind\"}\n{\"type\":\"step\",\"step\":1,\"loss\":2.5}\n{\"type\":\"st");
  Result<RunHistory> run = RunHistory::read(path);
  ASSERT_TRUE(run) << run.message();
  EXPECT_EQ(run->strangeLines, 3);
  EXPECT_EQ(run->loss.latest(), 2.5);
  for (const std::string &bad :
       {folder.write("none.jsonl", "\n\nabc\n"), folder.path(), folder.path("missing")}) {
    Result<RunHistory> refused = RunHistory::read(bad);
    ASSERT_FALSE(refused) << bad;
    EXPECT_NE(refused.message().find(bad), std::string::npos) << refused.message();
  }
}

// Law: a word that a shell would read differently is quoted.
TEST(ModelSummary, QuotesForAShell) {
  EXPECT_EQ(shellQuoted("--lr=0.05"), "--lr=0.05");
  EXPECT_EQ(shellQuoted("a b"), "'a b'");
  EXPECT_EQ(shellQuoted("it's"), "'it'\\''s'");
  EXPECT_EQ(shellQuoted("a|b"), "'a|b'");
  EXPECT_EQ(shellQuoted(""), "''");
}

} // namespace

//===- TrainerTest.cpp - The training loop, on a step without a network -----------------------===//

#include "nibble/Runtime/Trainer.h"

#include "FakeStep.h"
#include "Files.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <set>
#include <sstream>

using namespace nibble;
using namespace nibble::runtime;
using namespace nibble::test;
using nlohmann::json;

namespace {

TrainOptions options(int64_t epochs) {
  TrainOptions o;
  o.epochs = epochs;
  return o;
}

DataPair dataPair(int64_t train, int64_t validation) {
  DataPair pair;
  if (train)
    pair.train = countingSet(train);
  if (validation)
    pair.validation = countingSet(validation);
  return pair;
}

Result<TrainSummary> train(FakeStep &step, DataPair data, const TrainOptions &o,
                           const ProgressOptions &progress = {}) {
  Result<Trainer> trainer = Trainer::create(step, std::move(data), o, progress);
  if (!trainer)
    return trainer.status();
  return trainer->run();
}

std::vector<json> readLog(const std::string &path) {
  std::ifstream in(path);
  std::vector<json> records;
  for (std::string line; std::getline(in, line);)
    records.push_back(json::parse(line, nullptr, /*allow_exceptions=*/false));
  return records;
}

// Law: each epoch trains on full batches of distinct samples, drops the last partial one, and
// updates count from 0.
TEST(Trainer, DropsTheLastPartialBatch) {
  FakeStep step;
  Result<TrainSummary> summary = train(step, dataPair(11, 0), options(3));
  ASSERT_TRUE(summary) << summary.message();
  EXPECT_EQ(summary->steps, 6);
  ASSERT_EQ(step.trained.size(), 6u);
  for (size_t i = 0; i < 6; ++i)
    EXPECT_EQ(step.trained[i].step, static_cast<int64_t>(i));
  std::set<float> seen(step.trained[0].x.begin(), step.trained[0].x.end());
  seen.insert(step.trained[1].x.begin(), step.trained[1].x.end());
  EXPECT_EQ(seen.size(), 8u);
  EXPECT_FALSE(summary->validation);
}

// Law: an update of n micro-batches trains on the samples of one batch n times as large, in its
// order, with one learning rate; calls count on; loss and accuracy in the log are the update's.
TEST(Trainer, MicroBatches) {
  TempFolder folder;
  FakeStep parts, whole;
  parts.micro = 3;
  whole.input[0] = 12;
  TrainOptions o = options(2);
  o.lr = 0.1;
  ASSERT_TRUE(train(whole, dataPair(41, 5), o).ok());
  o.log = folder.path("log.jsonl");
  Result<TrainSummary> summary = train(parts, dataPair(41, 5), o);
  ASSERT_TRUE(summary) << summary.message();
  EXPECT_EQ(summary->steps, 6);
  ASSERT_EQ(whole.trained.size(), 6u);
  ASSERT_EQ(parts.trained.size(), 18u);
  for (size_t u = 0; u < 6; ++u) {
    std::vector<float> x;
    for (size_t m = 0; m < 3; ++m) {
      const FakeStep::Call &call = parts.trained[3 * u + m];
      x.insert(x.end(), call.x.begin(), call.x.end());
      EXPECT_EQ(call.step, static_cast<int64_t>(3 * u + m));
      EXPECT_EQ(call.rate, whole.trained[u].rate);
    }
    EXPECT_EQ(x, whole.trained[u].x);
  }
  json first = readLog(o.log).at(0);
  EXPECT_EQ(first["step"], 1);
  EXPECT_FLOAT_EQ(first["loss"].get<float>(), (1.0f + 1 / 2.0f + 1 / 3.0f) / 3);
  EXPECT_EQ(first["train_accuracy"],
            static_cast<double>(std::ranges::count(parts.trained[0].labels, 0) +
                                std::ranges::count(parts.trained[1].labels, 0) +
                                std::ranges::count(parts.trained[2].labels, 0)) /
                12);
}

// Law: an update that fails in any of its micro-batches ends the run, and none is made of a rest.
TEST(Trainer, MicroBatchesFail) {
  FakeStep step;
  step.micro = 3;
  step.tamper = [&](StepResult &result) {
    if (step.trained.size() == 6)
      result.code = StepCode::NonFinite;
    return Status::success();
  };
  EXPECT_FALSE(train(step, dataPair(41, 0), options(1)).ok());
  EXPECT_EQ(step.trained.size(), 6u);
  Result<TrainSummary> few = train(step, dataPair(11, 0), options(1));
  EXPECT_EQ(few.message(), "counting: 11 samples are less than 3 batches of 4; choose a smaller "
                           "--batch-size or --accumulate");
}

// Law: samples keep their labels through shuffling.
TEST(Trainer, LabelsFollowTheirSamples) {
  FakeStep step;
  ASSERT_TRUE(train(step, dataPair(64, 0), options(1)).ok());
  for (const FakeStep::Call &call : step.trained)
    for (size_t row = 0; row < 4; ++row)
      EXPECT_EQ(call.labels[row], static_cast<int32_t>(call.x[2 * row]) % 10);
}

// Law: the same seed gives the same batches, another seed others.
TEST(Trainer, SeedFixesTheBatches) {
  auto batches = [](uint64_t seed) {
    FakeStep step;
    TrainOptions o = options(2);
    o.seed = seed;
    EXPECT_TRUE(train(step, dataPair(64, 0), o).ok());
    std::vector<float> all;
    for (const FakeStep::Call &call : step.trained)
      all.insert(all.end(), call.x.begin(), call.x.end());
    return all;
  };
  EXPECT_EQ(batches(1), batches(1));
  EXPECT_NE(batches(1), batches(2));
}

// Law: evaluation scores every sample once, in order, with a partial last batch counted by its
// valid rows.
TEST(Trainer, EvaluationScoresEverySample) {
  FakeStep step;
  Result<TrainSummary> summary = train(step, dataPair(8, 22), options(2));
  ASSERT_TRUE(summary) << summary.message();
  EXPECT_EQ(std::vector<int64_t>(step.evaluatedRows.begin(), step.evaluatedRows.begin() + 6),
            (std::vector<int64_t>{4, 4, 4, 4, 4, 2}));
  EXPECT_EQ(step.evaluatedRows.size(), 12u);
  for (size_t i = 0; i < 22; ++i)
    EXPECT_EQ(step.evaluatedX[2 * i], static_cast<float>(i));
  EXPECT_EQ(summary->validation->samples, 22);
  EXPECT_EQ(summary->validation->loss, 0.5);
  EXPECT_EQ(summary->validation->accuracy, 3.0 / 22); // labels 0 are samples 0, 10 and 20
}

// Law: NONFINITE stops the run before another step, with the step, the epoch and a clear word.
TEST(Trainer, NonFiniteStops) {
  FakeStep step;
  step.tamper = [&](StepResult &result) {
    if (step.trained.size() == 5)
      result.code = StepCode::NonFinite;
    return Status::success();
  };
  Result<TrainSummary> summary = train(step, dataPair(16, 4), options(3));
  ASSERT_FALSE(summary.ok());
  EXPECT_EQ(step.trained.size(), 5u);
  EXPECT_NE(summary.message().find("step 5 (epoch 2)"), std::string::npos) << summary.message();
  EXPECT_NE(summary.message().find("NaN"), std::string::npos);
  EXPECT_NE(summary.message().find("parameters are those of step 4"), std::string::npos);
}

// Law: a loss that is NaN stops the run even if the step did not notice, and a step's own error is
// passed on.
TEST(Trainer, NanLossAndErrorsStop) {
  FakeStep step;
  step.tamper = [](StepResult &result) {
    result.loss = NAN;
    return Status::success();
  };
  EXPECT_NE(train(step, dataPair(16, 0), options(1)).message().find("nan"), std::string::npos);
  step.tamper = [](StepResult &) { return Status::error("the moon is full"); };
  EXPECT_EQ(train(step, dataPair(16, 0), options(1)).message(), "the moon is full");
}

// Law: a layer whose gradient codes are all zero stops the run at step 32 or later, by name, and
// not before.
TEST(Trainer, ZeroGradientCodesStop) {
  FakeStep step;
  step.health = {{"conv1", 0, 0.5f, 1024}, {"conv2", 0, 1, 1024}};
  EXPECT_TRUE(train(step, dataPair(4 * 31, 0), options(1)).ok());
  step.trained.clear();
  Result<TrainSummary> summary = train(step, dataPair(4 * 40, 0), options(1));
  ASSERT_FALSE(summary.ok());
  EXPECT_EQ(step.trained.size(), 32u);
  EXPECT_NE(summary.message().find("step 32"), std::string::npos);
  EXPECT_NE(summary.message().find("'conv2'"), std::string::npos);
  step.health[1].underflow = 0.999f;
  EXPECT_TRUE(train(step, dataPair(4 * 40, 0), options(1)).ok());
}

// Law: less than one batch, wrong labels, no training data and a log that cannot be written are
// refused before any step.
TEST(Trainer, RefusesBeforeTheFirstStep) {
  FakeStep step;
  EXPECT_NE(train(step, dataPair(3, 0), options(1))
                .message()
                .find("3 samples are less than one batch of 4"),
            std::string::npos);
  EXPECT_NE(train(step, dataPair(0, 8), options(1)).message().find("no training data"),
            std::string::npos);
  DataPair bad = dataPair(8, 8);
  bad.validation->labels[2] = 11;
  EXPECT_NE(train(step, std::move(bad), options(1)).message().find("sample 2 has label 11"),
            std::string::npos);
  TrainOptions o = options(1);
  o.log = "/nonexistent/run.jsonl";
  EXPECT_NE(train(step, dataPair(8, 0), o).message().find("/nonexistent/run.jsonl"),
            std::string::npos);
  EXPECT_TRUE(step.trained.empty());
}

// Law: the log has one parsable record a step and one an epoch, with every field and the values of
// the run.
TEST(Trainer, LogRecords) {
  TempFolder folder;
  FakeStep step;
  step.health = {{"conv1", 0.25f, 0.5f, 512}};
  TrainOptions o = options(2);
  o.log = folder.path("run.jsonl");
  o.lr = 0.5;
  o.logLayersEvery = 2;
  ASSERT_TRUE(train(step, dataPair(13, 5), o).ok());
  std::vector<json> records = readLog(o.log);
  ASSERT_EQ(records.size(), 8u);
  for (size_t i : {0u, 1u, 2u, 4u, 5u, 6u}) {
    const json &r = records[i];
    int64_t n = static_cast<int64_t>(i < 3 ? i + 1 : i);
    EXPECT_EQ(r["type"], "step");
    EXPECT_EQ(r["step"], n);
    EXPECT_EQ(r["epoch"], n <= 3 ? 1 : 2);
    EXPECT_EQ(r["loss"].get<float>(), 1.0f / static_cast<float>(n));
    EXPECT_EQ(r["lr"].get<double>(), step.trained[static_cast<size_t>(n - 1)].rate);
    EXPECT_TRUE(r["ms"].is_number() && r["train_accuracy"].is_number());
    EXPECT_EQ(r.contains("layers"), n % 2 == 0);
  }
  for (size_t i : {3u, 7u}) {
    const json &r = records[i];
    EXPECT_EQ(r["type"], "epoch");
    EXPECT_EQ(r["val_loss"], 0.5);
    EXPECT_EQ(r["val_accuracy"], 0.2);
    EXPECT_EQ(r["layers"],
              json::parse(R"([{"name":"conv1","saturation":0.25,"underflow":0.5,"scale":512.0}])"));
  }
  EXPECT_EQ(records[7]["step"], 6);
}

// Law: a run that stops leaves its reason in the log.
TEST(Trainer, LogTellsWhyARunStopped) {
  TempFolder folder;
  FakeStep step;
  step.tamper = [](StepResult &result) {
    result.code = StepCode::NonFinite;
    return Status::success();
  };
  TrainOptions o = options(1);
  o.log = folder.path("run.jsonl");
  Result<TrainSummary> summary = train(step, dataPair(8, 0), o);
  std::vector<json> records = readLog(o.log);
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0]["type"], "error");
  EXPECT_EQ(records[0]["message"], summary.message());
}

// Law: a layer name that is not UTF-8 does not harm the log.
TEST(Trainer, LogSurvivesStrangeNames) {
  TempFolder folder;
  FakeStep step;
  step.health = {{"conv\xFF\"\n", 0, 0, 1}};
  TrainOptions o = options(1);
  o.log = folder.path("run.jsonl");
  ASSERT_TRUE(train(step, dataPair(8, 0), o).ok());
  for (const json &record : readLog(o.log))
    EXPECT_FALSE(record.is_discarded());
}

// Law: a terminal gets one redrawn line an epoch, anything else plain lines without control
// characters.
TEST(Trainer, ProgressOnTerminalAndElsewhere) {
  for (bool terminal : {true, false}) {
    FakeStep step;
    std::ostringstream out;
    ProgressOptions progress{&out, terminal, 0, 0};
    ASSERT_TRUE(train(step, dataPair(12, 4), options(2), progress).ok());
    std::string text = out.str();
    EXPECT_NE(text.find("epoch 1/2 2/3 "), std::string::npos) << text;
    EXPECT_NE(text.find(" ms/step loss "), std::string::npos) << text;
    EXPECT_NE(text.find(" acc "), std::string::npos) << text;
    EXPECT_NE(text.find(" ETA 0:0"), std::string::npos) << text;
    EXPECT_NE(text.find(" val loss 0.5000 val acc 25.00 %"), std::string::npos) << text;
    EXPECT_EQ(text.find('\r') != std::string::npos, terminal);
    EXPECT_EQ(text.find('\x1b') != std::string::npos, terminal);
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), terminal ? 2 : 8) << text;
    EXPECT_EQ(text.back(), '\n');
  }
}

// Law: --eval-only scores validation data, or the only data there are, and makes no update.
TEST(Trainer, EvalOnly) {
  TrainOptions o = options(1);
  o.evalOnly = true;
  for (DataPair pair : {dataPair(0, 6), dataPair(6, 0), dataPair(100, 6)}) {
    FakeStep step;
    Result<Trainer> trainer = Trainer::create(step, pair, o, {});
    ASSERT_TRUE(trainer) << trainer.message();
    Result<Score> score = trainer->evaluate();
    ASSERT_TRUE(score) << score.message();
    EXPECT_EQ(score->samples, 6);
    EXPECT_EQ(score->accuracy, 1.0 / 6);
    EXPECT_FALSE(trainer->run().ok());
    EXPECT_TRUE(step.trained.empty());
  }
}

// Law: validation data are normalized with the statistics of the training data.
TEST(Trainer, ValidationUsesTrainingStatistics) {
  FakeStep step;
  TrainOptions o = options(1);
  o.normalize = "auto";
  DataPair pair = dataPair(9, 0); // values 0 … 8: mean 4, variance 60/9
  pair.validation = countingSet(1);
  ASSERT_TRUE(train(step, std::move(pair), o).ok());
  EXPECT_FLOAT_EQ(step.evaluatedX[0], -4.0f / std::sqrt(60.0f / 9));
}

// Law: with --early-stop=2 the run ends after two epochs in which the score (here: always the same)
// is not better.
TEST(Trainer, StopsEarly) {
  FakeStep step;
  TrainOptions o = options(10);
  o.earlyStop = 2;
  Result<TrainSummary> summary = train(step, dataPair(8, 4), o);
  ASSERT_TRUE(summary) << summary.message();
  EXPECT_EQ(summary->steps, 3 * 2);
  EXPECT_TRUE(summary->stoppedEarly);
  EXPECT_EQ(summary->bestEpoch, 1);
  o.earlyStop = 0;
  FakeStep other;
  EXPECT_EQ(train(other, dataPair(8, 4), o)->steps, 10 * 2);
}

} // namespace

//===- ResumeTest.cpp - A run that is interrupted is the run that is not
//-----------------------===//

#include "nibble/Runtime/Trainer.h"

#include "FakeStep.h"
#include "Files.h"

#include <nlohmann/json.hpp>

using namespace nibble;
using namespace nibble::runtime;
using namespace nibble::test;
using nlohmann::json;

namespace fs = std::filesystem;

namespace {

std::string content(const std::string &path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// The log's records without the time that steps took.
std::vector<json> readLog(const std::string &path) {
  std::ifstream in(path);
  std::vector<json> records;
  for (std::string line; std::getline(in, line);) {
    records.push_back(json::parse(line, nullptr, /*allow_exceptions=*/false));
    if (records.back().is_object())
      records.back().erase("ms");
  }
  return records;
}

DataPair dataPair(int64_t train = 23, int64_t validation = 9) {
  DataPair pair;
  pair.train = countingSet(train);
  if (validation)
    pair.validation = countingSet(validation);
  return pair;
}

/// 3 epochs of 5 steps.
TrainOptions options(const TempFolder &folder) {
  TrainOptions o;
  o.epochs = 3;
  o.seed = 7;
  o.logLayersEvery = 3;
  o.log = folder.path("log.jsonl");
  return o;
}

/// A step whose validation score follows from its weights.
class ScoredStep : public FakeStep {
public:
  ScoredStep() { health = {{"conv", 0.25f, 0.5f, 0}}; }
  Status train(const Batch &batch, double rate, int64_t step, StepResult &result) override {
    if (step == dieAt)
      return Status::error("killed");
    if (step == signalAt)
      signal = SIGTERM;
    health[0].scale = scale; // of before the update
    return FakeStep::train(batch, rate, step, result);
  }
  Status evaluate(const Batch &batch, EvalResult &result) override {
    if (signalInEvaluation)
      signal = SIGINT;
    Status status = FakeStep::evaluate(batch, result);
    result.lossSum *= std::abs(static_cast<double>(weights[0]));
    return status;
  }
  int64_t dieAt = -1, signalAt = -1;
  bool signalInEvaluation = false;
  volatile std::sig_atomic_t signal = 0;
};

/// One process: opens the folder, trains until it is done or stopped, and goes.
Result<TrainSummary> process(const std::string &folder, ScoredStep &step, TrainOptions o,
                             CheckpointFolderOptions folderOptions, DataPair data = dataPair(),
                             std::vector<std::string> *notes = nullptr) {
  Result<CheckpointFolder> opened = CheckpointFolder::open(folder, folderOptions);
  if (!opened)
    return opened.status();
  RunControl control{&*opened, {{"recipe.name", "fake"}}, &step.signal};
  Result<Trainer> trainer = Trainer::create(step, std::move(data), o, {}, control);
  if (!trainer)
    return trainer.status();
  if (notes)
    *notes = trainer->notes();
  return trainer->run();
}

/// The uninterrupted run.
struct Whole {
  explicit Whole(int64_t every = 0, DataPair data = dataPair()) {
    TrainOptions o = options(temp);
    o.checkpointEvery = every;
    Result<TrainSummary> done = process(temp.path("run"), step, o, {}, std::move(data));
    EXPECT_TRUE(done) << done.message();
    if (done)
      summary = *done;
  }
  TempFolder temp;
  ScoredStep step;
  TrainSummary summary;
};

void expectSameRun(const Whole &whole, const TempFolder &temp) {
  for (const char *file :
       {"run/last.safetensors", "run/best.safetensors", "run/checkpoints/step-000000.safetensors"})
    EXPECT_EQ(content(whole.temp.path(file)), content(temp.path(file))) << file;
  for (const auto &entry : fs::directory_iterator(whole.temp.path("run/checkpoints")))
    EXPECT_EQ(content(entry.path().string()),
              content(temp.path("run/checkpoints/" + entry.path().filename().string())));
  EXPECT_EQ(readLog(whole.temp.path("log.jsonl")), readLog(temp.path("log.jsonl")));
}

// Law: a process that dies at any step, and is resumed, ends with the files of the run that was
// never interrupted, byte for byte, and with its log but for times.
TEST(Resume, DeathAtAnyStep) {
  for (int64_t every : {0, 2, 5, 100}) {
    Whole whole(every);
    for (int64_t dieAt = 0; dieAt < 15; ++dieAt) {
      TempFolder temp;
      TrainOptions o = options(temp);
      o.checkpointEvery = every;
      ScoredStep first, second;
      first.dieAt = dieAt;
      EXPECT_EQ(process(temp.path("run"), first, o, {}).message(), "killed");
      Result<TrainSummary> done = process(temp.path("run"), second, o, {.resume = true});
      ASSERT_TRUE(done) << done.message();
      EXPECT_EQ(done->steps, 15);
      EXPECT_EQ(done->train, whole.summary.train);
      EXPECT_EQ(done->validation, whole.summary.validation);
      EXPECT_EQ(second.weights, whole.step.weights);
      EXPECT_EQ(second.moments, whole.step.moments);
      expectSameRun(whole, temp);
    }
  }
}

// Law: a signal ends the run after the step that was under way, with a checkpoint of just then;
// going on from there, as often as one likes, is the uninterrupted run.
TEST(Resume, SignalAtAnyStep) {
  Whole whole;
  for (int64_t signalAt = 0; signalAt < 14; ++signalAt) {
    TempFolder temp;
    ScoredStep first;
    first.signalAt = signalAt;
    Result<TrainSummary> stopped = process(temp.path("run"), first, options(temp), {});
    ASSERT_TRUE(stopped) << stopped.message();
    EXPECT_EQ(stopped->stoppedBy, SIGTERM);
    EXPECT_EQ(stopped->steps, signalAt + 1);
    EXPECT_EQ(first.trained.size(), static_cast<size_t>(signalAt) + 1);
    Result<Checkpoint> last = loadCheckpoint(temp.path("run/last.safetensors"));
    ASSERT_TRUE(last) << last.message();
    EXPECT_EQ(last->progress.step, signalAt + 1);
    ScoredStep second;
    second.signalAt = std::min<int64_t>(signalAt + 3, 13);
    ASSERT_TRUE(process(temp.path("run"), second, options(temp), {.resume = true}).ok());
    ScoredStep third;
    Result<TrainSummary> done = process(temp.path("run"), third, options(temp), {.resume = true});
    ASSERT_TRUE(done) << done.message();
    EXPECT_EQ(done->stoppedBy, 0);
    EXPECT_EQ(content(whole.temp.path("run/last.safetensors")),
              content(temp.path("run/last.safetensors")));
    EXPECT_EQ(content(whole.temp.path("run/best.safetensors")),
              content(temp.path("run/best.safetensors")));
    EXPECT_EQ(readLog(whole.temp.path("log.jsonl")), readLog(temp.path("log.jsonl")));
  }
}

// Law: a signal within an evaluation does not wait for its end; the resumed run makes the whole
// evaluation and the epoch's record, layers included.
TEST(Resume, SignalInEvaluation) {
  Whole whole;
  TempFolder temp;
  ScoredStep first, second;
  first.signalInEvaluation = true;
  Result<TrainSummary> stopped = process(temp.path("run"), first, options(temp), {});
  ASSERT_TRUE(stopped) << stopped.message();
  EXPECT_EQ(stopped->stoppedBy, SIGINT);
  EXPECT_EQ(first.evaluatedRows.size(), 1u);
  ASSERT_TRUE(process(temp.path("run"), second, options(temp), {.resume = true}).ok());
  expectSameRun(whole, temp);
}

// Law: a signal before the first step leaves the checkpoint of step 0.
TEST(Resume, SignalBeforeTheFirstStep) {
  TempFolder temp;
  ScoredStep step;
  step.signal = SIGTERM;
  Result<TrainSummary> stopped = process(temp.path("run"), step, options(temp), {});
  ASSERT_TRUE(stopped) << stopped.message();
  EXPECT_EQ(stopped->stoppedBy, SIGTERM);
  EXPECT_TRUE(step.trained.empty());
  EXPECT_TRUE(loadCheckpoint(temp.path("run/last.safetensors")).ok());
}

// Law: a finished run that is resumed makes no step and gives the same answer.
TEST(Resume, Finished) {
  Whole whole;
  ScoredStep again;
  Result<TrainSummary> done =
      process(whole.temp.path("run"), again, options(whole.temp), {.resume = true});
  ASSERT_TRUE(done) << done.message();
  EXPECT_TRUE(again.trained.empty());
  EXPECT_EQ(again.weights, whole.step.weights);
  EXPECT_EQ(done->steps, 15);
  EXPECT_EQ(done->train, whole.summary.train);
  EXPECT_EQ(done->validation, whole.summary.validation);
}

// Law: more epochs than before is a word, not an error, and the run goes on to the new end.
TEST(Resume, MoreEpochs) {
  Whole whole;
  TrainOptions o = options(whole.temp);
  o.epochs = 4;
  std::vector<std::string> notes;
  ScoredStep again;
  Result<TrainSummary> done =
      process(whole.temp.path("run"), again, o, {.resume = true}, dataPair(), &notes);
  ASSERT_TRUE(done) << done.message();
  EXPECT_EQ(again.trained.size(), 5u);
  EXPECT_EQ(done->steps, 20);
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_EQ(notes[0].rfind("--epochs is 3 in the checkpoint and 4 here", 0), 0u) << notes[0];
}

// Law: `best` is the epoch with the best validation score: here the first, with the smallest loss
// at equal accuracy, or the last where there is no validation and the training loss falls.
TEST(Resume, Best) {
  for (int64_t validation : {0, 9}) {
    Whole whole(0, dataPair(23, validation));
    Result<Checkpoint> best = loadCheckpoint(whole.temp.path("run/best.safetensors"));
    ASSERT_TRUE(best) << best.message();
    EXPECT_EQ(best->progress.step, best->progress.bestStep);
    ASSERT_TRUE(best->progress.best);
    double bestLoss = best->progress.best->loss, bestAccuracy = best->progress.best->accuracy;
    for (const json &record : readLog(whole.temp.path("log.jsonl")))
      if (record["type"] == "epoch") {
        double loss = record[validation ? "val_loss" : "loss"];
        double accuracy = record[validation ? "val_accuracy" : "train_accuracy"];
        EXPECT_TRUE(accuracy < bestAccuracy || (accuracy == bestAccuracy && loss >= bestLoss));
      }
  }
}

// Law: other data, another seed, normalization or program field is an error that names it, before a
// step is made.
TEST(Resume, AnotherRunIsRefused) {
  Whole whole;
  auto refusal = [&](DataPair data, TrainOptions o) {
    ScoredStep step;
    std::string message =
        process(whole.temp.path("run"), step, o, {.resume = true}, std::move(data)).message();
    EXPECT_TRUE(step.trained.empty());
    return message;
  };
  TrainOptions o = options(whole.temp);
  std::string longer = refusal(dataPair(24), o);
  EXPECT_NE(longer.find("data.samples is 23 in the checkpoint and 24 here"), std::string::npos)
      << longer;
  DataPair changed = dataPair();
  changed.train->labels[3] = 5;
  std::string hash = refusal(std::move(changed), o);
  EXPECT_NE(hash.find("data.hash is"), std::string::npos) << hash;
  EXPECT_EQ(hash.find("data.samples"), std::string::npos);
  EXPECT_NE(refusal(dataPair(23, 8), o).find("validation.samples is 9"), std::string::npos);
  o.seed = 8;
  EXPECT_NE(refusal(dataPair(), o).find("seed is 7 in the checkpoint and 8 here"),
            std::string::npos);
  o = options(whole.temp);
  o.normalize = "auto";
  EXPECT_NE(refusal(dataPair(), o).find("normalize is"), std::string::npos);
}

// Law: the log is cut to the checkpoint; a log that belongs to another run is refused and kept; one
// that is gone is begun anew.
TEST(Resume, Log) {
  Whole whole;
  TempFolder temp;
  ScoredStep first, second;
  first.dieAt = 8;
  EXPECT_FALSE(process(temp.path("run"), first, options(temp), {}).ok());
  std::string log = temp.path("log.jsonl"), kept = content(log);
  EXPECT_EQ(readLog(log).back()["type"], "error");
  temp.write("log.jsonl", "{\"type\":\"step\",\"step\":99}\n");
  std::string message =
      process(temp.path("run"), second, options(temp), {.resume = true}).message();
  EXPECT_NE(message.find("log.jsonl: is not the log of the run"), std::string::npos) << message;
  EXPECT_EQ(readLog(log).size(), 1u);
  temp.write("log.jsonl", kept + "{\"type\":\"st"); // cut off by a crash
  ASSERT_TRUE(process(temp.path("run"), second, options(temp), {.resume = true}).ok());
  EXPECT_EQ(readLog(log), readLog(whole.temp.path("log.jsonl")));
  fs::remove(log);
  TrainOptions more = options(temp);
  more.epochs = 4;
  ScoredStep third;
  ASSERT_TRUE(process(temp.path("run"), third, more, {.resume = true}).ok());
  EXPECT_EQ(readLog(log).size(), 6u);
  EXPECT_EQ(readLog(log)[0]["step"], 16);
}

// Law: --eval-only scores a checkpoint's state with the normalization that it was trained with.
TEST(Resume, EvaluatesACheckpoint) {
  TempFolder temp;
  TrainOptions o = options(temp);
  o.normalize = "auto";
  ScoredStep trained, fresh;
  ASSERT_TRUE(process(temp.path("run"), trained, o, {}).ok());
  Result<Checkpoint> last = loadCheckpoint(temp.path("run/last.safetensors"));
  ASSERT_TRUE(last) << last.message();
  TrainOptions evaluation;
  evaluation.evalOnly = true;
  DataPair data = dataPair();
  data.train.reset();
  RunControl control{.evaluated = &*last};
  Result<Trainer> trainer = Trainer::create(fresh, data, evaluation, {}, control);
  ASSERT_TRUE(trainer) << trainer.message();
  Result<Score> score = trainer->evaluate();
  ASSERT_TRUE(score) << score.message();
  EXPECT_EQ(score->loss, last->progress.validation->loss);
  EXPECT_EQ(fresh.weights, trained.weights);
  EXPECT_EQ(std::vector<float>(trained.evaluatedX.end() - 24, trained.evaluatedX.end()),
            fresh.evaluatedX);
}

} // namespace

//===- Trainer.cpp - The training loop -------------------------------------------------===//

#include "nibble/Runtime/Trainer.h"

#include "Progress.h"
#include "Support.h"
#include "TrainLog.h"

#include <chrono>
#include <cmath>
#include <numeric>

using namespace nibble;
using namespace nibble::runtime;

using Clock = std::chrono::steady_clock;

static double millisecondsSince(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

namespace {

/// Sums over the steps of an epoch.
struct EpochSums {
  int64_t steps = 0;
  double loss = 0;
  int64_t correct = 0;
  double milliseconds = 0;
};

} // namespace

struct Trainer::State {
  State(Step &step, DataPair pair, const TrainOptions &options, const ProgressOptions &progress)
      : step(step), data(std::move(pair)), options(options), progress(progress) {}

  Status prepare();
  Status trainEpoch(int64_t epoch);
  Status trainStep(int64_t epoch);
  Status finishEpoch(int64_t epoch);
  Status checkResult(const StepResult &result, int64_t epoch) const;
  ProgressState describe(int64_t epoch) const;
  Score trainScore() const;

  int64_t totalSteps() const { return stepsPerEpoch * options.epochs; }
  bool hasClasses() const { return step.numClasses() > 0; }

  Step &step;
  DataPair data;
  TrainOptions options;
  Progress progress;
  TrainLog log;
  std::optional<BatchSource> trainSource;
  std::optional<BatchSource> validationSource;
  std::optional<Sampler> sampler;
  int64_t stepsPerEpoch = 0;
  /// Updates made so far.
  int64_t stepsDone = 0;
  double trainMilliseconds = 0;
  double lastEvaluationSeconds = 0;
  double lastRate = 0;
  EpochSums sums;
  std::span<const LayerHealth> lastLayers;
  std::optional<Score> validation;
};

//===----------------------------------------------------------------------===//
// Before the first step
//===----------------------------------------------------------------------===//

Status Trainer::State::prepare() {
  if (options.evalOnly ? !data.validation && !data.train : !data.train)
    return Status::error(options.evalOnly ? "no data to evaluate"
                                          : "no training data: the data hold a test part only");
  if (options.evalOnly && !data.validation)
    data.validation = data.train;

  const DataSet &statistics = data.train ? *data.train : *data.validation;
  if (options.normalize == "auto" && !data.train)
    return Status::error(
        "--normalize=auto takes its statistics from training data, and there are none");
  Result<Normalization> normalization = Normalization::create(options.normalize, statistics);
  if (!normalization)
    return normalization.status();

  if (data.validation) {
    if (data.validation->channels() != statistics.channels() ||
        data.validation->x.type != statistics.x.type)
      return Status::error(
          data.validation->path + ": validation samples of shape " +
          formatShape(data.validation->sampleShape()) + " and type " +
          name(data.validation->x.type) + " do not match training samples of shape " +
          formatShape(statistics.sampleShape()) + " and type " + name(statistics.x.type));
    Result<BatchSource> source = BatchSource::create(*data.validation, *normalization, step);
    if (!source)
      return source.status();
    validationSource = std::move(*source);
  }
  if (options.evalOnly)
    return Status::success();

  Result<BatchSource> source = BatchSource::create(*data.train, *normalization, step);
  if (!source)
    return source.status();
  trainSource = std::move(*source);
  int64_t samples = data.train->size(), batch = step.batchSize();
  if (samples < batch)
    return Status::error(data.train->path + ": " + std::to_string(samples) +
                         " samples are less than one batch of " + std::to_string(batch) +
                         "; choose a smaller --batch-size");
  sampler.emplace(options.seed, static_cast<uint32_t>(samples), static_cast<uint32_t>(batch));
  stepsPerEpoch = sampler->batchesPerEpoch();
  return options.log.empty() ? Status::success() : log.open(options.log);
}

Result<Trainer> Trainer::create(Step &step, DataPair data, const TrainOptions &options,
                                const ProgressOptions &progress) {
  return guarded("training", [&]() -> Result<Trainer> {
    auto state = std::make_unique<State>(step, std::move(data), options, progress);
    if (Status status = state->prepare(); !status)
      return status;
    return Trainer(std::move(state));
  });
}

Trainer::Trainer(std::unique_ptr<State> state) : state(std::move(state)) {}
Trainer::Trainer(Trainer &&) noexcept = default;
Trainer &Trainer::operator=(Trainer &&) noexcept = default;
Trainer::~Trainer() = default;

int64_t Trainer::totalSteps() const { return state->totalSteps(); }
int64_t Trainer::stepsPerEpoch() const { return state->stepsPerEpoch; }

//===----------------------------------------------------------------------===//
// Steps and epochs
//===----------------------------------------------------------------------===//

Status Trainer::State::checkResult(const StepResult &result, int64_t epoch) const {
  std::string where = "training stopped at step " + std::to_string(stepsDone + 1) + " (epoch " +
                      std::to_string(epoch) + "): ";
  if (result.code == StepCode::NonFinite)
    return Status::error(where +
                         "NaN or infinity in the loss, a gradient or a quantizer's input; the "
                         "parameters are those of step " +
                         std::to_string(stepsDone) +
                         ", all finite. A smaller --lr or a --warmup usually helps");
  if (!std::isfinite(result.loss))
    return Status::error(where + "the loss is " + std::to_string(result.loss) +
                         ". A smaller --lr or a --warmup usually helps");
  if (stepsDone + 1 < zeroGradientGraceSteps)
    return Status::success();
  for (const LayerHealth &layer : result.layers)
    if (layer.underflow == 1)
      return Status::error(
          where + "all gradient codes of layer '" + layer.name + "' are zero (scale " +
          std::to_string(layer.scale) +
          "), so nothing before it can learn. Its gradient may be below the grid's range: "
          "another recipe, or --keep-float for this layer");
  return Status::success();
}

Status Trainer::State::trainStep(int64_t epoch) {
  Clock::time_point start = Clock::now();
  Batch batch = trainSource->fill(sampler->next());
  lastRate = learningRate(options, stepsDone, totalSteps());
  StepResult result;
  if (Status status = step.train(batch, lastRate, stepsDone, result); !status)
    return status;
  double milliseconds = millisecondsSince(start);
  if (Status status = checkResult(result, epoch); !status)
    return status;

  ++stepsDone;
  ++sums.steps;
  sums.loss += result.loss;
  sums.correct += result.correct;
  sums.milliseconds += milliseconds;
  trainMilliseconds += milliseconds;
  lastLayers = result.layers;

  LogRecord record{"step", stepsDone, epoch, result.loss, {}, {}, {}, lastRate, milliseconds, {}};
  if (hasClasses())
    record.trainAccuracy =
        static_cast<double>(result.correct) / static_cast<double>(batch.validRows);
  if (options.logLayersEvery > 0 && stepsDone % options.logLayersEvery == 0)
    record.layers = result.layers;
  log.write(record);
  return Status::success();
}

Score Trainer::State::trainScore() const {
  Score score;
  score.samples = sums.steps * step.batchSize();
  if (sums.steps == 0)
    return score;
  score.loss = sums.loss / static_cast<double>(sums.steps);
  score.accuracy = static_cast<double>(sums.correct) / static_cast<double>(score.samples);
  return score;
}

ProgressState Trainer::State::describe(int64_t epoch) const {
  Score score = trainScore();
  double perStep = trainMilliseconds / static_cast<double>(std::max<int64_t>(stepsDone, 1));
  // Evaluations still to come, the one of this epoch included, take as long as the last one did.
  double left = static_cast<double>(totalSteps() - stepsDone) * perStep / 1000 +
                static_cast<double>(options.epochs - epoch + 1) * lastEvaluationSeconds;
  ProgressState shown{epoch,   options.epochs, sums.steps, stepsPerEpoch,
                      perStep, score.loss,     {},         left};
  if (hasClasses())
    shown.accuracy = score.accuracy;
  return shown;
}

Status Trainer::State::finishEpoch(int64_t epoch) {
  validation.reset();
  // Evaluation may reuse what lastLayers points to.
  std::vector<LayerHealth> layers(lastLayers.begin(), lastLayers.end());
  if (validationSource) {
    Clock::time_point start = Clock::now();
    Result<Score> score = evaluateAll(step, *validationSource);
    if (!score)
      return score.status();
    validation = *score;
    lastEvaluationSeconds = millisecondsSince(start) / 1000;
  }
  Score score = trainScore();
  LogRecord record{"epoch",    stepsDone, epoch,
                   score.loss, {},        {},
                   {},         lastRate,  sums.milliseconds / static_cast<double>(sums.steps),
                   layers};
  if (hasClasses())
    record.trainAccuracy = score.accuracy;
  if (validation) {
    record.validationLoss = validation->loss;
    if (hasClasses())
      record.validationAccuracy = validation->accuracy;
  }
  log.write(record);
  progress.finishEpoch(describe(epoch), validation);
  return log.flush();
}

Status Trainer::State::trainEpoch(int64_t epoch) {
  sums = {};
  for (int64_t i = 0; i < stepsPerEpoch; ++i) {
    if (Status status = trainStep(epoch); !status) {
      progress.endLine();
      log.writeError(stepsDone + 1, epoch, status.message());
      (void)log.flush(); // the error that stopped the run matters more
      return status;
    }
    if (progress.isDue())
      progress.show(describe(epoch));
  }
  return finishEpoch(epoch);
}

Result<TrainSummary> Trainer::run() {
  return guarded("training", [&]() -> Result<TrainSummary> {
    if (!state->trainSource)
      return Status::error("nothing to train: --eval-only was given");
    for (int64_t epoch = 1; epoch <= state->options.epochs; ++epoch)
      if (Status status = state->trainEpoch(epoch); !status)
        return status;
    TrainSummary summary;
    summary.steps = state->stepsDone;
    summary.train = state->trainScore();
    summary.validation = state->validation;
    summary.millisecondsPerStep = state->trainMilliseconds / static_cast<double>(state->stepsDone);
    return summary;
  });
}

//===----------------------------------------------------------------------===//
// Evaluation
//===----------------------------------------------------------------------===//

Result<Score> nibble::runtime::evaluateAll(Step &step, BatchSource &source) {
  int64_t samples = source.data().size(), rows = step.batchSize();
  Score score;
  double lossSum = 0;
  int64_t correct = 0;
  std::vector<uint32_t> indices;
  for (int64_t at = 0; at < samples; at += rows) {
    indices.resize(static_cast<size_t>(std::min(rows, samples - at)));
    std::iota(indices.begin(), indices.end(), static_cast<uint32_t>(at));
    EvalResult result;
    if (Status status = step.evaluate(source.fill(indices), result); !status)
      return status;
    lossSum += result.lossSum;
    correct += result.correct;
  }
  score.samples = samples;
  score.loss = lossSum / static_cast<double>(samples);
  score.accuracy = static_cast<double>(correct) / static_cast<double>(samples);
  return score;
}

Result<Score> Trainer::evaluate() {
  return guarded("evaluation", [&]() -> Result<Score> {
    if (!state->validationSource)
      return Status::error("no validation data: --val, or data with a test part, is needed");
    return evaluateAll(state->step, *state->validationSource);
  });
}

//===- Trainer.cpp - The training loop -------------------------------------------------===//

#include "TrainerState.h"

#include "Support.h"

#include <chrono>
#include <cmath>
#include <functional>
#include <numeric>

using namespace nibble;
using namespace nibble::runtime;

using Clock = std::chrono::steady_clock;

static double millisecondsSince(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

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
  if (options.evalOnly && control.evaluated && options.normalize.empty()) {
    normalization = control.evaluated->normalization;
  } else {
    if (options.normalize == "auto" && !data.train)
      return Status::error(
          "--normalize=auto takes its statistics from training data, and there are none");
    Result<Normalization> made = Normalization::create(options.normalize, statistics);
    if (!made)
      return made.status();
    normalization = std::move(*made);
  }

  if (data.validation) {
    if (data.validation->channels() != statistics.channels() ||
        data.validation->x.type != statistics.x.type)
      return Status::error(
          data.validation->path + ": validation samples of shape " +
          formatShape(data.validation->sampleShape()) + " and type " +
          name(data.validation->x.type) + " do not match training samples of shape " +
          formatShape(statistics.sampleShape()) + " and type " + name(statistics.x.type));
    Result<BatchSource> source = BatchSource::create(*data.validation, normalization, step);
    if (!source)
      return source.status();
    validationSource = std::move(*source);
  }
  return options.evalOnly ? prepareEvaluation() : prepareTraining();
}

Status Trainer::State::prepareEvaluation() {
  if (!control.evaluated)
    return Status::success();
  return restoreState(*control.evaluated, {}, step, Restore::ForEvaluation);
}

Status Trainer::State::prepareTraining() {
  Result<BatchSource> source = BatchSource::create(*data.train, normalization, step);
  if (!source)
    return source.status();
  trainSource = std::move(*source);
  if (Status status = trainSource->setAugmentation(options.augment, options.seed); !status)
    return status;
  int64_t samples = data.train->size(), batch = updateSize();
  if (samples < batch)
    return Status::error(
        data.train->path + ": " + std::to_string(samples) + " samples are less than " +
        (step.microBatches() > 1 ? std::to_string(step.microBatches()) + " batches" : "one batch") +
        " of " + std::to_string(step.batchSize()) + "; choose a smaller --batch-size" +
        (step.microBatches() > 1 ? " or --accumulate" : ""));
  sampler.emplace(options.seed, static_cast<uint32_t>(samples), static_cast<uint32_t>(batch));
  stepsPerEpoch = sampler->batchesPerEpoch();
  if (control.folder)
    if (Status status = resume(); !status)
      return status;
  return openLog();
}

Status Trainer::State::openLog() {
  log.watch(control.observers);
  bool resumed = control.folder && control.folder->resumed();
  if (!options.log.empty())
    if (Status status =
            resumed ? log.resume(options.log, at.logRecords, at.step) : log.open(options.log);
        !status)
      return status;
  if (!control.model || log.records() > 0)
    return Status::success();
  ModelSummary model = *control.model;
  model.data = data.train->path;
  model.samples = data.train->size();
  model.validationSamples = data.validation ? data.validation->size() : 0;
  model.batchSize = step.batchSize();
  model.classes = step.numClasses();
  model.epochs = options.epochs;
  model.steps = totalSteps();
  log.write(model);
  return Status::success();
}

Result<Trainer> Trainer::create(Step &step, DataPair data, const TrainOptions &options,
                                const ProgressOptions &progress, const RunControl &control) {
  return guarded("training", [&]() -> Result<Trainer> {
    auto state = std::make_unique<State>(step, std::move(data), options, progress, control);
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
int64_t Trainer::stepsDone() const { return state->at.step; }
int64_t Trainer::stepsPerEpoch() const { return state->stepsPerEpoch; }
const std::vector<std::string> &Trainer::notes() const { return state->notes; }

//===----------------------------------------------------------------------===//
// Steps
//===----------------------------------------------------------------------===//

Status Trainer::State::checkResult(const StepResult &result) const {
  std::string where = "training stopped at step " + std::to_string(at.step + 1) + " (epoch " +
                      std::to_string(epoch()) + "): ";
  if (result.code == StepCode::NonFinite)
    return Status::error(where +
                         "NaN or infinity in the loss, a gradient or a quantizer's input; the "
                         "parameters are those of step " +
                         std::to_string(at.step) +
                         ", all finite. A smaller --lr or a --warmup usually helps");
  if (!std::isfinite(result.loss))
    return Status::error(where + "the loss is " + std::to_string(result.loss) +
                         ". A smaller --lr or a --warmup usually helps");
  if (at.step + 1 < zeroGradientGraceSteps)
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

Status Trainer::State::trainStep() {
  Clock::time_point start = Clock::now();
  std::span<const uint32_t> samples = sampler->next();
  at.lastRate = learningRate(options, at.step, totalSteps());
  StepResult result;
  double loss = 0;
  int64_t correct = 0, micro = step.microBatches();
  auto rows = static_cast<size_t>(step.batchSize());
  for (int64_t m = 0; m < micro; ++m) {
    Batch batch = trainSource->fill(samples.subspan(static_cast<size_t>(m) * rows, rows),
                                    sampler->position().epoch);
    result = {};
    if (Status status = step.train(batch, at.lastRate, at.step * micro + m, result); !status)
      return status;
    if (Status status = checkResult(result); !status) {
      failedLayers.assign(result.layers.begin(), result.layers.end());
      return status;
    }
    loss += result.loss;
    correct += result.correct;
  }
  loss /= static_cast<double>(micro);
  double elapsed = millisecondsSince(start);

  int64_t number = epoch();
  ++at.step;
  ++at.epochSteps;
  at.epochLoss += loss;
  at.epochCorrect += correct;
  ++stepsTimed, ++epochStepsTimed;
  milliseconds += elapsed, epochMilliseconds += elapsed;
  // A copy: evaluation may reuse what the result points to.
  at.layers.assign(result.layers.begin(), result.layers.end());

  LogRecord record{"step", at.step, number, loss, {}, {}, {}, at.lastRate, elapsed, {}};
  if (hasClasses())
    record.trainAccuracy =
        static_cast<double>(correct) / static_cast<double>(updateSize() * step.answersPerRow());
  if (options.logLayersEvery > 0 && at.step % options.logLayersEvery == 0)
    record.layers = at.layers;
  log.write(record);
  return Status::success();
}

Score Trainer::State::trainScore() const {
  Score score;
  score.samples = at.epochSteps * updateSize();
  if (at.epochSteps == 0)
    return score;
  score.loss = at.epochLoss / static_cast<double>(at.epochSteps);
  score.accuracy = static_cast<double>(at.epochCorrect) /
                   static_cast<double>(score.samples * step.answersPerRow());
  return score;
}

static double mean(double sum, int64_t count) {
  return count > 0 ? sum / static_cast<double>(count) : 0;
}

ProgressState Trainer::State::describe() const {
  Score score = trainScore();
  double perStep = mean(milliseconds, stepsTimed);
  // Evaluations still to come, the one of this epoch included, take as long as the last one did.
  double left = static_cast<double>(totalSteps() - at.step) * perStep / 1000 +
                static_cast<double>(options.epochs - at.epochsDone) * lastEvaluationSeconds;
  ProgressState shown{
      epoch(), options.epochs, at.epochSteps, stepsPerEpoch, perStep, score.loss, {}, left};
  if (hasClasses())
    shown.accuracy = score.accuracy;
  return shown;
}

//===----------------------------------------------------------------------===//
// Epochs
//===----------------------------------------------------------------------===//

/// Scores all of `source`, or nothing where `stop` says so in between.
static Result<std::optional<Score>> evaluateUntil(Step &step, BatchSource &source,
                                                  const std::function<bool()> &stop) {
  int64_t samples = source.data().size(), rows = step.batchSize();
  Score score;
  double lossSum = 0;
  int64_t correct = 0;
  std::vector<uint32_t> indices;
  for (int64_t first = 0; first < samples; first += rows) {
    if (stop())
      return std::optional<Score>();
    indices.resize(static_cast<size_t>(std::min(rows, samples - first)));
    std::iota(indices.begin(), indices.end(), static_cast<uint32_t>(first));
    EvalResult result;
    if (Status status = step.evaluate(source.fill(indices), result); !status)
      return status;
    lossSum += result.lossSum;
    correct += result.correct;
  }
  score.samples = samples;
  score.loss = lossSum / static_cast<double>(samples);
  score.accuracy =
      static_cast<double>(correct) / static_cast<double>(samples * step.answersPerRow());
  return std::optional<Score>(score);
}

/// at.validation, or a stop.
Status Trainer::State::evaluateEpoch() {
  at.validation.reset();
  if (!validationSource)
    return Status::success();
  Clock::time_point start = Clock::now();
  Result<std::optional<Score>> score =
      evaluateUntil(step, *validationSource, [this] { return shouldStop(); });
  if (!score)
    return score.status();
  if (!*score)
    return stop();
  at.validation = *score;
  lastEvaluationSeconds = millisecondsSince(start) / 1000;
  return Status::success();
}

Status Trainer::State::finishEpoch() {
  if (Status status = evaluateEpoch(); !status || stoppedBy)
    return status;
  Score score = trainScore();
  LogRecord record{"epoch",    at.step,     epoch(),
                   score.loss, {},          {},
                   {},         at.lastRate, mean(epochMilliseconds, epochStepsTimed),
                   at.layers};
  if (hasClasses())
    record.trainAccuracy = score.accuracy;
  if (at.validation) {
    record.validationLoss = at.validation->loss;
    if (hasClasses())
      record.validationAccuracy = at.validation->accuracy;
  }
  log.write(record);
  progress.finishEpoch(describe(), at.validation);
  if (Status status = log.flush(); !status)
    return status;
  log.refresh(/*last=*/false);
  ++at.epochsDone;
  return saveEpoch();
}

Status Trainer::State::trainEpoch() {
  if (stepsInEpoch() == 0) {
    at.epochSteps = 0;
    at.epochLoss = 0;
    at.epochCorrect = 0;
  }
  epochStepsTimed = 0;
  epochMilliseconds = 0;
  while (stepsInEpoch() < stepsPerEpoch) {
    if (shouldStop())
      return stop();
    if (Status status = trainStep(); !status)
      return status;
    if (progress.isDue())
      progress.show(describe());
    if (Status status = saveIfDue(); !status)
      return status;
  }
  return finishEpoch();
}

Status Trainer::State::trainEpochs() {
  Status status = begin();
  while (status && !stoppedBy && at.epochsDone < options.epochs && !isStale())
    status = trainEpoch();
  progress.endLine();
  if (!status) {
    log.writeError(at.step + 1, epoch(), status.message(), failedLayers);
    (void)log.flush(); // the error that stopped the run matters more
  }
  log.refresh(/*last=*/true);
  return status;
}

TrainSummary Trainer::State::summarize() const {
  TrainSummary summary;
  summary.steps = at.step;
  summary.train = trainScore();
  summary.validation = at.validation;
  summary.millisecondsPerStep = mean(milliseconds, stepsTimed);
  summary.stoppedBy = stoppedBy;
  summary.stoppedEarly = isStale() && at.epochsDone < options.epochs;
  summary.best = at.best;
  summary.bestEpoch = at.best ? at.bestStep / stepsPerEpoch : 0;
  return summary;
}

Result<TrainSummary> Trainer::run() {
  return guarded("training", [&]() -> Result<TrainSummary> {
    if (!state->trainSource)
      return Status::error("nothing to train: --eval-only was given");
    if (Status status = state->trainEpochs(); !status)
      return status;
    return state->summarize();
  });
}

Status Trainer::withFirstBatch(const std::function<Status(const Batch &)> &use) {
  return guarded("training", [&]() -> Status {
    if (!state->trainSource)
      return Status::error("no training data");
    Sampler first(state->options.seed, static_cast<uint32_t>(state->data.train->size()),
                  static_cast<uint32_t>(state->updateSize()));
    auto rows = static_cast<size_t>(state->step.batchSize());
    return use(state->trainSource->fill(first.next().first(rows), 0));
  });
}

//===----------------------------------------------------------------------===//
// Evaluation
//===----------------------------------------------------------------------===//

Result<Score> nibble::runtime::evaluateAll(Step &step, BatchSource &source) {
  Result<std::optional<Score>> score = evaluateUntil(step, source, [] { return false; });
  if (!score)
    return score.status();
  return **score;
}

Result<Score> Trainer::evaluate() { return evaluate(state->step); }

Result<Score> Trainer::evaluate(Step &other) {
  return guarded("evaluation", [&]() -> Result<Score> {
    if (!state->validationSource)
      return Status::error("no validation data: --val, or data with a test part, is needed");
    return evaluateAll(other, *state->validationSource);
  });
}

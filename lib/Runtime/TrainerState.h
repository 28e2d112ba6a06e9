//===- TrainerState.h - Inside the training loop ------------------*- C++ -*-===//

#ifndef NIBBLE_LIB_RUNTIME_TRAINERSTATE_H
#define NIBBLE_LIB_RUNTIME_TRAINERSTATE_H

#include "nibble/Runtime/Trainer.h"

#include "Progress.h"
#include "TrainLog.h"

#include <optional>

namespace nibble::runtime {

struct Trainer::State {
  State(Step &step, DataPair pair, const TrainOptions &options, const ProgressOptions &progress,
        const RunControl &control)
      : step(step), data(std::move(pair)), options(options), control(control), progress(progress) {}

  // Trainer.cpp
  Status prepare();
  Status prepareEvaluation();
  Status prepareTraining();
  Status openLog();
  Status trainEpochs();
  Status trainEpoch();
  Status trainStep();
  Status finishEpoch();
  Status evaluateEpoch();
  Status checkResult(const StepResult &result) const;
  ProgressState describe() const;
  Score trainScore() const;
  TrainSummary summarize() const;

  // TrainerCheckpoint.cpp
  Status resume();
  Status begin();
  Status save(bool isBest);
  Status saveIfDue();
  Status saveEpoch();
  Status stop();
  bool noteBest();

  bool hasClasses() const { return step.countsAnswers(); }
  /// Samples of an update.
  int64_t updateSize() const { return step.batchSize() * step.microBatches(); }
  int64_t totalSteps() const { return stepsPerEpoch * options.epochs; }
  /// The epoch that steps belong to now, from 1.
  int64_t epoch() const { return at.epochsDone + 1; }
  /// Steps made within epoch().
  int64_t stepsInEpoch() const { return at.step - at.epochsDone * stepsPerEpoch; }
  /// Nothing got better in the last options.earlyStop epochs.
  bool isStale() const {
    return options.earlyStop > 0 && at.best && at.epochsDone > 0 &&
           at.epochsDone - at.bestStep / stepsPerEpoch >= options.earlyStop;
  }
  bool shouldStop() const { return control.stop && *control.stop != 0; }

  Step &step;
  DataPair data;
  TrainOptions options;
  RunControl control;
  Progress progress;
  TrainLog log;
  Normalization normalization;
  std::optional<BatchSource> trainSource;
  std::optional<BatchSource> validationSource;
  std::optional<Sampler> sampler;
  int64_t stepsPerEpoch = 0;
  std::vector<std::string> notes;

  /// Where the run stands; sampler, log records and layers are filled in when it is saved.
  RunProgress at;
  /// What `last` holds, as (step, epochs done); nothing: no checkpoint of this process.
  std::optional<std::pair<int64_t, int64_t>> saved;
  /// Of the step that failed.
  std::vector<LayerHealth> failedLayers;
  /// The run ends early by a signal.
  int stoppedBy = 0;

  // By the clock, so never in a checkpoint.
  int64_t stepsTimed = 0, epochStepsTimed = 0;
  double milliseconds = 0, epochMilliseconds = 0;
  double lastEvaluationSeconds = 0;
};

} // namespace nibble::runtime

#endif // NIBBLE_LIB_RUNTIME_TRAINERSTATE_H

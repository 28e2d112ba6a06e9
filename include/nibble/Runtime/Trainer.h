//===- Trainer.h - The training loop ----------------------------*- C++ -*-===//
//
// Epochs of shuffled batches through a Step, evaluation after each epoch, progress on a terminal or
// as plain lines, JSON lines in a log. Knows nothing of how a step is computed.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_RUNTIME_TRAINER_H
#define NIBBLE_RUNTIME_TRAINER_H

#include "nibble/Runtime/Checkpoint.h"
#include "nibble/Runtime/CheckpointFolder.h"
#include "nibble/Runtime/DataSet.h"
#include "nibble/Runtime/ModelSummary.h"
#include "nibble/Runtime/RunObserver.h"
#include "nibble/Runtime/Sampler.h"
#include "nibble/Runtime/Status.h"
#include "nibble/Runtime/Step.h"
#include "nibble/Runtime/TrainOptions.h"

#include <csignal>
#include <functional>
#include <cstdint>
#include <memory>
#include <ostream>

namespace nibble::runtime {

struct TrainSummary {
  /// Updates made.
  int64_t steps = 0;
  /// Mean loss and accuracy of the last epoch's batches, as they were trained.
  Score train;
  /// After the last epoch; absent without validation data.
  std::optional<Score> validation;
  /// Mean time of one update, batch preparation included, evaluation excluded; of the updates since
  /// the last resume. 0 where there were none.
  double millisecondsPerStep = 0;
  /// The signal that ended the run before its end; 0: it is finished.
  int stoppedBy = 0;
  /// --early-stop ended it; the best epoch so far (from 1) and its score.
  bool stoppedEarly = false;
  std::optional<Score> best;
  int64_t bestEpoch = 0;
};

/// What a run needs to outlive its process.
struct RunControl {
  /// Where checkpoints go, and the one to go on from; null: none are made.
  CheckpointFolder *folder = nullptr;
  /// What the run is, besides seed, data and normalization, which the trainer adds ("program": see
  /// checkSameRun).
  RunFields run = {};
  /// A signal's number once one has come (a handler sets it); the trainer then finishes the step,
  /// writes a checkpoint and returns. Null: nobody asks.
  const volatile std::sig_atomic_t *stop = nullptr;
  /// With options.evalOnly: the state to score, or null.
  const Checkpoint *evaluated = nullptr;
  /// The log's first record; the trainer adds what it knows of data and steps. Nothing: none.
  std::optional<ModelSummary> model = {};
  /// Told of every record. They must outlive the trainer.
  std::vector<RunObserver *> observers = {};
};

/// Where progress goes.
struct ProgressOptions {
  /// Null: silent.
  std::ostream *out = nullptr;
  /// One line, redrawn; else plain lines.
  bool terminal = false;
  /// Seconds between redraws on a terminal and between plain lines elsewhere.
  double terminalInterval = 0.1;
  double plainInterval = 10;

  /// Standard error, a terminal if it is one.
  static ProgressOptions standardError();
};

/// A quantized layer whose gradient codes are all zero at this step (counted from 1) or later stops
/// the run (numerics.md, section 3): before, a gradient scale may still be finding its place.
inline constexpr int64_t zeroGradientGraceSteps = 32;

class Trainer {
public:
  /// Checks data against the step: shapes, labels, at least one batch of training data. `step` must
  /// outlive the trainer; options.data and options.val are not read here.
  /// Where `control.folder` has a checkpoint to go on from, the trainer stands there afterwards; an
  /// error says what differs. Nothing is written but the log.
  static Result<Trainer> create(Step &step, DataPair data, const TrainOptions &options,
                                const ProgressOptions &progress, const RunControl &control = {});
  Trainer(Trainer &&) noexcept;
  Trainer &operator=(Trainer &&) noexcept;
  ~Trainer();

  /// Trains all epochs, or those that are left. On an error (a loss that is not finite, a layer
  /// whose gradient codes are all zero, a log or checkpoint that cannot be written) the step keeps
  /// the state of its last update.
  Result<TrainSummary> run();

  /// Hands out the first batch of the run, as training will see it.
  Status withFirstBatch(const std::function<Status(const Batch &)> &use);

  /// Sentences for a person: what has changed since the checkpoint.
  const std::vector<std::string> &notes() const;

  /// Scores the validation data, every sample of it.
  Result<Score> evaluate();
  /// The same with another network of the same input, output and batch.
  Result<Score> evaluate(Step &other);

  /// Updates of the whole run, made so far, and of one epoch.
  int64_t totalSteps() const;
  int64_t stepsDone() const;
  int64_t stepsPerEpoch() const;

private:
  struct State;
  explicit Trainer(std::unique_ptr<State> state);
  std::unique_ptr<State> state;
};

/// Scores all of `source` with `step`; the last batch may be partial.
Result<Score> evaluateAll(Step &step, BatchSource &source);

} // namespace nibble::runtime

#endif // NIBBLE_RUNTIME_TRAINER_H

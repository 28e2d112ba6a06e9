//===- Checkpoint.h - A run in a file ---------------------------*- C++ -*-===//
//
// A checkpoint is a safetensors file: every tensor of the step's state by name, and as metadata
// (text) what the run is and where it stands. Nothing in it depends on the clock, the machine or
// the number of threads, so two runs of the same commands write the same bytes, and so does a run
// that was interrupted and resumed.
//
// Metadata, format version 1:
//   format          "nibble-checkpoint"
//   format_version  "1"
//   tool            who wrote it: "nibble 0.1"
//   run.KEY         what the run is (RunFields); these must be equal on resume
//   option.KEY      options that may change between a run and its continuation
//   progress        JSON: step, epochs finished, sampler position, sums of the epoch, scores, …
//   normalization   JSON: divisor, mean, deviation
//   checksum        hash of everything else in the file
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_RUNTIME_CHECKPOINT_H
#define NIBBLE_RUNTIME_CHECKPOINT_H

#include "nibble/Runtime/Normalization.h"
#include "nibble/Runtime/Sampler.h"
#include "nibble/Runtime/Status.h"
#include "nibble/Runtime/Step.h"
#include "nibble/Runtime/Tensor.h"

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace nibble::runtime {

/// Version of what a checkpoint's metadata mean.
inline constexpr int64_t checkpointFormatVersion = 1;

/// Means over the samples of a data set.
struct Score {
  double loss = 0;
  /// Fraction of right answers, 0 … 1; 0 where there are no labels.
  double accuracy = 0;
  int64_t samples = 0;
  bool operator==(const Score &) const = default;
};

/// Keys and values in an order worth reading: "recipe.gradients" "radix4".
using RunFields = std::vector<std::pair<std::string, std::string>>;

/// The field's value, or null.
const std::string *findField(const RunFields &fields, const std::string &key);

/// Where the training loop stands.
struct RunProgress {
  /// Updates made.
  int64_t step = 0;
  /// Epochs trained and scored. Between the last step of an epoch and its score it is one behind.
  int64_t epochsDone = 0;
  Sampler::Position sampler;
  /// Sums over the steps of the current epoch (of the last one where a new one has not begun).
  int64_t epochSteps = 0;
  double epochLoss = 0;
  int64_t epochCorrect = 0;
  /// Validation score after epoch `epochsDone`.
  std::optional<Score> validation;
  /// Best epoch so far: its validation score (its training score where there is no validation
  /// data), and the step it ended at.
  std::optional<Score> best;
  int64_t bestStep = 0;
  /// Health of the layers and learning rate of the last step: the epoch's record in the log repeats
  /// them.
  std::vector<LayerHealth> layers;
  double lastRate = 0;
  /// Lines of the log that belong to what was done so far.
  int64_t logRecords = 0;
};

struct NamedTensor {
  std::string name;
  Tensor tensor;
};

struct Checkpoint {
  /// The file it was read from.
  std::string path;
  /// "nibble 0.1"
  std::string tool;
  RunFields run;
  RunFields options;
  RunProgress progress;
  Normalization normalization;
  /// Empty where only the header was read.
  std::vector<NamedTensor> state;
};

/// The version of this library, as checkpoints name it: "nibble 0.1".
std::string toolVersion();

/// Writes `path` with the step's state and all of `checkpoint` but its own state and path. The file
/// appears whole or not at all, and is on the disk when this returns.
Status saveCheckpoint(const std::string &path, const Checkpoint &checkpoint, Step &step);

/// Reads a whole file and checks its checksum. What is not a checkpoint, is damaged or was written
/// in a newer format is an error that says so.
Result<Checkpoint> loadCheckpoint(const std::string &path);
/// Only what stands before the tensors' bytes; no checksum.
Result<Checkpoint> loadCheckpointHeader(const std::string &path);

/// Whether `run` (this run) is the one that the checkpoint was saved by: an error with a line for
/// each field that differs, in the checkpoint and here. The field "program" is left to
/// restoreState.
Status checkSameRun(const Checkpoint &checkpoint, const RunFields &run);

/// A sentence for each option that has changed.
std::vector<std::string> changedOptions(const Checkpoint &checkpoint, const RunFields &options);

enum class Restore {
  /// To go on: the same tensors, all of them, and the same "program" in `run`.
  Exactly,
  /// To evaluate: what evaluation does not read (moments, gradient scales) is left as it is, and
  /// what the file has beyond the rest is left aside.
  ForEvaluation,
};
/// Writes the checkpoint's tensors into the step, or nothing at all: an error with a line for each
/// tensor (the first few) that is missing, is too much or has another shape.
Status restoreState(const Checkpoint &checkpoint, const RunFields &run, Step &step, Restore how);

} // namespace nibble::runtime

#endif // NIBBLE_RUNTIME_CHECKPOINT_H

//===- Progress.h - What a person watches ------------------------*- C++ -*-===//

#ifndef NIBBLE_LIB_RUNTIME_PROGRESS_H
#define NIBBLE_LIB_RUNTIME_PROGRESS_H

#include "nibble/Runtime/Trainer.h"

#include <chrono>
#include <optional>
#include <string>

namespace nibble::runtime {

/// One moment of a run.
struct ProgressState {
  int64_t epoch = 0;
  int64_t epochs = 0;
  int64_t step = 0;
  int64_t steps = 0;
  double millisecondsPerStep = 0;
  /// Means over the epoch so far.
  double loss = 0;
  std::optional<double> accuracy;
  double secondsLeft = 0;
};

/// "epoch 3/5 120/468 4.1 ms/step loss 0.2106 acc 94.1 % ETA 0:41"
std::string formatProgress(const ProgressState &state);
/// "0:41", "12:05", "1:02:03".
std::string formatDuration(double seconds);

/// Redraws one line on a terminal; writes plain lines, fewer of them, elsewhere.
class Progress {
public:
  explicit Progress(const ProgressOptions &options);

  /// Whether enough time went by to show something again.
  bool isDue() const;
  void show(const ProgressState &state);
  /// The line of a finished epoch, which stays.
  void finishEpoch(const ProgressState &state, const std::optional<Score> &validation);
  /// Leaves a half-drawn line behind, so that a message can follow.
  void endLine();

private:
  using Clock = std::chrono::steady_clock;
  ProgressOptions options;
  Clock::time_point last;
  bool lineOpen = false;
};

} // namespace nibble::runtime

#endif // NIBBLE_LIB_RUNTIME_PROGRESS_H

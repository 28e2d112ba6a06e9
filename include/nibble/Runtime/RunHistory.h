//===- RunHistory.h - A run's log, condensed ----------------------*- C++ -*-===//
//
// Takes the records of a log one by one and keeps of them what a picture needs, in memory that does
// not grow with the length of the run.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_RUNTIME_RUNHISTORY_H
#define NIBBLE_RUNTIME_RUNHISTORY_H

#include "nibble/Runtime/ModelSummary.h"
#include "nibble/Runtime/Status.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nibble::runtime {

/// Numbers over steps. Neighbours are joined once there are too many: every bucket but the last
/// holds equally many numbers.
class Curve {
public:
  struct Bucket {
    int64_t first, last, count;
    double sum, low, high, latest;
    double mean() const { return sum / static_cast<double>(count); }
    double middle() const { return 0.5 * static_cast<double>(first + last); }
  };

  explicit Curve(size_t capacity = 160) : capacity(capacity) {}
  /// Steps ascend. What is not finite is left out.
  void add(int64_t step, double value);

  const std::vector<Bucket> &buckets() const { return held; }
  bool empty() const { return held.empty(); }
  /// The last number; 0 where there is none.
  double latest() const { return held.empty() ? 0 : held.back().latest; }
  double lowest() const, highest() const;
  /// Mean of the numbers in the last `share` (0 … 1) of the buckets, at least one.
  double recentMean(double share) const;
  /// Mean of the first bucket.
  double firstMean() const { return held.empty() ? 0 : held.front().mean(); }

private:
  size_t capacity;
  int64_t width = 1;
  std::vector<Bucket> held;
};

/// What the log says of one quantized layer's output gradient.
struct LayerHistory {
  std::string name;
  Curve saturation{64}, underflow{64}, scale{64}, gain{64};
  /// Signal to noise, dB.
  Curve sqnr{64};
};

struct RunError {
  int64_t step = 0, epoch = 0;
  std::string message;
};

class RunHistory {
public:
  /// Takes one line; false where it is not a record (the torn last line of a run that was killed).
  /// Records of kinds that are not known are let pass.
  bool add(std::string_view line);

  /// Reads a whole log. An error where the file cannot be read or holds no record.
  static Result<RunHistory> read(const std::string &path);

  std::optional<ModelSummary> model;
  std::optional<RunError> error;
  /// Per step.
  Curve loss, accuracy, rate, milliseconds;
  /// Per epoch, at the epoch's last step.
  Curve epochLoss, epochAccuracy, validationLoss, validationAccuracy;
  std::vector<LayerHistory> layers;
  int64_t steps = 0, epochs = 0;
  /// Sum over the steps, without evaluation.
  double seconds = 0;
  std::optional<double> bestAccuracy;
  int64_t bestEpoch = 0;
  /// Lines of a file that are no records.
  int64_t strangeLines = 0;

  /// Trained to the end that the model record names. Without one: whatever ended without an error.
  bool isFinished() const;
};

} // namespace nibble::runtime

#endif // NIBBLE_RUNTIME_RUNHISTORY_H

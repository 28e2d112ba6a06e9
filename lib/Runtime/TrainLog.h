//===- TrainLog.h - JSON lines -----------------------------------*- C++ -*-===//
//
// One object a line, three kinds, told apart by "type":
//   step   step (from 1), epoch (from 1), loss, train_accuracy (of the batch), lr, ms, and at a
//   cadence layers epoch  step, epoch, loss, train_accuracy (means over the epoch), val_loss,
//   val_accuracy, lr, ms (a step), layers error  step, epoch, message
// layers: [{name, saturation, underflow, scale} …]. Accuracies are fractions and absent without
// labels.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_RUNTIME_TRAINLOG_H
#define NIBBLE_LIB_RUNTIME_TRAINLOG_H

#include "nibble/Runtime/Status.h"
#include "nibble/Runtime/Step.h"

#include <fstream>
#include <optional>
#include <span>
#include <string>

namespace nibble::runtime {

struct LogRecord {
  const char *type = "step";
  int64_t step = 0;
  int64_t epoch = 0;
  double loss = 0;
  std::optional<double> trainAccuracy;
  std::optional<double> validationLoss;
  std::optional<double> validationAccuracy;
  double learningRate = 0;
  double milliseconds = 0;
  std::span<const LayerHealth> layers;
};

/// The log file; does nothing when it was not opened.
class TrainLog {
public:
  /// Starts `path` anew.
  Status open(const std::string &path);
  void write(const LogRecord &record);
  void writeError(int64_t step, int64_t epoch, const std::string &message);
  /// Pushes everything to the file; an error if any write so far failed.
  Status flush();

private:
  std::string path;
  std::ofstream out;
};

} // namespace nibble::runtime

#endif // NIBBLE_LIB_RUNTIME_TRAINLOG_H

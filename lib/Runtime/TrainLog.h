//===- TrainLog.h - JSON lines -----------------------------------*- C++ -*-===//
//
// One object a line, told apart by "type":
//   model  what is trained (ModelSummary.h); the first line, step 0
//   step   step (from 1), epoch (from 1), loss, train_accuracy (of the batch), lr, ms, and at a
//          cadence layers
//   epoch  step, epoch, loss, train_accuracy (means over the epoch), val_loss, val_accuracy, lr, ms
//          (a step), layers
//   error  step, epoch, message, layers of the step that failed
// layers: [{name, saturation, underflow, scale, gain, sqnr, input: {…}, weight: {…}} …]: of the output
// gradient, and the same of the forward product's operands; gain and sqnr (dB) with --health. Accuracies
// are fractions and absent without labels.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_RUNTIME_TRAINLOG_H
#define NIBBLE_LIB_RUNTIME_TRAINLOG_H

#include "nibble/Runtime/ModelSummary.h"
#include "nibble/Runtime/RunObserver.h"
#include "nibble/Runtime/Status.h"
#include "nibble/Runtime/Step.h"

#include <optional>
#include <span>
#include <string>
#include <vector>

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

/// The log file, and those who watch it; the file does nothing when it was not opened.
class TrainLog {
public:
  TrainLog() = default;
  TrainLog(const TrainLog &) = delete;
  ~TrainLog();

  /// Who is told of every record, also without a file. Before open() or resume().
  void watch(std::vector<RunObserver *> all) { observers = std::move(all); }
  /// Tells them that an epoch, or the run, has ended.
  void refresh(bool last) {
    for (RunObserver *observer : observers)
      observer->refresh(last);
  }

  /// Starts `path` anew.
  Status open(const std::string &path);
  /// Goes on with `path` behind its first `records` lines, of which the last is of step `step`;
  /// what follows them is cut off. A file that is not there is begun; one that is not the log of
  /// this run is an error.
  Status resume(const std::string &path, int64_t records, int64_t step);

  void write(const LogRecord &record);
  void write(const ModelSummary &model);
  void writeError(int64_t step, int64_t epoch, const std::string &message,
                  std::span<const LayerHealth> layers);
  /// Hands everything to the file; an error if that or an earlier write failed.
  Status flush();
  /// Also makes it durable, so that a checkpoint never counts lines that a power cut takes back.
  Status sync();

  /// Lines since the beginning, those of an earlier part of the run included.
  int64_t records() const { return lines; }

private:
  void append(const std::string &line);
  bool isUseless() const { return file < 0 && observers.empty(); }
  Status keep(int64_t records, int64_t step);

  std::string path;
  int file = -1;
  int64_t lines = 0;
  std::string pending;
  std::vector<RunObserver *> observers;
  Status failure;
};

} // namespace nibble::runtime

#endif // NIBBLE_LIB_RUNTIME_TRAINLOG_H

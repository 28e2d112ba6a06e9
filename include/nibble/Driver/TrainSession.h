//===- TrainSession.h - one run of nibble-train ---------------------*- C++ -*-===//
#pragma once

#include "nibble/Driver/Options.h"

namespace nibble {

/// How a run ended, beyond its Status.
struct TrainOutcome {
  /// Training stopped because a number was not finite.
  bool diverged = false;
  /// The signal that ended training before its end, with a checkpoint; 0: none.
  int signal = 0;
};

/// Reads the data, compiles, trains (or goes on, or only scores), and writes checkpoints and DIR/model.onnx. What a person should see
/// goes to `os` as plain lines, progress to standard error.
Status runTraining(const ToolOptions &options, const CompileHooks &hooks, llvm::raw_ostream &os, TrainOutcome &outcome);

} // namespace nibble

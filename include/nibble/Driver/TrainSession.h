//===- TrainSession.h - one run of nibble-train ---------------------*- C++ -*-===//
#pragma once

#include "nibble/Driver/Options.h"

namespace nibble {

/// Reads the data, compiles, trains (or only scores), and writes DIR/model.onnx. What a person should see goes to `os` as plain
/// lines, progress to standard error. `diverged` is set where training stopped because a number was not finite.
Status runTraining(const ToolOptions &options, const CompileHooks &hooks, llvm::raw_ostream &os, bool &diverged);

} // namespace nibble

//===- StepProfile.h - time by layer and by product -------------------*- C++ -*-===//
#pragma once

#include "nibble/Driver/Compiler.h"
#include "nibble/Runtime/Profile.h"

namespace nibble {

/// The groups of @train_step of a planned module, in the order in which outline-groups numbers
/// them.
std::vector<StepGroup> groupsOf(mlir::ModuleOp planned);

/// Prints where the time of the profiled steps went: products by layer with GOP/s and their share
/// of what one thread's multiplier can do (PeakRate.h, times the threads), then everything else by
/// layer, the slowest first. A product whose group also holds the loop that reads its result is
/// listed with what that loop does: its time, and so its share, is that of both.
void printProfile(const CompiledModel &model, const runtime::Profile &profile,
                  llvm::raw_ostream &os);

/// Compiles with `profile`, runs `steps` steps on random data (0: for about a second) behind three
/// that are not counted, and prints.
Status profileSteps(CompileOptions options, int64_t steps, uint64_t seed, llvm::raw_ostream &os,
                    const CompileHooks &hooks = {});

} // namespace nibble

//===- Program.h - object bytes, loaded -----------------------------*- C++ -*-===//
#pragma once

#include "nibble/Target/Emit.h"

#include <cstdint>
#include <memory>

namespace nibble {

/// Entry points as Schedule lays them out. All buffers are 128-byte aligned and padded to a multiple of 128 bytes; `labels` are
/// int32 class indices or float targets. Returns 0, or 1 (NONFINITE) where nothing was written to the state.
///   train(state, arena, x, labels, learning rate, step from 1, seed, update from 0, report, threads)
///   eval(state, arena, x, labels, valid rows, report, output, threads)
/// `threads` is the size of the team, at least 1; it changes no result, and nothing in a program compiled for one thread.
using TrainFunction = int32_t(void *state, void *arena, const void *x, const void *labels, double rate, int64_t step, int64_t seed,
                              int64_t update, float *report, int32_t threads);
using EvalFunction = int32_t(void *state, void *arena, const void *x, const void *labels, int32_t valid, float *report,
                             void *output, int32_t threads);

/// Code in memory. Symbols that it needs are found on the bridge's list and nowhere else. Not copied; functions live as long as
/// the program.
class Program {
public:
  static llvm::Expected<std::unique_ptr<Program>> load(llvm::ArrayRef<char> object);
  ~Program();

  /// Address of an entry point, or null.
  void *find(llvm::StringRef name) const;
  TrainFunction *trainStep() const { return reinterpret_cast<TrainFunction *>(find("train_step")); }
  EvalFunction *evalStep() const { return reinterpret_cast<EvalFunction *>(find("eval_step")); }

private:
  struct Jit;
  explicit Program(std::unique_ptr<Jit> jit);
  std::unique_ptr<Jit> jit;
};

} // namespace nibble

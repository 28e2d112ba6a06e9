//===- Verify.h - compiled code against its meaning -----------------*- C++ -*-===//
#pragma once

#include "nibble/Driver/Compiler.h"

namespace nibble {

struct VerifyOptions {
  int64_t steps = 20;
  /// Each processor is compiled for with each number of threads. Processors that the host is not are left out with a word.
  std::vector<std::string> cpus = {"native"};
  std::vector<unsigned> threads = {1};
  double learningRate = 0.05;
  uint64_t seed = 0;
  /// For tests of the comparison itself: flips the last bit of this variable's first element in the compiled programs' state before
  /// the first step.
  std::string disturb;
};

/// Trains on random data, interpreted and compiled, in step; after every update compares all bits of every variable (parameters,
/// moments, scales, running statistics), loss, count and report, and twice those of an evaluation. Writes a line a program to
/// `os`. The error names, for each program that differs, the first step and variable where it does.
Status verifyBits(const CompileOptions &options, const VerifyOptions &verify, llvm::raw_ostream &os, const CompileHooks &hooks = {});

} // namespace nibble

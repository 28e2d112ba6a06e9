//===- Machine.h - the processor that code is made for --------------*- C++ -*-===//
//
// The one place that decides what a program may use of a processor: the loops' generator (vector widths, intrinsics) and LLVM
// (instruction selection) are told from here, so they cannot disagree.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "nibble/Codegen/CPU/CpuTarget.h"

#include "llvm/Support/Error.h"
#include "llvm/Target/TargetMachine.h"

#include <memory>
#include <string>

namespace nibble {

struct Machine {
  std::string triple;
  /// LLVM's name of the processor, and "+feature,-feature" beyond it.
  std::string cpu;
  std::string features;
  /// What the loops' generator may use: the best of CpuTarget's names whose instructions the processor has.
  CpuTarget target;
  /// Does the host have every instruction that LLVM may use for it?
  bool runsOnHost = true;

  /// `name` is native, a name of CpuTarget (avx512vnni, avx512, avx2: of x86-64; generic: of the host's architecture), aarch64, or a
  /// processor that LLVM knows for x86-64 or AArch64, the host's architecture first (znver4, x86-64, cortex-a76). An error says what
  /// is accepted.
  static llvm::Expected<Machine> create(llvm::StringRef name);

  /// LLVM's code generator for it: position-independent code, no fusing of operations, no fast math. `level` is 0 … 3.
  std::unique_ptr<llvm::TargetMachine> targetMachine(unsigned level) const;
};

} // namespace nibble

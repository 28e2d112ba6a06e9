//===- Features.h - instructions that code asks of a processor ------*- C++ -*-===//
//
// LLVM may use whatever the named processor has, so code for one processor may not run on another of the same family. What it
// asks for is checked where it is loaded: by the driver before it runs code in the process, by a library's init (Library.h) with
// the cpuid bits of this table.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "nibble/Target/Machine.h"

#include <cstdint>

namespace nibble {

/// One set of instructions that LLVM selects on its own, under LLVM's name, and how a program finds out.
struct ProcessorFeature {
  const char *name;
  /// x86: bit `bit` of register `place` (0 eax, 1 ebx, 2 ecx, 3 edx) of cpuid(leaf, subleaf), and all bits of `enabled` in XCR0, the registers
  /// that the operating system saves. AArch64: bit `bit` of getauxval(leaf), Linux's AT_HWCAP (16) or AT_HWCAP2 (26).
  uint32_t leaf, subleaf, place, bit, enabled;
};

/// What code for that machine may use, in the table's order.
std::vector<ProcessorFeature> requiredFeatures(const Machine &machine);

/// The first feature that the host lacks; empty where code for that machine runs here.
std::string missingOnHost(const Machine &machine);

/// Is `name` (LLVM's) in the table, or one of those that LLVM never uses unless asked by name (AMX tiles, random numbers, system
/// instructions …)? A feature that is neither could be used without being checked.
bool isKnownFeature(const llvm::Triple &triple, llvm::StringRef name);

} // namespace nibble

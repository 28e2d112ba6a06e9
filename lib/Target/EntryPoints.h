//===- EntryPoints.h - what surrounds a step's code ----------------*- C++ -*-===//
#pragma once

#include "llvm/IR/Module.h"

namespace nibble {

/// Wraps every function that is visible from outside: the wrapper sets the floating-point environment, calls the body and restores
/// the caller's environment. The body is a function of its own and never inlined, since LLVM may move float operations across
/// the instructions that set the environment.
void wrapEntryPoints(llvm::Module &module);

} // namespace nibble

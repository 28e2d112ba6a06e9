//===- Runtime.h - the compiled runtime of libraries, embedded ------*- C++ -*-===//
#pragma once

#include "llvm/ADT/StringRef.h"
#include "llvm/TargetParser/Triple.h"

#include <string>
#include <vector>

namespace nibble::library {

/// LLVM bitcode of runtime.c; empty where it is not made for that architecture.
llvm::StringRef runtimeBitcode(llvm::Triple::ArchType arch);

/// Functions of the C library that runtime.c may call (libc.h).
llvm::ArrayRef<llvm::StringRef> libcSymbols();

/// All that the runtime's object may leave undefined: the C library's functions and the two steps of that model.
std::vector<std::string> runtimeSymbols(llvm::StringRef name);

/// Names of the step's entry points in a library.
std::string trainCodeName(llvm::StringRef name);
std::string evalCodeName(llvm::StringRef name);

} // namespace nibble::library

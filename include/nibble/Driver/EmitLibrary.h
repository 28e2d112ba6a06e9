//===- EmitLibrary.h - a compiled model as a library for C programs --*- C++ -*-===//
#pragma once

#include "nibble/Driver/Compiler.h"

namespace nibble {

/// The bytes that a variable starts with, as its type stores them: all of them, one element that is repeated, or none (zeros).
/// Nothing where the value cannot be read (no room makes such a one).
std::optional<llvm::ArrayRef<char>> initialBytes(const Variable &variable);

/// Writes DIR/lib<name>.a, DIR/lib<name>.so, DIR/<name>.h, and DIR/<name>.nibble for nibble-train (Artifact.h); `model` was compiled to an object. `name` is the prefix of all C names;
/// empty: the ONNX file's name.
Status emitLibrary(CompiledModel &model, const std::string &folder, const std::string &name);

} // namespace nibble

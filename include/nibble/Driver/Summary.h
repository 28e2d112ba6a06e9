//===- Summary.h - what a person wants to know about a compiled model -*- C++ -*-===//
#pragma once

#include "nibble/Driver/Compiler.h"

namespace nibble {

/// "note: …" a line.
void printNotes(const CompiledModel &model, llvm::raw_ostream &os);
/// The table of products; empty where Quantize did not run.
void printPrecision(const CompiledModel &model, llvm::raw_ostream &os);
/// Time of compilation, size and processor of the code; state, arena (peak), and what lives from forward into backward, in bytes.
void printMemory(const CompiledModel &model, llvm::raw_ostream &os);
/// What the process has in memory now, and at most: besides that, the arena and the batch, which no step has touched yet, or
/// afterwards what writing the files and scoring them takes. Nothing where the system does not tell.
void printPeak(const CompiledModel &model, llvm::raw_ostream &os);

} // namespace nibble

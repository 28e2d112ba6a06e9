//===- NormStart.h - inserted normalizations that change nothing at first -*- C++ -*-===//
#pragma once

#include "nibble/Driver/Export.h"
#include "nibble/Runtime/Step.h"

namespace nibble {

/// Sets the scale, shift, mean and variance of the normalizations that --insert-norm put into `model` so that on `batch` the float
/// network computes what it computed without them. A float program measures them, one pass for all: `interpret` says by
/// whom. Nothing happens where there are none.
Status startInsertedNorms(const CompiledModel &model, bool interpret, const runtime::Batch &batch, runtime::Step &step);

/// The same normalizations for an exported file, at the values that `read` gives.
std::vector<importer::InsertedNorm> insertedNorms(mlir::ModuleOp module, const ReadVariable &read);

} // namespace nibble

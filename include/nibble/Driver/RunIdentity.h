//===- RunIdentity.h - what a run is, as far as the compiler knows ---*- C++ -*-===//
//
// A checkpoint keeps what its run was, key by key, so that a run that goes on from it can be told
// what differs (Runtime's checkSameRun).
//
//===----------------------------------------------------------------------===//
#pragma once

#include "nibble/Driver/Compiler.h"
#include "nibble/Runtime/Checkpoint.h"

namespace nibble {

/// "recipe.KEY", "step.KEY", batch size, input shape, classes, and "program": SHA-256 of the
/// quantized module's text without locations, names of files and initial values. Thus the same
/// network in another file, trained or not, with another number of threads or for another processor
/// is the same program, and so is the interpreted one.
runtime::RunFields describeRun(const CompiledModel &model);

/// The recipe in a checkpoint's fields; an error where they hold none.
Result<Recipe> recipeOf(const runtime::Checkpoint &checkpoint);

} // namespace nibble

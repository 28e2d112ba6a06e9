//===- Export.h - the trained network as an ONNX file ---------------*- C++ -*-===//
#pragma once

#include "nibble/Driver/Compiler.h"
#include "nibble/Import/OnnxGraph.h"

#include <functional>

namespace nibble {

/// The current elements of a variable, row-major as its type says.
using ReadVariable = std::function<std::vector<float>(llvm::StringRef name)>;

/// Writes the source file again, to `target`, with the parameters and running statistics of `variables`, in ONNX's layout. Everything
/// else (names, metadata, symbolic dimensions, a final Softmax) stays. `target` appears whole or not at all, and passes ONNX's
/// checker. `options` says what is written as codes, and when weights lie beside the file.
Status exportOnnx(const std::string &source, const std::string &target, const std::vector<Variable> &variables,
                  const ReadVariable &read, const importer::WriteOptions &options = {});

/// The variables of a module that Schedule has not seen yet; their offsets are 0.
std::vector<Variable> collectVariables(mlir::ModuleOp module);
/// Reads initial values.
ReadVariable initialValues(const std::vector<Variable> &variables);

} // namespace nibble

//===- Names.h - ONNX names of values and ops -----------------------*- C++ -*-===//
#pragma once

#include "mlir/IR/Location.h"
#include "mlir/IR/Operation.h"

#include <string>

namespace nibble {

/// The ONNX node's name in a location (the first NameLoc, also inside fused and call-site
/// locations); empty where there is none.
std::string nodeName(mlir::Location location);

/// The name that a layer's variables and streams are called by: the contraction's `layer`, else the
/// node's name, else the op's mnemonic ("relu").
std::string layerName(mlir::Operation *op);

/// Recurrent products are a layer each step of time, "lstm/recurrent[7]": the name of all of them, "lstm/recurrent". Other names
/// are their own.
llvm::StringRef sequenceName(llvm::StringRef layer);

/// A symbol that no op of `module` has: `wanted`, or `wanted` followed by _1, _2 ….
std::string freeSymbol(mlir::Operation *module, llvm::StringRef wanted);

} // namespace nibble

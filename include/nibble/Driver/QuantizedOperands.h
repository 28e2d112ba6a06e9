//===- QuantizedOperands.h - what evaluation multiplies, for a file -*- C++ -*-===//
#pragma once

#include "nibble/Driver/Export.h"
#include "nibble/Import/OnnxGraph.h"

namespace nibble {

/// Reads off @eval_step of a quantized module how each operand of each forward product becomes codes:
/// ONNX node, type, scale, zero point, level set, clip. Scales are those of the variables' current
/// values; the interpreter computes them. Layers that multiply floats are left out. An error names the layer
/// whose activations have no range yet (before the first training or evaluation).
Result<std::vector<importer::QuantizedOperand>> quantizedOperands(mlir::ModuleOp quantized, const ReadVariable &read);

} // namespace nibble

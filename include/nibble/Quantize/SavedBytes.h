//===- SavedBytes.h - what lives from forward into backward -----------*- C++ -*-===//
#pragma once

#include "mlir/IR/BuiltinOps.h"

#include <string>
#include <vector>

namespace nibble {

/// One value that forward keeps for backward.
struct SavedValue {
  /// The ONNX node that made it (location), or the op's name.
  std::string name;
  /// "tensor<128x64x!q4.int4>".
  std::string type;
  /// Whole bytes: 4 bits an int4 or logarithmic element, 1 bit a mask element, 4 bytes a float.
  int64_t bytes = 0;
  /// Codes of a weight: they are made of what the step keeps anyway.
  bool ofWeight = false;
};

struct SavedBytes {
  std::vector<SavedValue> values;
  int64_t total = 0;
};

/// The operands of all train.save in @train_step; a value saved twice, or saved and reshaped,
/// counts once.
SavedBytes savedBytes(mlir::ModuleOp module);
/// Bytes of the trained weights: as the optimizer keeps them, in float, and as what the forward
/// products of @train_step read (codes where a layer is quantized, floats where it is not).
struct WeightBytes {
  int64_t asFloat = 0, asRead = 0;
};
WeightBytes weightBytes(mlir::ModuleOp module);
/// One line a value, then the total, and the sums by kind of element, weights aside.
void printSavedBytes(const SavedBytes &saved, llvm::raw_ostream &os);

} // namespace nibble

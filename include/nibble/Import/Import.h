//===- Import.h - room 1: from an ONNX file to the nn dialect -----*- C++ -*-===//
//
// docs/rooms/import.md tells what the room does, what it takes for a weight, and what it leaves.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace nibble {

enum class InitialWeights { Keep, Reinitialize };

struct ImportOptions {
  /// Leading dimension of the input; 0: as in the file (a symbolic one becomes 1).
  int64_t batchSize = 0;
  /// Shapes by input name, or one number by the name of a symbolic dimension.
  std::map<std::string, std::vector<int64_t>> shapes;
  /// Shape of one sample of the data at hand, if any: binds symbolic dimensions of the input that
  /// nothing else binds (nibble-train knows it, nibble-compile does not).
  std::vector<int64_t> sampleShape;
  /// Regular expressions, searched in the initializer's and its nodes' names. `train` wins over
  /// `freeze`.
  std::vector<std::string> train, freeze;
  /// Graph input and output to use; empty: every float input that the output needs, and the first
  /// output.
  std::string input, output;
  /// Not 0: replace the last contraction's weight and bias by fresh ones of so many outputs.
  int64_t classes = 0;
  InitialWeights init = InitialWeights::Keep;
  /// Put a batch normalization behind each convolution that none follows (InsertNorm.cpp).
  bool insertNorm = false;
  /// "softmax_cross_entropy", "mse", "bce" (binary cross-entropy of logits), or empty: the first where the output is [batch, classes >= 2],
  /// else the second.
  std::string loss;
  /// Seed of fresh weights (Philox, numerics.md section 6).
  uint64_t seed = 0;
};

/// "8x3x32x32" or "8,3,32,32" to numbers; false where the text is something else.
bool parseShape(llvm::StringRef text, std::vector<int64_t> &shape);

/// What the importer wants to tell a person: one sentence or more each, for stderr.
struct ImportNotes {
  std::vector<std::string> notes;
};

/// Imports `path`. The module: train.variable for each weight, func.func @forward, attributes
/// nibble.model, nibble.loss, nibble.classes, nibble.onnx_opset, nibble.merged. Null where it
/// cannot: every reason is then emitted as an error of the context, all of them at once.
mlir::OwningOpRef<mlir::ModuleOp> importOnnx(llvm::StringRef path, const ImportOptions &options,
                                             mlir::MLIRContext &context,
                                             ImportNotes *notes = nullptr);

/// The list of weights of an imported module: name, shape, used by, trained or not, why.
void printWeights(mlir::ModuleOp module, llvm::raw_ostream &os);

/// Names of the ONNX operators that have a converter, sorted, and of those that only fold on
/// constants.
std::vector<std::string> convertedOnnxOps();
std::vector<std::string> foldedOnnxOps();

/// Registers `--import-onnx` of nibble-translate with its command-line options.
void registerImportOnnxTranslation();

} // namespace nibble

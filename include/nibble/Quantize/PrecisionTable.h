//===- PrecisionTable.h - what runs in how many bits ------------------*- C++ -*-===//
//
// Read off the final IR, not off the options: for each layer and each of its three products the
// types of its operands, and why what does not run in 4 bits does not.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "nibble/Interfaces/Interfaces.h"

#include "mlir/IR/BuiltinOps.h"

#include <string>
#include <vector>

namespace nibble {

/// Attribute of a forward product that the backward part makes again, because its result was not kept. It has no row.
inline constexpr char repeatedAttributeName[] = "nibble.repeated";

/// One product of one layer in @train_step.
struct PrecisionRow {
  std::string layer;
  /// "matmul", "conv2d", "depthwise".
  std::string kind;
  Product product = Product::Forward;
  /// False: the step has no such product (nothing before the layer is trained; its weight is
  /// frozen).
  bool present = true;
  /// "int4", "int8", "log4", "log2", "f32", or "f32 of int4" (decoded).
  std::string left, right;
  /// Bits of the wider operand: 4, 8 or 32; 0 where the product is not there.
  unsigned bits = 0;
  /// Why it is not 4; empty where it is.
  std::string reason;
  int64_t multiplyAdds = 0;
};

/// Layers in the order of their forward products, each with three rows: forward, input gradient,
/// weight gradient.
std::vector<PrecisionRow> precisionTable(mlir::ModuleOp module);

/// The table as aligned text, with the share of multiply-adds that run in 4 bits; then the warning,
/// if there is one.
void printPrecisionTable(const std::vector<PrecisionRow> &rows, llvm::raw_ostream &os);

/// "" or the warning that no product at all runs in 4 bits.
std::string precisionWarning(const std::vector<PrecisionRow> &rows);

} // namespace nibble

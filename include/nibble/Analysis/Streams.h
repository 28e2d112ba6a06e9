//===- Streams.h - numbers of random streams ------------------------*- C++ -*-===//
//
// numerics.md, section 6: the stream of each train.random_bits is fixed at compile time: FNV-1a-32
// of "first output name/product/operand", plus 1 until free, in program order. Differentiate
// (dropout) and Quantize (stochastic rounding) take them from here.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "mlir/IR/Operation.h"

#include <cstdint>
#include <set>
#include <string>

namespace nibble {

class Streams {
public:
  /// Streams that the train.random_bits inside `root` (a function or a module) already have are
  /// taken, and so is the stream of the data order.
  explicit Streams(mlir::Operation *root);

  /// The next free stream for a name, "layer/product/operand".
  uint32_t take(llvm::StringRef name);
  static std::string name(llvm::StringRef layer, llvm::StringRef product, llvm::StringRef operand);

private:
  std::set<uint32_t> taken;
};

} // namespace nibble

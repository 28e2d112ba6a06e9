//===- StridedView.h - elements of a tensor in another order ---------*- C++ -*-===//
//
// nn.transpose, nn.slice, nn.broadcast and nn.concat move elements and compute nothing. Where whole
// packed blocks of a result lie side by side in the operand's memory (or are one element), a loop
// over the result reads them there, and the result is never in memory. Chains of such ops, with
// nn.reshape between them, are one view.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "mlir/IR/Value.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/SmallVector.h"

#include <optional>

namespace nibble {

/// Element i of the viewed tensor, digits (d0, d1 …) of i in the mixed radix of the levels' sizes,
/// is element offset + d0·stride0 + d1·stride1 … of `memory`.
struct StridedView {
  struct Level {
    int64_t size, stride;
  };
  mlir::Value memory;
  int64_t offset = 0;
  /// From the outside in; none has size 1, and no two neighbours could be one.
  llvm::SmallVector<Level> levels;

  /// Is every block of 32 elements 32 neighbours of `memory`, or one element of it 32 times?
  bool isWholeBlocks() const;
};

/// Tensors side by side along an axis: the result is walked as rows, each of a run of every part.
struct JoinedView {
  /// Elements of each part in a row: whole blocks.
  llvm::SmallVector<int64_t> lengths;
};
/// An nn.concat in f32 as such; nothing where a run is no whole blocks.
std::optional<JoinedView> joinedView(mlir::Operation *op);

/// Is it an op that only moves elements: nn.transpose, nn.slice, nn.broadcast, nn.concat?
bool movesElements(mlir::Operation *op);

/// The result of an op that moves elements, in f32, as a view of what it reads, looking through
/// further ones for which `follow` holds. Nothing where it is none: negative steps, or a chain that
/// does not divide.
std::optional<StridedView> stridedView(mlir::Operation *op,
                                       llvm::function_ref<bool(mlir::Operation *)> follow);

} // namespace nibble

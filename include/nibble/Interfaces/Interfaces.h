//===- Interfaces.h - what ops tell the rooms ---------------------*- C++ -*-===//
#pragma once

#include "mlir/IR/Builders.h"
#include "mlir/IR/OpDefinition.h"

#include "nibble/Interfaces/ContractionEnums.h.inc"

namespace nibble {

/// Trait of ops that compute each result element from the operands' elements at the same (broadcast) position alone.
/// Rank-0 operands are scalars of the whole op.
template <typename ConcreteOp>
class ElementwiseLike : public mlir::OpTrait::TraitBase<ConcreteOp, ElementwiseLike> {};

/// Trait of ops that fold all elements of operand 0 to a few numbers in a way whose order does not matter (a maximum, a
/// flag, counts). They may ride in the loop that makes or reads that operand; their results are there after the loop.
template <typename ConcreteOp>
class FoldLike : public mlir::OpTrait::TraitBase<ConcreteOp, FoldLike> {};

/// Trait of element-wise ops that turn stored numbers into reals (`q4.widen`, `q4.dequantize`). Groups that can, do it as
/// they read, each for itself: the reals never lie in memory.
template <typename ConcreteOp>
class DecoderLike : public mlir::OpTrait::TraitBase<ConcreteOp, DecoderLike> {};

/// Traits of ops that are not element-wise and whose code reads bf16 (behind `q4.widen`), or codes (behind
/// `q4.dequantize`), in place of a real operand `x`.
template <typename ConcreteOp>
class ReadsNarrowed : public mlir::OpTrait::TraitBase<ConcreteOp, ReadsNarrowed> {};
template <typename ConcreteOp>
class ReadsCoded : public mlir::OpTrait::TraitBase<ConcreteOp, ReadsCoded> {};

/// Trait of ops that sum over the rows of operand 0, channel by channel, in the per-channel order of Numerics/Reduce.h. Of the
/// other operands, those of its size are walked with it. They may ride in a loop over rows and channels that makes or reads these
/// operands; their results are there after the loop.
template <typename ConcreteOp>
class ChannelFoldLike : public mlir::OpTrait::TraitBase<ConcreteOp, ChannelFoldLike> {};

/// Do rows × channels of a `ChannelFoldLike` op make such a loop? There are several rows, and each is whole packed blocks
/// (Numerics/Packing.h).
bool ridesByChannel(mlir::Operation *op);

/// Trait of ops that read the tensor, operand 1, only while the number they keep is not set, that is hardly ever
/// (`q4.init_clip`, `q4.frozen_range`): nothing is stored or waits for their sake.
template <typename ConcreteOp>
class HardlyReads : public mlir::OpTrait::TraitBase<ConcreteOp, HardlyReads> {};

/// What a rule of DifferentiableOpInterface works with (Differentiate/Adjoint.h).
class Adjoint;

} // namespace nibble

#include "nibble/Interfaces/ContractionInterface.h.inc"
#include "nibble/Interfaces/Differentiable.h.inc"

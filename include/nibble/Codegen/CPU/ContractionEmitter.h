//===- ContractionEmitter.h - code of all products -----------------*- C++ -*-===//
//
// The generator of matrix products and convolutions, forward and both gradients, in f32 (`nn`) and
// on codes (`q4`).
//
// What it computes, as the naive loop (convolution; a matrix product is the 1x1 case):
//
//   for n, oh, ow, o:                                        // forward: left x, right w
//     sum = 0
//     for kh, kw, c:  if (oh·s + kh·d - p, ow·s + kw·d - p) is inside the image
//       sum += x[n, oh·s + kh·d - p, ow·s + kw·d - p, c] · w[o, kh, kw, c]
//     y[n, oh, ow, o] = sum
//   dx[n, h, w, c]    = sum over kh, kw, o  of dy[n, oh, ow, o] · w[o, kh, kw, c]      // left dy,
//   right w dw[o, kh, kw, c]  = sum over n, oh, ow  of x[n, ih, iw, c] · dy[n, oh, ow, o]      //
//   left x, right dy
//
// f32: terms in the order written (numerics.md, section 5), each an fma on one accumulator from +0.
// Codes: the sum of (left - Z_left)·(right - Z_right) is exact (32-bit accumulators within the
// bound that is proved from the element types and the shapes, 64-bit beyond it), converted once to
// f32 (nearest even), times (s_left·s_right)·gain.
//
// Buffers (Plan dialect): dense, row-major, padded to a multiple of 128 bytes; f32 as memref of the
// tensor's shape; 4-bit codes packed in flat blocks of 32 elements (low nibbles elements 0-15, high
// nibbles 16-31; int4 stored as code + 8, logarithmic codes as sign<<3 | e); int8 one byte; scale,
// gain: memref<f32>; zero point: memref<i32>. The output is overwritten. Feature maps are N,H,W,C
// and weights O,KH,KW,C/groups.
//
// The code is `scf.parallel` over disjoint tiles of the output; what it needs beyond its operands
// is in `scratch`. Micro-kernels are private functions of the module (ContractionKernel.h), shared
// by all contractions.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "mlir/IR/Builders.h"
#include "mlir/IR/Value.h"
#include "nibble/Codegen/CPU/CpuTarget.h"

namespace nibble {

/// Is this an op that `emitContraction` takes?
bool isContraction(mlir::Operation *op);

/// A loop that reads a product's results while they are in the caches. It goes over units of `unit`
/// results, whole rows; the last unit may be smaller.
struct ResultReader {
  int64_t unit;
  /// Emits the loop over `units` units from number `first` on, all of which lie in `results`, an
  /// f32 memref that begins with element `begin` of the product's result. Called once.
  llvm::function_ref<void(mlir::Value results, mlir::Value begin, mlir::Value first,
                          mlir::Value units)>
      read;
};

/// What a product's results are for: `unit` is a reader's (0: there is none), and they are stored
/// (to `output`) besides or alone.
struct ResultUse {
  int64_t unit = 0;
  bool stored = true;
};

/// Bytes of scratch that `emitContraction` needs for the op on this target (0: none).
int64_t contractionScratchBytes(mlir::Operation *tensorOp, const CpuTarget &target,
                                ResultUse use = {});

/// Emits the op's code at the builder's insertion point, which must be inside a module. `inputs`
/// are the operands' buffers in operand order (optional operands that are absent have no entry),
/// `output` the result's buffer, `scratch` a memref<bytes x i8>, 64-byte aligned, of at least
/// contractionScratchBytes, or null where that is 0. Fails with an error on `tensorOp` for element
/// types without a product rule (e2m1).
///
/// With a `reader`, results come a pass at a time (of images, or rows) where the product is made
/// so, else all at once, and the reader's loop follows each pass. `output` may then be null: the
/// results of a pass lie in scratch, and nowhere else.
mlir::LogicalResult emitContraction(mlir::Operation *tensorOp, llvm::ArrayRef<mlir::Value> inputs,
                                    mlir::Value output, mlir::Value scratch,
                                    mlir::OpBuilder &builder, const CpuTarget &target,
                                    const ResultReader *reader = nullptr);

/// The product's right operand may come as a panel that was made before: where the operand is a
/// `plan.packed`, its buffer in `inputs` is the panel's. Bytes of the panel on this target; 0 where
/// the op has none, or where a panel of its own is as good (products of many rows, Winograd).
int64_t panelBytes(mlir::Operation *tensorOp, const CpuTarget &target);
/// Products of one right operand whose panels have the same form on this target can read one panel.
std::string panelForm(mlir::Operation *tensorOp, const CpuTarget &target);

/// Bytes of scratch of the code that makes a panel (a `plan.pack`), and the code: `right` and
/// `zeroPoint` (or null) are the operand's buffers, `panel` the result's.
int64_t packScratchBytes(mlir::Operation *pack, const CpuTarget &target);
mlir::LogicalResult emitPack(mlir::Operation *pack, mlir::Value right, mlir::Value zeroPoint,
                             mlir::Value panel, mlir::Value scratch, mlir::OpBuilder &builder,
                             const CpuTarget &target);

} // namespace nibble

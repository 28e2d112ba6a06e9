//===- Q4Scale.td - ranges, scales and their rules ------------*- tablegen -*-===//
#ifndef NIBBLE_DIALECT_Q4_IR_Q4SCALE_TD
#define NIBBLE_DIALECT_Q4_IR_Q4SCALE_TD
include "nibble/Dialect/Q4/IR/Q4Types.td"

def Q4_AbsMaxOp : Q4_Op<"absmax", [NN_Fold]> {
  let summary = "max|x| over the tensor; NaN where any element is NaN";
  let arguments = (ins RealTensor:$x); let results = (outs ScalarF32:$result);
}
def Q4_RangeOp : Q4_Op<"range"> {
  let summary = "lo = min(0, min x), hi = max(0, max x); both NaN where any element is NaN";
  let arguments = (ins RealTensor:$x); let results = (outs ScalarF32:$lo, ScalarF32:$hi);
}
def Q4_NonFiniteOp : Q4_Op<"non_finite", [NN_Fold]> {
  let summary = "Does the tensor hold a NaN (or, with `infinities`, a ±Inf)?";
  let description = [{ The order-free OR of numerics.md, section 7; combined by `nibble_or` and read by `train.guard`. }];
  let arguments = (ins RealTensor:$x, UnitAttr:$infinities); let results = (outs 0DTensorOf<[I1]>:$result);
}
def Q4_OrOp : Q4_Op<"or"> {
  let summary = "OR of rank-0 flags";
  let arguments = (ins Variadic<0DTensorOf<[I1]>>:$flags); let results = (outs 0DTensorOf<[I1]>:$result);
}
def Q4_SawbClipOp : Q4_Op<"sawb_clip"> {
  let summary = "SAWB's clip α = c1·√mean(w²) + c0·mean|w|, coefficients of the 15-level set; α ≤ 0 → max|w|";
  let description = [{ Flat sums in f64, α derived in f64, rounded once (Numerics/Scale.h). Choi et al. 2019; numerics.md, section 1. }];
  let arguments = (ins RealTensor:$w); let results = (outs ScalarF32:$alpha);
}
def Q4_ScaleOp : Q4_Op<"scale"> {
  let summary = "s = max/divisor (7, 15, 127; 64 for LUQ), 1 where max < 2⁻¹⁰⁰";
  let arguments = (ins ScalarF32:$max, F32Attr:$divisor); let results = (outs ScalarF32:$scale);
}
def Q4_AffineScaleOp : Q4_Op<"affine_scale"> {
  let summary = "min–max: s = (hi − lo)/15, Z = RNE(−lo·(1/s)) − 8";
  let arguments = (ins ScalarF32:$lo, ScalarF32:$hi); let results = (outs ScalarF32:$scale, ScalarI32:$zero_point);
}
def Q4_LogScaleOp : Q4_Op<"log_scale"> {
  let summary = "Radix-4's decode scale of a GradScale s: 1/(64·s), or 1/(128·s) in the odd phase; exact powers of two";
  let arguments = (ins ScalarF32:$grad_scale, UnitAttr:$odd); let results = (outs ScalarF32:$scale);
}
def Q4_GradScaleUpdateOp : Q4_Op<"grad_scale_update"> {
  let summary = "GradScale's rule: a = s·max|dY|; a > 64 → s/2; a < 32 → 2s; 0 or not finite → s; within [2⁻¹⁸, 2⁶¹]";
  let arguments = (ins ScalarF32:$grad_scale, ScalarF32:$max); let results = (outs ScalarF32:$result);
}
def Q4_GainOp : Q4_Op<"gain", [NN_ChannelFold]> {
  let summary = "⟨g, g⟩ / ⟨g, Q(g)⟩ in f64, rounded once; 1 where the denominator is ≤ 0";
  let description = [{
    Both sums: terms g·g and g·Q(g) (Q(g) = code · scale rounded; each product rounded to f32) in the per-channel order,
    channels' f64 sums added ascending.
  }];
  let arguments = (ins RealTensor:$g, CodeTensor:$codes, ScalarF32:$scale); let results = (outs ScalarF32:$result);
}
def Q4_FidelityOp : Q4_Op<"fidelity", [NN_ChannelFold]> {
  let summary = "How well codes stand for a tensor: gain ⟨x, Q(x)⟩/⟨x, x⟩ and noise ‖x − Q(x)‖²/‖x‖² (1 and 0 where x is 0)";
  let description = [{
    For the log. Q(x) = (code − Z) · scale rounded; terms x·x, x·Q(x), d·d with d = x − Q(x), each step rounded to f32; sums in the
    per-channel order, channels' f64 sums added ascending; quotients in f64, rounded once. SQNR in dB is −10·log₁₀ noise.
  }];
  let arguments = (ins RealTensor:$x, CodeTensor:$codes, ScalarF32:$scale, Optional<ScalarI32>:$zero_point);
  let results = (outs ScalarF32:$gain, ScalarF32:$noise);
}
def Q4_MovingRangeOp : Q4_Op<"moving_range"> {
  let summary = "Moving average (0.99) of the rounds' ranges; an unset state (0) takes the value";
  let arguments = (ins ScalarF32:$state, ScalarF32:$value); let results = (outs ScalarF32:$result);
}
def Q4_InitClipOp : Q4_Op<"init_clip", [NN_HardlyReads]> {
  let summary = "α where it is set (≠ 0), else what the first forward pass gives: `init`, or max|x| where `init` is 0; at least `floor`";
  let arguments = (ins ScalarF32:$alpha, RealTensor:$x, F32Attr:$init, F32Attr:$floor);
  let results = (outs ScalarF32:$result);
}
def Q4_FrozenRangeOp : Q4_Op<"frozen_range", [NN_HardlyReads]> {
  let summary = "The stored maximum where it is set (≠ 0), else this batch's max|x| (evaluation before any training)";
  let arguments = (ins ScalarF32:$state, RealTensor:$x); let results = (outs ScalarF32:$result);
}
def Q4_CodeCountsOp : Q4_Op<"code_counts", [NN_Fold]> {
  let summary = "How many codes stand at an end of their set, and how many are zero: tensor<2xi32>";
  let description = [{ Saturation and underflow of a quantized tensor, for the log. Ends: `qmin`, `qmax` (int), e = 7 (log).
    The first count is of codes equal to qmin or qmax, where qmin counts only if it is not the code of zero. }];
  let arguments = (ins CodeTensor:$codes, Optional<ScalarI32>:$zero_point, DefaultValuedAttr<CodeAttr, "-7">:$qmin,
                       DefaultValuedAttr<CodeAttr, "7">:$qmax);
  let results = (outs 1DTensorOf<[I32]>:$result);
}
#endif

//===- Q4Quantize.td - from reals to codes and back -----------*- tablegen -*-===//
#ifndef NIBBLE_DIALECT_Q4_IR_Q4QUANTIZE_TD
#define NIBBLE_DIALECT_Q4_IR_Q4QUANTIZE_TD
include "nibble/Dialect/Q4/IR/Q4Types.td"

def Q4_QuantizeOp : Q4_Op<"quantize", [NN_Elementwise, AttrSizedOperandSegments]> {
  let summary = "Reals to whole-number codes: q = clamp(RNE(x·(1/s)) + Z, qmin, qmax), or stochastic with `noise`";
  let description = [{
    Nearest even, saturating; with 16 random bits u an element: l = ⌊t⌋, q = clamp(l + [u < RNE((t − l)·65536)] + Z).
    Level sets: one-sided (Z = −8, qmin −8, qmax 7: sixteen steps from 0), two-sided (no zero point, ±7), min–max (Z of
    `affine_scale`, −8 … 7), int8 (±127). NaN is reported by `non_finite`, not here (its code is unspecified but fixed).
    ```mlir
    %q = q4.quantize %x, %s zero_point(%z) {qmin = -8 : i32, qmax = 7 : i32}
        : (tensor<4x8xf32>, tensor<f32>, tensor<i32>) -> tensor<4x8x!q4.int4>
    ```
  }];
  let arguments = (ins RealTensor:$x, ScalarF32:$scale, Optional<ScalarI32>:$zero_point, Optional<BitsTensor>:$noise,
                       CodeAttr:$qmin, CodeAttr:$qmax);
  let results = (outs IntCodeTensor:$codes);
  let assemblyFormat = [{
    $x `,` $scale (`zero_point` `(` $zero_point^ `)`)? (`noise` `(` $noise^ `)`)? attr-dict `:`
    functional-type(operands, results)
  }];
  let hasVerifier = 1;
}
def Q4_QuantizeLogOp : Q4_Op<"quantize_log", [NN_Elementwise]> {
  let summary = "Reals to logarithmic codes of radix 4 (nearest) or 2 (stochastic, LUQ)";
  let description = [{
    `scale` is the worth of the smallest magnitude 1 (code e = 1). Radix 4: x/scale goes to the nearest of {0} ∪ {±4^(e−1)}
    by the bit rule (midpoint 1.6), scale a power of two. Radix 2 takes `noise`: t = |x|/scale, stochastic underflow below 1,
    between the levels above, at most 64 (Chmiel et al., ICLR 2023).
  }];
  let arguments = (ins RealTensor:$x, ScalarF32:$scale, Optional<BitsTensor>:$noise);
  let results = (outs LogCodeTensor:$codes);
  let hasVerifier = 1;
}
def Q4_DequantizeOp : Q4_Op<"dequantize", [NN_Elementwise, NN_Decoder]> {
  let summary = "(code − Z)·s, rounded";
  let arguments = (ins CodeTensor:$codes, ScalarF32:$scale, Optional<ScalarI32>:$zero_point);
  let results = (outs RealTensor:$result);
  let hasVerifier = 1;
}
def Q4_NarrowOp : Q4_Op<"narrow", [NN_Elementwise]> {
  let summary = "Reals to bf16, the copies that the backward pass keeps: nearest even, denormals to zero of their sign";
  let description = [{
    Numerics/Rounding.h (`toBf16`): integer operations, the same bits on every processor. Infinities stay, numbers beyond the
    largest bf16 become infinite, a NaN stays one.
    ```mlir
    %n = q4.narrow %z : (tensor<8x4x4x16xf32>) -> tensor<8x4x4x16xbf16>
    ```
  }];
  let arguments = (ins RealTensor:$x);
  let results = (outs NarrowTensor:$result);
  let hasVerifier = 1;
}
def Q4_WidenOp : Q4_Op<"widen", [NN_Elementwise, NN_Decoder]> {
  let summary = "The reals that bf16 numbers are; exact";
  let arguments = (ins NarrowTensor:$x);
  let results = (outs RealTensor:$result);
  let hasVerifier = 1;
}
#endif

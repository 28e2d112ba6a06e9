//===- NNElementwise.td - element by element ------------------*- tablegen -*-===//
#ifndef NIBBLE_DIALECT_NN_IR_NNELEMENTWISE_TD
#define NIBBLE_DIALECT_NN_IR_NNELEMENTWISE_TD
include "nibble/Dialect/NN/IR/NNAttrs.td"

class NN_Unary<string mnemonic, string text> : NN_Op<mnemonic, [NN_Elementwise, SameOperandsAndResultType]> {
  let summary = text;
  let arguments = (ins RealTensor:$x);
  let results = (outs RealTensor:$result);
  let assemblyFormat = "operands attr-dict `:` type($result)";
  let hasFolder = 1;
}
def NN_NegOp : NN_Unary<"neg", "−x (flips the sign bit)">;
def NN_SqrtOp : NN_Unary<"sqrt", "Square root, IEEE">;
def NN_ExpOp : NN_Unary<"exp", "eˣ, by `Numerics/Math.h`">;
def NN_LogOp : NN_Unary<"log", "Natural logarithm, by `Numerics/Math.h`">;
def NN_AbsOp : NN_Unary<"abs", "|x| (clears the sign bit)">;
def NN_ErfOp : NN_Unary<"erf", "Error function, by `Numerics/Math.h`">;
def NN_TanhOp : NN_Unary<"tanh", "Hyperbolic tangent, by `Numerics/Math.h`">;
def NN_SigmoidOp : NN_Unary<"sigmoid", "1 / (1 + e⁻ˣ), by `Numerics/Math.h`">;
def NN_ReluOp : NN_Unary<"relu", "0 > x ? +0 : x">;
def NN_LeakyReluOp : NN_Unary<"leaky_relu", "0 > x ? slope·x : x"> {
  let arguments = (ins RealTensor:$x, F32Attr:$slope);
}
def NN_ClipOp : NN_Unary<"clip", "x < lo ? lo : x > hi ? hi : x"> {
  let arguments = (ins RealTensor:$x, F32Attr:$lo, F32Attr:$hi);
}

class NN_Binary<string mnemonic, string text, list<Trait> traits = []>
    : NN_Op<mnemonic, !listconcat([NN_Elementwise], traits)> {
  let summary = text;
  let description = [{
    Shapes broadcast as in NumPy: trailing dimensions align, a dimension of 1 (or a missing one) repeats.
  }];
  let arguments = (ins RealTensor:$a, RealTensor:$b);
  let results = (outs RealTensor:$result);
  let builders = [OpBuilder<(ins "::mlir::Value":$a, "::mlir::Value":$b), [{
    build($_builder, $_state, ::nibble::nn::broadcastType({a, b}), a, b);
  }]>];
  let hasVerifier = 1;
  let hasFolder = 1;
}
def NN_AddOp : NN_Binary<"add", "a + b">;
def NN_SubOp : NN_Binary<"sub", "a − b">;
def NN_MulOp : NN_Binary<"mul", "a · b">;
def NN_DivOp : NN_Binary<"div", "a / b, IEEE">;
def NN_MinOp : NN_Binary<"min", "b < a ? b : a">;
def NN_MaxOp : NN_Binary<"max", "a < b ? b : a">;

def NN_FmaOp : NN_Op<"fma", [NN_Elementwise]> {
  let summary = "a · b + c, rounded once; operands broadcast";
  let arguments = (ins RealTensor:$a, RealTensor:$b, RealTensor:$c);
  let results = (outs RealTensor:$result);
  let hasVerifier = 1;
}

def NN_CompareOp : NN_Op<"compare", [NN_Elementwise]> {
  let summary = "One bit an element: a ⋄ b; operands broadcast";
  let arguments = (ins RealTensor:$a, RealTensor:$b, NN_ComparisonAttr:$predicate);
  let results = (outs MaskTensor:$result);
  let hasVerifier = 1;
}
def NN_InsideOp : NN_Op<"inside", [NN_Elementwise]> {
  let summary = "The pass bit of a clip: lo < x < hi, bounds broadcast (rank-0 for a learned clip)";
  let arguments = (ins RealTensor:$x, RealTensor:$lo, RealTensor:$hi);
  let results = (outs MaskTensor:$result);
  let hasVerifier = 1;
}
def NN_MaskOp : NN_Op<"mask", [NN_Elementwise]> {
  let summary = "bit ? x : +0";
  let arguments = (ins RealTensor:$x, MaskTensor:$bits);
  let results = (outs RealTensor:$result);
  let hasVerifier = 1;
  let hasCanonicalizer = 1;
}
def NN_SelectOp : NN_Op<"select", [NN_Elementwise]> {
  let summary = "bit ? a : b; operands broadcast to the mask's shape";
  let arguments = (ins MaskTensor:$bits, RealTensor:$a, RealTensor:$b);
  let results = (outs RealTensor:$result);
  let hasVerifier = 1;
}

def NN_ClipLearnedOp : NN_Op<"clip_learned", [NN_Elementwise]> {
  let summary = "PACT's clip with a learned bound";
  let description = [{
    y = clip(x, lo, α) with lo = 0 (`one_sided`) or −α; α is rank 0 (Choi et al. 2018; numerics.md, section 1).
    An ordinary real-number op: dx = dy·1[lo < x < α], dα = Σ_{x ≥ α} dy − Σ_{x ≤ −α} dy (second sum two-sided only).
  }];
  let arguments = (ins RealTensor:$x, RealTensor:$alpha, UnitAttr:$one_sided);
  let results = (outs RealTensor:$result);
  let hasVerifier = 1;
}

def NN_KeepMaskOp : NN_Op<"keep_mask", [NN_Elementwise]> {
  let summary = "Dropout's mask: keep where the 16 random bits u ≥ RNE(65536 · ratio)";
  let arguments = (ins BitsTensor:$bits, F32Attr:$ratio);
  let results = (outs MaskTensor:$result);
}
def NN_DropoutOp : NN_Op<"dropout"> {
  let summary = "Dropout as the graph has it; Differentiate spells it out (random bits, mask, scale)";
  let arguments = (ins RealTensor:$x, F32Attr:$ratio);
  let results = (outs RealTensor:$result);
  let hasVerifier = 1;
}
#endif

//===- Q4Contraction.td - exact products of codes -------------*- tablegen -*-===//
#ifndef NIBBLE_DIALECT_Q4_IR_Q4CONTRACTION_TD
#define NIBBLE_DIALECT_Q4_IR_Q4CONTRACTION_TD
include "nibble/Dialect/Q4/IR/Q4Types.td"

/// result = float(Σ (left − Z_left)·(right − Z_right)) · (s_left·s_right·gain): the integer sum is exact, converted once
/// (nearest even from the exact integer), the factors multiplied in this order, each step rounded.
class Q4_Contraction<string mnemonic> : Q4_Op<mnemonic, [AttrSizedOperandSegments,
    DeclareOpInterfaceMethods<ContractionOpInterface, ["getContractionLength", "getMultiplyAdds"]>]> {
  dag operandsOf = (ins CodeTensor:$left, CodeTensor:$right, ScalarF32:$left_scale, ScalarF32:$right_scale,
      Optional<ScalarI32>:$left_zero_point, Optional<ScalarI32>:$right_zero_point, Optional<ScalarF32>:$gain);
  dag tags = (ins DefaultValuedAttr<StrAttr, "\"\"">:$layer,
      DefaultValuedAttr<NN_ProductAttr, "::nibble::Product::Forward">:$product,
      DefaultValuedAttr<NN_PrecisionAttr, "::nibble::Precision::Int4">:$precision,
      DefaultValuedAttr<StrAttr, "\"\"">:$reason);
  let results = (outs RealTensor:$result);
  let assemblyFormat = [{
    $left `,` $right `scales` `(` $left_scale `,` $right_scale `)` (`left_zero_point` `(` $left_zero_point^ `)`)?
    (`right_zero_point` `(` $right_zero_point^ `)`)? (`gain` `(` $gain^ `)`)? attr-dict `:`
    functional-type(operands, results)
  }];
  let hasVerifier = 1;
}
def Q4_MatMulOp : Q4_Contraction<"matmul"> {
  let summary = "`nn.matmul` on codes; exact in integers";
  let arguments = !con(operandsOf, (ins UnitAttr:$transpose_a, UnitAttr:$transpose_b), tags);
}
class Q4_Conv<string mnemonic> : Q4_Contraction<mnemonic> {
  let arguments = !con(operandsOf, (ins DenseI64ArrayAttr:$strides, DenseI64ArrayAttr:$pads, DenseI64ArrayAttr:$dilations,
      DefaultValuedAttr<I64Attr, "1">:$groups), tags);
}
def Q4_Conv2DOp : Q4_Conv<"conv2d"> {
  let summary = "`nn.conv2d` on codes (left x, right w); padding is zero's code; exact in integers";
}
def Q4_Conv2DInputGradOp : Q4_Conv<"conv2d_input_grad"> {
  let summary = "`nn.conv2d_input_grad` on codes (left dy, right w)";
}
def Q4_Conv2DWeightGradOp : Q4_Conv<"conv2d_weight_grad"> {
  let summary = "`nn.conv2d_weight_grad` on codes (left x, right dy)";
}
#endif

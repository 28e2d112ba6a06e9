//===- NNEnums.td - enumerations of nn ------------------------*- tablegen -*-===//
#ifndef NIBBLE_DIALECT_NN_IR_NNENUMS_TD
#define NIBBLE_DIALECT_NN_IR_NNENUMS_TD
include "mlir/IR/EnumAttr.td"

def NN_Comparison : I32EnumAttr<"Comparison", "an ordered comparison of reals (false on NaN)", [
    I32EnumAttrCase<"LT", 0, "lt">, I32EnumAttrCase<"LE", 1, "le">,
    I32EnumAttrCase<"GT", 2, "gt">, I32EnumAttrCase<"GE", 3, "ge">, I32EnumAttrCase<"EQ", 4, "eq">]> {
  let cppNamespace = "::nibble::nn";
  let genSpecializedAttr = 0;
}
#endif

//===- ContractionEnums.td - product and precision of a contraction -----------===//
#ifndef NIBBLE_INTERFACES_CONTRACTIONENUMS_TD
#define NIBBLE_INTERFACES_CONTRACTIONENUMS_TD
include "mlir/IR/EnumAttr.td"

/// Which of a layer's three products a contraction is (numerics.md, section 1).
def Nibble_Product : I32EnumAttr<"Product", "which product of a layer a contraction computes", [
    I32EnumAttrCase<"Forward", 0, "forward">,
    I32EnumAttrCase<"InputGradient", 1, "input_gradient">,
    I32EnumAttrCase<"WeightGradient", 2, "weight_gradient">]> {
  let cppNamespace = "::nibble";
  let genSpecializedAttr = 0;
}

/// In which numbers a contraction runs. `unassigned` before `assign-precision` has run.
def Nibble_Precision : I32EnumAttr<"Precision", "the numbers that a contraction multiplies", [
    I32EnumAttrCase<"Unassigned", 0, "unassigned">,
    I32EnumAttrCase<"Float", 1, "float">,
    I32EnumAttrCase<"Int8", 2, "int8">,
    I32EnumAttrCase<"Int4", 3, "int4">]> {
  let cppNamespace = "::nibble";
  let genSpecializedAttr = 0;
}

#endif

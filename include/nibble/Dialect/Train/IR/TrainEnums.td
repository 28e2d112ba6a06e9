//===- TrainEnums.td - enumerations of train ------------------*- tablegen -*-===//
#ifndef NIBBLE_DIALECT_TRAIN_IR_TRAINENUMS_TD
#define NIBBLE_DIALECT_TRAIN_IR_TRAINENUMS_TD
include "mlir/IR/EnumAttr.td"

def Train_Role : I32EnumAttr<"Role", "what a variable is for", [
    I32EnumAttrCase<"Weight", 0, "weight">, I32EnumAttrCase<"Bias", 1, "bias">, I32EnumAttrCase<"Norm", 2, "norm">,
    I32EnumAttrCase<"Clip", 3, "clip">, I32EnumAttrCase<"Moment", 4, "moment">,
    I32EnumAttrCase<"GradScale", 5, "grad_scale">, I32EnumAttrCase<"Range", 6, "range">,
    I32EnumAttrCase<"RunningStat", 7, "running_stat">, I32EnumAttrCase<"Constant", 8, "constant">]> {
  let cppNamespace = "::nibble::train";
  let genSpecializedAttr = 0;
}
#endif

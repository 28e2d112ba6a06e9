//===- TrainAttrs.td - the dialect and its attributes ---------*- tablegen -*-===//
#ifndef NIBBLE_DIALECT_TRAIN_IR_TRAINATTRS_TD
#define NIBBLE_DIALECT_TRAIN_IR_TRAINATTRS_TD
include "mlir/IR/OpBase.td"
include "nibble/Dialect/Train/IR/TrainEnums.td"

def Train_Dialect : Dialect {
  let name = "train";
  let cppNamespace = "::nibble::train";
  let summary = "What lasts from step to step, and what a step does with it";
  let description = [{
    A model is a module of `train.variable`s (parameters, moments, scales, running statistics) and functions over them:
    `@forward` as imported; then `@train_step` and `@eval_step`. Their arguments after the batch are `%lr : tensor<f64>`,
    `%step : tensor<i64>` (from 1) and `%rng : tensor<2xi64>` (seed, update from 0). Everything between a read and
    the writes is pure; every write of a step comes after its `train.guard`.
  }];
  let useDefaultAttributePrinterParser = 1;
}

def Train_RoleAttr : EnumAttr<Train_Dialect, Train_Role, "role"> { let assemblyFormat = "`<` $value `>`"; }
#endif

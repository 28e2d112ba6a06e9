//===- TrainOps.td - the train dialect: state and steps -------*- tablegen -*-===//
#ifndef NIBBLE_DIALECT_TRAIN_IR_TRAINOPS_TD
#define NIBBLE_DIALECT_TRAIN_IR_TRAINOPS_TD
include "mlir/IR/OpBase.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "nibble/Dialect/NN/IR/NNBase.td"
include "nibble/Dialect/Train/IR/TrainAttrs.td"

class Train_Op<string mnemonic, list<Trait> traits = []> : Op<Train_Dialect, mnemonic, traits>;

def Train_VariableOp : Train_Op<"variable", [Symbol]> {
  let summary = "A tensor that lasts from step to step";
  let description = [{
    `value` is its initial value (dense, or a dense resource for weights); absent: zeros. `trainable` says that the optimizer
    updates it; `decay` that weight decay applies. `onnx_name` names the initializer it came from and `layout` tells how
    the value was permuted from ONNX's ("" as it is, "OHWI" from OIHW, "T" a matrix transposed): export undoes it.
    ```mlir
    train.variable @conv1.weight : tensor<16x5x5x1xf32> {role = #train.role<weight>, trainable, decay}
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, TypeAttrOf<AnyStaticShapeTensor>:$type, Train_RoleAttr:$role, UnitAttr:$trainable,
      UnitAttr:$decay, DefaultValuedAttr<StrAttr, "\"\"">:$onnx_name, DefaultValuedAttr<StrAttr, "\"\"">:$layout,
      OptionalAttr<ElementsAttr>:$value);
  let assemblyFormat = "$sym_name `:` $type attr-dict";
  let hasVerifier = 1;
}

def Train_ReadOp : Train_Op<"read", [DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "The variable's value at the start of the step";
  let description = [{ All reads of a step see the value from before the step, wherever they stand. }];
  let arguments = (ins FlatSymbolRefAttr:$variable);
  let results = (outs AnyStaticShapeTensor:$result);
  let assemblyFormat = "$variable attr-dict `:` type($result)";
}
def Train_WriteOp : Train_Op<"write", [DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "Sets the variable at the end of the step; at most once a step, after the guard";
  let arguments = (ins FlatSymbolRefAttr:$variable, AnyStaticShapeTensor:$value);
  let assemblyFormat = "$variable `,` $value attr-dict `:` type($value)";
}
def Train_GuardOp : Train_Op<"guard"> {
  let summary = "Ends the step with NONFINITE, nothing written, where the flag is set";
  let arguments = (ins 0DTensorOf<[I1]>:$flag);
  let assemblyFormat = "$flag attr-dict `:` type($flag)";
}
def Train_ReportOp : Train_Op<"report"> {
  let summary = "A number for the log: written to slot `index` (assigned by Schedule) of the step's report";
  let description = [{ `key` is LAYER/TENSOR/MEASURE, e.g. conv2/output_gradient/underflow. Element type f32 or i32. With
    `count`, the i32 value is divided by it in f32. }];
  let arguments = (ins StaticShapeTensorOf<[F32, I32]>:$value, StrArrayAttr:$keys, DefaultValuedAttr<I64Attr, "0">:$count);
  let assemblyFormat = "$value attr-dict `:` type($value)";
}
def Train_SaveOp : Train_Op<"save", [Pure, AllTypesMatch<["value", "saved"]>]> {
  let summary = "Keeps a forward value for the backward pass";
  let description = [{ The identity. The backward part sees forward values only through one `save` each, so that what lives
    from forward into backward can be read off the IR, type by type. }];
  let arguments = (ins AnyStaticShapeTensor:$value);
  let results = (outs AnyStaticShapeTensor:$saved);
  let assemblyFormat = "$value attr-dict `:` type($value)";
}
def Train_RandomBitsOp : Train_Op<"random_bits", [Pure]> {
  let summary = "16 random bits an element: Philox 4x32-10 of (seed, ⌊i/8⌋, update, stream) (numerics.md, section 6)";
  let arguments = (ins 1DTensorOf<[I64]>:$rng, I32Attr:$stream, DefaultValuedAttr<StrAttr, "\"\"">:$name);
  let results = (outs StaticShapeTensorOf<[I16]>:$result);
  let assemblyFormat = "$rng attr-dict `:` functional-type($rng, $result)";
}
def Train_RateOp : Train_Op<"rate", [Pure]> {
  let summary = "lr · factor (and Adam's √(1 − β₂ᵗ)/(1 − β₁ᵗ) with `adam`), in f64, rounded once to f32";
  let arguments = (ins 0DTensorOf<[F64]>:$lr, 0DTensorOf<[I64]>:$step, DefaultValuedAttr<F64Attr, "1.0">:$factor, UnitAttr:$adam,
                       DefaultValuedAttr<F64Attr, "0.0">:$beta1, DefaultValuedAttr<F64Attr, "0.0">:$beta2);
  let results = (outs 0DTensorOf<[F32]>:$result);
  let assemblyFormat = "operands attr-dict `:` functional-type(operands, results)";
}
def Train_MicroBatchOp : Train_Op<"micro_batch", [Pure]> {
  let summary = "Is this the first, the last of the `count` micro-batches of an update?";
  let description = [{ The random state's second number counts update · count + micro-batch (numerics.md, section 6); its remainder tells. }];
  let arguments = (ins 1DTensorOf<[I64]>:$rng, ConfinedAttr<I64Attr, [IntPositive]>:$count);
  let results = (outs 0DTensorOf<[I1]>:$first, 0DTensorOf<[I1]>:$last);
  let assemblyFormat = "operands attr-dict `:` functional-type(operands, results)";
}
def Train_ClipFactorOp : Train_Op<"clip_factor", [Pure]> {
  let summary = "Clipping by global norm: min(1, limit/norm), and the norm, of all gradients together";
  let description = [{
    norm = √(Σ over the operands, ascending in f64, of the flat sum of g·g, each square rounded to f32); limit/norm in f64. Both
    results are rounded once (numerics.md, section 5, flat reductions; section 7, step 4). Gradients are then multiplied by the factor.
  }];
  let arguments = (ins Variadic<RealTensor>:$gradients, F64Attr:$limit);
  let results = (outs 0DTensorOf<[F32]>:$factor, 0DTensorOf<[F32]>:$norm);
  let assemblyFormat = "operands attr-dict `:` functional-type(operands, results)";
}
def Train_SgdOp : Train_Op<"sgd", [Pure, NN_Elementwise]> {
  let summary = "g += λθ; v = μv + g; θ −= lr·v (nesterov: lr·(g + μv)), each operation rounded";
  let arguments = (ins RealTensor:$theta, RealTensor:$grad, RealTensor:$velocity, 0DTensorOf<[F32]>:$rate, F32Attr:$momentum,
                       F32Attr:$decay, UnitAttr:$nesterov);
  let results = (outs RealTensor:$new_theta, RealTensor:$new_velocity);
  let assemblyFormat = "operands attr-dict `:` functional-type(operands, results)";
}
def Train_AdamOp : Train_Op<"adam", [Pure, NN_Elementwise]> {
  let summary = "Adam(W) in ONNX's form, each operation rounded";
  let description = [{
    g += λθ (`decay`, L2 form) ; m = β₁m + (1 − β₁)g; v = β₂v + (1 − β₂)g²; θ −= rate·m/(√v + ε), rate from `train.rate {adam}`.
    `decay_rate` (AdamW, optional): first θ −= decay_rate·θ with decay_rate = lr·λ.
  }];
  let arguments = (ins RealTensor:$theta, RealTensor:$grad, RealTensor:$m, RealTensor:$v, 0DTensorOf<[F32]>:$rate,
                       Optional<0DTensorOf<[F32]>>:$decay_rate, F64Attr:$beta1, F64Attr:$beta2, F32Attr:$epsilon, F32Attr:$decay);
  let results = (outs RealTensor:$new_theta, RealTensor:$new_m, RealTensor:$new_v);
  let assemblyFormat = "operands attr-dict `:` functional-type(operands, results)";
}
#endif

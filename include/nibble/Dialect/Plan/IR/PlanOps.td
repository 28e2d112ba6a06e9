//===- PlanOps.td - the plan dialect: ops on views of one arena -*- tablegen -*-===//
#ifndef NIBBLE_DIALECT_PLAN_IR_PLANOPS_TD
#define NIBBLE_DIALECT_PLAN_IR_PLANOPS_TD
include "mlir/IR/OpBase.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "mlir/IR/SymbolInterfaces.td"

def Plan_Dialect : Dialect {
  let name = "plan";
  let cppNamespace = "::nibble::plan";
  let summary = "Tensor ops in destination-passing form on views of one arena";
  let description = [{
    Schedule turns a step into a sequence of `plan.group`s. A group reads and writes memrefs (views of the arena or of
    the state, made with `memref.view`) and holds, as its body, the tensor ops whose code it becomes: one
    contraction, reduction or shape op, a fused set of element-wise ops, or a contraction with such a set that reads its result. So every tensor op keeps one definition;
    tensors exist only inside groups.
  }];
}

def Plan_FusedOp : Op<Plan_Dialect, "fused", [SingleBlock, IsolatedFromAbove, Pure]> {
  let summary = "Tensor ops that become one piece of code, before they have buffers";
  let description = [{
    What `form-groups` makes: one contraction, reduction or shape op, a set of element-wise ops over one flat
    iteration space, or a contraction and such a set that reads its result, with the tensors that go in and come out. `plan-memory` turns it into `plan.group`.
    Constants of the body are splats; everything else comes in through `inputs`.
  }];
  let arguments = (ins Variadic<AnyType>:$inputs);
  let results = (outs Variadic<AnyType>:$results);
  let regions = (region SizedRegion<1>:$body);
  let hasVerifier = 1;
  let hasCustomAssemblyFormat = 1;
}

def Plan_GroupOp : Op<Plan_Dialect, "group", [SingleBlock, IsolatedFromAbove, AttrSizedOperandSegments,
    MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "A group of tensor ops with the buffers they read and write";
  let description = [{
    The body's arguments are the `inputs` as tensors (types in the order of the operands); `plan.yield` hands back the
    tensors that go to `outputs`. A buffer is dense and row-major, 64-byte aligned, padded to a multiple of 128 bytes (so that
    whole vectors may be read and written past its end): f32, i32 and i64 tensors as memref of that shape; i16 as memref of that
    shape; i8 codes (`!q4.int8`, i8 indices) as memref<…xi8>; 4-bit codes and i1 masks packed (Numerics/Packing.h) as memref<bytes x i8>.
    An output may be the same buffer as an input where every body op is element-wise. `scratch` (memref<bytes x i8>) is
    free for the group's own use, of the size that its scratch interface stated. The attributes `reads` and `writes` number the
    values in the buffers, so that the door can check that no buffer was overwritten too early.
  }];
  let arguments = (ins Variadic<AnyMemRef>:$inputs, Variadic<AnyMemRef>:$outputs, Optional<AnyMemRef>:$scratch,
      DefaultValuedAttr<DenseI64ArrayAttr, "{}">:$reads, DefaultValuedAttr<DenseI64ArrayAttr, "{}">:$writes);
  let regions = (region SizedRegion<1>:$body);
  let hasVerifier = 1;
  let hasCustomAssemblyFormat = 1;
}
def Plan_PackOp : Op<Plan_Dialect, "pack", [SingleBlock, NoTerminator, IsolatedFromAbove, Pure]> {
  let summary = "The right operand of products, laid out once for all of them";
  let description = [{
    A product's code lays its right operand out in a panel before it multiplies. Where several products read the same operand in the
    same form (the steps of a sequence, layers that share weights), `share-panels` makes the panel a value: `plan.pack` is
    `right` (and its zero point) in the form that the product in the body wants, and each of the products reads it through a
    `plan.packed`. The body holds one op, a copy of one of the products with arguments of the block as its operands: it says what the panel
    is for and is never run. What the bytes are is known to Codegen alone, which tells their number for any processor
    (PanelOpInterface); only the code of the same processor reads them.

    ```mlir
    %p = plan.pack %w for "lstm/recurrent" : (tensor<2600x650x!q4.int4>) -> tensor<1768448xi8> {
    ^bb0(%h: tensor<20x650x!q4.int4>, %r: tensor<2600x650x!q4.int4>, %a: tensor<f32>, %b: tensor<f32>):
      %y = q4.matmul %h, %r scales(%a, %b) {transpose_b} : (…) -> tensor<20x2600xf32>
    }
    ```
  }];
  let arguments = (ins AnyRankedTensor:$right, Optional<AnyRankedTensor>:$zero_point,
      DefaultValuedAttr<StrAttr, "\"\"">:$layer);
  let results = (outs AnyRankedTensor:$panel);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    $right (`zero_point` `(` $zero_point^ `)`)? `for` $layer attr-dict `:` functional-type(operands, results) $body
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// The product in the body.
    ::mlir::Operation *getProduct() { return &getBody().front().front(); }
  }];
}
def Plan_PackedOp : Op<Plan_Dialect, "packed", [Pure]> {
  let summary = "The tensor that lies in a panel, as a product's right operand";
  let description = [{
    `plan.packed(plan.pack(x)) = x`. Only products read it, those that want the panel's form; it makes no code.
  }];
  let arguments = (ins AnyRankedTensor:$panel);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$panel attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}
def Plan_YieldOp : Op<Plan_Dialect, "yield", [Terminator, Pure, ParentOneOf<["GroupOp", "FusedOp"]>]> {
  let summary = "The tensors that a group writes to its outputs";
  let arguments = (ins Variadic<AnyType>:$values);
  let assemblyFormat = "($values^ `:` type($values))? attr-dict";
}
def Plan_GuardOp : Op<Plan_Dialect, "guard"> {
  let summary = "Returns status 1 (NONFINITE) from the function where the flag's byte is not 0";
  let arguments = (ins AnyMemRef:$flag);
  let assemblyFormat = "$flag attr-dict `:` type($flag)";
}
#endif

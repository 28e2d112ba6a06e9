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

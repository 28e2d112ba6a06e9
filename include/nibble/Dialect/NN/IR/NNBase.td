//===- NNBase.td - the nn dialect: a network in real numbers --*- tablegen -*-===//
#ifndef NIBBLE_DIALECT_NN_IR_NNBASE_TD
#define NIBBLE_DIALECT_NN_IR_NNBASE_TD

include "mlir/IR/OpBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "nibble/Interfaces/ContractionInterface.td"

def NN_Dialect : Dialect {
  let name = "nn";
  let cppNamespace = "::nibble::nn";
  let summary = "A network in real numbers, and its derivative";
  let description = [{
    The graph that the importer builds and that differentiation extends. Values are statically shaped
    tensors of `f32`; masks are `i1`, labels `i32`. Feature maps are channels-last (N, H, W, C) and
    convolution weights are (O, KH, KW, I): flat index and reduction order of every op are those of
    these tensors (numerics.md, section 5). Every op is pure: state is read and written by `train`.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect"];
  let hasConstantMaterializer = 1;
  let useDefaultAttributePrinterParser = 1;
}

def RealTensor : StaticShapeTensorOf<[F32]>;
def MaskTensor : StaticShapeTensorOf<[I1]>;
def LabelTensor : StaticShapeTensorOf<[I32]>;
def PoolIndexTensor : StaticShapeTensorOf<[I8, I32]>;
def BitsTensor : StaticShapeTensorOf<[I16]>;
/// Copies kept for the backward pass (numerics.md, section 5).
def NarrowTensor : StaticShapeTensorOf<[BF16]>;

class NN_Op<string mnemonic, list<Trait> traits = []>
    : Op<NN_Dialect, mnemonic, !listconcat(traits, [Pure])> {
  let assemblyFormat = "operands attr-dict `:` functional-type(operands, results)";
}

/// Marks ops that compute each result element from the operand elements at the same (broadcast)
/// position alone. Schedule fuses them; Codegen has one vector rule for each.
def NN_Elementwise : NativeOpTrait<"ElementwiseLike"> {
  let cppNamespace = "::nibble";
}

/// Marks ops that fold the elements of operand 0 in an order that does not matter: Schedule lets them ride in the loop of an
/// element-wise group.
def NN_Fold : NativeOpTrait<"FoldLike"> {
  let cppNamespace = "::nibble";
}

/// Marks element-wise ops that turn stored numbers into reals: each group that reads the result does it for itself.
def NN_Decoder : NativeOpTrait<"DecoderLike"> {
  let cppNamespace = "::nibble";
}
/// Mark ops whose code reads bf16, or codes, where the graph has a decoder before operand `x`.
def NN_ReadsNarrowed : NativeOpTrait<"ReadsNarrowed"> {
  let cppNamespace = "::nibble";
}
def NN_ReadsCoded : NativeOpTrait<"ReadsCoded"> {
  let cppNamespace = "::nibble";
}
/// Marks ops that sum over rows, channel by channel: Schedule lets them ride in a loop over rows and channels.
def NN_ChannelFold : NativeOpTrait<"ChannelFoldLike"> {
  let cppNamespace = "::nibble";
}

/// Marks ops that hardly ever read their tensor, operand 1.
def NN_HardlyReads : NativeOpTrait<"HardlyReads"> {
  let cppNamespace = "::nibble";
}

#endif

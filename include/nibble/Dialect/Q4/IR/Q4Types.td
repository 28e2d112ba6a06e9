//===- Q4Types.td - element types and tensor constraints ------*- tablegen -*-===//
#ifndef NIBBLE_DIALECT_Q4_IR_Q4TYPES_TD
#define NIBBLE_DIALECT_Q4_IR_Q4TYPES_TD
include "nibble/Dialect/Q4/IR/Q4Base.td"

class Q4_Type<string name, string mnemo> : TypeDef<Q4_Dialect, name> { let mnemonic = mnemo; }

def Q4_Int4Type : Q4_Type<"Int4", "int4"> {
  let summary = "A whole number −8 … 7";
}
def Q4_Int8Type : Q4_Type<"Int8", "int8"> {
  let summary = "A whole number −127 … 127 (first and last layers)";
}
def Q4_LogType : Q4_Type<"Log", "log"> {
  let summary = "Sign and three exponent bits: 0 or ±radix^(e−1), e = 1 … 7; radix 4 (FP4 1-3-0) or 2 (LUQ)";
  let parameters = (ins "unsigned":$radix);
  let assemblyFormat = "`<` $radix `>`";
  let genVerifyDecl = 1;
}
def Q4_E2M1Type : Q4_Type<"E2M1", "e2m1"> {
  let summary = "OCP FP4: 0, ±0.5, ±1, ±1.5, ±2, ±3, ±4, ±6 (foreseen; no recipe produces it yet)";
}

def Q4_Element : AnyTypeOf<[Q4_Int4Type, Q4_Int8Type, Q4_LogType, Q4_E2M1Type]>;
def CodeTensor : StaticShapeTensorOf<[Q4_Int4Type, Q4_Int8Type, Q4_LogType, Q4_E2M1Type]>;
def IntCodeTensor : StaticShapeTensorOf<[Q4_Int4Type, Q4_Int8Type]>;
def LogCodeTensor : StaticShapeTensorOf<[Q4_LogType]>;
/// A code or a bound of codes (signed).
def CodeAttr : TypedSignlessIntegerAttrBase<I32, "int32_t", "signed 32-bit code">;
/// Rank-0 tensors: a scale, a maximum, a gain; a zero point; the pair (seed, update).
def ScalarF32 : 0DTensorOf<[F32]>;
def ScalarI32 : 0DTensorOf<[I32]>;
def RngState : 1DTensorOf<[I64]>;

class Q4_Op<string mnemonic, list<Trait> traits = []> : Op<Q4_Dialect, mnemonic, !listconcat(traits, [Pure])> {
  let assemblyFormat = "operands attr-dict `:` functional-type(operands, results)";
}
#endif

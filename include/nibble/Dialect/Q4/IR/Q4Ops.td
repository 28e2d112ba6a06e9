//===- Q4Ops.td - all of q4, a family a file ------------------*- tablegen -*-===//
#ifndef NIBBLE_DIALECT_Q4_IR_Q4OPS_TD
#define NIBBLE_DIALECT_Q4_IR_Q4OPS_TD
include "nibble/Dialect/Q4/IR/Q4Scale.td"
include "nibble/Dialect/Q4/IR/Q4Quantize.td"
include "nibble/Dialect/Q4/IR/Q4Contraction.td"
#endif

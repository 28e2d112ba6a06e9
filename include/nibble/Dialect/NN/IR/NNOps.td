//===- NNOps.td - all of nn, a family a file ------------------*- tablegen -*-===//
#ifndef NIBBLE_DIALECT_NN_IR_NNOPS_TD
#define NIBBLE_DIALECT_NN_IR_NNOPS_TD
include "nibble/Dialect/NN/IR/NNContraction.td"
include "nibble/Dialect/NN/IR/NNElementwise.td"
include "nibble/Dialect/NN/IR/NNShape.td"
include "nibble/Dialect/NN/IR/NNNorm.td"
#endif

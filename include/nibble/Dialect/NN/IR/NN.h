//===- NN.h - the nn dialect: a network in real numbers -----------*- C++ -*-===//
#pragma once

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "nibble/Interfaces/Interfaces.h"

#include "nibble/Dialect/NN/IR/NNDialect.h.inc"
#include "nibble/Dialect/NN/IR/NNEnums.h.inc"

#define GET_ATTRDEF_CLASSES
#include "nibble/Dialect/NN/IR/NNAttrs.h.inc"
#define GET_OP_CLASSES
#include "nibble/Dialect/NN/IR/NNOps.h.inc"

namespace nibble::nn {

/// The NumPy broadcast of the values' shapes as a tensor of the first value's element type;
/// the first value's own type where the shapes do not broadcast (the verifier then says so).
mlir::Type broadcastType(mlir::ValueRange values);

/// Shapes and sizes of a 2-d convolution, the same for forward and both gradients.
struct ConvShape {
  int64_t batch, height, width, channels;       // input, NHWC
  int64_t outHeight, outWidth, outChannels;     // output, NHWC
  int64_t kernelHeight, kernelWidth;
  int64_t strideH, strideW, padTop, padLeft, padBottom, padRight, dilationH, dilationW, groups;
};

/// Checks shapes against one another. `x`, `w`, `y` are the types in the roles of the forward convolution, whichever product
/// `op` is; the error names the layer.
mlir::LogicalResult verifyConv(mlir::Operation *op, mlir::RankedTensorType x, mlir::RankedTensorType w,
                               mlir::RankedTensorType y);
/// Shape of a convolution op or of one of its gradients, in nn or q4 (reads the attributes strides, pads, dilations, groups).
ConvShape convShape(mlir::Operation *op);
/// Checks an (M×K)·(K×N) product with transposes, or a stack of them.
mlir::LogicalResult verifyMatMul(mlir::Operation *op, mlir::RankedTensorType a, mlir::RankedTensorType b,
                                 mlir::RankedTensorType y, bool transposeA, bool transposeB);
/// K of that product.
int64_t matMulLength(mlir::RankedTensorType a, bool transposeA);

} // namespace nibble::nn

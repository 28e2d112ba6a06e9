//===- ContractionShape.h - what a contraction op computes ---------*- C++ -*-===//
//
// The ops reduced to two forms, for codes and floats alike:
//
// WindowProduct (forward, input gradient, matrix product with the left operand stored row by row):
// every result pixel is a
//   sum over the taps of a window of the left feature map times a weight. The input gradient of a
//   strided convolution falls into classes of result pixels (by residue of their position modulo
//   the stride) that see the same taps; each class is a window product of its own.
// PixelSum (weight gradient, matrix product with the left operand stored column by column): every
// result is a sum over
//   the pixels of all images.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "ContractionOperands.h"
#include "nibble/Dialect/NN/IR/NN.h"

namespace nibble::contraction {

/// One axis (height or width) of a class of a window product. Result pixel i = 0 ... pixels-1 is
/// result coordinate outFirst + i·outStep; tap t = 0 ... taps-1 is kernel position tapFirst +
/// t·tapStep and input coordinate inFirst + i·inStep + t·inTapStep, which is no term where it lies
/// outside the input.
struct WindowAxis {
  int64_t pixels, outFirst, outStep, inFirst, inStep, taps, tapFirst, tapStep, inTapStep;

  /// The same taps in the other order, if that makes inTapStep positive.
  WindowAxis ascending() const;
};

struct WindowProduct {
  int64_t images, inHeight, inWidth, inChannels, outHeight, outWidth, outChannels, groups;
  // Element strides of the weights by group, kernel row, kernel column, contracted channel and
  // result channel.
  int64_t weightElements, weightGroup, weightRow, weightColumn, weightTerm, weightResult;
  struct Class {
    WindowAxis h, w;
  };
  SmallVector<Class> classes;

  int64_t termChannels() const { return inChannels / groups; }
  int64_t resultChannels() const { return outChannels / groups; }
  int64_t inImage() const { return inHeight * inWidth * inChannels; }
  int64_t outImage() const { return outHeight * outWidth * outChannels; }
};

/// result[o, kh, kw, c] = sum over n, oh, ow of rows[n, oh, ow, o] · columns[n, oh·s + kh·d - p,
/// ow·s + kw·d - p, c]. A matrix product is images of one row; the last image may be partial
/// (totalPixels counts).
struct PixelSum {
  nn::ConvShape s;
  int64_t totalPixels;            // N·OH·OW
  bool rowsAreRight;              // is the operand that gives rows (dY) the op's right one?
  bool columnsTransposed = false; // matrix product: columns stored (N, K)

  bool partial() const { return totalPixels != s.batch * s.outHeight * s.outWidth; }
};

/// One operand: its number in the op's operand list and how its elements lie. `format` is
/// meaningless for f32.
struct OperandInfo {
  int input = 0, scale = -1, zeroPoint = -1;
  bool isFloat = true;
  CodeFormat format;
};

/// Of a stack of matrix products this describes one; operands, result and their formats are those
/// of one matrix.
struct Contraction {
  int64_t matrices = 1;
  OperandInfo left, right;
  bool hasPanel = false; // the right operand's buffer is a panel (plan.packed)
  int gain = -1;
  bool isWindow = true;
  WindowProduct window;
  PixelSum pixels;
  /// Elements of the results that a reader takes at a time, a pass of images after the other; 0: no
  /// reader, or one that reads them all at the end.
  int64_t unit = 0;
  bool isFloat() const { return left.isFloat; }
};

/// Reads an op; fails, without an error, where its element types have no product rule.
FailureOr<Contraction> readContraction(Operation *op);

} // namespace nibble::contraction

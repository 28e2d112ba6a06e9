//===- Precision.h - which layers stay above four bits, and why -----*- C++ -*-===//
//
// The policy of numerics.md, section 1 ("What stays above 4 bits"), as one function from a
// contraction of @forward and a recipe to a precision and a reason. The first rule that holds
// decides:
//   1. the recipe multiplies floats                                     float
//   2. --keep-float matches the layer, its weights or their ONNX names  float
//   3. both operands are activations (attention)                        --attention
//      other operands that are not (activation, weight)                 float
//   4. depthwise convolution (as many groups as channels)               float
//   5. first layer (a contraction with weights, none before it)         --first-last
//   6. last layer (none after it)                                       --first-last
//   7. 1×1 convolution on a shortcut beside a residual path             --shortcuts
//   8. everything else                                                  int4
// Of stacks of matrices (rank 3) that are no multiples of 32 elements int4 becomes int8.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "nibble/Interfaces/Interfaces.h"
#include "nibble/Recipe/Recipe.h"

#include <string>

namespace nibble {

struct PrecisionChoice {
  Precision precision;
  /// Why it is not int4; empty where it is.
  std::string reason;
};

PrecisionChoice choosePrecision(ContractionOpInterface contraction, const Recipe &recipe);

/// Is the 1×1 convolution a projection beside a residual path: stride ≠ 1 or a change of channels,
/// its result goes (through normalization, bias and moves) into an nn.add whose other side is
/// computed from the same input through another contraction?
bool isShortcut(ContractionOpInterface contraction);

/// An empty string, or the first pattern of `--keep-float` that is not a (POSIX extended) regular
/// expression, and why.
std::string checkKeepFloat(const Recipe &recipe);

} // namespace nibble

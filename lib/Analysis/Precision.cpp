//===- Precision.cpp - which layers stay above four bits, and why ---------------===//
#include "nibble/Analysis/Precision.h"

#include "nibble/Analysis/Names.h"
#include "nibble/Analysis/Slices.h"
#include "nibble/Dialect/NN/IR/NN.h"
#include "nibble/Dialect/Train/IR/Train.h"

#include "llvm/Support/Regex.h"

using namespace mlir;
using namespace nibble;

static bool isWeightContraction(Operation *op) {
  auto contraction = dyn_cast<ContractionOpInterface>(op);
  return contraction && (isWeight(contraction.getRight()) || isWeight(contraction.getLeft()));
}

/// The names that --keep-float is matched against: the layer, the node, the weights and their ONNX
/// names.
static SmallVector<std::string> namesOf(ContractionOpInterface contraction) {
  SmallVector<std::string> names = {contraction.getLayerName().str(),
                                    nodeName(contraction->getLoc())};
  for (Operation *op : backwardOps(contraction.getRight()))
    if (auto read = dyn_cast<train::ReadOp>(op)) {
      names.push_back(read.getVariable().str());
      auto variable =
          SymbolTable::lookupNearestSymbolFrom<train::VariableOp>(read, read.getVariableAttr());
      if (variable)
        names.push_back(variable.getOnnxName().str());
    }
  llvm::erase(names, std::string());
  return names;
}

/// The pattern that matches, or nothing.
static std::optional<std::string> keptFloat(ContractionOpInterface contraction,
                                            const Recipe &recipe) {
  if (recipe.keepFloat.empty())
    return std::nullopt;
  auto names = namesOf(contraction);
  for (const std::string &pattern : recipe.keepFloat) {
    llvm::Regex regex(pattern);
    if (llvm::any_of(names, [&](const std::string &name) { return regex.match(name); }))
      return pattern;
  }
  return std::nullopt;
}

std::string nibble::checkKeepFloat(const Recipe &recipe) {
  for (const std::string &pattern : recipe.keepFloat) {
    std::string error;
    if (!llvm::Regex(pattern).isValid(error))
      return "--keep-float: '" + pattern + "' is not a regular expression: " + error;
  }
  return "";
}

/// The other operand of the nn.add that the value flows into through ops of one activation, or
/// null.
static Value otherSideOfAdd(Value value) {
  while (value.hasOneUse()) {
    Operation *user = *value.user_begin();
    if (auto add = dyn_cast<nn::AddOp>(user)) {
      Value other = add.getA() == value ? add.getB() : add.getA();
      if (dependsOnArgument(other))
        return other;
    } else if (!isa<nn::BatchNormOp, nn::TransposeOp, nn::ReshapeOp, nn::MulOp, nn::ClipLearnedOp>(
                   user)) {
      return {};
    } else if (isa<nn::MulOp>(user) && llvm::count_if(user->getOperands(), dependsOnArgument) > 1) {
      return {};
    }
    value = user->getResult(0);
  }
  return {};
}

/// The value that a chain of layout changes begins with.
static Value beforeMoves(Value value) {
  while (Operation *op = value.getDefiningOp()) {
    if (!isa<nn::TransposeOp, nn::ReshapeOp, nn::ClipLearnedOp>(op))
      break;
    value = op->getOperand(0);
  }
  return value;
}

bool nibble::isShortcut(ContractionOpInterface contraction) {
  auto conv = dyn_cast<nn::Conv2DOp>(contraction.getOperation());
  if (!conv)
    return false;
  nn::ConvShape shape = nn::convShape(conv);
  bool projects = shape.strideH != 1 || shape.strideW != 1 || shape.channels != shape.outChannels;
  if (shape.kernelHeight != 1 || shape.kernelWidth != 1 || !projects)
    return false;
  Value other = otherSideOfAdd(conv.getResult());
  if (!other)
    return false;
  // On the other side there is a contraction that depends on this one's input.
  Value input = beforeMoves(conv.getX());
  auto behindInput = forwardOps(input);
  return llvm::any_of(backwardOps(other, {input}), [&](Operation *op) {
    return isWeightContraction(op) && behindInput.contains(op);
  });
}

static PrecisionChoice edge(EdgeLayers numbers, const std::string &reason) {
  switch (numbers) {
  case EdgeLayers::Int8:
    return {Precision::Int8, reason};
  case EdgeLayers::Float:
    return {Precision::Float, reason};
  case EdgeLayers::Int4:
    break;
  }
  return {Precision::Int4, ""};
}

/// Packed codes lie in blocks of 32: matrices of a stack that begin within one would not be read
/// from whole blocks.
static bool wholeBlocks(ContractionOpInterface contraction) {
  auto isWhole = [](Value value) {
    ArrayRef<int64_t> shape = cast<RankedTensorType>(value.getType()).getShape();
    return shape.size() != 3 || shape[1] * shape[2] % 32 == 0; // convolutions have rank 4
  };
  return isWhole(contraction.getLeft()) && isWhole(contraction.getRight()) &&
         isWhole(contraction->getResult(0));
}

static PrecisionChoice chooseByPlace(ContractionOpInterface contraction, const Recipe &recipe) {
  Value left = contraction.getLeft(), right = contraction.getRight();
  if (recipe.isFloat())
    return {Precision::Float, "recipe " + recipe.name + " multiplies floats"};
  if (auto pattern = keptFloat(contraction, recipe))
    return {Precision::Float, "--keep-float=" + *pattern};
  if (isWeight(left) && dependsOnArgument(right))
    return {Precision::Float, "the weight is the left operand"};
  if (dependsOnArgument(left) && dependsOnArgument(right))
    return edge(recipe.attention, "attention product");
  if (!isWeight(right))
    return {Precision::Float, "it has no weights"};
  if (!dependsOnArgument(left))
    return {Precision::Float, "it has no activation"};
  if (auto conv = dyn_cast<nn::Conv2DOp>(contraction.getOperation()))
    if (conv.getGroups() > 1 &&
        static_cast<int64_t>(conv.getGroups()) == conv.getX().getType().getDimSize(3))
      return {Precision::Float, "depthwise convolution"};
  bool first = llvm::none_of(backwardOps(left), isWeightContraction);
  bool last = llvm::none_of(forwardOps(contraction->getResult(0)), isWeightContraction);
  if (first || last)
    return edge(recipe.firstLast, first && last ? "first and last layer"
                                  : first       ? "first layer"
                                                : "last layer");
  if (isShortcut(contraction))
    return edge(recipe.shortcuts, "shortcut convolution");
  return {Precision::Int4, ""};
}

PrecisionChoice nibble::choosePrecision(ContractionOpInterface contraction, const Recipe &recipe) {
  PrecisionChoice choice = chooseByPlace(contraction, recipe);
  if (choice.precision == Precision::Int4 && !wholeBlocks(contraction))
    return {Precision::Int8, "its stacked matrices are no multiples of 32 elements"};
  return choice;
}

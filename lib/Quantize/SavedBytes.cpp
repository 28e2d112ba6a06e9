//===- SavedBytes.cpp - what lives from forward into backward ------------------===//
#include "nibble/Quantize/SavedBytes.h"

#include "Operands.h"

#include "nibble/Analysis/Names.h"
#include "nibble/Analysis/Slices.h"
#include "nibble/Dialect/Q4/IR/Q4.h"
#include "nibble/Dialect/Train/IR/Train.h"
#include "nibble/Quantize/PrecisionTable.h"

#include "llvm/Support/Format.h"

#include <map>

using namespace mlir;
using namespace nibble;

/// The value whose memory a saved value is: behind saves and reshapes.
static Value storageOf(Value value) {
  while (true) {
    value = throughSaves(value);
    auto reshape = value.getDefiningOp<nn::ReshapeOp>();
    if (!reshape)
      return value;
    value = reshape.getX();
  }
}

static bool isWeightCode(Value value) {
  auto quantize = value.getDefiningOp<q4::QuantizeOp>();
  return quantize && isWeight(quantize.getX());
}

static std::string describe(Value value) {
  if (auto argument = dyn_cast<BlockArgument>(value))
    return "argument " + std::to_string(argument.getArgNumber());
  Operation *op = value.getDefiningOp();
  std::string node = nodeName(op->getLoc()), kind = op->getName().getStringRef().str();
  return node.empty() ? kind : node + " (" + kind + ")";
}

/// "bf16" of "tensor<4x8xbf16>", "int4" of "tensor<4x8x!q4.int4>".
static StringRef elementOf(StringRef type) {
  type.consume_front("tensor<");
  type.consume_back(">");
  StringRef element =
      type.rsplit('x').second; // nothing behind an x in "f32", "bf16", "i1", "!q4.int4"
  if (element.empty())
    element = type;
  element.consume_front("!q4.");
  return element;
}

SavedBytes nibble::savedBytes(ModuleOp module) {
  SavedBytes result;
  auto function = module.lookupSymbol<func::FuncOp>("train_step");
  if (!function)
    return result;
  llvm::DenseSet<Value> seen;
  function.walk([&](train::SaveOp save) {
    Value value = storageOf(save.getValue());
    if (!seen.insert(value).second)
      return;
    auto type = cast<RankedTensorType>(value.getType());
    int64_t bytes = (type.getNumElements() * q4::storageBits(type.getElementType()) + 7) / 8;
    std::string text;
    llvm::raw_string_ostream(text) << type;
    result.values.push_back({describe(value), text, bytes, isWeightCode(value)});
    result.total += bytes;
  });
  return result;
}

WeightBytes nibble::weightBytes(ModuleOp module) {
  WeightBytes result;
  auto function = module.lookupSymbol<func::FuncOp>("train_step");
  if (!function)
    return result;
  llvm::DenseSet<Value> seen; // a weight that several products read counts once
  function.walk([&](ContractionOpInterface product) {
    if (product.getProductKind() != Product::Forward || product->hasAttr(repeatedAttributeName) ||
        !seen.insert(product.getRight()).second || !isWeight(product.getRight()))
      return; // attention multiplies two activations
    auto type = cast<RankedTensorType>(product.getRight().getType());
    result.asFloat += type.getNumElements() * 4;
    result.asRead += (type.getNumElements() * q4::storageBits(type.getElementType()) + 7) / 8;
  });
  return result;
}

void nibble::printSavedBytes(const SavedBytes &saved, llvm::raw_ostream &os) {
  os << "kept from forward to backward:\n";
  int64_t weights = 0;
  std::map<std::string, int64_t> kinds;
  for (const SavedValue &value : saved.values) {
    os << llvm::format_decimal(value.bytes, 12) << " B  " << value.type << "  " << value.name
       << (value.ofWeight ? ", of a weight" : "") << "\n";
    (value.ofWeight ? weights : kinds[elementOf(value.type).str()]) += value.bytes;
  }
  os << llvm::format_decimal(saved.total, 12) << " B  in all";
  if (weights)
    os << ", of them " << weights << " B codes of weights";
  const char *separator = "\nby what they are, weights aside: ";
  for (auto &[kind, bytes] : kinds) {
    os << separator << kind << " " << bytes << " B";
    separator = ", ";
  }
  os << "\n";
}

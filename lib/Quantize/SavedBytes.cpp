//===- SavedBytes.cpp - what lives from forward into backward ------------------===//
#include "nibble/Quantize/SavedBytes.h"

#include "Operands.h"

#include "nibble/Analysis/Names.h"
#include "nibble/Dialect/Q4/IR/Q4.h"
#include "nibble/Dialect/Train/IR/Train.h"

#include "llvm/Support/Format.h"

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

static std::string describe(Value value) {
  if (auto argument = dyn_cast<BlockArgument>(value))
    return "argument " + std::to_string(argument.getArgNumber());
  Operation *op = value.getDefiningOp();
  std::string node = nodeName(op->getLoc()), kind = op->getName().getStringRef().str();
  return node.empty() ? kind : node + " (" + kind + ")";
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
    result.values.push_back({describe(value), text, bytes});
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
    if (product.getProductKind() != Product::Forward || !seen.insert(product.getRight()).second)
      return;
    auto type = cast<RankedTensorType>(product.getRight().getType());
    result.asFloat += type.getNumElements() * 4;
    result.asRead += (type.getNumElements() * q4::storageBits(type.getElementType()) + 7) / 8;
  });
  return result;
}

void nibble::printSavedBytes(const SavedBytes &saved, llvm::raw_ostream &os) {
  os << "kept from forward to backward:\n";
  for (const SavedValue &value : saved.values)
    os << llvm::format_decimal(value.bytes, 12) << " B  " << value.type << "  " << value.name
       << "\n";
  os << llvm::format_decimal(saved.total, 12) << " B  in all\n";
}

//===- Names.cpp - ONNX names of values and ops --------------------------------===//
#include "nibble/Analysis/Names.h"

#include "nibble/Interfaces/Interfaces.h"

#include "mlir/IR/SymbolTable.h"

using namespace mlir;
using namespace nibble;

std::string nibble::nodeName(Location location) {
  std::string name;
  location->walk([&](Location inner) {
    auto named = dyn_cast<NameLoc>(inner);
    if (!named)
      return WalkResult::advance();
    name = named.getName().str();
    return WalkResult::interrupt();
  });
  return name;
}

std::string nibble::layerName(Operation *op) {
  auto contraction = dyn_cast<ContractionOpInterface>(op);
  if (contraction && !contraction.getLayerName().empty())
    return contraction.getLayerName().str();
  std::string name = nodeName(op->getLoc());
  return name.empty() ? op->getName().stripDialect().str() : name;
}

StringRef nibble::sequenceName(StringRef layer) {
  size_t bracket = layer.rfind('[');
  if (!layer.ends_with("]") || bracket == StringRef::npos)
    return layer;
  StringRef name = layer.take_front(bracket);
  return name.ends_with("/recurrent") || name.ends_with("/recurrent-candidate") ? name : layer;
}

std::string nibble::freeSymbol(Operation *module, StringRef wanted) {
  std::string name = wanted.str();
  for (int suffix = 1; SymbolTable::lookupSymbolIn(module, name); ++suffix)
    name = wanted.str() + "_" + std::to_string(suffix);
  return name;
}

//===- Streams.cpp - numbers of random streams ---------------------------------===//
#include "nibble/Analysis/Streams.h"

#include "nibble/Dialect/Train/IR/Train.h"
#include "nibble/Numerics/Random.h"

using namespace nibble;

Streams::Streams(mlir::Operation *root) {
  taken.insert(numerics::kShuffleStream);
  root->walk(
      [&](train::RandomBitsOp bits) { taken.insert(static_cast<uint32_t>(bits.getStream())); });
}

uint32_t Streams::take(llvm::StringRef name) {
  uint32_t stream = numerics::fnv1a32(std::string_view(name.data(), name.size()));
  while (!taken.insert(stream).second)
    ++stream;
  return stream;
}

std::string Streams::name(llvm::StringRef layer, llvm::StringRef product, llvm::StringRef operand) {
  return (layer + "/" + product + "/" + operand).str();
}

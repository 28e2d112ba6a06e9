//===- Quantizers.h - how an operand becomes codes ---------------------*- C++ -*-===//
//
// The grids of numerics.md, sections 1 to 3, one function a kind of operand. Each makes new ops
// before the product and shares nothing: what is equal is merged later.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "Operands.h"
#include "State.h"

#include "nibble/Analysis/Streams.h"
#include "nibble/Interfaces/Interfaces.h"
#include "nibble/Recipe/Recipe.h"

namespace nibble {

/// Codes and what they are worth. `zeroPoint` null: 0. `gain` null: 1.
struct Coded {
  mlir::Value codes, scale, zeroPoint, gain;
};

/// One operand of one product.
struct Site {
  mutable mlir::func::FuncOp function;
  mutable ContractionOpInterface product;
  unsigned index;
  OperandRole role;
  /// In @train_step: ranges are this round's; in @eval_step they are frozen.
  bool training;

  mlir::Value value() const { return product->getOperand(index); }
  bool isForward() const { return product.getProductKind() == Product::Forward; }
};

class Quantizers {
public:
  Quantizers(const Recipe &recipe, State &state, Streams &streams)
      : recipe(recipe), state(state), streams(streams) {}

  /// Codes of the operand, in int4 or int8 as the product's precision says. Fails where dY needs
  /// random bits and the function has no random state.
  mlir::FailureOr<Coded> quantize(const Site &site);

private:
  Coded weight(mlir::OpBuilder &builder, const Site &site);
  Coded input(mlir::OpBuilder &builder, const Site &site);
  Coded learned(mlir::OpBuilder &builder, const Site &site, mlir::Value alpha, bool oneSided);
  Coded minMax(mlir::OpBuilder &builder, const Site &site);
  mlir::FailureOr<Coded> outputGradient(mlir::OpBuilder &builder, const Site &site);
  Coded radix4(mlir::OpBuilder &builder, const Site &site);

  mlir::Value inputMaximum(mlir::OpBuilder &builder, const Site &site);
  mlir::Value noise(mlir::OpBuilder &builder, const Site &site);

  const Recipe &recipe;
  State &state;
  Streams &streams;
  /// Stream and name of a layer's draw; the key is the layer, with the product where draws are
  /// separate.
  std::map<std::string, std::pair<uint32_t, std::string>> draws;
};

} // namespace nibble

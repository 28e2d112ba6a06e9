//===- Rules.h - how a rule becomes an interface --------------------*- C++ -*-===//
//
// A rule is a function (op, adjoint): the formula as a comment, then a few lines. `attachRule<Op,
// rule>` makes it the op's DifferentiableOpInterface; `attachNone<Op, reason>` says why there is
// none. One file a family.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "nibble/Differentiate/Adjoint.h"

#include "mlir/IR/MLIRContext.h"

namespace nibble::rules {

template <typename OpT, void (*rule)(OpT, Adjoint &)>
struct RuleModel : DifferentiableOpInterface::ExternalModel<RuleModel<OpT, rule>, OpT> {
  void buildAdjoint(mlir::Operation *op, Adjoint &adjoint) const {
    rule(mlir::cast<OpT>(op), adjoint);
  }
  llvm::StringRef getNoGradientReason(mlir::Operation *) const { return {}; }
};
template <typename OpT, const char *reason>
struct NoneModel : DifferentiableOpInterface::ExternalModel<NoneModel<OpT, reason>, OpT> {
  void buildAdjoint(mlir::Operation *, Adjoint &) const {}
  llvm::StringRef getNoGradientReason(mlir::Operation *) const { return reason; }
};

template <typename OpT, void (*rule)(OpT, Adjoint &)> void attachRule(mlir::MLIRContext *context) {
  OpT::template attachInterface<RuleModel<OpT, rule>>(*context);
}
template <const char *reason, typename... OpTs> void attachNone(mlir::MLIRContext *context) {
  (OpTs::template attachInterface<NoneModel<OpTs, reason>>(*context), ...);
}

inline constexpr char isDerivative[] =
    "it is itself a derivative; second derivatives are not built";
inline constexpr char isMask[] = "its result is a mask, which is piecewise constant";
inline constexpr char isSpelledOut[] =
    "it is part of batch normalization, whose rule is nn.batch_norm's";

void attachContractionRules(mlir::MLIRContext *context);
void attachElementwiseRules(mlir::MLIRContext *context);
void attachShapeRules(mlir::MLIRContext *context);
void attachNormRules(mlir::MLIRContext *context);
void attachPoolRules(mlir::MLIRContext *context);
void attachLossRules(mlir::MLIRContext *context);

} // namespace nibble::rules

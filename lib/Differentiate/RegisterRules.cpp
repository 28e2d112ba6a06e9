//===- RegisterRules.cpp - all rules, a family a file --------------------------===//
#include "Rules.h"

#include "nibble/Dialect/Train/IR/Train.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace nibble;

void nibble::registerDifferentiableModels(mlir::DialectRegistry &registry) {
  registry.insert<nn::NNDialect>();
  registry.addExtension(+[](mlir::MLIRContext *context, nn::NNDialect *) {
    rules::attachContractionRules(context);
    rules::attachElementwiseRules(context);
    rules::attachShapeRules(context);
    rules::attachNormRules(context);
    rules::attachPoolRules(context);
    rules::attachLossRules(context);
  });
}

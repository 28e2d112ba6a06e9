//===- Fixture.h - parses programs and makes random inputs ----------*- C++ -*-===//
#pragma once

#include "Cases.h"

#include "nibble/Dialect/NN/IR/NN.h"
#include "nibble/Dialect/Q4/IR/Q4.h"
#include "nibble/Dialect/Train/IR/Train.h"
#include "nibble/Differentiate/Adjoint.h"
#include "nibble/Differentiate/Pipeline.h"
#include "nibble/Reference/FiniteDifference.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"

#include <gtest/gtest.h>

namespace nibble::test {

/// A context with our dialects and the rules.
class DifferentiateTest : public ::testing::Test {
protected:
  DifferentiateTest() {
    mlir::DialectRegistry registry;
    registry.insert<nn::NNDialect, q4::Q4Dialect, train::TrainDialect, mlir::arith::ArithDialect,
                    mlir::func::FuncDialect>();
    registerDifferentiableModels(registry);
    context.appendDialectRegistry(registry);
    context.loadAllAvailableDialects();
  }

  mlir::OwningOpRef<mlir::ModuleOp> parse(const std::string &text) {
    auto module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
    EXPECT_TRUE(module) << text;
    return module;
  }

  /// Runs the room on a module with @forward.
  bool differentiate(mlir::ModuleOp module, const std::string &recipe, const std::string &step) {
    mlir::PassManager manager(&context);
    DifferentiateOptions options;
    options.recipe = recipe;
    options.step = step;
    buildDifferentiatePipeline(manager, options);
    return succeeded(manager.run(module));
  }

  static reference::Tensor<double> randomInput(const Input &input, uint64_t seed, uint32_t stream) {
    auto reals = reference::randomReals(input.shape, input.lo, input.hi, seed, stream);
    if (input.kind == 'r' || input.kind == 'c')
      return reals;
    std::vector<int32_t> ints;
    for (double x : reals.reals)
      ints.push_back(input.kind == 'm' ? x > 0 : static_cast<int32_t>(x));
    auto kind = input.kind == 'm' ? reference::ElementKind::Mask : reference::ElementKind::Label;
    return reference::Tensor<double>::integer(kind, input.shape, ints);
  }

  mlir::MLIRContext context{mlir::MLIRContext::Threading::DISABLED};
};

} // namespace nibble::test

//===- TestSupport.h - Small programs for the interpreter ---------*- C++ -*-===//
#pragma once

#include "nibble/Dialect/NN/IR/NN.h"
#include "nibble/Dialect/Q4/IR/Q4.h"
#include "nibble/Dialect/Train/IR/Train.h"
#include "nibble/Reference/Interpreter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Parser/Parser.h"

#include "gtest/gtest.h"

#include <cmath>
#include <limits>

namespace nibble::reference::test {

using TensorF = Tensor<float>;
using TensorD = Tensor<double>;

inline constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
inline constexpr float kInf = std::numeric_limits<float>::infinity();

/// A module parsed from text, and the errors that were emitted since.
class Program {
public:
  explicit Program(const std::string &text)
      : context(makeRegistry(), mlir::MLIRContext::Threading::DISABLED) {
    handler = context.getDiagEngine().registerHandler(
        [this](mlir::Diagnostic &d) { errors += d.str() + "\n"; });
    module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
    EXPECT_TRUE(module) << errors << text;
  }
  ~Program() { context.getDiagEngine().eraseHandler(handler); }

  mlir::func::FuncOp function(llvm::StringRef name) {
    return module->lookupSymbol<mlir::func::FuncOp>(name);
  }

  static mlir::DialectRegistry makeRegistry() {
    mlir::DialectRegistry registry;
    registry.insert<nn::NNDialect, q4::Q4Dialect, train::TrainDialect, mlir::func::FuncDialect,
                    mlir::arith::ArithDialect>();
    return registry;
  }

  mlir::MLIRContext context;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  std::string errors;

private:
  mlir::DiagnosticEngine::HandlerID handler;
};

/// Runs @f of `text`; no outputs where it failed (the test then fails with the errors).
template <typename T>
llvm::SmallVector<Tensor<T>> run(const std::string &text, llvm::ArrayRef<Tensor<T>> arguments) {
  Program program(text);
  if (!program.module)
    return {};
  auto result = Interpreter<T>().run(program.function("f"), arguments);
  EXPECT_TRUE(mlir::succeeded(result)) << program.errors;
  return mlir::succeeded(result) ? result->outputs : llvm::SmallVector<Tensor<T>>();
}

/// "func @f" with the types of `signature` ("(%x: tensor<2xf32>) -> tensor<2xf32>") and one op,
/// `%result = body`, returned.
inline std::string oneOp(const std::string &parameters, const std::string &body,
                         const std::string &resultTypes) {
  return "func.func @f(" + parameters + ") -> (" + resultTypes + ") {\n  %result = " + body +
         "\n  return %result : " + resultTypes + "\n}\n";
}

inline TensorF vec(std::vector<float> values) {
  int64_t n = static_cast<int64_t>(values.size());
  return TensorF::real({n}, std::move(values));
}

/// Real tensors are equal bit for bit.
inline void expectBits(const TensorF &actual, const std::vector<float> &expected) {
  ASSERT_EQ(actual.reals.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    if (std::isnan(expected[i]))
      EXPECT_TRUE(std::isnan(actual.reals[i])) << "element " << i;
    else
      EXPECT_EQ(std::bit_cast<uint32_t>(actual.reals[i]), std::bit_cast<uint32_t>(expected[i]))
          << "element " << i << ": " << actual.reals[i] << " is not " << expected[i];
  }
}

inline std::string shapeText(llvm::ArrayRef<int64_t> shape) {
  std::string text;
  for (int64_t d : shape)
    text += std::to_string(d) + "x";
  return text;
}
/// "tensor<2x3xf32>".
inline std::string realType(llvm::ArrayRef<int64_t> shape) {
  return "tensor<" + shapeText(shape) + "f32>";
}

} // namespace nibble::reference::test

//===- Interpreter.h - The meaning of every op --------------------*- C++ -*-===//
//
// Executes functions over nn, q4, train and arith.constant, op by op, in the order of the IR.
// Interpreter<float> *is* what a program means, bit for bit (numerics.md, section 5): generated
// code must agree with it. Interpreter<double> computes the same formulas in double and serves
// finite differences; ops that make or multiply codes are errors there.
//
// Not fast, but not slow by design: contractions run over rows of outputs with fused multiply-adds.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "nibble/Reference/Tensor.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/MapVector.h"

#include <map>
#include <memory>
#include <string>

namespace nibble::reference {

template <typename T> using TensorPtr = std::shared_ptr<const Tensor<T>>;

/// The train.variables of a module by symbol name.
template <typename T> class VariableStore {
public:
  VariableStore() = default;
  /// All variables of the module at their initial values (zeros where `value` is absent). Emits an
  /// error at a variable whose value cannot be read.
  static mlir::FailureOr<VariableStore> fromModule(mlir::ModuleOp module);

  /// The variable, or null.
  TensorPtr<T> find(llvm::StringRef name) const;
  /// The variable, which must exist.
  const Tensor<T> &operator[](llvm::StringRef name) const { return *values.at(name.str()); }
  void set(llvm::StringRef name, Tensor<T> value);
  void set(llvm::StringRef name, TensorPtr<T> value) { values[name.str()] = std::move(value); }

  /// Name → value, in the order of names.
  const std::map<std::string, TensorPtr<T>> &all() const { return values; }
  bool bitIdentical(const VariableStore &other) const;

private:
  std::map<std::string, TensorPtr<T>> values;
};

enum class RunStatus {
  Ok = 0,
  /// train.guard saw its flag set: nothing was written, there are no outputs (numerics.md, section
  /// 7).
  NonFinite = 1,
};

template <typename T> struct RunResult {
  RunStatus status = RunStatus::Ok;
  /// What func.return returns. After NonFinite: those returned values that were computed before the
  /// guard; the others are zeros of their type.
  llvm::SmallVector<Tensor<T>> outputs;
  /// train.report's numbers by key, in program order.
  llvm::MapVector<std::string, float, std::map<std::string, unsigned>> report;
};

template <typename T> class Interpreter {
public:
  Interpreter();
  ~Interpreter();

  /// Runs `function` (one block) on `arguments`, one per block argument and of its type. Reads see
  /// the store as it was at the start; writes take effect at the end, or not at all. Fails, with an
  /// error emitted at the op, on an unknown op, a wrong argument, or an operand no op can work on
  /// (a label beyond the classes); the store is then untouched.
  mlir::FailureOr<RunResult<T>> run(mlir::func::FuncOp function,
                                    llvm::ArrayRef<Tensor<T>> arguments,
                                    VariableStore<T> &store) const;
  /// Of a function without variables.
  mlir::FailureOr<RunResult<T>> run(mlir::func::FuncOp function,
                                    llvm::ArrayRef<Tensor<T>> arguments) const;

  /// Is there an entry for the op of this name ("nn.conv2d")?
  bool knows(llvm::StringRef opName) const;

private:
  struct Table;
  std::unique_ptr<Table> table;
};

extern template class VariableStore<float>;
extern template class VariableStore<double>;
extern template class Interpreter<float>;
extern template class Interpreter<double>;

} // namespace nibble::reference

//===- FiniteDifference.h - Gradients against central differences -*- C++ -*-===//
//
// A gradient is checked by projection: with weights dy of the outputs and a direction v of the
// inputs, both random,
//
//   (L(x + h·v) − L(x − h·v)) / 2h  =  Σ ⟨dx, v⟩        L(x) = Σ ⟨dy, f(x)⟩
//
// in double, up to O(h²) and rounding. Kinks (relu, max, clips) must be farther than h from the
// inputs: random inputs nearly always are.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "nibble/Reference/Interpreter.h"

#include <string>

namespace nibble::reference {

struct GradientCheckOptions {
  /// h.
  double step = 1e-5;
  /// Largest |difference| / max(1, |difference quotient|, |projection|).
  double tolerance = 1e-6;
  /// Independent random (dy, v) pairs.
  int directions = 3;
  uint64_t seed = 1;
};

/// What checkGradient found.
struct GradientCheck {
  bool ok = false;
  /// Largest relative difference of all directions.
  double worst = 0;
  /// Why it is not ok; names the direction, both numbers, or the function that did not run.
  std::string message;
  explicit operator bool() const { return ok; }
};

/// Elements uniform in [lo, hi), from Philox of (seed, stream).
Tensor<double> randomReals(llvm::ArrayRef<int64_t> shape, double lo, double hi, uint64_t seed,
                           uint32_t stream);

/// `forward`: (inputs) → real outputs. `gradient`: (inputs, one gradient for each real output) →
/// one gradient for each input whose index is in `differentiable`, in that order. `inputs` may hold
/// masks and labels; only real ones are differentiable. Outputs of `forward` that are not real
/// (masks, indices) are ignored and get no gradient argument.
GradientCheck checkGradient(mlir::func::FuncOp forward, mlir::func::FuncOp gradient,
                            llvm::ArrayRef<Tensor<double>> inputs,
                            llvm::ArrayRef<unsigned> differentiable,
                            const GradientCheckOptions &options = {});

/// The same for the trainable variables of a module with @train_step whose optimizer is plain
/// (train.sgd, momentum 0, decay 0): the gradient of a variable is (θ − θ')/lr, the loss is the
/// function's first result. `arguments` are all of train_step's; the one of type tensor<f64> is lr.
/// Variables that are not trainable keep their values. `names` limits the check (empty: all).
GradientCheck checkTrainStep(mlir::ModuleOp module, llvm::ArrayRef<Tensor<double>> arguments,
                             const VariableStore<double> &store,
                             llvm::ArrayRef<std::string> names = {},
                             const GradientCheckOptions &options = {});

} // namespace nibble::reference

//===- Networks.h - small networks, trained by the interpreter ------*- C++ -*-===//
#pragma once

#include "nibble/Reference/Interpreter.h"

#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"

#include <memory>
#include <string>

namespace nibble::test {

/// Four linear layers, relu and tanh between them: 8 rows of 16 pixels, 10 classes.
extern const char *const mlp;
/// 3×3 convolution, batch norm, a residual block with a strided 1×1 shortcut, average pool, linear:
/// 4 images of 6×6×2, 4 classes.
extern const char *const residual;

/// A network with its step functions, its variables, and a batch that stays the same.
class Network {
  std::unique_ptr<mlir::MLIRContext> context; // Outlives the module.

public:
  /// Rooms 2 and 3 with this recipe. `share` false: only `insert-quantizers` of room 3, each
  /// product with quantizers of its own. `microBatches`: calls of `step` that make an update.
  Network(const char *forward, const std::string &recipe, bool share = true,
          int64_t microBatches = 1);

  /// Did the rooms accept it?
  bool ok() const { return module && good; }
  /// One call on the batch; the loss, NaN where the interpreter failed.
  float step(float lr = 0.05f);
  float train(int steps, float lr = 0.05f);
  /// eval_step on these rows: its third output.
  reference::Tensor<float> evaluate(const reference::Tensor<float> &x);

  mlir::func::FuncOp function(llvm::StringRef name) {
    return module->lookupSymbol<mlir::func::FuncOp>(name);
  }
  reference::Tensor<float> input() const { return x; }
  void setInput(reference::Tensor<float> values) { x = std::move(values); }
  /// Calls made so far.
  int64_t count() const { return calls; }
  void setCount(int64_t number) { calls = number; }

  mlir::OwningOpRef<mlir::ModuleOp> module;
  reference::VariableStore<float> store;
  reference::RunResult<float> last;

private:
  void initialize();

  reference::Interpreter<float> interpreter;
  reference::Tensor<float> x, labels;
  int64_t calls = 0, microBatches;
  bool good = false;
};

} // namespace nibble::test

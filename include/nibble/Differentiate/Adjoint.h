//===- Adjoint.h - what the rule of an op works with ----------------*- C++ -*-===//
//
// Reverse mode (Griewank & Walther, Evaluating Derivatives, ch. 3): ops are visited from the last
// to the first; each turns the gradients of its results into gradients of its operands. Gradients
// of one value that come from several uses are summed with nn.add in the order in which the visits
// make them, i.e. from the value's last use to its first.
//
// Two places to insert: the backward part (at the end of the function), and the forward part (right
// behind the op), for masks and other values that only the backward part needs.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "nibble/Dialect/NN/IR/NN.h"

#include "mlir/IR/Builders.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/DenseSet.h"

namespace nibble {

class ReverseMode;

class Adjoint {
public:
  Adjoint(ReverseMode &mode, mlir::Operation *op);

  // --- what a rule asks ---
  /// Gradient of a result, of the result's type; null where nothing depends on it.
  mlir::Value dy(unsigned result = 0) const;
  /// Does a trained variable lie behind this operand?
  bool wants(mlir::Value operand) const;
  /// Adds to the gradient of an operand; does nothing where it is not wanted. Same type as the
  /// operand.
  void give(mlir::Value operand, mlir::Value gradient);
  /// A forward value as the backward part may use it: through the one train.save of it. Reads of
  /// variables, constants and arguments other than the network's input are used as they are.
  mlir::Value save(mlir::Value forwardValue);
  /// The op that `attachCompanion` paired with this one (batch norm's statistics, dropout's mask);
  /// null where there is none.
  mlir::Operation *companion() const;

  // --- arithmetic of the backward part ---
  mlir::OpBuilder &builder() const;
  mlir::Location loc() const { return op->getLoc(); }
  /// A rank-0 f32 constant, made once a function.
  mlir::Value constant(double value);
  mlir::Value add(mlir::Value a, mlir::Value b);
  mlir::Value sub(mlir::Value a, mlir::Value b);
  mlir::Value mul(mlir::Value a, mlir::Value b);
  mlir::Value div(mlir::Value a, mlir::Value b);
  mlir::Value neg(mlir::Value a);
  mlir::Value exp(mlir::Value a);
  /// bit ? x : 0.
  mlir::Value mask(mlir::Value x, mlir::Value bits);
  /// bit ? a : b.
  mlir::Value select(mlir::Value bits, mlir::Value a, mlir::Value b);
  mlir::Value reshape(mlir::Value x, llvm::ArrayRef<int64_t> shape);
  mlir::Value broadcast(mlir::Value x, mlir::RankedTensorType type);
  /// Adjoint of broadcasting to the shape of `x`: sums over the repeated dimensions. A sum down to
  /// the last dimension is an nn.channel_sum (the per-channel order of numerics.md, section 5), any
  /// other an nn.reduce_sum.
  mlir::Value sumTo(mlir::Value x, mlir::RankedTensorType type);

  // --- one bit an element, made in the forward part and saved ---
  mlir::Value savedCompare(mlir::Value a, mlir::Value b, nn::Comparison predicate);
  mlir::Value savedInside(mlir::Value x, mlir::Value lo, mlir::Value hi);
  /// A builder that inserts right behind the op.
  mlir::OpBuilder forwardBuilder() const;

private:
  ReverseMode &mode;
  mlir::Operation *op;
};

/// Reverse mode over the ops of one block.
class ReverseMode {
public:
  /// Gradients flow to `leaves` (and through what depends on them). `builder` inserts the backward
  /// part; `input` is the function argument that counts as a forward value (null: every argument
  /// does).
  ReverseMode(mlir::OpBuilder &builder, mlir::Block &block, llvm::ArrayRef<mlir::Value> leaves,
              mlir::Value input = {});

  void attachCompanion(mlir::Operation *op, mlir::Operation *companion) {
    companions[op] = companion;
  }
  /// The gradient of `value`, where the walk begins.
  void seed(mlir::Value value, mlir::Value gradient) { accumulate(value, gradient); }
  /// Visits the ops that are in the block now, last to first. Ops that stand between a seed and a
  /// leaf and have no rule are all reported, each with its ONNX node, before it fails.
  mlir::LogicalResult run();
  /// Null where the value got none.
  mlir::Value gradientOf(mlir::Value value) const { return gradients.lookup(value); }
  bool isActive(mlir::Value value) const { return active.contains(value); }
  /// The value as the backward part may use it; see Adjoint::save.
  mlir::Value save(mlir::Value value);
  /// A rank-0 f32 constant at the top of the block, made once.
  mlir::Value constant(double value);

private:
  friend class Adjoint;
  void accumulate(mlir::Value value, mlir::Value gradient);
  mlir::LogicalResult reportMissing(llvm::ArrayRef<mlir::Operation *> ops) const;

  mlir::OpBuilder &builder;
  mlir::Block &block;
  mlir::Value input;
  bool everyArgument;
  llvm::DenseSet<mlir::Value> leaves;
  llvm::DenseSet<mlir::Value> active;
  llvm::DenseMap<mlir::Value, mlir::Value> gradients;
  llvm::DenseMap<mlir::Value, mlir::Value> saved;
  llvm::DenseMap<mlir::Attribute, mlir::Value> constants;
  llvm::DenseMap<mlir::Operation *, mlir::Operation *> companions;
};

/// Attaches the rules of all nn ops, or the reasons why they have none, when the dialect is loaded.
void registerDifferentiableModels(mlir::DialectRegistry &registry);

} // namespace nibble

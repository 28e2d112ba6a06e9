//===- InterpretedStep.h - A step that the interpreter runs -------*- C++ -*-===//
//
// Puts the interpreter behind the trainer's door (Runtime/Step.h): the same trainer runs the
// meaning of a program and its compiled form, so that their outputs can be compared.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "nibble/Driver/LayerHealth.h"
#include "nibble/Reference/Interpreter.h"
#include "nibble/Runtime/Step.h"

#include <memory>

namespace nibble {

class InterpretedStep : public runtime::Step {
public:
  /// `module` holds @train_step and @eval_step as Differentiate or Quantize leave them; its context
  /// must outlive the step. An error names the function or the argument that is not as it should
  /// be.
  static Result<std::unique_ptr<InterpretedStep>> create(mlir::OwningOpRef<mlir::ModuleOp> module,
                                                         uint64_t seed);

  int64_t batchSize() const override { return input.getDimSize(0); }
  std::vector<int64_t> inputShape() const override { return input.getShape().vec(); }
  int64_t numClasses() const override { return classes; }
  int64_t numTokens() const override { return tokens; }
  int64_t answersPerRow() const override {
    return classes > 0 ? answer.getNumElements() / batchSize() : 1;
  }
  bool countsAnswers() const override { return counts; }
  int64_t microBatches() const override { return micro; }
  std::vector<int64_t> targetShape() const override;
  Status train(const runtime::Batch &batch, double learningRate, int64_t step,
               runtime::StepResult &result) override;
  Status evaluate(const runtime::Batch &batch, runtime::EvalResult &result) override;
  /// Empty where a variable is of a kind that no room makes.
  std::vector<runtime::StateView> state() override;

  /// Parameters, moments, scales, running statistics: what a checkpoint holds.
  reference::VariableStore<float> &variables() { return store; }
  /// Every number of the last training step's report by key, in program order.
  const auto &report() const { return lastReport; }
  /// What @eval_step returned as the network's output for the last evaluated batch.
  const reference::Tensor<float> &output() const { return lastOutput; }

private:
  using Tensor = reference::Tensor<float>;
  using Run = reference::RunResult<float>;

  InterpretedStep(mlir::OwningOpRef<mlir::ModuleOp> module, uint64_t seed)
      : module(std::move(module)), seed(seed) {}
  Status bind();
  /// Input and labels or targets, the leading arguments of both functions.
  Result<llvm::SmallVector<Tensor>> batchArguments(const runtime::Batch &batch) const;
  Result<Run> run(mlir::func::FuncOp function, llvm::ArrayRef<Tensor> arguments);

  mlir::OwningOpRef<mlir::ModuleOp> module;
  uint64_t seed;
  mlir::func::FuncOp trainStep, evalStep;
  mlir::RankedTensorType input, answer;
  int64_t classes = 0, tokens = 0;
  bool counts = false;
  int64_t micro = 1;
  reference::Interpreter<float> interpreter;
  reference::VariableStore<float> store;
  HealthReport health;
  decltype(Run::report) lastReport;
  Tensor lastOutput;
};

} // namespace nibble

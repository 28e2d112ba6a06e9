//===- CompiledStep.h - compiled code behind the trainer's door -----*- C++ -*-===//
//
// Owns what the code works on: the state (parameters, moments, scales, running statistics,
// initialized from the variables' values), the arena, and padded copies of the batch, since
// generated code may read whole vectors past a buffer's end.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "nibble/Driver/Compiler.h"
#include "nibble/Driver/LayerHealth.h"
#include "nibble/Runtime/Step.h"
#include "nibble/Target/Program.h"

namespace nibble {

/// Zeroed bytes, page-aligned, rounded up to a multiple of 128. Pages are taken as they are
/// touched.
class ZeroedBytes {
public:
  explicit ZeroedBytes(int64_t bytes = 0);
  /// Null where the system has no room for them.
  std::byte *data() const { return memory.get(); }
  int64_t size() const { return bytes; }

private:
  struct Unmap {
    int64_t bytes;
    void operator()(std::byte *memory) const;
  };
  int64_t bytes = 0;
  std::unique_ptr<std::byte[], Unmap> memory{nullptr, Unmap{0}};
};

class CompiledStep : public runtime::Step {
public:
  /// Loads the model's object (Emit::Obj). `seed` is the random counter's key.
  static Result<std::unique_ptr<CompiledStep>> create(const CompiledModel &model, uint64_t seed);

  int64_t batchSize() const override { return layout.input.getDimSize(0); }
  std::vector<int64_t> inputShape() const override { return layout.input.getShape().vec(); }
  int64_t numClasses() const override { return layout.classes; }
  int64_t numTokens() const override { return layout.tokens; }
  int64_t answersPerRow() const override { return layout.answersPerRow(); }
  bool countsAnswers() const override { return layout.countsAnswers; }
  int64_t microBatches() const override { return layout.microBatches; }
  std::vector<int64_t> targetShape() const override;
  Status train(const runtime::Batch &batch, double learningRate, int64_t step,
               runtime::StepResult &result) override;
  Status evaluate(const runtime::Batch &batch, runtime::EvalResult &result) override;
  std::vector<runtime::StateView> state() override { return views; }
  void releaseScratch() override {
    if (ZeroedBytes untouched(layout.arenaBytes()); untouched.data())
      arena = std::move(untouched);
  }

  /// The bytes of a variable in the state (row-major, as the variable's type says); empty where
  /// there is none of that name.
  std::span<const std::byte> variable(llvm::StringRef name) const;
  /// The same, to be written.
  std::span<std::byte> variable(llvm::StringRef name);
  /// Numbers of the last training step's report, in the order of StepLayout::trainKeys.
  std::span<const float> report() const;
  /// What eval_step handed out as the network's output for the last batch.
  std::span<const float> output() const;

private:
  CompiledStep(const CompiledModel &model, std::unique_ptr<Program> program, uint64_t seed);
  Status checkMemory() const;
  Status initialize(const std::vector<Variable> &variables);
  Status load(const runtime::Batch &batch);

  StepLayout layout;
  llvm::StringMap<std::pair<int64_t, int64_t>> places; // offset, bytes
  std::vector<runtime::StateView> views;
  std::unique_ptr<Program> program;
  TrainFunction *trainFunction;
  EvalFunction *evalFunction;
  uint64_t seed;
  int32_t threads;
  ZeroedBytes values, arena, x, answers, trainReport, evalReport, result;
  HealthReport health;
};

} // namespace nibble

//===- Step.h - One compiled network, as the trainer sees it ----*- C++ -*-===//
//
// The narrow door between the training loop and what runs a step: the compiled program (through the
// JIT or a loaded library) and the interpreter both implement it, so one trainer serves both.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_RUNTIME_STEP_H
#define NIBBLE_RUNTIME_STEP_H

#include "nibble/Runtime/Status.h"
#include "nibble/Runtime/Tensor.h"

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace nibble::runtime {

/// How a step ended.
enum class StepCode : int32_t {
  /// The update was made.
  Ok = 0,
  /// Loss, a gradient or a quantizer's input was NaN or infinite. Nothing was written: parameters,
  /// moments, scales and running statistics are those before the step (numerics.md, section 7).
  NonFinite = 1,
};

/// How well the codes of one tensor stand for it in one step.
struct TensorHealth {
  /// Fraction of the elements that were beyond the grid's top and were held there, 0 … 1.
  float saturation = 0;
  /// Fraction of the elements whose code is zero, 0 … 1.
  float underflow = 0;
  /// The scale that was used: GradScale's s for the radix-4 grid, the step between codes otherwise.
  float scale = 1;
  /// ⟨Q(x), x⟩/⟨x, x⟩ and ‖x − Q(x)‖²/‖x‖²; NaN where the program does not measure them (--health).
  float gain = std::numeric_limits<float>::quiet_NaN();
  float noise = std::numeric_limits<float>::quiet_NaN();

  bool isMeasured() const { return gain == gain && noise == noise; }
};

/// Health of one quantized layer in one step. The numbers of the layer itself are those of its
/// output gradient: an underflow of exactly 1 means that no gradient passed.
struct LayerHealth : TensorHealth {
  LayerHealth() = default;
  LayerHealth(std::string name, float saturation = 0, float underflow = 0, float scale = 1)
      : TensorHealth{saturation, underflow, scale}, name(std::move(name)) {}

  /// The ONNX node's name.
  std::string name;
  /// The forward product's operands, where they are quantized.
  std::optional<TensorHealth> input, weight;
};

/// The ratio of signal and quantization noise in dB: −10·log₁₀ noise, at most 200.
double signalToNoise(const TensorHealth &tensor);

/// One batch in host memory, layout and sizes as `Step` states them. Borrowed for the call only.
struct Batch {
  /// batchSize × (inputShape without its leading dimension), row-major float32, ONNX's layout.
  /// Tokens (numTokens) are whole numbers in float32 too, which has all of them up to 2^24.
  const float *x = nullptr;
  /// Class indices, answersPerRow a row, 0 … numClasses − 1; null when the loss takes real targets.
  const int32_t *labels = nullptr;
  /// Real targets, batchSize × (targetShape without its leading dimension), row-major; null when
  /// the loss takes labels.
  const float *targets = nullptr;
  /// Rows that count, 1 … batchSize. Training always has all of them; evaluation may have fewer,
  /// and the rest is padding whose answers must not be counted.
  int64_t validRows = 0;
};

struct StepResult {
  /// Mean loss of the batch.
  float loss = 0;
  /// Labels whose class has the largest output; 0 where there are none.
  int64_t correct = 0;
  StepCode code = StepCode::Ok;
  /// Quantized layers in program order; may be empty. Valid until the next call on the step.
  std::span<const LayerHealth> layers;
};

struct EvalResult {
  /// Sum (not mean) of the losses of the valid rows; that of a sequence is the mean of its
  /// elements'.
  double lossSum = 0;
  /// Labels of valid rows whose class has the largest output.
  int64_t correct = 0;
};

/// One tensor of a step's state, where it lies in memory.
struct StateView {
  /// Unique in a step: a train.variable's name.
  std::string name;
  /// What it is for: "weight", "moment", "clip" … (train.role).
  std::string role;
  DType type = DType::F32;
  std::vector<int64_t> shape;
  /// Row-major elements; may be written through.
  std::span<std::byte> bytes;
};

/// One network with its state: parameters, moments, scales, running statistics.
class Step {
public:
  virtual ~Step() = default;

  /// Rows of a batch; fixed when the step was compiled.
  virtual int64_t batchSize() const = 0;
  /// Shape of the input, the batch dimension first.
  virtual std::vector<int64_t> inputShape() const = 0;
  /// Number of classes, or 0 where the loss takes real targets.
  virtual int64_t numClasses() const = 0;
  /// Of an input of whole numbers: 0 … numTokens − 1; 0 where the input is real numbers.
  virtual int64_t numTokens() const { return 0; }
  /// Labels of one row: 1, or one for each element of a sequence.
  virtual int64_t answersPerRow() const { return 1; }
  /// Do `correct` and accuracies mean anything? Labels, or the real targets of yes-or-no answers.
  virtual bool countsAnswers() const { return numClasses() > 0; }
  /// Shape of the real targets, the batch dimension first; empty where the loss takes labels.
  virtual std::vector<int64_t> targetShape() const { return {}; }

  /// Calls of `train` that make one update: gradients of so many batches are averaged.
  virtual int64_t microBatches() const { return 1; }

  /// Makes one update, or with several micro-batches a part of one. `step` is the number of calls
  /// made before, from 0: the random counter takes it as it is, and Adam's t is that of the update,
  /// from 1. An error Status means that the step could not run at all.
  virtual Status train(const Batch &batch, double learningRate, int64_t step,
                       StepResult &result) = 0;

  /// Scores a batch with running statistics and frozen ranges; changes no parameter.
  virtual Status evaluate(const Batch &batch, EvalResult &result) = 0;

  /// All that the step carries from one update to the next: parameters, moments, bounds, scales,
  /// ranges, running statistics; not what no step changes (constants). Copied out and written back
  /// into a step of the same program, it makes both go on alike, bit for bit. Valid until the next
  /// call on the step; empty where a step cannot be saved.
  virtual std::vector<StateView> state() { return {}; }
  /// Gives back the memory that only a call needs; the next call has it again.
  virtual void releaseScratch() {}
};

} // namespace nibble::runtime

#endif // NIBBLE_RUNTIME_STEP_H

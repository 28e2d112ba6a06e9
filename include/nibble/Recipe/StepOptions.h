//===- StepOptions.h - loss and optimizer of a training step --------*- C++ -*-===//
//
// What Differentiate builds into a step besides the network: the loss and the optimizer
// (numerics.md, section 5). The learning rate and its schedule are arguments of the step, not part
// of it. Pure C++: the one struct that command line, passes and Python share.
//
//===----------------------------------------------------------------------===//
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace nibble {

/// BinaryCrossEntropy: of logits with targets in [0, 1], one an output.
enum class Loss { FromModel, SoftmaxCrossEntropy, Mse, BinaryCrossEntropy };
enum class Optimizer { Sgd, Adam, AdamW };

struct StepOptions {
  /// FromModel: the module's attribute `nibble.loss`.
  Loss loss = Loss::FromModel;
  Optimizer optimizer = Optimizer::Sgd;
  /// SGD.
  double momentum = 0.9;
  bool nesterov = false;
  /// λ of variables that decay: g += λθ (sgd, adam); θ −= lr·λ·θ first (adamw). PACT's bounds have
  /// a decay of their own.
  double weightDecay = 0.0;
  /// Adam and AdamW.
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  /// Largest norm of all gradients together; larger ones are scaled down to it. 0: no limit.
  double clipNorm = 0.0;
  /// Cross-entropy in training: the answer is (1 − ε)·onehot + ε/classes.
  double labelSmoothing = 0.0;
  /// Micro-batches of an update: gradients of so many calls of @train_step are averaged.
  int64_t accumulate = 1;
  /// @eval_step measures instead: normalizations that --insert-norm put in do nothing, and their
  /// variables are set so that they would do nothing to this batch.
  bool calibrate = false;

  bool operator==(const StepOptions &) const = default;
};

/// Sets one option from text; keys as on the command line without dashes: "loss" (model,
/// softmax_cross_entropy, mse, bce), "optimizer" (sgd, adam, adamw), "momentum", "nesterov",
/// "weight-decay", "beta1", "beta2", "adam-eps", "clip-norm", "label-smoothing",
/// "accumulate", "calibrate". Returns an empty string, or what is wrong and what
/// is accepted.
std::string setStepOption(StepOptions &options, const std::string &key, const std::string &value);
/// Every option as key=value in a fixed order, separated by commas (module attribute `nibble.step`,
/// checkpoint).
std::string toString(const StepOptions &options);
/// The inverse; what is left out keeps its default, so the empty text is the defaults. Nothing
/// where the text is not one; then `error`, if given, says what is wrong and what is accepted.
std::optional<StepOptions> parseStepOptions(const std::string &text, std::string *error = nullptr);

} // namespace nibble

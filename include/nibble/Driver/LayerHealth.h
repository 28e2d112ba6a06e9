//===- LayerHealth.h - From a step's report to the health of layers -*- C++ -*-===//
#pragma once

#include "nibble/Runtime/Step.h"

#include <string>
#include <vector>

namespace nibble {

/// Picks what a trainer watches out of the numbers of train.report, whose keys are
/// LAYER/TENSOR/MEASURE: of each layer whose output_gradient is quantized the measures of it, and of
/// its input and weight where they are. A layer's name may hold slashes itself.
class HealthReport {
public:
  HealthReport() = default;
  /// `keys` in program order; layers keep the order of their output gradients' first keys.
  explicit HealthReport(const std::vector<std::string> &keys);

  /// Takes the numbers of one step, one for each key. The span is valid until the next update.
  std::span<const runtime::LayerHealth> update(std::span<const float> numbers);
  /// The layers, numbers of the last update.
  std::span<const runtime::LayerHealth> layers() const { return health; }

private:
  enum class Tensor { OutputGradient, Input, Weight };
  struct Slot {
    size_t key, layer;
    Tensor tensor;
    float runtime::TensorHealth::*measure;
  };
  runtime::TensorHealth &tensorOf(const Slot &slot);

  std::vector<Slot> slots;
  std::vector<runtime::LayerHealth> health;
};

} // namespace nibble

//===- LayerHealth.cpp - From a step's report to the health of layers ---------===//
#include "nibble/Driver/LayerHealth.h"

#include <algorithm>

using namespace nibble;
using runtime::LayerHealth;
using runtime::TensorHealth;

HealthReport::HealthReport(const std::vector<std::string> &keys) {
  const std::pair<const char *, float TensorHealth::*> measures[] = {
      {"saturation", &TensorHealth::saturation},
      {"underflow", &TensorHealth::underflow},
      {"scale", &TensorHealth::scale},
      {"gain", &TensorHealth::gain},
      {"noise", &TensorHealth::noise}};
  const std::pair<const char *, Tensor> tensors[] = {{"output_gradient", Tensor::OutputGradient},
                                                     {"input", Tensor::Input},
                                                     {"weight", Tensor::Weight}};
  // Output gradients decide which layers there are.
  for (const auto &[tensorName, tensor] : tensors)
    for (size_t i = 0; i < keys.size(); ++i)
      for (const auto &[measureName, measure] : measures) {
        std::string suffix = std::string("/") + tensorName + "/" + measureName;
        if (!keys[i].ends_with(suffix))
          continue;
        std::string name = keys[i].substr(0, keys[i].size() - suffix.size());
        auto at = std::find_if(health.begin(), health.end(),
                               [&](const LayerHealth &layer) { return layer.name == name; });
        size_t layer = static_cast<size_t>(at - health.begin());
        if (at == health.end() && tensor != Tensor::OutputGradient)
          continue;
        if (at == health.end())
          health.emplace_back(name);
        slots.push_back({i, layer, tensor, measure});
        if (tensor != Tensor::OutputGradient)
          (tensor == Tensor::Input ? health[layer].input : health[layer].weight).emplace();
      }
}

TensorHealth &HealthReport::tensorOf(const Slot &slot) {
  LayerHealth &layer = health[slot.layer];
  return slot.tensor == Tensor::Input ? *layer.input : slot.tensor == Tensor::Weight ? *layer.weight : layer;
}

std::span<const LayerHealth> HealthReport::update(std::span<const float> numbers) {
  for (const Slot &slot : slots)
    if (slot.key < numbers.size())
      tensorOf(slot).*slot.measure = numbers[slot.key];
  return health;
}

//===- LayerHealth.cpp - From a step's report to the health of layers ---------===//
#include "nibble/Driver/LayerHealth.h"

#include <algorithm>

using namespace nibble;
using runtime::LayerHealth;

HealthReport::HealthReport(const std::vector<std::string> &keys) {
  const std::pair<std::string, float LayerHealth::*> measures[] = {
      {"/output_gradient/saturation", &LayerHealth::saturation},
      {"/output_gradient/underflow", &LayerHealth::underflow},
      {"/output_gradient/scale", &LayerHealth::scale}};
  for (size_t i = 0; i < keys.size(); ++i)
    for (const auto &[suffix, measure] : measures) {
      if (!keys[i].ends_with(suffix))
        continue;
      std::string name = keys[i].substr(0, keys[i].size() - suffix.size());
      auto at = std::find_if(health.begin(), health.end(),
                             [&](const LayerHealth &layer) { return layer.name == name; });
      size_t layer = static_cast<size_t>(at - health.begin());
      if (at == health.end())
        health.push_back({name});
      slots.push_back({i, layer, measure});
    }
}

std::span<const LayerHealth> HealthReport::update(std::span<const float> numbers) {
  for (const Slot &slot : slots)
    if (slot.key < numbers.size())
      health[slot.layer].*slot.measure = numbers[slot.key];
  return health;
}

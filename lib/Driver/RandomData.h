//===- RandomData.h - batches for a step that nobody has data for ----*- C++ -*-===//
#pragma once

#include "nibble/Driver/Compiler.h"
#include "nibble/Runtime/Step.h"

#include <random>

namespace nibble {

/// Random samples: what matters is that every code path gets unremarkable numbers of both signs.
class RandomData {
public:
  RandomData(const StepLayout &layout, uint64_t seed)
      : generator(seed), classes(layout.classes), tokens(layout.tokens), x(layout.input.getNumElements()), labels(layout.answer.getNumElements()),
        targets(layout.answer.getNumElements()) {}

  /// Valid until the next call.
  runtime::Batch next(int64_t rows) {
    std::normal_distribution<float> normal;
    std::uniform_int_distribution<int32_t> label(0, static_cast<int32_t>(std::max<int64_t>(classes, 1)) - 1);
    std::uniform_int_distribution<int32_t> token(0, static_cast<int32_t>(std::max<int64_t>(tokens, 1)) - 1);
    for (float &value : x)
      value = tokens > 0 ? static_cast<float>(token(generator)) : normal(generator);
    for (size_t i = 0; i < labels.size(); ++i) {
      labels[i] = label(generator);
      targets[i] = normal(generator);
    }
    return {x.data(), classes > 0 ? labels.data() : nullptr, classes > 0 ? nullptr : targets.data(), rows};
  }

private:
  std::mt19937_64 generator;
  int64_t classes, tokens;
  std::vector<float> x;
  std::vector<int32_t> labels;
  std::vector<float> targets;
};

} // namespace nibble

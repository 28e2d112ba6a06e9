//===- Normalization.h - What is done to samples ----------------*- C++ -*-===//
//
//   x' = (x / divisor − mean[c]) / std[c]      each operation rounded to float32, in this order
//
// `none` divisor 1, mean 0, std 1 · `unit` divisor 255 · `auto` mean and standard deviation of the
// training set by channel · MEAN[,STD] given. For byte samples (u8) `auto` and MEAN,STD apply after
// the division by 255; for float samples they apply to the values as stored. `unit` divides by 255
// always.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_RUNTIME_NORMALIZATION_H
#define NIBBLE_RUNTIME_NORMALIZATION_H

#include "nibble/Runtime/Status.h"

#include <cstdint>
#include <string>
#include <vector>

namespace nibble::runtime {

struct DataSet;

struct Normalization {
  float divisor = 1;
  /// One value a channel; empty means 0 and 1 for all.
  std::vector<float> mean;
  std::vector<float> deviation;

  /// Reads `--normalize`: "" (the default of the data's origin), "none", "unit", "auto", or
  /// numbers: one (a mean for all channels), two (mean and deviation for all), C (means) or 2·C
  /// (means, then deviations) with C the channels. Statistics come from `training` and serve
  /// validation data too.
  static Result<Normalization> create(const std::string &spec, const DataSet &training);

  float apply(float x, int64_t channel) const {
    float y = x / divisor;
    if (!mean.empty())
      y = y - mean[channel];
    if (!deviation.empty())
      y = y / deviation[channel];
    return y;
  }

  /// "unit", "mean 0.1307, deviation 0.3081 after x/255" …, for the log.
  std::string describe() const;
};

} // namespace nibble::runtime

#endif // NIBBLE_RUNTIME_NORMALIZATION_H

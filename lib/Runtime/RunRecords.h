//===- RunRecords.h - Records of a log as JSON --------------------*- C++ -*-===//

#ifndef NIBBLE_LIB_RUNTIME_RUNRECORDS_H
#define NIBBLE_LIB_RUNTIME_RUNRECORDS_H

#include "nibble/Runtime/ModelSummary.h"

#include <nlohmann/json.hpp>

#include <cmath>
#include <optional>
#include <string>

namespace nibble::runtime {

using LogJson = nlohmann::ordered_json;

/// More layers than any network has; a log with more is not one of ours.
inline constexpr size_t mostLayers = 4096;

/// In one line. Names come from ONNX files and need not be valid UTF-8.
inline std::string dumpRecord(const LogJson &json) {
  return json.dump(-1, ' ', false, LogJson::error_handler_t::replace);
}

/// A finite number, or nothing.
inline std::optional<double> numberOf(const LogJson &json) {
  if (!json.is_number())
    return std::nullopt;
  double number = json.get<double>();
  return std::isfinite(number) ? std::optional(number) : std::nullopt;
}
inline std::optional<double> numberOf(const LogJson &json, const char *key) {
  auto found = json.find(key);
  return found == json.end() ? std::nullopt : numberOf(*found);
}
/// Held within what a step or size can be, so that sums of two do not overflow.
inline int64_t wholeOf(double number) {
  constexpr double bound = 5e14; // three products of mostLayers layers add up to less than 2^63
  return static_cast<int64_t>(std::fmin(std::fmax(number, -bound), bound));
}

/// The model record; fields that are missing or of a strange type keep their defaults.
ModelSummary modelOf(const LogJson &json);

} // namespace nibble::runtime

#endif // NIBBLE_LIB_RUNTIME_RUNRECORDS_H

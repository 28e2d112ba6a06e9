//===- BoundedJson.h - JSON of strange files ----------------------*- C++ -*-===//

#ifndef NIBBLE_LIB_RUNTIME_BOUNDEDJSON_H
#define NIBBLE_LIB_RUNTIME_BOUNDEDJSON_H

#include <nlohmann/json.hpp>

#include <optional>
#include <string>

namespace nibble::runtime {

/// `text` as JSON, or nothing where it is not. Values nested deeper than `levels` are refused and
/// never stored: a file of brackets alone would take sixty times its size.
template <typename Json> std::optional<Json> parseBounded(const std::string &text, int levels) {
  bool tooDeep = false;
  auto keep = [&](int depth, typename Json::parse_event_t, Json &) {
    tooDeep |= depth > levels;
    return !tooDeep;
  };
  Json json = Json::parse(text, keep, /*allow_exceptions=*/false);
  if (tooDeep || json.is_discarded())
    return std::nullopt;
  return json;
}

} // namespace nibble::runtime

#endif // NIBBLE_LIB_RUNTIME_BOUNDEDJSON_H

//===- BoundedJson.h - JSON of strange files ----------------------*- C++ -*-===//

#ifndef NIBBLE_LIB_RUNTIME_BOUNDEDJSON_H
#define NIBBLE_LIB_RUNTIME_BOUNDEDJSON_H

#include <nlohmann/json.hpp>

#include <optional>
#include <string>

namespace nibble::runtime {

/// Whether brackets outside of strings are nested deeper than `levels`; for text that is no JSON
/// either answer is right.
inline bool isDeeperThan(const std::string &text, int levels) {
  bool inString = false;
  int depth = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (inString && c == '\\')
      ++i; // whatever is escaped
    else if (c == '"')
      inString = !inString;
    else if (!inString && (c == '[' || c == '{') && ++depth > levels)
      return true;
    else if (!inString && (c == ']' || c == '}'))
      --depth;
  }
  return false;
}

/// `text` as JSON, or nothing where it is not. Arrays and objects nested deeper than `levels` are
/// refused and never stored: a file of brackets alone would take sixty times its size. (Not with
/// the parser's callback, which looks through all of an object's values after each that is an
/// object.)
template <typename Json> std::optional<Json> parseBounded(const std::string &text, int levels) {
  if (isDeeperThan(text, levels))
    return std::nullopt;
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded())
    return std::nullopt;
  return json;
}

} // namespace nibble::runtime

#endif // NIBBLE_LIB_RUNTIME_BOUNDEDJSON_H

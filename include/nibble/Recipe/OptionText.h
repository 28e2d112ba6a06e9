//===- OptionText.h - options as one line of text -------------------*- C++ -*-===//
//
// Structs of options travel as "key=value,key=value": as a pass option, a module attribute, a line
// of a checkpoint. One table a struct names its keys; this file parses values and says what is
// accepted where a value is not. Pure C++.
//
//===----------------------------------------------------------------------===//
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nibble::text {

/// "a,b=c" → {{"a", ""}, {"b", "c"}}; values and bare words are unescaped (%HH). Empty entries are
/// skipped.
std::vector<std::pair<std::string, std::string>> split(std::string_view line);
/// '%', ',', '=', ' ', quotes, '{' and '}' as %HH.
std::string escape(std::string_view value);
/// The shortest decimal text that reads back as the same double.
std::string number(double value);

/// Each returns an empty string, or "--KEY: WHAT expected, found 'VALUE'".
std::string parseBool(const std::string &key, const std::string &value, bool &to);
/// A number in [low, high]; `what` says so in words.
std::string parseNumber(const std::string &key, const std::string &value, double low, double high,
                        const std::string &what, double &to);
/// Index of `value` in `names`.
std::string parseChoice(const std::string &key, const std::string &value,
                        const std::vector<std::string> &names, size_t &to);
std::string unknownKey(const std::string &key, const std::vector<std::string> &keys);
/// "a, b or c".
std::string oneOf(const std::vector<std::string> &names);

} // namespace nibble::text

//===- OptionText.cpp - options as one line of text ---------------------------===//
#include "nibble/Recipe/OptionText.h"

#include <charconv>
#include <cmath>

using namespace nibble;

static constexpr std::string_view special = "%,= \t'\"{}";

std::string text::escape(std::string_view value) {
  static const char digits[] = "0123456789ABCDEF";
  std::string result;
  for (unsigned char c : value) {
    if (special.find(c) == std::string_view::npos)
      result += static_cast<char>(c);
    else
      result += {'%', digits[c >> 4], digits[c & 15]};
  }
  return result;
}

static std::string unescape(std::string_view value) {
  std::string result;
  for (size_t i = 0; i < value.size(); ++i) {
    unsigned code = 0;
    const char *digits = value.data() + i + 1;
    if (value[i] == '%' && i + 2 < value.size() &&
        std::from_chars(digits, digits + 2, code, 16).ptr == digits + 2) {
      result += static_cast<char>(code);
      i += 2;
    } else {
      result += value[i];
    }
  }
  return result;
}

std::vector<std::pair<std::string, std::string>> text::split(std::string_view line) {
  std::vector<std::pair<std::string, std::string>> entries;
  while (!line.empty()) {
    size_t end = line.find(',');
    std::string_view entry = line.substr(0, end);
    line = end == std::string_view::npos ? std::string_view() : line.substr(end + 1);
    if (entry.empty())
      continue;
    size_t equals = entry.find('=');
    if (equals == std::string_view::npos)
      entries.emplace_back(unescape(entry), "");
    else
      entries.emplace_back(std::string(entry.substr(0, equals)),
                           unescape(entry.substr(equals + 1)));
  }
  return entries;
}

std::string text::number(double value) {
  char buffer[32];
  auto [end, code] = std::to_chars(buffer, buffer + sizeof(buffer), value);
  return std::string(buffer, end);
}

static std::string expected(const std::string &key, const std::string &what,
                            const std::string &value) {
  return "--" + key + ": " + what + " expected, found '" + value + "'";
}

std::string text::parseBool(const std::string &key, const std::string &value, bool &to) {
  bool yes = value.empty() || value == "true" || value == "1" || value == "on";
  if (!yes && value != "false" && value != "0" && value != "off")
    return expected(key, "true or false", value);
  to = yes;
  return "";
}

std::string text::parseNumber(const std::string &key, const std::string &value, double low,
                              double high, const std::string &what, double &to) {
  double number = 0;
  auto [end, code] = std::from_chars(value.data(), value.data() + value.size(), number);
  bool good = code == std::errc() && end == value.data() + value.size() && std::isfinite(number);
  if (!good || number < low || number > high)
    return expected(key, what, value);
  to = number;
  return "";
}

std::string text::oneOf(const std::vector<std::string> &names) {
  std::string result;
  for (size_t i = 0; i < names.size(); ++i)
    result += (i == 0 ? "" : i + 1 == names.size() ? " or " : ", ") + names[i];
  return result;
}

std::string text::parseChoice(const std::string &key, const std::string &value,
                              const std::vector<std::string> &names, size_t &to) {
  for (size_t i = 0; i < names.size(); ++i)
    if (names[i] == value) {
      to = i;
      return "";
    }
  return expected(key, oneOf(names), value);
}

std::string text::unknownKey(const std::string &key, const std::vector<std::string> &keys) {
  return "no option '" + key + "': " + oneOf(keys) + " expected";
}

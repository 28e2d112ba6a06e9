//===- ReportText.cpp - Texts and numbers of a report ---------------------------------------===//

#include "ReportChart.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>

using namespace nibble;
using namespace nibble::runtime;

/// Bytes of the UTF-8 sequence that begins at `at`, or 0 where there is none (Unicode 15, table
/// 3-7).
static size_t sequenceAt(std::string_view text, size_t at) {
  auto byte = [&](size_t i) {
    return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0u;
  };
  auto follows = [&](size_t i) { return (byte(i) & 0xC0) == 0x80; };
  unsigned first = byte(0), second = byte(1);
  if (first >= 0xC2 && first <= 0xDF)
    return follows(1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    bool good = !(first == 0xE0 && second < 0xA0) && !(first == 0xED && second > 0x9F);
    return good && follows(1) && follows(2) ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    bool good = !(first == 0xF0 && second < 0x90) && !(first == 0xF4 && second > 0x8F);
    return good && follows(1) && follows(2) && follows(3) ? 4 : 0;
  }
  return 0;
}

std::string report::escape(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    unsigned char c = static_cast<unsigned char>(text[i]);
    if (c >= 0x80) {
      size_t size = sequenceAt(text, i);
      out += size ? text.substr(i, size) : std::string_view("\uFFFD");
      i += size ? size - 1 : 0;
    } else if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '"')
      out += "&quot;";
    else if (c == '\'')
      out += "&#39;";
    else if (c >= 0x20 && c != 0x7F)
      out += static_cast<char>(c);
    else if (c == '\n' || c == '\t')
      out += ' ';
  }
  return out;
}

std::string report::prose(std::string_view text) {
  std::string out;
  auto isPart = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '=';
  };
  while (!text.empty()) {
    size_t start = text.find("--"), end = start;
    out += escape(text.substr(0, start));
    if (start == text.npos)
      break;
    while (end < text.size() && isPart(text[end]))
      ++end;
    out += "<code>" + escape(text.substr(start, end - start)) + "</code>";
    text.remove_prefix(end);
  }
  return out;
}

static std::string superscript(int value) {
  static const char *digits[] = {"⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"};
  std::string out = value < 0 ? "⁻" : "";
  for (char c : std::to_string(std::abs(value)))
    out += digits[c - '0'];
  return out;
}

std::string report::number(double value) {
  double size = std::fabs(value);
  int exponent = 0;
  if (value > 0 && (size >= 1000 || size < 0.001) && std::frexp(size, &exponent) == 0.5)
    return "2" + superscript(exponent - 1);
  char text[48];
  std::snprintf(text, sizeof text, "%.4g", value);
  std::string shown = text;
  size_t e = shown.find('e');
  if (e == std::string::npos)
    return shown;
  // 1.2e-05: a number of people, not of machines.
  std::snprintf(text, sizeof text, "%.3g", value);
  shown = text;
  e = shown.find('e');
  std::string mantissa = shown.substr(0, e);
  std::string power = "10" + superscript(std::atoi(shown.c_str() + e + 1));
  return mantissa == "1" ? power : mantissa + "·" + power;
}

std::string report::grouped(int64_t value) {
  std::string digits = std::to_string(value), out;
  size_t start = value < 0 ? 1 : 0;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > start && (digits.size() - i) % 3 == 0)
      out += "\u202F"; // a narrow space that does not break
    out += digits[i];
  }
  return out;
}

std::string report::bytes(int64_t value) {
  double size = static_cast<double>(value);
  const char *units[] = {"bytes", "kB", "MB", "GB", "TB"};
  size_t unit = 0;
  while (size >= 1000 && unit < 4)
    size /= 1000, ++unit;
  char text[48];
  std::snprintf(text, sizeof text, unit == 0 || size >= 100 ? "%.0f %s" : "%.1f %s", size,
                units[unit]);
  return text;
}

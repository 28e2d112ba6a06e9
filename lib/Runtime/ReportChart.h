//===- ReportChart.h - Curves as SVG ------------------------------*- C++ -*-===//

#ifndef NIBBLE_LIB_RUNTIME_REPORTCHART_H
#define NIBBLE_LIB_RUNTIME_REPORTCHART_H

#include "nibble/Runtime/RunHistory.h"

#include <string>
#include <vector>

namespace nibble::runtime::report {

/// For HTML text and quoted attributes. What is not UTF-8 becomes U+FFFD; control characters
/// vanish.
std::string escape(std::string_view text);
/// For running text: names of options are set apart and do not break.
std::string prose(std::string_view text);
/// Four significant digits; 2⁻²² where it is a power of two beyond 1000 or below 1/1000.
std::string number(double value);
/// With spaces between thousands.
std::string grouped(int64_t value);
/// "1.2 MB".
std::string bytes(int64_t value);

struct Series {
  const char *name;
  /// Its colour: "a", "b" or "c" of the style sheet.
  const char *style;
  const Curve *curve;
  /// Also the area between the lowest and highest number of each bucket.
  bool band = false;
  /// Marks where the numbers are.
  bool dots = false;
};

struct Chart {
  const char *title;
  std::vector<Series> series;
  bool isPercent = false;
  /// Decades where the numbers span more than one.
  bool mayBeLogarithmic = false;
  bool fromZero = false;
  /// Right end of the axis, and a step to mark ("" : none).
  int64_t lastStep = 1, markedStep = 0;
  const char *mark = "";
};

/// A <figure>; nothing where no series has a number.
std::string draw(const Chart &chart);

/// What strips and lines of one column are made of.
enum class Measure { Underflow, Saturation, Scale, Gain, Sqnr };
/// Upper bounds of the classes q0 … q5 of a strip; q6 is above.
const std::vector<double> &classBounds(Measure measure);
/// One row's picture: a strip of classes for shares, a line for scale (logarithmic), gain and SQNR.
std::string drawStrip(const Curve &curve, Measure measure, const std::string &label);

} // namespace nibble::runtime::report

#endif // NIBBLE_LIB_RUNTIME_REPORTCHART_H

//===- ReportChart.cpp - Curves as SVG ------------------------------------------------------===//

#include "ReportChart.h"

#include "Verdict.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

using namespace nibble;
using namespace nibble::runtime;
using namespace nibble::runtime::report;

//===----------------------------------------------------------------------===//
// Axes
//===----------------------------------------------------------------------===//

namespace {

/// The plot within the viewBox of 520 by 236.
constexpr double left = 58, right = 508, top = 12, bottom = 204;

struct Axis {
  double low = 0, high = 1;
  bool logarithmic = false;
  std::vector<double> ticks;

  double place(double value) const {
    double at = logarithmic ? std::log(std::max(value, low) / low) / std::log(high / low)
                            : (value - low) / (high - low);
    return std::clamp(at, 0.0, 1.0);
  }
};

/// 1, 2 or 5 times a power of ten, so that about `count` of them make `span`.
double niceStep(double span, double count) {
  double raw = span / count, decade = std::pow(10, std::floor(std::log10(raw)));
  double digit = raw / decade;
  return decade * (digit <= 1 ? 1 : digit <= 2 ? 2 : digit <= 5 ? 5 : 10);
}

Axis linearAxis(double low, double high, double count, bool fromZero) {
  Axis axis;
  if (fromZero)
    low = std::min(low, 0.0);
  double least = std::max(std::fabs(high), std::fabs(low)) * 1e-6 + 1e-12;
  if (high - low < least) {
    double around = high == 0 ? 1 : std::fabs(high) * 0.1;
    low -= fromZero ? 0 : around, high += around;
  }
  double step = niceStep(high - low, count);
  axis.low = std::floor(low / step + 1e-9) * step;
  axis.high = std::ceil(high / step - 1e-9) * step;
  for (int i = 0; i <= 20 && axis.low + i * step <= axis.high + step / 2; ++i)
    axis.ticks.push_back(std::fabs(axis.low + i * step) < step / 100 ? 0 : axis.low + i * step);
  return axis;
}

Axis logarithmicAxis(double low, double high) {
  Axis axis;
  axis.logarithmic = true;
  int first = static_cast<int>(std::floor(std::log10(low)));
  int last = static_cast<int>(std::ceil(std::log10(high)));
  int every = std::max(1, (last - first + 5) / 6);
  axis.low = std::max(std::pow(10, first), low / 1.3);
  axis.high = std::min(std::pow(10, last), high * 1.3);
  bool fine = last - first <= 2;
  for (int decade = first; decade <= last; ++decade)
    for (double digit : {1.0, 2.0, 5.0}) {
      double value = digit * std::pow(10, decade);
      bool shown = digit == 1 ? (decade - first) % every == 0 : fine;
      if (shown && value >= axis.low * 0.999 && value <= axis.high * 1.001)
        axis.ticks.push_back(value);
    }
  return axis;
}

Axis valueAxis(const Chart &chart) {
  double low = INFINITY, high = -INFINITY, lowestMean = INFINITY, highestMean = -INFINITY;
  for (const Series &series : chart.series)
    for (const Curve::Bucket &bucket : series.curve->buckets()) {
      low = std::min(low, series.band ? bucket.low : bucket.mean());
      high = std::max(high, series.band ? bucket.high : bucket.mean());
      lowestMean = std::min(lowestMean, bucket.mean());
      highestMean = std::max(highestMean, bucket.mean());
    }
  if (chart.mayBeLogarithmic && low > 0 && highestMean > 10 * lowestMean) // outliers may be cut off
    return logarithmicAxis(std::max(low, lowestMean / 3), std::min(high, highestMean * 3));
  if (chart.isPercent) {
    Axis axis = linearAxis(100 * low, std::min(100.0, 100 * high), 5, chart.fromZero);
    axis.low /= 100, axis.high = std::min(1.0, axis.high / 100);
    for (double &tick : axis.ticks)
      tick /= 100;
    return axis;
  }
  return linearAxis(low, high, 5, chart.fromZero);
}

std::string shown(const Chart &chart, double value) {
  if (!chart.isPercent)
    return number(value);
  std::string text = number(100 * value);
  return text + " %";
}

//===----------------------------------------------------------------------===//
// SVG
//===----------------------------------------------------------------------===//

/// With one digit behind the point, and none where it is zero.
std::string coordinate(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", value);
  std::string result = text;
  return result.ends_with(".0") ? result.substr(0, result.size() - 2) : result;
}

struct Canvas {
  const Chart &chart;
  Axis y;
  double firstStep = 1;

  double x(double step) const {
    double last = static_cast<double>(std::max<int64_t>(chart.lastStep, 2));
    return left + (right - left) * std::clamp((step - firstStep) / (last - firstStep), 0.0, 1.0);
  }
  double at(double value) const { return bottom - (bottom - top) * y.place(value); }
  std::string point(double step, double value) const {
    return coordinate(x(step)) + " " + coordinate(at(value));
  }

  std::string grid() const {
    std::string out = "<path class=g d='M58 204H508'/><text x=58 y=222>step</text>";
    for (double tick : y.ticks) {
      std::string h = coordinate(at(tick));
      out += "<path class=g d='M58 " + h + "H508'/><text x=51 y=" + coordinate(at(tick) + 4) +
             " class=r>" + shown(chart, tick) + "</text>";
    }
    Axis steps = linearAxis(0, static_cast<double>(std::max<int64_t>(chart.lastStep, 2)), 5, true);
    for (double tick : steps.ticks)
      if (x(tick) > left + 50 && tick <= static_cast<double>(std::max<int64_t>(chart.lastStep, 2)))
        out += "<path class=g d='M" + coordinate(x(tick)) +
               " 204v5'/><text class=m x=" + coordinate(x(tick)) + " y=222>" +
               grouped(std::llround(tick)) + "</text>";
    return out;
  }

  std::string band(const Curve &curve) const {
    std::string path;
    const auto &buckets = curve.buckets();
    for (size_t i = 0; i < buckets.size(); ++i)
      path += (i ? "L" : "M") + point(buckets[i].middle(), buckets[i].high);
    for (size_t i = buckets.size(); i-- > 0;)
      path += "L" + point(buckets[i].middle(), buckets[i].low);
    return path + "Z";
  }

  std::string line(const Curve &curve) const {
    std::string path;
    for (const Curve::Bucket &bucket : curve.buckets())
      path += (path.empty() ? "M" : "L") + point(bucket.middle(), bucket.mean());
    return path;
  }

  std::string series(const Series &series) const {
    std::string out, style = series.style;
    const auto &buckets = series.curve->buckets();
    bool spread = series.band && std::any_of(buckets.begin(), buckets.end(),
                                             [](const auto &b) { return b.count > 1; });
    if (spread)
      out += "<path class='band " + style + "' d='" + band(*series.curve) + "'/>";
    out += "<path class='line " + style + "' d='" + line(*series.curve) + "'/>";
    if ((series.dots && buckets.size() <= 40) || buckets.size() == 1)
      for (const Curve::Bucket &bucket : buckets)
        out += "<circle class=" + style + " cx=" + coordinate(x(bucket.middle())) +
               " cy=" + coordinate(at(bucket.mean())) + " r=3 />";
    return out;
  }

  std::string mark() const {
    if (chart.markedStep <= 0)
      return "";
    double h = x(static_cast<double>(chart.markedStep));
    std::string text = coordinate(h);
    return "<path class=stop d='M" + text +
           " 12V204'/><text class='r stop' x=" + coordinate(h - 5) + " y=34>" + escape(chart.mark) +
           "</text>";
  }
};

/// Numbers for the pointer: {"p":0,"x":[left,right,first,last],"s":[["name",[steps],[values]] …]}.
std::string hoverData(const Chart &chart, double firstStep) {
  std::string out = "{\"p\":" + std::to_string(chart.isPercent) + ",\"x\":[58,508," +
                    coordinate(firstStep) + "," +
                    std::to_string(std::max<int64_t>(chart.lastStep, 2)) + "],\"s\":[";
  bool first = true;
  for (const Series &series : chart.series) {
    if (series.curve->empty())
      continue;
    std::string steps, values;
    for (const Curve::Bucket &bucket : series.curve->buckets()) {
      char text[32];
      std::snprintf(text, sizeof text, "%.4g", bucket.mean());
      steps += (steps.empty() ? "" : ",") + std::to_string(bucket.last);
      values += (values.empty() ? "" : ",") + std::string(text);
    }
    out += std::string(first ? "" : ",") + "[\"" + series.name + "\",[" + steps + "],[" + values +
           "]]";
    first = false;
  }
  return out + "]}";
}

} // namespace

std::string nibble::runtime::report::draw(const Chart &chart) {
  std::vector<const Series *> present;
  for (const Series &series : chart.series)
    if (!series.curve->empty())
      present.push_back(&series);
  if (present.empty())
    return "";
  Canvas canvas{chart, valueAxis(chart)};
  std::string legend, label = chart.title, drawn;
  for (const Series *series : present) {
    std::string last = shown(chart, series->curve->latest());
    legend += std::string("<span class='key ") + series->style + "'>" + series->name + " <b>" +
              last + "</b></span>";
    label += std::string(", ") + series->name + " " + last;
  }
  for (size_t i = present.size(); i-- > 0;) // the first on top
    drawn += canvas.series(*present[i]);
  return "<figure class=chart tabindex=0 data-c='" + hoverData(chart, canvas.firstStep) +
         "'><figcaption><span class=t>" + escape(chart.title) + "</span>" + legend +
         "</figcaption><svg viewBox='0 0 520 236' role=img aria-label='" + escape(label) + "'>" +
         canvas.grid() + drawn + canvas.mark() +
         "<path class=cross d='M0 12V204' visibility=hidden /></svg></figure>";
}

//===----------------------------------------------------------------------===//
// Strips
//===----------------------------------------------------------------------===//

const std::vector<double> &nibble::runtime::report::classBounds(Measure measure) {
  static const std::vector<double> underflow = {0.25, 0.5, 0.75, 0.9, underflowWatch, underflowBad};
  static const std::vector<double> saturation = {0.001, 0.003,           0.01,
                                                 0.02,  saturationWatch, saturationBad};
  return measure == Measure::Underflow ? underflow : saturation;
}

static size_t classOf(double value, Measure measure) {
  const std::vector<double> &bounds = classBounds(measure);
  return static_cast<size_t>(std::upper_bound(bounds.begin(), bounds.end(), value) -
                             bounds.begin());
}

/// One path for each class that occurs; neighbours of one class are one rectangle.
static std::string classPaths(const std::vector<Curve::Bucket> &buckets, Measure measure) {
  std::string paths[7], out;
  for (size_t i = 0; i < buckets.size();) {
    size_t kind = classOf(buckets[i].mean(), measure), end = i + 1;
    while (end < buckets.size() && classOf(buckets[end].mean(), measure) == kind)
      ++end;
    std::string length = std::to_string(end - i);
    paths[kind] += "M" + std::to_string(i) + " 0h" + length + "v1h-" + length + "z";
    i = end;
  }
  for (size_t kind = 0; kind < 7; ++kind)
    if (!paths[kind].empty())
      out += "<path class=q" + std::to_string(kind) + " d='" + paths[kind] + "'/>";
  return out;
}

static double heightOf(double value, Measure measure) {
  return measure == Measure::Scale ? std::log2(std::max(value, 0x1p-126)) : value;
}

/// A line from 2 (top) to 18, over at least two octaves, a gain of 0.5 or 6 dB.
static std::string sparkPath(const std::vector<Curve::Bucket> &buckets, Measure measure) {
  double least = measure == Measure::Gain ? 0.5 : measure == Measure::Sqnr ? 6 : 2;
  double low = INFINITY, high = -INFINITY;
  for (const Curve::Bucket &bucket : buckets) {
    low = std::min(low, heightOf(bucket.mean(), measure));
    high = std::max(high, heightOf(bucket.mean(), measure));
  }
  double middle = 0.5 * (low + high), half = std::max(0.5 * (high - low), 0.5 * least);
  std::string path;
  for (size_t i = 0; i < buckets.size(); ++i) {
    double at = (heightOf(buckets[i].mean(), measure) - middle) / half;
    path += (i ? "L" : "M") + std::to_string(i) + " " + coordinate(10 - 8 * at);
  }
  if (buckets.size() == 1)
    path += "h1";
  return "<path class=spark d='" + path + "'/>";
}

std::string nibble::runtime::report::drawStrip(const Curve &curve, Measure measure,
                                               const std::string &label) {
  if (curve.empty())
    return "";
  const auto &buckets = curve.buckets();
  bool isShare = measure == Measure::Underflow || measure == Measure::Saturation;
  std::string values;
  for (const Curve::Bucket &bucket : buckets) {
    char text[32];
    if (isShare)
      std::snprintf(text, sizeof text, "%.5g", std::round(bucket.mean() * 1e5) / 1e3);
    else
      std::snprintf(text, sizeof text, "%.3g", bucket.mean());
    values += (values.empty() ? "" : ",") + std::string(text);
  }
  size_t across = isShare ? buckets.size() : std::max<size_t>(1, buckets.size() - 1);
  return "<svg class=strip viewBox='0 0 " + std::to_string(across) + (isShare ? " 1" : " 20") +
         "' preserveAspectRatio=none role=img aria-label='" + escape(label) + "' data-v='" +
         values + "'" + (isShare ? " data-p=1" : "") + ">" +
         (isShare ? classPaths(buckets, measure) : sparkPath(buckets, measure)) + "</svg>";
}

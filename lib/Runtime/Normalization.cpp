//===- Normalization.cpp - What is done to samples ------------------------------------===//

#include "nibble/Runtime/Normalization.h"

#include "nibble/Runtime/DataSet.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>

using namespace nibble;
using namespace nibble::runtime;

namespace {

struct Moments {
  double mean = 0;
  double deviation = 1;
};

/// Samples seen as count × channels × rest.
struct Layout {
  int64_t samples, channels, rest;
};

Layout layoutOf(const DataSet &data) {
  return {data.size(), data.channels(), data.sampleSize() / data.channels()};
}

/// A channel that never changes is left unscaled.
Moments makeMoments(double mean, double variance) {
  double deviation = std::sqrt(std::fmax(0.0, variance));
  return {mean, deviation > 0 ? deviation : 1};
}

/// From a histogram, so the sums are exact whole numbers; in units of x/255.
Moments byteMoments(const DataSet &data, int64_t channel) {
  Layout layout = layoutOf(data);
  std::array<uint64_t, 256> histogram{};
  for (int64_t n = 0; n < layout.samples; ++n) {
    const uint8_t *values = data.x.data<uint8_t>() + (n * layout.channels + channel) * layout.rest;
    for (int64_t i = 0; i < layout.rest; ++i)
      ++histogram[values[i]];
  }
  double count = static_cast<double>(layout.samples * layout.rest), sum = 0, squares = 0;
  for (int v = 0; v < 256; ++v)
    sum += v * static_cast<double>(histogram[v]);
  for (int v = 0; v < 256; ++v)
    squares += (v - sum / count) * (v - sum / count) * static_cast<double>(histogram[v]);
  return makeMoments(sum / count / 255, squares / count / (255.0 * 255.0));
}

/// Two passes in float64.
Moments floatMoments(const DataSet &data, int64_t channel) {
  Layout layout = layoutOf(data);
  double count = static_cast<double>(layout.samples * layout.rest), sum = 0, squares = 0;
  auto forEach = [&](auto visit) {
    for (int64_t n = 0; n < layout.samples; ++n) {
      const float *values = data.x.data<float>() + (n * layout.channels + channel) * layout.rest;
      for (int64_t i = 0; i < layout.rest; ++i)
        visit(static_cast<double>(values[i]));
    }
  };
  forEach([&](double v) { sum += v; });
  forEach([&](double v) { squares += (v - sum / count) * (v - sum / count); });
  return makeMoments(sum / count, squares / count);
}

Result<std::vector<float>> parseNumbers(const std::string &spec) {
  auto bad = [&] {
    return Status::error("--normalize: none, unit, auto, MEAN or MEAN,STD expected, found '" +
                         spec + "'");
  };
  std::vector<float> numbers;
  const char *at = spec.data(), *end = at + spec.size();
  while (true) {
    float value = 0;
    auto [next, code] = std::from_chars(at, end, value);
    if (code != std::errc() || !std::isfinite(value))
      return bad();
    numbers.push_back(value);
    if (next == end)
      return numbers;
    if (*next != ',')
      return bad();
    at = next + 1;
  }
}

Status setNumbers(Normalization &to, const std::vector<float> &numbers, int64_t channelCount) {
  size_t channels = static_cast<size_t>(channelCount);
  if (numbers.size() == 1 || numbers.size() == 2) {
    to.mean.assign(channels, numbers[0]);
    to.deviation.assign(channels, numbers.size() == 2 ? numbers[1] : 1.0f);
  } else if (numbers.size() == channels) {
    to.mean = numbers;
    to.deviation.assign(channels, 1.0f);
  } else if (numbers.size() == 2 * channels) {
    to.mean.assign(numbers.begin(), numbers.begin() + channelCount);
    to.deviation.assign(numbers.begin() + channelCount, numbers.end());
  } else {
    return Status::error("--normalize: " + std::to_string(numbers.size()) +
                         " numbers for data with " + std::to_string(channels) +
                         " channels; one mean, a mean and a deviation, or " +
                         "one of each for every channel (all means first)");
  }
  for (float deviation : to.deviation)
    if (!(deviation > 0))
      return Status::error("--normalize: a standard deviation must be above 0, found " +
                           std::to_string(deviation));
  return Status::success();
}

} // namespace

Result<Normalization> Normalization::create(const std::string &spec, const DataSet &training) {
  bool bytes = training.x.type == DType::U8;
  bool images = training.origin == DataOrigin::Idx || training.origin == DataOrigin::Cifar;
  std::string kind = !spec.empty() ? spec : images ? "unit" : "none";

  Normalization result;
  if (kind == "none")
    return result;
  if (kind == "unit") {
    result.divisor = 255;
    return result;
  }
  result.divisor = bytes ? 255.0f : 1.0f;
  if (kind == "auto") {
    for (int64_t c = 0; c < training.channels(); ++c) {
      Moments moments = bytes ? byteMoments(training, c) : floatMoments(training, c);
      result.mean.push_back(static_cast<float>(moments.mean));
      result.deviation.push_back(static_cast<float>(moments.deviation));
    }
    return result;
  }
  Result<std::vector<float>> numbers = parseNumbers(kind);
  if (!numbers)
    return numbers.status();
  if (Status status = setNumbers(result, *numbers, training.channels()); !status)
    return status;
  return result;
}

std::string Normalization::describe() const {
  std::string input = divisor == 1 ? "x" : "x/" + std::to_string(static_cast<int>(divisor));
  if (mean.empty())
    return divisor == 1 ? "none" : input;
  auto list = [](const std::vector<float> &values) {
    std::string text;
    for (float value : values) {
      char one[32];
      std::snprintf(one, sizeof one, "%s%.4g", text.empty() ? "" : ", ", value);
      text += one;
    }
    return text;
  };
  return "(" + input + " - [" + list(mean) + "]) / [" + list(deviation) + "]";
}

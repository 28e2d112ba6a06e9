//===- RunHistory.cpp - A run's log, condensed ----------------------------------------------===//

#include "nibble/Runtime/RunHistory.h"

#include "BoundedJson.h"
#include "RunRecords.h"
#include "Support.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>

using namespace nibble;
using namespace nibble::runtime;

//===----------------------------------------------------------------------===//
// Curves
//===----------------------------------------------------------------------===//

static void join(Curve::Bucket &to, const Curve::Bucket &next) {
  to.last = next.last;
  to.count += next.count;
  to.sum += next.sum;
  to.low = std::min(to.low, next.low);
  to.high = std::max(to.high, next.high);
  to.latest = next.latest;
}

void Curve::add(int64_t step, double value) {
  if (!std::isfinite(value))
    return;
  Bucket one{step, step, 1, value, value, value, value};
  if (!held.empty() && held.back().count < width)
    return join(held.back(), one);
  held.push_back(one);
  if (held.size() <= capacity)
    return;
  size_t half = 0;
  for (size_t i = 0; i < held.size(); i += 2) {
    Bucket joined = held[i];
    if (i + 1 < held.size())
      join(joined, held[i + 1]);
    held[half++] = joined;
  }
  held.resize(half);
  width *= 2;
}

double Curve::lowest() const {
  double low = held.empty() ? 0 : held.front().low;
  for (const Bucket &bucket : held)
    low = std::min(low, bucket.low);
  return low;
}

double Curve::highest() const {
  double high = held.empty() ? 0 : held.front().high;
  for (const Bucket &bucket : held)
    high = std::max(high, bucket.high);
  return high;
}

double Curve::recentMean(double share) const {
  size_t count = std::max<size_t>(1, static_cast<size_t>(share * static_cast<double>(held.size())));
  double sum = 0;
  int64_t numbers = 0;
  for (size_t i = held.size() - std::min(count, held.size()); i < held.size(); ++i) {
    sum += held[i].sum;
    numbers += held[i].count;
  }
  return numbers == 0 ? 0 : sum / static_cast<double>(numbers);
}

//===----------------------------------------------------------------------===//
// Records
//===----------------------------------------------------------------------===//

static std::string textOf(const LogJson &json, const char *key) {
  auto found = json.find(key);
  return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
}

static void addTo(Curve &curve, int64_t step, const LogJson &json, const char *key) {
  if (std::optional<double> number = numberOf(json, key))
    curve.add(step, *number);
}

static void addLayers(std::vector<LayerHistory> &layers, int64_t step, const LogJson &json) {
  auto list = json.find("layers");
  if (list == json.end() || !list->is_array())
    return;
  size_t guess = 0; // records name the layers in the same order
  for (const LogJson &entry : *list) {
    if (!entry.is_object())
      continue;
    std::string name = textOf(entry, "name");
    auto at = guess < layers.size() && layers[guess].name == name
                  ? layers.begin() + static_cast<ptrdiff_t>(guess)
                  : std::find_if(
                        layers.begin(), layers.end(),
                        [&](const LayerHistory &l) { return l.name == name; });
    if (at == layers.end()) {
      if (layers.size() >= mostLayers)
        return;
      layers.emplace_back().name = name;
      at = layers.end() - 1;
    }
    guess = static_cast<size_t>(at - layers.begin()) + 1;
    addTo(at->saturation, step, entry, "saturation");
    addTo(at->underflow, step, entry, "underflow");
    addTo(at->scale, step, entry, "scale");
    addTo(at->gain, step, entry, "gain");
    addTo(at->sqnr, step, entry, "sqnr");
  }
}

static void addStep(RunHistory &run, int64_t step, const LogJson &json) {
  run.steps = std::max(run.steps, step);
  addTo(run.loss, step, json, "loss");
  addTo(run.accuracy, step, json, "train_accuracy");
  addTo(run.rate, step, json, "lr");
  addTo(run.milliseconds, step, json, "ms");
  run.seconds += numberOf(json, "ms").value_or(0) / 1000;
  addLayers(run.layers, step, json);
}

static void addEpoch(RunHistory &run, int64_t step, const LogJson &json) {
  run.steps = std::max(run.steps, step);
  run.epochs = wholeOf(numberOf(json, "epoch").value_or(0));
  addTo(run.epochLoss, step, json, "loss");
  addTo(run.epochAccuracy, step, json, "train_accuracy");
  addTo(run.validationLoss, step, json, "val_loss");
  addTo(run.validationAccuracy, step, json, "val_accuracy");
  std::optional<double> accuracy = numberOf(json, "val_accuracy");
  if (accuracy && (!run.bestAccuracy || *accuracy > *run.bestAccuracy)) {
    run.bestAccuracy = accuracy;
    run.bestEpoch = run.epochs;
  }
  addLayers(run.layers, step, json);
}

bool RunHistory::add(std::string_view line) {
  LogJson json = parseBounded<LogJson>(std::string(line), 4).value_or(nullptr);
  if (!json.is_object())
    return false;
  std::string type = textOf(json, "type");
  int64_t step = wholeOf(numberOf(json, "step").value_or(0));
  if (type == "step")
    addStep(*this, step, json);
  else if (type == "epoch")
    addEpoch(*this, step, json);
  else if (type == "model")
    model = modelOf(json);
  else if (type == "error") {
    error = RunError{step, wholeOf(numberOf(json, "epoch").value_or(0)), textOf(json, "message")};
    addLayers(layers, step, json);
  }
  return !type.empty();
}

bool RunHistory::isFinished() const {
  return !error && (model && model->epochs > 0 ? epochs >= model->epochs : epochs > 0);
}

//===----------------------------------------------------------------------===//
// Files
//===----------------------------------------------------------------------===//

/// No record is as long; a file without line ends is not read into memory whole.
static constexpr std::streamsize longestLine = 1 << 23;

Result<RunHistory> RunHistory::read(const std::string &path) {
  return guarded(path, [&]() -> Result<RunHistory> {
    std::ifstream in(path, std::ios::binary);
    if (!in)
      return fileError(path, std::string("the log cannot be read: ") + std::strerror(errno));
    RunHistory run;
    int64_t records = 0;
    std::vector<char> piece(1 << 16);
    std::string line;
    auto finishLine = [&] {
      if (!line.empty())
        ++(run.add(line) ? records : run.strangeLines);
      line.clear();
    };
    while (in) {
      in.read(piece.data(), static_cast<std::streamsize>(piece.size()));
      for (std::streamsize i = 0; i < in.gcount(); ++i) {
        char c = piece[static_cast<size_t>(i)];
        if (c == '\n')
          finishLine();
        else
          line += c;
      }
      if (static_cast<std::streamsize>(line.size()) > longestLine)
        break;
    }
    if (in.bad())
      return fileError(path, "the log cannot be read");
    finishLine();
    if (records == 0)
      return fileError(path, "holds no record of a log (nibble-train --log)");
    return run;
  });
}

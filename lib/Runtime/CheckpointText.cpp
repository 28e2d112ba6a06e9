//===- CheckpointText.cpp - Parts of a checkpoint as text -------------------------------------===//

#include "CheckpointText.h"

#include "BoundedJson.h"

#include <cmath>
#include <limits>

using namespace nibble::runtime;

using Json = nlohmann::ordered_json;

std::string nibble::runtime::text::utf8(const std::string &text) {
  // dump() checks; it fails on bytes that are not UTF-8.
  try {
    (void)Json(text).dump();
    return text;
  } catch (const Json::type_error &) {
  }
  std::string escaped;
  for (unsigned char c : text) {
    if (c < 0x80)
      escaped += static_cast<char>(c);
    else
      escaped += {'%', "0123456789ABCDEF"[c >> 4], "0123456789ABCDEF"[c & 15]};
  }
  return escaped;
}

//===----------------------------------------------------------------------===//
// Numbers
//===----------------------------------------------------------------------===//

static Json number(double value) {
  if (std::isfinite(value))
    return value;
  return std::isnan(value) ? "nan" : value > 0 ? "inf" : "-inf";
}

static bool read(const Json &json, double &to) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  if (json.is_number())
    to = json.get<double>();
  else if (json == "nan")
    to = std::numeric_limits<double>::quiet_NaN();
  else if (json == "inf" || json == "-inf")
    to = json == "inf" ? infinity : -infinity;
  else
    return false;
  return true;
}

static bool read(const Json &json, float &to) {
  double wide = 0;
  if (!read(json, wide))
    return false;
  // A conversion of what a float cannot hold would be undefined.
  if (std::isfinite(wide) && std::abs(wide) > std::numeric_limits<float>::max())
    return false;
  to = static_cast<float>(wide);
  return true;
}

/// A count: 0 … 2^62.
static bool read(const Json &json, int64_t &to) {
  if (!json.is_number_unsigned() || json.get<uint64_t>() > uint64_t(1) << 62)
    return false;
  to = json.get<int64_t>();
  return true;
}

static bool read(const Json &json, uint32_t &to) {
  int64_t wide = 0;
  if (!read(json, wide) || wide > std::numeric_limits<uint32_t>::max())
    return false;
  to = static_cast<uint32_t>(wide);
  return true;
}

static bool read(const Json &json, std::optional<Score> &to);
static bool read(const Json &json, std::vector<LayerHealth> &to);
static bool read(const Json &json, std::vector<float> &to);

template <typename T> static bool read(const Json &json, const char *key, T &to) {
  return json.is_object() && json.contains(key) && read(json[key], to);
}

//===----------------------------------------------------------------------===//
// Scores and layers
//===----------------------------------------------------------------------===//

static Json toJson(const std::optional<Score> &score) {
  if (!score)
    return nullptr;
  return {{"loss", number(score->loss)},
          {"accuracy", number(score->accuracy)},
          {"samples", score->samples}};
}

static bool read(const Json &json, std::optional<Score> &to) {
  to.reset();
  if (json.is_null())
    return true;
  Score score;
  if (!read(json, "loss", score.loss) || !read(json, "accuracy", score.accuracy) ||
      !read(json, "samples", score.samples))
    return false;
  to = score;
  return true;
}

static void addTensor(Json &json, const TensorHealth &tensor) {
  json["saturation"] = number(tensor.saturation);
  json["underflow"] = number(tensor.underflow);
  json["scale"] = number(tensor.scale);
  if (!tensor.isMeasured())
    return;
  json["gain"] = number(tensor.gain);
  json["noise"] = number(tensor.noise);
}

static Json toJson(const std::vector<LayerHealth> &layers) {
  Json list = Json::array();
  for (const LayerHealth &layer : layers) {
    Json item;
    item["name"] = text::utf8(layer.name);
    addTensor(item, layer);
    for (auto [key, tensor] : {std::pair("input", &layer.input), std::pair("weight", &layer.weight)})
      if (*tensor)
        addTensor(item[key], **tensor);
    list.push_back(std::move(item));
  }
  return list;
}

/// Gain and noise may be missing: not measured.
static bool readTensor(const Json &json, TensorHealth &to) {
  if (!json.is_object() || !read(json, "saturation", to.saturation) ||
      !read(json, "underflow", to.underflow) || !read(json, "scale", to.scale))
    return false;
  return (!json.contains("gain") || read(json, "gain", to.gain)) &&
         (!json.contains("noise") || read(json, "noise", to.noise));
}

static bool read(const Json &json, std::vector<LayerHealth> &to) {
  if (!json.is_array())
    return false;
  for (const Json &item : json) {
    LayerHealth layer;
    if (!item.is_object() || !item.contains("name") || !item["name"].is_string() ||
        !readTensor(item, layer))
      return false;
    for (auto [key, tensor] : {std::pair("input", &layer.input), std::pair("weight", &layer.weight)})
      if (item.contains(key) && !readTensor(item[key], tensor->emplace()))
        return false;
    layer.name = item["name"].get<std::string>();
    to.push_back(std::move(layer));
  }
  return true;
}

//===----------------------------------------------------------------------===//
// Progress and normalization
//===----------------------------------------------------------------------===//

std::string nibble::runtime::text::toText(const RunProgress &p) {
  Json json;
  json["step"] = p.step;
  json["epochs_done"] = p.epochsDone;
  json["sampler_epoch"] = p.sampler.epoch;
  json["sampler_offset"] = p.sampler.offset;
  json["epoch_steps"] = p.epochSteps;
  json["epoch_loss"] = number(p.epochLoss);
  json["epoch_correct"] = p.epochCorrect;
  json["validation"] = toJson(p.validation);
  json["best"] = toJson(p.best);
  json["best_step"] = p.bestStep;
  json["layers"] = toJson(p.layers);
  json["last_rate"] = number(p.lastRate);
  json["log_records"] = p.logRecords;
  return json.dump();
}

bool nibble::runtime::text::fromText(const std::string &text, RunProgress &p) {
  Json json = parseBounded<Json>(text, 4).value_or(nullptr);
  return json.is_object() && read(json, "step", p.step) &&
         read(json, "epochs_done", p.epochsDone) && read(json, "sampler_epoch", p.sampler.epoch) &&
         read(json, "sampler_offset", p.sampler.offset) &&
         read(json, "epoch_steps", p.epochSteps) && read(json, "epoch_loss", p.epochLoss) &&
         read(json, "epoch_correct", p.epochCorrect) && read(json, "validation", p.validation) &&
         read(json, "best", p.best) && read(json, "best_step", p.bestStep) &&
         read(json, "layers", p.layers) && read(json, "last_rate", p.lastRate) &&
         read(json, "log_records", p.logRecords);
}

static Json numbers(const std::vector<float> &values) {
  Json list = Json::array();
  for (float value : values)
    list.push_back(number(value));
  return list;
}

static bool read(const Json &json, std::vector<float> &to) {
  if (!json.is_array())
    return false;
  for (const Json &value : json) {
    to.push_back(0);
    if (!read(value, to.back()))
      return false;
  }
  return true;
}

std::string nibble::runtime::text::toText(const Normalization &normalization) {
  Json json;
  json["divisor"] = number(normalization.divisor);
  json["mean"] = numbers(normalization.mean);
  json["deviation"] = numbers(normalization.deviation);
  return json.dump();
}

bool nibble::runtime::text::fromText(const std::string &text, Normalization &normalization) {
  Json json = parseBounded<Json>(text, 2).value_or(nullptr);
  return json.is_object() && read(json, "divisor", normalization.divisor) &&
         read(json, "mean", normalization.mean) && read(json, "deviation", normalization.deviation);
}

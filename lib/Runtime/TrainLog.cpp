//===- TrainLog.cpp - JSON lines --------------------------------------------------------===//

#include "TrainLog.h"

#include "Support.h"

#include <nlohmann/json.hpp>

using namespace nibble;
using namespace nibble::runtime;

using Json = nlohmann::ordered_json;

static std::string toLine(const Json &json) {
  // Names come from ONNX files and need not be valid UTF-8.
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

Status TrainLog::open(const std::string &file) {
  path = file;
  out.open(file, std::ios::trunc);
  return out ? Status::success() : fileError(file, "the log cannot be opened for writing");
}

void TrainLog::write(const LogRecord &record) {
  if (!out.is_open())
    return;
  Json json;
  json["type"] = record.type;
  json["step"] = record.step;
  json["epoch"] = record.epoch;
  json["loss"] = record.loss;
  if (record.trainAccuracy)
    json["train_accuracy"] = *record.trainAccuracy;
  if (record.validationLoss)
    json["val_loss"] = *record.validationLoss;
  if (record.validationAccuracy)
    json["val_accuracy"] = *record.validationAccuracy;
  json["lr"] = record.learningRate;
  json["ms"] = record.milliseconds;
  for (const LayerHealth &layer : record.layers)
    json["layers"].push_back({{"name", layer.name},
                              {"saturation", layer.saturation},
                              {"underflow", layer.underflow},
                              {"scale", layer.scale}});
  out << toLine(json);
}

void TrainLog::writeError(int64_t step, int64_t epoch, const std::string &message) {
  if (out.is_open())
    out << toLine({{"type", "error"}, {"step", step}, {"epoch", epoch}, {"message", message}});
}

Status TrainLog::flush() {
  if (!out.is_open())
    return Status::success();
  out.flush();
  return out ? Status::success() : fileError(path, "the log cannot be written");
}

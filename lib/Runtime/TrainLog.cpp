//===- TrainLog.cpp - JSON lines --------------------------------------------------------===//

#include "TrainLog.h"

#include "AtomicFile.h"
#include "BoundedJson.h"
#include "RunRecords.h"
#include "Support.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

using namespace nibble;
using namespace nibble::runtime;

using Json = LogJson;

//===----------------------------------------------------------------------===//
// The file
//===----------------------------------------------------------------------===//

/// Lines are handed over in pieces of this size, and at each flush.
static constexpr size_t pieceSize = 1u << 16;

TrainLog::~TrainLog() {
  if (file >= 0) {
    (void)flush();
    ::close(file);
  }
}

static int openLog(const std::string &path, int flags) {
  return ::open(path.c_str(), O_CREAT | O_APPEND | O_CLOEXEC | flags, 0666);
}

static Status openError(const std::string &path) {
  return fileError(path,
                   std::string("the log cannot be opened for writing: ") + std::strerror(errno));
}

Status TrainLog::open(const std::string &name) {
  path = name;
  file = openLog(path, O_WRONLY | O_TRUNC);
  return file >= 0 ? Status::success() : openError(path);
}

Status TrainLog::resume(const std::string &name, int64_t records, int64_t step) {
  path = name;
  file = openLog(path, O_RDWR);
  if (file < 0)
    return openError(path);
  struct stat info{};
  if (::fstat(file, &info) == 0 && (info.st_size == 0 || !S_ISREG(info.st_mode)))
    return Status::success();
  return keep(records, step);
}

/// No record is as long; a file without line ends is not read into memory whole.
static constexpr size_t longestLine = 64u << 20;

/// Whether `line` is a record of step `step`.
static bool isOfStep(const std::string &line, int64_t step) {
  Json json = parseBounded<Json>(line, 4).value_or(nullptr);
  return json.is_object() && json.contains("step") && json["step"] == step;
}

Status TrainLog::keep(int64_t records, int64_t step) {
  off_t end = 0, at = 0;
  std::string last;
  std::vector<char> buffer(pieceSize);
  while (lines < records && last.size() < longestLine) {
    ssize_t count = ::pread(file, buffer.data(), buffer.size(), at);
    if (count < 0 && errno == EINTR)
      continue;
    if (count <= 0)
      break;
    for (ssize_t i = 0; i < count && lines < records; ++i) {
      if (buffer[static_cast<size_t>(i)] != '\n') {
        last += buffer[static_cast<size_t>(i)];
        continue;
      }
      end = at + i + 1;
      for (RunObserver *observer : observers)
        observer->recall(last);
      if (++lines < records)
        last.clear();
    }
    at += count;
  }
  if (lines < records || (records > 0 && !isOfStep(last, step)))
    return fileError(path, "is not the log of the run that the checkpoint is of: its line " +
                               std::to_string(records) + " should be about step " +
                               std::to_string(step) + ". Choose another --log");
  if (::ftruncate(file, end) != 0)
    return nibble::runtime::writeError(path);
  return Status::success();
}

void TrainLog::append(const std::string &line) {
  for (RunObserver *observer : observers)
    observer->record(line);
  if (file < 0)
    return;
  pending += line;
  pending += '\n';
  ++lines;
  if (pending.size() >= pieceSize)
    (void)flush(); // the failure stays until the next flush that is looked at
}

Status TrainLog::flush() {
  size_t done = 0;
  while (file >= 0 && failure.ok() && done < pending.size()) {
    ssize_t count = ::write(file, pending.data() + done, pending.size() - done);
    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0)
      failure = fileError(path, std::string("the log cannot be written: ") + std::strerror(errno));
    else
      done += static_cast<size_t>(count);
  }
  pending.clear();
  return failure;
}

Status TrainLog::sync() {
  if (Status status = flush(); !status)
    return status;
  // A pipe or a device has nothing to sync: EINVAL.
  if (file >= 0 && ::fdatasync(file) != 0 && errno != EINVAL && errno != EROFS)
    failure = fileError(path, std::string("the log cannot be written: ") + std::strerror(errno));
  return failure;
}

//===----------------------------------------------------------------------===//
// Records
//===----------------------------------------------------------------------===//

double nibble::runtime::signalToNoise(const TensorHealth &tensor) {
  return -10 * std::log10(std::max(static_cast<double>(tensor.noise), 1e-20));
}

static void addTensor(Json &json, const TensorHealth &tensor) {
  json["saturation"] = tensor.saturation;
  json["underflow"] = tensor.underflow;
  json["scale"] = tensor.scale;
  if (!tensor.isMeasured())
    return;
  json["gain"] = tensor.gain;
  json["sqnr"] = signalToNoise(tensor);
}

static void addLayers(Json &json, std::span<const LayerHealth> layers) {
  for (const LayerHealth &layer : layers) {
    Json entry;
    entry["name"] = layer.name;
    addTensor(entry, layer);
    for (auto [key, tensor] : {std::pair("input", &layer.input), std::pair("weight", &layer.weight)})
      if (*tensor)
        addTensor(entry[key], **tensor);
    json["layers"].push_back(std::move(entry));
  }
}

void TrainLog::write(const ModelSummary &model) {
  if (!isUseless())
    append(toLogLine(model));
}

void TrainLog::write(const LogRecord &record) {
  if (isUseless())
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
  addLayers(json, record.layers);
  append(dumpRecord(json));
}

void TrainLog::writeError(int64_t step, int64_t epoch, const std::string &message,
                          std::span<const LayerHealth> layers) {
  if (isUseless())
    return;
  Json json{{"type", "error"}, {"step", step}, {"epoch", epoch}, {"message", message}};
  addLayers(json, layers);
  append(dumpRecord(json));
}

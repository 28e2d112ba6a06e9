//===- EventFile.cpp - Event files for TensorBoard ------------------------------------------===//

#include "nibble/Runtime/EventFile.h"

#include "AtomicFile.h"
#include "BoundedJson.h"
#include "RunRecords.h"
#include "Support.h"

#include <array>
#include <bit>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <unistd.h>

using namespace nibble;
using namespace nibble::runtime;

//===----------------------------------------------------------------------===//
// Records
//===----------------------------------------------------------------------===//

static constexpr std::array<uint32_t, 256> makeCrcTable() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit)
      crc = (crc >> 1) ^ (crc & 1 ? 0x82F63B78u : 0); // the polynomial, bits reversed
    table[i] = crc;
  }
  return table;
}

uint32_t nibble::runtime::crc32c(std::string_view bytes) {
  static constexpr std::array<uint32_t, 256> table = makeCrcTable();
  uint32_t crc = ~0u;
  for (char c : bytes)
    crc = (crc >> 8) ^ table[(crc ^ static_cast<unsigned char>(c)) & 0xFF];
  return ~crc;
}

template <typename T> static void putLittleEndian(std::string &to, T value) {
  for (size_t i = 0; i < sizeof(T); ++i)
    to += static_cast<char>((value >> (8 * i)) & 0xFF);
}

/// A CRC of bytes that hold CRCs is weak, hence the mask.
static uint32_t maskedCrc(std::string_view bytes) {
  return std::rotr(crc32c(bytes), 15) + 0xA282EAD8u;
}

std::string nibble::runtime::frameRecord(std::string_view bytes) {
  std::string record;
  putLittleEndian<uint64_t>(record, bytes.size());
  putLittleEndian<uint32_t>(record, maskedCrc(record));
  record += bytes;
  putLittleEndian<uint32_t>(record, maskedCrc(bytes));
  return record;
}

//===----------------------------------------------------------------------===//
// Messages
//===----------------------------------------------------------------------===//

enum WireType : unsigned { Varint = 0, Fixed64 = 1, Bytes = 2, Fixed32 = 5 };

static void putVarint(std::string &to, uint64_t value) {
  for (; value >= 0x80; value >>= 7)
    to += static_cast<char>((value & 0x7F) | 0x80);
  to += static_cast<char>(value);
}
static void putKey(std::string &to, unsigned field, WireType type) {
  putVarint(to, (field << 3) | type);
}
static void putBytes(std::string &to, unsigned field, std::string_view bytes) {
  putKey(to, field, Bytes);
  putVarint(to, bytes.size());
  to += bytes;
}

static std::string eventAt(double wallTime, int64_t step) {
  std::string event;
  putKey(event, 1, Fixed64);
  putLittleEndian(event, std::bit_cast<uint64_t>(wallTime));
  putKey(event, 2, Varint);
  putVarint(event, static_cast<uint64_t>(step));
  return event;
}

std::string nibble::runtime::encodeScalars(double wallTime, int64_t step,
                                           std::span<const std::pair<std::string, float>> scalars) {
  std::string summary;
  for (const auto &[tag, number] : scalars) {
    std::string value;
    putBytes(value, 1, tag);
    putKey(value, 2, Fixed32); // simple_value
    putLittleEndian(value, std::bit_cast<uint32_t>(number));
    putBytes(summary, 1, value);
  }
  std::string event = eventAt(wallTime, step);
  putBytes(event, 5, summary);
  return event;
}

static double now() {
  using namespace std::chrono;
  return duration<double>(system_clock::now().time_since_epoch()).count();
}

//===----------------------------------------------------------------------===//
// The file
//===----------------------------------------------------------------------===//

Result<std::unique_ptr<EventFile>> EventFile::create(const std::string &folder) {
  return guarded(folder, [&]() -> Result<std::unique_ptr<EventFile>> {
    std::error_code wrong;
    std::filesystem::create_directories(folder, wrong);
    if (wrong)
      return fileError(folder, "the folder cannot be made: " + wrong.message());
    // TensorBoard reads the files of a folder in the order of their names.
    std::string seconds = std::to_string(static_cast<int64_t>(now()));
    std::string stem = "events.out.tfevents." + seconds + "." + std::to_string(::getpid());
    for (int i = 0; i < 1000; ++i) {
      std::string name = stem + (i ? "." + std::to_string(i) : "") + ".nibble";
      std::string path = (std::filesystem::path(folder) / name).string();
      int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
      if (file >= 0)
        return std::unique_ptr<EventFile>(new EventFile(std::move(path), file));
      if (errno != EEXIST)
        return nibble::runtime::writeError(path);
    }
    return fileError(folder, "holds too many event files");
  });
}

EventFile::~EventFile() {
  write();
  ::close(file);
}

void EventFile::append(std::string_view message) {
  pending += frameRecord(message);
  if (pending.size() >= 1u << 16)
    write();
}

void EventFile::write() {
  size_t done = 0;
  while (failure.ok() && done < pending.size()) {
    ssize_t count = ::write(file, pending.data() + done, pending.size() - done);
    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0)
      failure = nibble::runtime::writeError(path);
    else
      done += static_cast<size_t>(count);
  }
  pending.clear();
}

void EventFile::refresh(bool) { write(); }

void EventFile::begin() {
  if (begun)
    return;
  begun = true;
  std::string version = eventAt(now(), 0);
  putBytes(version, 3, "brain.Event:2");
  append(version);
  std::string log;
  putKey(log, 1, Varint); // status
  putVarint(log, 1);      // START
  std::string start = eventAt(now(), lastStep + 1);
  putBytes(start, 7, log);
  append(start);
}

//===----------------------------------------------------------------------===//
// From records to scalars
//===----------------------------------------------------------------------===//

using Scalars = std::vector<std::pair<std::string, float>>;

static void add(Scalars &scalars, const LogJson &json, const char *key, std::string tag) {
  if (std::optional<double> number = numberOf(json, key))
    scalars.emplace_back(std::move(tag), static_cast<float>(*number));
}

static Scalars scalarsOf(const LogJson &json) {
  Scalars scalars;
  bool isEpoch = json.value("type", "") == "epoch";
  if (isEpoch) {
    add(scalars, json, "loss", "loss/epoch");
    add(scalars, json, "train_accuracy", "accuracy/epoch");
    add(scalars, json, "val_loss", "loss/validation");
    add(scalars, json, "val_accuracy", "accuracy/validation");
    return scalars; // the layers are those of the last step, whose record has them
  }
  add(scalars, json, "loss", "loss/train");
  add(scalars, json, "train_accuracy", "accuracy/train");
  add(scalars, json, "lr", "rate/learning_rate");
  add(scalars, json, "ms", "time/ms_per_step");
  auto layers = json.find("layers");
  if (layers == json.end() || !layers->is_array())
    return scalars;
  for (const LogJson &layer : *layers) {
    if (!layer.is_object() || !layer.contains("name") || !layer["name"].is_string())
      continue;
    for (const char *measure : {"underflow", "saturation", "scale", "gain", "sqnr"})
      add(scalars, layer, measure, std::string(measure) + "/" + layer["name"].get<std::string>());
  }
  return scalars;
}

static std::optional<LogJson> numbersRecord(std::string_view line) {
  std::optional<LogJson> json = parseBounded<LogJson>(std::string(line), 4);
  bool good = json && json->is_object() && json->contains("type") && (*json)["type"].is_string() &&
              numberOf(*json, "step");
  return good ? json : std::nullopt;
}

void EventFile::recall(std::string_view line) {
  if (std::optional<LogJson> json = numbersRecord(line))
    lastStep = wholeOf(*numberOf(*json, "step"));
}

void EventFile::record(std::string_view line) {
  begin();
  std::optional<LogJson> json = numbersRecord(line);
  if (!json || ((*json)["type"] != "step" && (*json)["type"] != "epoch"))
    return;
  Scalars scalars = scalarsOf(*json);
  if (!scalars.empty())
    append(encodeScalars(now(), wholeOf(*numberOf(*json, "step")), scalars));
}

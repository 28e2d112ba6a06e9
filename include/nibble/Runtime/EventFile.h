//===- EventFile.h - Event files for TensorBoard ------------------*- C++ -*-===//
//
// TFRecord framing (length, masked CRC-32C of the length, bytes, masked CRC-32C of the bytes; all
// little-endian) around protobuf messages tensorflow.Event, encoded by hand: wall_time = 1, step =
// 2, file_version = 3, summary = 5, session_log = 7 (tensorflow/core/util/event.proto).
//
// A resumed run opens another file of the same folder that begins with session_log START at its
// step, upon which TensorBoard discards what older files say of later steps.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_RUNTIME_EVENTFILE_H
#define NIBBLE_RUNTIME_EVENTFILE_H

#include "nibble/Runtime/RunObserver.h"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace nibble::runtime {

/// CRC-32C (Castagnoli, RFC 3720 appendix B.4).
uint32_t crc32c(std::string_view bytes);

/// One record: what TensorFlow calls a TFRecord.
std::string frameRecord(std::string_view bytes);

/// An Event message with one scalar per tag. `wallTime`: seconds since 1970.
std::string encodeScalars(double wallTime, int64_t step,
                          std::span<const std::pair<std::string, float>> scalars);

/// Writes DIR/events.out.tfevents.TIME.PID.nibble: loss/train, loss/validation, accuracy/train,
/// accuracy/validation, rate/learning_rate, time/ms_per_step, and for each layer underflow/LAYER,
/// saturation/LAYER, scale/LAYER.
class EventFile : public RunObserver {
public:
  static Result<std::unique_ptr<EventFile>> create(const std::string &folder);
  ~EventFile() override;

  void recall(std::string_view line) override;
  void record(std::string_view line) override;
  void refresh(bool last) override;
  Status status() const override { return failure; }

private:
  EventFile(std::string path, int file) : path(std::move(path)), file(file) {}
  void begin();
  void append(std::string_view message);
  void write();

  std::string path;
  int file;
  std::string pending;
  int64_t lastStep = 0;
  bool begun = false;
  Status failure;
};

} // namespace nibble::runtime

#endif // NIBBLE_RUNTIME_EVENTFILE_H

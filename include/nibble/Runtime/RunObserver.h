//===- RunObserver.h - Who watches a run --------------------------*- C++ -*-===//

#ifndef NIBBLE_RUNTIME_RUNOBSERVER_H
#define NIBBLE_RUNTIME_RUNOBSERVER_H

#include "nibble/Runtime/Status.h"

#include <string_view>

namespace nibble::runtime {

/// Told of each record of the log, a JSON object as it stands in its line (docs/rooms/runtime.md).
/// What goes wrong in here does not stop a run: `status` tells it at the end.
class RunObserver {
public:
  virtual ~RunObserver() = default;

  /// A record that an earlier process of the same run has written; all of them in order, before the
  /// first `record`.
  virtual void recall(std::string_view line) { (void)line; }
  virtual void record(std::string_view line) = 0;
  /// After each epoch; `last` at the end of the run, however it ends.
  virtual void refresh(bool last) { (void)last; }

  /// The first thing that went wrong.
  virtual Status status() const { return Status::success(); }
};

} // namespace nibble::runtime

#endif // NIBBLE_RUNTIME_RUNOBSERVER_H

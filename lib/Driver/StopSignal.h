//===- StopSignal.h - SIGTERM and SIGINT as a question, not an end ---*- C++ -*-===//
#pragma once

#include <csignal>

namespace nibble {

/// While one lives, the first SIGTERM or SIGINT only sets `received`; a second one ends the process
/// as usual. There is at most one at a time.
class StopSignal {
public:
  StopSignal();
  ~StopSignal();
  StopSignal(const StopSignal &) = delete;

  /// The signal's number; 0: none has come.
  static const volatile std::sig_atomic_t &received();

private:
  struct sigaction oldTerminate, oldInterrupt;
};

} // namespace nibble

//===- Progress.cpp - What a person watches ------------------------------------------===//

#include "Progress.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <iostream>
#include <unistd.h>

using namespace nibble::runtime;

[[gnu::format(printf, 1, 2)]] static std::string format(const char *pattern, ...) {
  char text[256];
  va_list arguments;
  va_start(arguments, pattern);
  std::vsnprintf(text, sizeof text, pattern, arguments);
  va_end(arguments);
  return text;
}

ProgressOptions ProgressOptions::standardError() {
  ProgressOptions options;
  options.out = &std::cerr;
  options.terminal = isatty(STDERR_FILENO) != 0;
  return options;
}

std::string nibble::runtime::formatDuration(double seconds) {
  long long all = static_cast<long long>(std::clamp(seconds, 0.0, 1e9) + 0.5);
  if (all >= 3600)
    return format("%lld:%02lld:%02lld", all / 3600, all / 60 % 60, all % 60);
  return format("%lld:%02lld", all / 60, all % 60);
}

static std::string formatBase(const ProgressState &state) {
  std::string line = format(
      "epoch %lld/%lld %lld/%lld %.1f ms/step loss %.4f", static_cast<long long>(state.epoch),
      static_cast<long long>(state.epochs), static_cast<long long>(state.step),
      static_cast<long long>(state.steps), state.millisecondsPerStep, state.loss);
  if (state.accuracy)
    line += format(" acc %.1f %%", *state.accuracy * 100);
  return line;
}

std::string nibble::runtime::formatProgress(const ProgressState &state) {
  return formatBase(state) + " ETA " + formatDuration(state.secondsLeft);
}

Progress::Progress(const ProgressOptions &options) : options(options), last(Clock::now()) {}

bool Progress::isDue() const {
  if (!options.out)
    return false;
  double interval = options.terminal ? options.terminalInterval : options.plainInterval;
  return std::chrono::duration<double>(Clock::now() - last).count() >= interval;
}

void Progress::show(const ProgressState &state) {
  if (!options.out)
    return;
  last = Clock::now();
  // CSI K clears what a longer line left behind.
  if (options.terminal)
    *options.out << '\r' << formatProgress(state) << "\x1b[K" << std::flush;
  else
    *options.out << formatProgress(state) << std::endl;
  lineOpen = options.terminal;
}

void Progress::finishEpoch(const ProgressState &state, const std::optional<Score> &validation) {
  if (!options.out)
    return;
  std::string line = formatBase(state);
  if (validation) {
    line += format(" val loss %.4f", validation->loss);
    if (state.accuracy)
      line += format(" val acc %.2f %%", validation->accuracy * 100);
  }
  if (options.terminal)
    *options.out << '\r' << line << "\x1b[K" << std::endl;
  else
    *options.out << line << std::endl;
  last = Clock::now();
  lineOpen = false;
}

void Progress::endLine() {
  if (lineOpen)
    *options.out << std::endl;
  lineOpen = false;
}

//===- Report.h - A run on one page -------------------------------*- C++ -*-===//
//
// One self-contained HTML page, made from the log alone: curves, health of the layers over time,
// what runs in how many bits, time and memory, and a verdict in words. No script, style, font or
// picture comes from elsewhere.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_RUNTIME_REPORT_H
#define NIBBLE_RUNTIME_REPORT_H

#include "nibble/Runtime/RunHistory.h"
#include "nibble/Runtime/RunObserver.h"

#include <chrono>
#include <memory>
#include <string>

namespace nibble::runtime {

/// The page. `baseline`: a float run to compare with, or null.
std::string renderReport(const RunHistory &run, const RunHistory *baseline = nullptr);

/// Writes it to `path`, whole or not at all.
Status writeReport(const std::string &path, const RunHistory &run,
                   const RunHistory *baseline = nullptr);

/// Keeps a page up to date while a run goes on: after an epoch, but not more than once in two
/// seconds, and at the end.
class ReportWriter : public RunObserver {
public:
  /// Writes the page of a run that has not begun, so that a path that cannot be written comes to
  /// light before anything takes time.
  static Result<std::unique_ptr<ReportWriter>> create(const std::string &path,
                                                      std::optional<RunHistory> baseline);

  void recall(std::string_view line) override { run.add(line); }
  void record(std::string_view line) override { run.add(line); }
  void refresh(bool last) override;
  Status status() const override { return failure; }

private:
  ReportWriter(std::string path, std::optional<RunHistory> baseline)
      : path(std::move(path)), baseline(std::move(baseline)) {}
  void write();

  std::string path;
  std::optional<RunHistory> baseline;
  RunHistory run;
  std::chrono::steady_clock::time_point written;
  Status failure;
};

} // namespace nibble::runtime

#endif // NIBBLE_RUNTIME_REPORT_H

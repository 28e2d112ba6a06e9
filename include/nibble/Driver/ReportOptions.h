//===- ReportOptions.h - what is told about a run -------------------*- C++ -*-===//
#pragma once

#include <string>

namespace nibble {

/// nibble-train: pages and event files, during a run or from its log.
struct ReportOptions {
  /// --report: a page at `page`, or DIR/report.html where that is empty.
  bool wanted = false;
  std::string page;
  /// Log of a float run to compare with.
  std::string baseline;
  /// Folder for event files.
  std::string tensorboard;
  /// Make the page from this log and do nothing else.
  std::string fromLog;
};

} // namespace nibble

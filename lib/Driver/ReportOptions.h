//===- ReportOptions.h - their part of the table, and what is made of them -*- C++ -*-===//
#pragma once

#include "nibble/Driver/Options.h"
#include "nibble/Runtime/EventFile.h"
#include "nibble/Runtime/Report.h"

namespace nibble {

/// Appends --report, --baseline, --report-from, --tensorboard and --completion.
void addReportOptions(std::vector<ToolOption> &table);

/// "" or what does not fit together; `isComplete`: the command line needs neither network nor data.
Status checkReportOptions(const ToolOptions &options, bool &isComplete);

/// A report is made from a log, so a run without one writes DIR/log.jsonl.
void defaultLog(ToolOptions &options);

/// --report-from.
Status writeReportFromLog(const ToolOptions &options, llvm::raw_ostream &os);

/// Who watches a run of nibble-train.
class RunReport {
public:
  /// Opens what --report and --tensorboard name.
  static Result<RunReport> create(const ToolOptions &options);
  std::vector<runtime::RunObserver *> observers() const;
  /// Prints where the page is; an error where something could not be written during the run.
  Status finish(llvm::raw_ostream &os) const;

private:
  std::string page;
  std::unique_ptr<runtime::ReportWriter> report;
  std::unique_ptr<runtime::EventFile> events;
};

/// The log's first record.
runtime::ModelSummary summarize(const CompiledModel &model, const ToolOptions &options);

} // namespace nibble

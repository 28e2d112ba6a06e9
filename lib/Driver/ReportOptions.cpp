//===- ReportOptions.cpp - reports and event files of a run ---------------------------===//
#include "ReportOptions.h"

#include "nibble/Driver/Completion.h"
#include "nibble/Runtime/Checkpoint.h"

#include "llvm/Support/raw_ostream.h"

#include <filesystem>

using namespace nibble;

//===----------------------------------------------------------------------===//
// Options
//===----------------------------------------------------------------------===//

static std::function<Status(ToolOptions &, const std::string &)>
setPath(const char *name, std::string ReportOptions::*field) {
  return [=](ToolOptions &o, const std::string &value) {
    if (value.empty())
      return Status::error(std::string("--") + name + ": a path expected");
    o.report.*field = value;
    return Status::success();
  };
}

void nibble::addReportOptions(std::vector<ToolOption> &table) {
  table.push_back(
      {"report", "[FILE]",
       "a page with curves, health of the layers, bits, time and memory (default DIR/report.html)",
       OptionGroup::Output, TrainTool, false, [](ToolOptions &o, const std::string &value) {
         o.report.wanted = true;
         o.report.page = value;
         return Status::success();
       }});
  table.push_back({"baseline", "FILE", "log of a float run for the report to compare with",
                   OptionGroup::Output, TrainTool, false,
                   setPath("baseline", &ReportOptions::baseline)});
  table.push_back(
      {"report-from", "FILE", "make the report of this log, written to -o, and do nothing else",
       OptionGroup::Output, TrainTool, false, setPath("report-from", &ReportOptions::fromLog)});
  table.push_back({"tensorboard", "DIR", "event files for TensorBoard", OptionGroup::Output,
                   TrainTool, false, setPath("tensorboard", &ReportOptions::tensorboard)});
  table.push_back(
      {"completion", "bash|zsh|fish", "print this shell's completion of the command and exit",
       OptionGroup::Output, BothTools, false, [](ToolOptions &o, const std::string &value) {
         if (!isShell(value))
           return Status::error("--completion: bash, zsh or fish expected, found '" + value + "'");
         o.completion = value;
         return Status::success();
       }});
}

Status nibble::checkReportOptions(const ToolOptions &options, bool &isComplete) {
  isComplete = !options.report.fromLog.empty();
  if (isComplete && (options.report.wanted || !options.report.tensorboard.empty()))
    return Status::error(
        "--report-from makes the page of a log; --report and --tensorboard watch a run");
  if (!isComplete && options.given.contains("o"))
    return Status::error("-o means something only with --report-from (a run writes to --out DIR)");
  if (options.train.evalOnly && (options.report.wanted || !options.report.tensorboard.empty()))
    return Status::error(
        "--report and --tensorboard watch a training run, and --eval-only is none");
  if (!options.report.baseline.empty() && !isComplete && !options.report.wanted)
    return Status::error("--baseline means something only with --report or --report-from");
  return Status::success();
}

void nibble::defaultLog(ToolOptions &options) {
  bool needed = options.report.wanted || !options.report.tensorboard.empty();
  if (needed && options.train.log.empty())
    options.train.log = (std::filesystem::path(options.out) / "log.jsonl").string();
}

//===----------------------------------------------------------------------===//
// Pages
//===----------------------------------------------------------------------===//

static Result<std::optional<runtime::RunHistory>> readBaseline(const ToolOptions &options) {
  if (options.report.baseline.empty())
    return std::optional<runtime::RunHistory>();
  auto read = runtime::RunHistory::read(options.report.baseline);
  if (!read)
    return read.status();
  return std::optional<runtime::RunHistory>(std::move(*read));
}

Status nibble::writeReportFromLog(const ToolOptions &options, llvm::raw_ostream &os) {
  auto run = runtime::RunHistory::read(options.report.fromLog);
  if (!run)
    return run.status();
  auto baseline = readBaseline(options);
  if (!baseline)
    return baseline.status();
  std::string page = options.out;
  if (page.empty())
    page = std::filesystem::path(options.report.fromLog).replace_extension(".html").string();
  if (std::filesystem::path(page).lexically_normal() ==
      std::filesystem::path(options.report.fromLog).lexically_normal())
    return Status::error(page + ": is the log itself; say where the page goes with -o FILE");
  if (Status status = runtime::writeReport(page, *run, *baseline ? &**baseline : nullptr); !status)
    return status;
  os << "written: " << page << "\n";
  return Status::success();
}

Result<RunReport> RunReport::create(const ToolOptions &options) {
  RunReport result;
  if (options.report.wanted) {
    auto baseline = readBaseline(options);
    if (!baseline)
      return baseline.status();
    result.page = options.report.page.empty()
                      ? (std::filesystem::path(options.out) / "report.html").string()
                      : options.report.page;
    auto report = runtime::ReportWriter::create(result.page, std::move(*baseline));
    if (!report)
      return report.status();
    result.report = std::move(*report);
  }
  if (!options.report.tensorboard.empty()) {
    auto events = runtime::EventFile::create(options.report.tensorboard);
    if (!events)
      return events.status();
    result.events = std::move(*events);
  }
  return result;
}

std::vector<runtime::RunObserver *> RunReport::observers() const {
  std::vector<runtime::RunObserver *> all;
  if (report)
    all.push_back(report.get());
  if (events)
    all.push_back(events.get());
  return all;
}

Status RunReport::finish(llvm::raw_ostream &os) const {
  for (runtime::RunObserver *observer : observers())
    if (Status status = observer->status(); !status)
      return status;
  if (report)
    os << "written: " << page << " (report)\n";
  return Status::success();
}

//===----------------------------------------------------------------------===//
// The model record
//===----------------------------------------------------------------------===//

static const char *productName(Product product) {
  switch (product) {
  case Product::Forward:
    return "Y";
  case Product::InputGradient:
    return "dX";
  case Product::WeightGradient:
    return "dW";
  }
  return "";
}

runtime::ModelSummary nibble::summarize(const CompiledModel &model, const ToolOptions &options) {
  runtime::ModelSummary summary;
  summary.tool = runtime::toolVersion();
  summary.network = model.options.model;
  summary.command = options.commandLine;
  summary.recipe = model.options.recipe.name;
  summary.recipeOptions = toString(model.options.recipe);
  summary.stepOptions = toString(model.options.step);
  summary.processor = model.options.mcpu;
  if (model.options.mcpu != model.machine.target.name && !model.machine.target.name.empty())
    summary.processor += " (" + std::string(model.machine.target.name) + ")";
  summary.threads = model.threads;
  summary.interpreted = options.interpret;
  for (const Variable &variable : model.variables)
    if (variable.trainable)
      summary.parameters += variable.type.getNumElements();
  summary.stateBytes = model.layout.stateBytes;
  summary.arenaBytes = model.layout.arenaBytes();
  summary.savedBytes = model.saved.total;
  summary.weightBytes = model.weightSize.asFloat;
  summary.readBytes = model.weightSize.asRead;
  summary.codeBytes = static_cast<int64_t>(model.object.size());
  summary.compileSeconds = model.seconds;
  for (const PrecisionRow &row : model.precision)
    summary.products.push_back({row.layer, row.kind, productName(row.product), row.left, row.right,
                                static_cast<int64_t>(row.bits), row.multiplyAdds, row.reason});
  summary.notes = model.notes;
  return summary;
}

//===- Report.cpp - A run on one page -------------------------------------------------------===//

#include "nibble/Runtime/Report.h"

#include "AtomicFile.h"
#include "ReportChart.h"
#include "ReportSections.h"
#include "ReportStyle.h"
#include "Support.h"
#include "Verdict.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

using namespace nibble;
using namespace nibble::runtime;
using namespace nibble::runtime::report;

//===----------------------------------------------------------------------===//
// Figures and curves
//===----------------------------------------------------------------------===//

static std::string tile(const std::string &figure, const std::string &what) {
  return "<div class=tile><b>" + escape(figure) + "</b><span>" + escape(what) + "</span></div>";
}

static std::string durationOf(double seconds) {
  if (seconds < 1)
    return number(std::round(seconds * 1000)) + " ms";
  if (seconds < 120)
    return number(std::round(seconds * 10) / 10) + " s";
  int64_t minutes = std::llround(seconds / 60);
  if (minutes < 120)
    return std::to_string(minutes) + " min";
  return std::to_string(minutes / 60) + " h " + std::to_string(minutes % 60) + " min";
}

static double millisecondsPerStep(const RunHistory &run) {
  return run.steps > 0 ? 1000 * run.seconds / static_cast<double>(run.steps) : 0;
}

std::string report::tilesOf(const RunHistory &run) {
  std::string out;
  if (!run.validationAccuracy.empty())
    out += tile(percent(run.validationAccuracy.latest()),
                "validation accuracy, best " + percent(run.bestAccuracy.value_or(0)) +
                    " in epoch\u00A0" + std::to_string(run.bestEpoch));
  else if (!run.validationLoss.empty())
    out += tile(number(run.validationLoss.latest()), "validation loss");
  if (!run.epochLoss.empty())
    out += tile(number(run.epochLoss.latest()), "training loss of the last epoch");
  else if (!run.loss.empty())
    out += tile(number(run.loss.latest()), "loss of the last step");
  if (run.model)
    if (std::optional<double> share = shareOfBits(*run.model, 4))
      out += tile(percent(*share), "of the multiply-adds in 4 bits");
  if (run.steps > 0)
    out += tile(number(std::round(100 * millisecondsPerStep(run)) / 100) + " ms",
                "a step, " + grouped(run.steps) + " steps");
  if (run.model && run.model->savedBytes > 0)
    out += tile(bytes(run.model->savedBytes), "kept from forward to backward");
  if (run.model && run.model->readBytes > 0 && run.model->weightBytes > 0)
    out += tile(bytes(run.model->readBytes),
                "weights as products read them; " + bytes(run.model->weightBytes) + " in float");
  return out.empty() ? "" : "<div class=tiles>" + out + "</div>";
}

std::string report::curvesOf(const RunHistory &run, const RunHistory *baseline) {
  if (run.steps == 0)
    return "";
  static const Curve none;
  const Curve &floatLoss = !baseline                          ? none
                           : baseline->validationLoss.empty() ? baseline->loss
                                                              : baseline->validationLoss;
  const Curve &floatAccuracy = !baseline ? none
                               : baseline->validationAccuracy.empty()
                                   ? baseline->epochAccuracy
                                   : baseline->validationAccuracy;
  Chart loss{"Loss",
             {{"training", "a", &run.loss, true},
              {"validation", "b", &run.validationLoss, false, true},
              {"float run", "c", &floatLoss}}};
  loss.mayBeLogarithmic = true;
  Chart accuracy{"Accuracy",
                 {{"training", "a", &run.accuracy, true},
                  {"validation", "b", &run.validationAccuracy, false, true},
                  {"float run", "c", &floatAccuracy}}};
  accuracy.isPercent = true;
  Chart rate{"Learning rate", {{"rate", "a", &run.rate}}};
  rate.fromZero = true;
  Chart time{"Time of a step, ms", {{"mean", "a", &run.milliseconds, true}}};
  time.mayBeLogarithmic = true;
  std::string out;
  for (Chart *chart : {&loss, &accuracy, &rate, &time}) {
    chart->lastStep = std::max(run.steps, run.error ? run.error->step : 0);
    chart->markedStep = run.error ? run.error->step : 0;
    chart->mark = "stopped";
    out += draw(*chart);
  }
  return "<section><h2>Curves</h2><p>Over the steps; the pale area spans the lowest and highest of "
         "the steps behind each point.</p><div class=charts>" +
         out + "</div></section>";
}

//===----------------------------------------------------------------------===//
// Facts
//===----------------------------------------------------------------------===//

static void fact(std::string &out, const char *what, const std::string &value) {
  if (!value.empty())
    out += std::string("<dt>") + what + "<dd>" + escape(value);
}

static std::string bytesFact(int64_t size) { return size > 0 ? bytes(size) : ""; }

static std::string spaced(std::string text) {
  size_t at = 0;
  while ((at = text.find(',', at)) != std::string::npos)
    text.replace(at, 1, ", "), at += 2;
  return text;
}

static std::string timeAndMemory(const RunHistory &run, const ModelSummary &model) {
  std::string out;
  fact(out, "Time of a step",
       run.steps > 0 ? number(std::round(1000 * millisecondsPerStep(run)) / 1000) +
                           " ms (mean, without evaluation)"
                     : "");
  fact(out, "All steps", run.steps > 0 ? durationOf(run.seconds) : "");
  fact(out, "Compiled in", model.compileSeconds > 0 ? durationOf(model.compileSeconds) : "");
  fact(out, "Code", bytesFact(model.codeBytes));
  fact(out, "Processor",
       model.processor.empty() ? ""
                               : model.processor + ", " + std::to_string(model.threads) +
                                     (model.threads == 1 ? " thread" : " threads"));
  fact(out, "Runs", model.interpreted ? "the interpreter, not compiled code" : "");
  fact(out, "Trained numbers", model.parameters > 0 ? grouped(model.parameters) : "");
  fact(out, "State",
       model.stateBytes > 0 ? bytes(model.stateBytes) + " (parameters, moments, scales, statistics)"
                            : "");
  fact(out, "Working memory", bytesFact(model.arenaBytes));
  fact(out, "Kept for backward", bytesFact(model.savedBytes));
  if (model.weightBytes > 0 && model.readBytes > 0) {
    double times = static_cast<double>(model.weightBytes) / static_cast<double>(model.readBytes);
    fact(out, "Weights",
         bytes(model.weightBytes) + " as the optimizer keeps them, " + bytes(model.readBytes) +
             " as the forward products read them (" + number(std::round(times * 10) / 10) +
             " times less)");
  }
  return out.empty() ? "" : "<div><h2>Time and memory</h2><dl>" + out + "</dl></div>";
}

static std::string howItWasMade(const ModelSummary &model) {
  std::string out;
  fact(out, "Network", model.network);
  std::string data = model.data;
  if (model.samples > 0)
    data +=
        ": " + grouped(model.samples) + " samples" +
        (model.validationSamples > 0 ? ", " + grouped(model.validationSamples) + " for validation"
                                     : "");
  fact(out, "Data", data);
  if (model.steps > 0)
    fact(out, "Plan",
         grouped(model.epochs) + (model.epochs == 1 ? " epoch, " : " epochs, ") +
             grouped(model.steps) + " steps of " + grouped(model.batchSize) + " samples");
  fact(out, "Recipe", model.recipe);
  fact(out, "in full", spaced(model.recipeOptions));
  fact(out, "Loss, optimizer", spaced(model.stepOptions));
  fact(out, "Made by", model.tool);
  if (out.empty())
    return "";
  out = "<div><h2>How it was made</h2><dl>" + out + "</dl>";
  if (!model.command.empty())
    out += "<pre>" + escape(model.command) + "</pre>";
  return out + "</div>";
}

std::string report::factsOf(const RunHistory &run) {
  if (!run.model)
    return "";
  std::string out = "<section><div class=two>" + timeAndMemory(run, *run.model) +
                    howItWasMade(*run.model) + "</div>";
  if (!run.model->notes.empty()) {
    out += "<h2>Notes of the compiler</h2><ul>";
    for (const std::string &note : run.model->notes)
      out += "<li>" + escape(note) + "</li>";
    out += "</ul>";
  }
  return out + "</section>";
}

//===----------------------------------------------------------------------===//
// The page
//===----------------------------------------------------------------------===//

static std::string markOf(Mood mood) {
  const char *glyph = mood == Mood::Good    ? "✓"
                      : mood == Mood::Watch ? "!"
                      : mood == Mood::Bad   ? "✕"
                                            : "i";
  return std::string("<span class='mark ") + name(mood) + "' aria-hidden=true>" + glyph + "</span>";
}

static std::string verdictOf(const Verdict &verdict) {
  std::string out = std::string("<section class='verdict ") + name(verdict.mood) + "'><h1>" +
                    markOf(verdict.mood) + escape(verdict.headline) + "</h1><p class=what>" +
                    prose(verdict.text) + "</p>";
  constexpr size_t most = 12;
  std::string list;
  for (size_t i = 0; i < std::min(most, verdict.findings.size()); ++i) {
    const Finding &finding = verdict.findings[i];
    list += "<li>" + markOf(finding.mood) +
            (finding.layer.empty() ? "" : "<b>" + escape(finding.layer) + "</b>: ") +
            prose(finding.what) + " <span class=soft>Try " + prose(finding.whatToTry) +
            ".</span></li>";
  }
  if (verdict.findings.size() > most)
    list += "<li>… and " + std::to_string(verdict.findings.size() - most) +
            " more, marked in the table of layers.</li>";
  return out + (list.empty() ? "" : "<ul>" + list + "</ul>") + "</section>";
}

static std::string networkName(const RunHistory &run) {
  if (!run.model || run.model->network.empty())
    return "Training run";
  return std::filesystem::path(run.model->network).stem().string();
}

/// "digits · ibm · finished: 8 epochs, 176 steps"
static std::string subtitle(const RunHistory &run) {
  std::string out = "<b>" + escape(networkName(run)) + "</b>";
  if (run.model && !run.model->recipe.empty())
    out += " · recipe " + escape(run.model->recipe);
  std::string plan = run.model && run.model->steps > 0 ? " of " + grouped(run.model->steps) : "";
  if (run.error)
    return out + " · failed at step " + grouped(run.error->step) + plan;
  if (run.isFinished())
    return out + " · finished, " + grouped(run.steps) + " steps";
  return out + " · under way or interrupted, step " + grouped(run.steps) + plan;
}

std::string nibble::runtime::renderReport(const RunHistory &run, const RunHistory *baseline) {
  Verdict verdict = judge(run, baseline);
  bool goesOn = !run.error && !run.isFinished();
  std::string out = "<!DOCTYPE html>\n<html lang=en><head><meta charset=utf-8><meta name=viewport "
                    "content='width=device-width,initial-scale=1'>";
  if (goesOn) // an open page follows the run
    out += "<meta http-equiv=refresh content=30>";
  out += "<link rel=icon href='data:,'><title>" + escape(networkName(run)) + ": " +
         escape(verdict.headline) + "</title>\n<style>" + styleSheet +
         "</style></head>\n<body><main><p class=soft>Nibble · " + subtitle(run) + "</p>\n" +
         verdictOf(verdict) + "\n" + tilesOf(run) + "\n" + curvesOf(run, baseline) + "\n" +
         layersOf(run) + "\n";
  if (run.model)
    out += bitsOf(*run.model) + "\n";
  out += factsOf(run) + "\n<footer>";
  if (!run.model)
    out += "The log has no model record, so the page knows neither bits nor memory. ";
  if (run.strangeLines > 0)
    out += grouped(run.strangeLines) + " lines of the log are no records and were left out. ";
  return out +
         "Made from the run's log: <code>nibble-train --report-from LOG -o PAGE</code>. "
         "docs/howto/read-the-report.md explains each part.</footer></main>\n<div id=tip "
         "role=status></div><script>" +
         script + "</script></body></html>\n";
}

Status nibble::runtime::writeReport(const std::string &path, const RunHistory &run,
                                    const RunHistory *baseline) {
  return guarded(path, [&]() -> Status {
    std::string page = renderReport(run, baseline);
    Result<AtomicFile> file = AtomicFile::create(path);
    if (!file)
      return file.status();
    if (Status status = file->write(page.data(), page.size()); !status)
      return status;
    return file->commit();
  });
}

//===----------------------------------------------------------------------===//
// While a run goes on
//===----------------------------------------------------------------------===//

Result<std::unique_ptr<ReportWriter>> ReportWriter::create(const std::string &path,
                                                           std::optional<RunHistory> baseline) {
  std::unique_ptr<ReportWriter> writer(new ReportWriter(path, std::move(baseline)));
  writer->write();
  if (!writer->failure)
    return writer->failure;
  return writer;
}

void ReportWriter::refresh(bool last) {
  if (last || std::chrono::steady_clock::now() - written >= std::chrono::seconds(2))
    write();
}

void ReportWriter::write() {
  Status status = writeReport(path, run, baseline ? &*baseline : nullptr);
  if (!status && failure.ok())
    failure = status;
  written = std::chrono::steady_clock::now();
}

//===- Verdict.cpp - Does training in four bits work here? ----------------------------------===//

#include "Verdict.h"

#include "ReportChart.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>

using namespace nibble;
using namespace nibble::runtime;

const char *nibble::runtime::name(Mood mood) {
  switch (mood) {
  case Mood::Good:
    return "good";
  case Mood::Watch:
    return "watch";
  case Mood::Bad:
    return "bad";
  case Mood::Plain:
    break;
  }
  return "plain";
}

std::string nibble::runtime::percent(double share) {
  double value = 100 * share, fromEdge = std::min(std::fabs(value), std::fabs(100 - value));
  int digits = fromEdge == 0 ? 0 : fromEdge < 0.0995 ? 3 : fromEdge < 0.995 ? 2 : 1;
  char text[48];
  std::snprintf(text, sizeof text, "%.*f\u00A0%%", digits, value);
  return text;
}

/// Three digits, as a command line takes them.
static std::string plain(double value) {
  char text[48];
  std::snprintf(text, sizeof text, "%.3g", value);
  return text;
}
/// Three digits for a person.
static std::string brief(double value) {
  return report::number(std::strtod(plain(value).c_str(), nullptr));
}

std::optional<double> nibble::runtime::shareOfBits(const ModelSummary &model, int64_t bits) {
  double all = 0, within = 0;
  for (const ProductSummary &product : model.products) {
    double work = static_cast<double>(std::max<int64_t>(0, product.multiplyAdds));
    all += work;
    if (product.bits > 0 && product.bits <= bits)
      within += work;
  }
  return all > 0 ? std::optional(within / all) : std::nullopt;
}

//===----------------------------------------------------------------------===//
// Layers
//===----------------------------------------------------------------------===//

static constexpr double recent = 0.25;

static Mood above(const Curve &curve, double watch, double bad) {
  if (curve.empty())
    return Mood::Good;
  double value = curve.recentMean(recent);
  return value >= bad ? Mood::Bad : value >= watch ? Mood::Watch : Mood::Good;
}

static bool isGainStrange(const LayerHistory &layer) {
  double gain = layer.gain.recentMean(recent);
  return !layer.gain.empty() && (gain < gainLowest || gain > gainHighest);
}

Mood nibble::runtime::moodOf(const LayerHistory &layer) {
  Mood underflow = above(layer.underflow, underflowWatch, underflowBad);
  Mood saturation = above(layer.saturation, saturationWatch, saturationBad);
  if (underflow == Mood::Bad || saturation == Mood::Bad)
    return Mood::Bad;
  bool watch = underflow == Mood::Watch || saturation == Mood::Watch || isGainStrange(layer);
  return watch ? Mood::Watch : Mood::Good;
}

namespace {

/// One thing that may be wrong with layers.
struct Trouble {
  Mood (*of)(const LayerHistory &);
  Curve LayerHistory::*curve;
  std::string (*shown)(double);
  /// Behind the number, and before "Try".
  const char *before, *behind, *whatToTry;
};

Mood underflowOf(const LayerHistory &layer) {
  return above(layer.underflow, underflowWatch, underflowBad);
}
Mood saturationOf(const LayerHistory &layer) {
  return above(layer.saturation, saturationWatch, saturationBad);
}
Mood gainOf(const LayerHistory &layer) { return isGainStrange(layer) ? Mood::Watch : Mood::Good; }

const Trouble troubles[] = {
    {underflowOf, &LayerHistory::underflow, percent, "",
     " of the gradient codes are zero: little reaches the layers before.",
     "another grid (--gradients=radix4 spans a ratio of 4⁶, luq of 2⁶, int4 of 7), or float for "
     "the "
     "first of them, --keep-float"},
    {saturationOf, &LayerHistory::saturation, percent, "",
     " of the gradient is beyond the grid's top and held there.",
     "a smaller --lr, a --warmup, or --gradients=luq, whose scale follows the largest element"},
    {gainOf, &LayerHistory::gain, brief, "rounding changes the gradient's length: gain ",
     " in place of 1.", "--gain (recipe ibm+), which undoes it, or luq, which is unbiased"}};

} // namespace

/// Layers with the same trouble share a finding; the first is the one nearest to the loss.
static void addFindings(std::vector<Finding> &findings, const std::vector<LayerHistory> &layers) {
  constexpr size_t mostNames = 6;
  for (const Trouble &trouble : troubles)
    for (Mood mood : {Mood::Bad, Mood::Watch}) {
      std::string names;
      size_t count = 0;
      double low = INFINITY, high = -INFINITY;
      for (const LayerHistory &layer : layers) {
        if (trouble.of(layer) != mood)
          continue;
        if (++count <= mostNames)
          names += (count > 1 ? ", " : "") + layer.name;
        low = std::min(low, (layer.*trouble.curve).recentMean(recent));
        high = std::max(high, (layer.*trouble.curve).recentMean(recent));
      }
      if (count == 0)
        continue;
      if (count > mostNames)
        names += " and " + std::to_string(count - mostNames) + " more layers";
      std::string from = trouble.shown(low), to = trouble.shown(high);
      findings.push_back(
          {mood, names, trouble.before + (from == to ? from : from + " to " + to) + trouble.behind,
           trouble.whatToTry});
    }
}

//===----------------------------------------------------------------------===//
// The run
//===----------------------------------------------------------------------===//

static const Curve &accuracyOf(const RunHistory &run) {
  return run.validationAccuracy.empty() ? run.epochAccuracy : run.validationAccuracy;
}

static void addLossFindings(std::vector<Finding> &findings, const RunHistory &run) {
  if (run.steps < 50 || run.loss.buckets().size() < 8)
    return;
  double now = run.loss.recentMean(0.1), first = run.loss.firstMean(), lowest = first;
  for (const Curve::Bucket &bucket : run.loss.buckets())
    lowest = std::min(lowest, bucket.mean());
  double chance =
      run.model && run.model->classes > 0 ? 1 / static_cast<double>(run.model->classes) : 0;
  const char *whatToTry = "the same with --recipe f32: where float does not learn either, it is "
                          "--lr, --normalize or the network, not the four bits";
  const Curve &accuracy = accuracyOf(run);
  if (chance > 0 && !accuracy.empty() && accuracy.latest() < std::min(1.5 * chance, chance + 0.05))
    findings.push_back({Mood::Bad, "",
                        "The network has not learned: accuracy " + percent(accuracy.latest()) +
                            ", and guessing has " + percent(chance) + ".",
                        whatToTry});
  else if (first > 0 && now > 0.95 * first && accuracy.latest() < 0.9)
    findings.push_back(
        {Mood::Watch, "",
         "The loss has not fallen: " + brief(first) + " at first, " + brief(now) + " at last.",
         whatToTry});
  else if (now > 2 * lowest && now > 0.2 * first)
    findings.push_back(
        {Mood::Watch, "",
         "The loss rises again: it was " + brief(lowest) + " and is " + brief(now) + ".",
         "a smaller --lr, or --schedule=cosine"});
}

/// Accuracy against the float run, as text; also a finding where the gap is large.
static std::string compare(const RunHistory &run, const RunHistory &baseline,
                           std::vector<Finding> &findings) {
  const Curve &ours = accuracyOf(run), &theirs = accuracyOf(baseline);
  if (ours.empty() || theirs.empty() ||
      run.validationAccuracy.empty() != baseline.validationAccuracy.empty())
    return "";
  double gap = 100 * (theirs.latest() - ours.latest());
  char text[160];
  if (std::fabs(gap) < 0.005)
    std::snprintf(text, sizeof text, "The float run reaches the same. ");
  else
    std::snprintf(text, sizeof text, "The float run reaches %s: four bits %s %.2f points. ",
                  percent(theirs.latest()).c_str(), gap >= 0 ? "cost" : "gain", std::fabs(gap));
  if (gap >= gapWatch && run.isFinished() && baseline.isFinished()) {
    std::snprintf(text, sizeof text, "%.2f points of accuracy less than the float run.", gap);
    findings.push_back({gap >= gapBad ? Mood::Bad : Mood::Watch, "", text,
                        "--recipe luq or ibm+, more epochs, or --keep-float for the layers marked "
                        "below"});
    return "";
  }
  return text;
}

static std::string learned(const RunHistory &run) {
  const Curve &accuracy = accuracyOf(run);
  const char *which =
      run.validationAccuracy.empty() ? "Training accuracy " : "Validation accuracy ";
  if (!accuracy.empty())
    return which + percent(accuracy.latest()) + " after " + std::to_string(run.epochs) +
           (run.epochs == 1 ? " epoch. " : " epochs. ");
  if (!run.validationLoss.empty())
    return "Validation loss " + brief(run.validationLoss.latest()) + ". ";
  return run.loss.empty() ? "" : "Loss " + brief(run.loss.recentMean(0.1)) + ". ";
}

/// A run that ended with an error. The two kinds are told apart by the trainer's own words.
static void judgeFailure(Verdict &verdict, const RunHistory &run) {
  const std::string &message = run.error->message;
  auto says = [&](const char *text) { return message.find(text) != std::string::npos; };
  verdict.mood = Mood::Bad;
  std::string at = " at step " + std::to_string(run.error->step);
  if (says("NaN") || says("the loss is")) {
    verdict.headline = "Training diverged" + at;
    verdict.findings.clear(); // what layers look like when numbers explode says little about bits
  } else if (says("all gradient codes of layer"))
    verdict.headline = "Training stopped" + at + ": a layer's gradient vanished";
  else
    verdict.headline = "Training stopped" + at;
  // Step and epoch stand in the headline already.
  size_t prefix =
      message.rfind("training stopped at step", 0) == 0 ? message.find("): ") : message.npos;
  verdict.text = message.substr(prefix == message.npos ? 0 : prefix + 3, 1000) + ".";
  if (verdict.text[0] >= 'a' && verdict.text[0] <= 'z')
    verdict.text[0] = static_cast<char>(verdict.text[0] - 'a' + 'A');
  if (run.loss.empty() || run.rate.empty())
    return;
  double rate = run.rate.highest();
  if (run.loss.highest() < 2 * run.loss.firstMean())
    return;
  verdict.findings.insert(verdict.findings.begin(),
                          {Mood::Bad, "",
                           "The loss began at " + brief(run.loss.firstMean()) + " and rose to " +
                               brief(run.loss.highest()) + " with a learning rate of " +
                               brief(rate) + ".",
                           "--lr " + plain(rate / 10) + ", --warmup 100 or --clip-norm 1"});
}

static std::string headline(const RunHistory &run, Mood mood, const std::vector<Finding> &all) {
  bool done = run.isFinished();
  size_t findings = all.size();
  // Layers may be starved while the network as a whole learns.
  bool inPart = std::none_of(all.begin(), all.end(), [](const Finding &finding) {
    return finding.mood == Mood::Bad && finding.layer.empty();
  });
  switch (mood) {
  case Mood::Good:
    return done ? "Four-bit training works here" : "So far, four-bit training works";
  case Mood::Watch:
    return std::string(done ? "Four-bit training works" : "So far, four-bit training works") +
           ", with " + (findings == 1 ? "one thing" : std::to_string(findings) + " things") +
           " to look at";
  case Mood::Bad:
    return std::string(done ? "Four-bit training " : "So far, four-bit training ") +
           (inPart ? "works only in part" : "does not work") + (done ? " here" : "");
  case Mood::Plain:
    break;
  }
  return done ? "A float run: the baseline for four bits" : "A float run, under way";
}

Verdict nibble::runtime::judge(const RunHistory &run, const RunHistory *baseline) {
  Verdict verdict;
  addFindings(verdict.findings, run.layers);
  std::optional<double> four = run.model ? shareOfBits(*run.model, 4) : std::nullopt;
  bool isFloat = four && *four == 0;
  if (run.error) {
    judgeFailure(verdict, run);
  } else if (run.steps == 0) {
    verdict.headline = "Training begins";
    verdict.text = "Nothing to see yet; the page is written again after each epoch.";
    return verdict;
  } else {
    addLossFindings(verdict.findings, run);
    verdict.text = learned(run);
    if (baseline && !isFloat)
      verdict.text += compare(run, *baseline, verdict.findings);
    verdict.mood = isFloat ? Mood::Plain : Mood::Good;
    for (const Finding &finding : verdict.findings)
      if (finding.mood == Mood::Bad || (finding.mood == Mood::Watch && verdict.mood != Mood::Bad))
        verdict.mood = finding.mood;
    verdict.headline = isFloat && verdict.mood != Mood::Plain
                           ? "A float run, with something to look at"
                           : headline(run, verdict.mood, verdict.findings);
  }
  if (four && !isFloat && !run.error)
    verdict.text += percent(*four) + " of the multiply-adds run in 4 bits. ";
  if (!baseline && !isFloat && run.isFinished())
    verdict.text += "What the four bits cost is the difference to the same run with --recipe f32 "
                    "(its log: --baseline).";
  std::vector<Finding> ordered;
  for (bool bad : {true, false})
    for (Finding &finding : verdict.findings)
      if ((finding.mood == Mood::Bad) == bad)
        ordered.push_back(std::move(finding));
  verdict.findings = std::move(ordered);
  return verdict;
}

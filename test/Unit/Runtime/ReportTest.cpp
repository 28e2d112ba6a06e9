//===- ReportTest.cpp - The page of a run, and its verdict -----------------------------------===//

#include "nibble/Runtime/Report.h"

#include "Files.h"
#include "ReportChart.h"
#include "Verdict.h"

#include <nlohmann/json.hpp>

using namespace nibble;
using namespace nibble::runtime;
using namespace nibble::test;
using nlohmann::json;

namespace {

struct Shape {
  int64_t layers = 3, steps = 200, epochs = 4;
  double underflow = 0.7, saturation = 0.001, accuracy = 0.95, lastLoss = 0.1;
  bool isFloat = false;
  std::string layerName = "conv";
};

/// The lines of a run's log.
std::vector<std::string> logOf(const Shape &shape) {
  ModelSummary model;
  model.network = "net.onnx";
  model.recipe = "ibm";
  model.command = "nibble-train net.onnx";
  model.epochs = shape.epochs, model.steps = shape.steps, model.classes = 10;
  for (int64_t i = 0; i < shape.layers; ++i)
    for (const char *product : {"Y", "dX", "dW"})
      model.products.push_back({shape.layerName + std::to_string(i), "conv2d", product,
                                shape.isFloat ? "f32" : "int4", "int4", shape.isFloat ? 32 : 4,
                                1000, shape.isFloat ? "recipe" : ""});
  std::vector<std::string> lines = {toLogLine(model)};
  for (int64_t step = 1; step <= shape.steps; ++step) {
    double done = static_cast<double>(step) / static_cast<double>(shape.steps);
    json record{{"type", "step"},
                {"step", step},
                {"epoch", 1},
                {"loss", 2.3 + (shape.lastLoss - 2.3) * done},
                {"train_accuracy", shape.accuracy},
                {"lr", 0.1},
                {"ms", 1.5}};
    if (step % 10 == 0 && !shape.isFloat)
      for (int64_t i = 0; i < shape.layers; ++i)
        record["layers"].push_back({{"name", shape.layerName + std::to_string(i)},
                                    {"saturation", shape.saturation},
                                    {"underflow", i == 0 ? shape.underflow : 0.5},
                                    {"scale", 1024}});
    lines.push_back(record.dump(-1, ' ', false, json::error_handler_t::replace));
    int64_t perEpoch = std::max<int64_t>(1, shape.steps / shape.epochs);
    if (step % perEpoch == 0)
      lines.push_back(json{{"type", "epoch"},
                           {"step", step},
                           {"epoch", step / perEpoch},
                           {"loss", record["loss"]},
                           {"train_accuracy", shape.accuracy},
                           {"val_loss", record["loss"]},
                           {"val_accuracy", shape.accuracy},
                           {"lr", 0.1},
                           {"ms", 1.5}}
                          .dump());
  }
  return lines;
}

RunHistory historyOf(const std::vector<std::string> &lines) {
  RunHistory run;
  for (const std::string &line : lines)
    run.add(line);
  return run;
}
RunHistory historyOf(const Shape &shape) { return historyOf(logOf(shape)); }

bool has(const std::string &text, const std::string &part) {
  return text.find(part) != std::string::npos;
}

std::string content(const std::string &path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// Law: the page needs nothing but itself.
TEST(Report, IsSelfContained) {
  std::string page = renderReport(historyOf(Shape()));
  for (const char *elsewhere :
       {"http:", "https:", "//cdn", "src=", "@import", "url(", "fetch(", "<iframe"})
    EXPECT_FALSE(has(page, elsewhere)) << elsewhere;
}

// Law: whatever stands in names, notes or messages stays text.
TEST(Report, EscapesEveryText) {
  const std::string evil = "</script><script>alert(1)</script>'\"&<b>\x01\xff";
  Shape shape;
  shape.layerName = evil;
  std::vector<std::string> lines = logOf(shape);
  ModelSummary model = *historyOf(lines).model;
  model.tool = model.network = model.command = model.recipe = model.recipeOptions = evil;
  model.stepOptions = model.processor = model.data = evil;
  model.notes = {evil};
  for (ProductSummary &product : model.products)
    product.kind = product.left = product.right = product.reason = evil;
  lines[0] = toLogLine(model);
  lines.push_back(
      json{{"type", "error"}, {"step", 201}, {"epoch", 1}, {"message", "</p><script>x"}}.dump());
  std::string page = renderReport(historyOf(lines));
  EXPECT_FALSE(has(page, "<script>alert"));
  EXPECT_FALSE(has(page, "<script>x"));
  EXPECT_FALSE(has(page, "'\"&<b>"));
  EXPECT_TRUE(has(page, "&lt;script&gt;alert(1)&lt;/script&gt;&#39;&quot;&amp;&lt;b&gt;"));
  EXPECT_EQ(report::escape("a\xff\xe2\x82\xac\xe2\x82"), "a\uFFFD€\uFFFD\uFFFD");
}

// Law: a page has every part that its log has something for.
TEST(Report, ShowsEachPart) {
  std::string page = renderReport(historyOf(Shape()));
  for (const char *part :
       {">Loss<", ">Accuracy<", ">Learning rate<", ">Time of a step, ms<",
        "Output gradients, layer by layer", "What runs in how many bits", "Time and memory",
        "How it was made", "<pre>nibble-train net.onnx</pre>", ">conv0<", ">conv2<"})
    EXPECT_TRUE(has(page, part)) << part;
}

// Law: the size of a page is bounded by the number of layers, not by the length of the run.
TEST(Report, SizeDoesNotGrowWithTheRun) {
  size_t brief = renderReport(historyOf(Shape{.steps = 2000})).size();
  size_t long_ = renderReport(historyOf(Shape{.steps = 12000})).size();
  EXPECT_LT(brief, 80000u);
  EXPECT_LT(long_, brief + brief / 4);
  EXPECT_LT(renderReport(historyOf(Shape{.layers = 100, .steps = 2000})).size(), 500000u);
}

// Law: a log cut at any byte makes a page, or is refused with its name.
TEST(Report, AnyPrefixOfALogIsReported) {
  TempFolder folder;
  std::string text;
  for (const std::string &line : logOf(Shape{.layers = 2, .steps = 12, .epochs = 2}))
    text += line + "\n";
  for (size_t size = 0; size < text.size(); size += 7) {
    std::string path = folder.write("log.jsonl", text.substr(0, size));
    Result<RunHistory> run = RunHistory::read(path);
    if (run)
      EXPECT_TRUE(has(renderReport(*run), "</html>")) << size;
    else
      EXPECT_TRUE(has(run.message(), path)) << run.message();
  }
}

// Law: the verdict follows from the log by the bounds of Verdict.h.
TEST(Verdict, FollowsTheBounds) {
  auto moodOf = [](const Shape &shape) { return judge(historyOf(shape), nullptr).mood; };
  EXPECT_EQ(moodOf({}), Mood::Good);
  EXPECT_EQ(moodOf({.underflow = underflowWatch + 0.001}), Mood::Watch);
  EXPECT_EQ(moodOf({.underflow = underflowBad + 0.001}), Mood::Bad);
  EXPECT_EQ(moodOf({.saturation = saturationWatch + 0.001}), Mood::Watch);
  EXPECT_EQ(moodOf({.saturation = saturationBad + 0.001}), Mood::Bad);
  EXPECT_EQ(moodOf({.accuracy = 0.11}), Mood::Bad);                   // chance: 0.1
  EXPECT_EQ(moodOf({.accuracy = 0.5, .lastLoss = 2.4}), Mood::Watch); // the loss has not fallen
  EXPECT_EQ(moodOf({.isFloat = true}), Mood::Plain);
}

// Law: a finding names the layers that it is about, says what to try, and layers of one trouble
// share one.
TEST(Verdict, FindingsNameLayers) {
  Verdict verdict = judge(historyOf(Shape{.underflow = 0.999}), nullptr);
  ASSERT_EQ(verdict.findings.size(), 1u);
  EXPECT_EQ(verdict.findings[0].layer, "conv0");
  EXPECT_TRUE(has(verdict.findings[0].whatToTry, "--keep-float"));
  verdict = judge(historyOf(Shape{.layers = 40, .saturation = 0.3}), nullptr);
  ASSERT_EQ(verdict.findings.size(), 1u);
  EXPECT_TRUE(has(verdict.findings[0].layer, "and 34 more layers")) << verdict.findings[0].layer;
}

// Law: accuracy below the float run's counts, more of it more; above it does not.
TEST(Verdict, ComparesWithTheFloatRun) {
  RunHistory baseline = historyOf(Shape{.accuracy = 0.95, .isFloat = true});
  auto moodAt = [&](double accuracy) {
    return judge(historyOf(Shape{.accuracy = accuracy}), &baseline).mood;
  };
  EXPECT_EQ(moodAt(0.97), Mood::Good);
  EXPECT_EQ(moodAt(0.945), Mood::Good);
  EXPECT_EQ(moodAt(0.93), Mood::Watch);
  EXPECT_EQ(moodAt(0.85), Mood::Bad);
}

// Law: a run that failed is bad whatever else it did, and says how in the trainer's words.
TEST(Verdict, Failures) {
  auto failed = [](const std::string &message) {
    std::vector<std::string> lines = logOf(Shape{.steps = 20, .epochs = 20});
    lines.push_back(
        json{{"type", "error"}, {"step", 21}, {"epoch", 2}, {"message", message}}.dump());
    return judge(historyOf(lines), nullptr);
  };
  Verdict verdict = failed("training stopped at step 21 (epoch 2): NaN or infinity in the loss");
  EXPECT_EQ(verdict.mood, Mood::Bad);
  EXPECT_EQ(verdict.headline, "Training diverged at step 21");
  EXPECT_EQ(verdict.text, "NaN or infinity in the loss.");
  verdict =
      failed("training stopped at step 21 (epoch 2): all gradient codes of layer 'conv0' are zero");
  EXPECT_TRUE(has(verdict.headline, "vanished"));
  EXPECT_TRUE(has(verdict.text, "conv0"));
  EXPECT_EQ(failed("log.jsonl: the log cannot be written").mood, Mood::Bad);
}

// Law: numbers and sizes as people write them.
TEST(Report, Numbers) {
  EXPECT_EQ(report::number(0x1p-22), "2⁻²²");
  EXPECT_EQ(report::number(0.5), "0.5");
  EXPECT_EQ(report::number(1.2345e-7), "1.23·10⁻⁷");
  EXPECT_EQ(report::number(1e-6), "10⁻⁶");
  EXPECT_EQ(report::number(0), "0");
  EXPECT_EQ(report::grouped(-1234567), "-1\u202F234\u202F567");
  EXPECT_EQ(report::bytes(8336), "8.3 kB");
  EXPECT_EQ(percent(0.99155), "99.16\u00A0%"); // near an end: more digits
  EXPECT_EQ(percent(1), "100\u00A0%");
  EXPECT_EQ(report::prose("a --keep-float=x <b>"), "a <code>--keep-float=x</code> &lt;b&gt;");
}

// Law: the page is there before the first record, follows the records, and is never half written;
// what goes wrong later is told at the end and stops nothing.
TEST(ReportWriter, FollowsARun) {
  TempFolder folder;
  ASSERT_FALSE(ReportWriter::create(folder.path("missing/report.html"), std::nullopt));
  std::filesystem::create_directory(folder.path("run"));
  std::string path = folder.path("run/report.html");
  auto writer = ReportWriter::create(path, std::nullopt);
  ASSERT_TRUE(writer) << writer.message();
  EXPECT_TRUE(has(content(path), "Training begins"));
  std::vector<std::string> lines = logOf(Shape());
  for (size_t i = 0; i < lines.size(); ++i)
    i < 50 ? (*writer)->recall(lines[i]) : (*writer)->record(lines[i]);
  (*writer)->refresh(true);
  EXPECT_EQ(content(path), renderReport(historyOf(lines)));
  EXPECT_TRUE((*writer)->status().ok());
  EXPECT_FALSE(std::filesystem::exists(path + ".part"));
  std::filesystem::remove_all(folder.path("run"));
  (*writer)->refresh(true);
  EXPECT_TRUE(has((*writer)->status().message(), path));
}

// Law: an open page looks again while the run goes on, and only then.
TEST(Report, LooksAgainWhileTheRunGoesOn) {
  std::vector<std::string> lines = logOf(Shape());
  EXPECT_FALSE(has(renderReport(historyOf(lines)), "http-equiv=refresh"));
  lines.pop_back();
  EXPECT_TRUE(has(renderReport(historyOf(lines)), "http-equiv=refresh"));
}

} // namespace

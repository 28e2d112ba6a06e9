//===- TrainSession.cpp - one run of nibble-train ----------------------------------------===//
#include "nibble/Driver/TrainSession.h"

#include "nibble/Driver/CompiledStep.h"
#include "nibble/Driver/ExportRun.h"
#include "nibble/Driver/InterpretedStep.h"
#include "nibble/Driver/Summary.h"
#include "nibble/Runtime/Trainer.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/JSON.h"

#include <cmath>
#include <filesystem>

using namespace nibble;

namespace {

/// Passes everything on, and remembers whether a number was not finite.
class WatchedStep : public runtime::Step {
public:
  explicit WatchedStep(runtime::Step &step) : step(step) {}

  int64_t batchSize() const override { return step.batchSize(); }
  std::vector<int64_t> inputShape() const override { return step.inputShape(); }
  int64_t numClasses() const override { return step.numClasses(); }
  std::vector<int64_t> targetShape() const override { return step.targetShape(); }
  Status train(const runtime::Batch &batch, double rate, int64_t number, runtime::StepResult &result) override {
    Status status = step.train(batch, rate, number, result);
    diverged |= status.ok() && (result.code == runtime::StepCode::NonFinite || !std::isfinite(result.loss));
    return status;
  }
  Status evaluate(const runtime::Batch &batch, runtime::EvalResult &result) override { return step.evaluate(batch, result); }

  bool diverged = false;

private:
  runtime::Step &step;
};

class Session {
public:
  Session(const ToolOptions &options, const CompileHooks &hooks, llvm::raw_ostream &os) : options(options), hooks(hooks), os(os) {}

  Status run(bool &diverged) {
    for (auto stage : {&Session::readData, &Session::prepareFolder, &Session::compileModel, &Session::makeStep})
      if (Status status = (this->*stage)(); !status)
        return status;
    WatchedStep watched(*step);
    auto trainer = runtime::Trainer::create(watched, std::move(data), options.train, runtime::ProgressOptions::standardError());
    if (!trainer)
      return trainer.status();
    if (options.train.evalOnly)
      return score(*trainer);
    Status status = train(*trainer);
    diverged = watched.diverged;
    return status;
  }

private:
  // Wrong paths come to light before anything takes time.
  Status readData() {
    auto pair = runtime::loadData(options.train.data, options.train.val);
    if (!pair)
      return pair.status();
    data = std::move(*pair);
    return Status::success();
  }

  Status prepareFolder() {
    if (options.out.empty())
      return Status::success();
    std::error_code wrong = llvm::sys::fs::create_directories(options.out);
    return wrong ? Status::error(options.out + ": the folder cannot be made: " + wrong.message()) : Status::success();
  }

  Status compileModel() {
    CompileOptions compileOptions = options.compile;
    if (compileOptions.import.batchSize == 0)
      compileOptions.import.batchSize = 128;
    if (const auto &part = data.train ? data.train : data.validation)
      compileOptions.import.sampleShape.assign(part->sampleShape().begin(), part->sampleShape().end());
    auto compiled = compile(compileOptions, options.interpret ? Emit::Quantized : Emit::Obj, hooks);
    if (!compiled)
      return compiled.status();
    model = std::move(*compiled);
    os << model->weights;
    printNotes(*model, os);
    printPrecision(*model, os);
    if (!options.interpret)
      printMemory(*model, os);
    os.flush();
    return Status::success();
  }

  Status makeStep() {
    if (options.interpret) {
      model->variables = collectVariables(*model->quantized);
      auto made = InterpretedStep::create(mlir::OwningOpRef<mlir::ModuleOp>(model->quantized->clone()), options.train.seed);
      if (!made)
        return made.status();
      InterpretedStep *interpreted = made->get();
      read = [interpreted](llvm::StringRef name) { return interpreted->variables()[name].reals; };
      step = std::move(*made);
      return Status::success();
    }
    auto made = CompiledStep::create(*model, options.train.seed);
    if (!made)
      return made.status();
    CompiledStep *compiled = made->get();
    read = [compiled](llvm::StringRef name) {
      std::span<const std::byte> bytes = compiled->variable(name);
      auto *elements = reinterpret_cast<const float *>(bytes.data());
      return std::vector<float>(elements, elements + bytes.size() / sizeof(float));
    };
    step = std::move(*made);
    return Status::success();
  }

  Status score(runtime::Trainer &trainer) {
    auto result = trainer.evaluate();
    if (!result)
      return result.status();
    bool hasClasses = step->numClasses() > 0;
    os << "loss " << llvm::format("%.6f", result->loss);
    if (hasClasses)
      os << llvm::format("  accuracy %.2f %%", 100 * result->accuracy);
    os << "  (" << result->samples << " samples)\n";
    if (options.train.log.empty())
      return Status::success();
    std::error_code wrong;
    llvm::raw_fd_ostream log(options.train.log, wrong);
    if (wrong)
      return Status::error(options.train.log + ": the log cannot be opened for writing: " + wrong.message());
    llvm::json::Object record{{"type", "eval"}, {"samples", result->samples}, {"val_loss", result->loss}};
    if (hasClasses)
      record["val_accuracy"] = result->accuracy;
    log << llvm::json::Value(std::move(record)) << "\n";
    return Status::success();
  }

  Status train(runtime::Trainer &trainer) {
    auto summary = trainer.run();
    if (!summary)
      return summary.status();
    auto files = exportModels(*model, options.out, read, options.externalDataAbove);
    if (!files)
      return files.status();
    os << summary->steps << " steps, " << llvm::format("%.2f ms each; training loss %.4f", summary->millisecondsPerStep, summary->train.loss);
    if (step->numClasses() > 0)
      os << llvm::format(", accuracy %.2f %%", 100 * summary->train.accuracy);
    if (summary->validation) {
      os << "; validation ";
      printScore(*summary->validation);
    }
    os << "\n";
    return describeFiles(trainer, *files, summary->validation);
  }

  void printScore(const runtime::Score &score) {
    os << llvm::format("loss %.4f", score.loss);
    if (step->numClasses() > 0)
      os << llvm::format(", accuracy %.2f %%", 100 * score.accuracy);
  }

  /// Each file with the validation score of what it computes.
  Status describeFiles(runtime::Trainer &trainer, const ExportedFiles &files, std::optional<runtime::Score> quantized) {
    std::optional<runtime::Score> floats = quantized;
    if (quantized && !options.compile.recipe.isFloat()) {
      auto network = FloatNetwork::create(model->options, options.interpret, model->variables, read);
      if (!network)
        return network.status();
      auto score = trainer.evaluate((*network)->step());
      if (!score)
        return score.status();
      floats = *score;
    }
    printFile(files.floats, "float", floats);
    if (!files.codes.empty())
      printFile(files.codes, "quantized", quantized);
    if (!files.withoutCodes.empty())
      os << "note: no model.int4.onnx: " << files.withoutCodes << "\n";
    return Status::success();
  }

  void printFile(const std::string &file, const char *kind, const std::optional<runtime::Score> &score) {
    os << "written: " << file << " (" << kind;
    if (score) {
      os << ", validation ";
      printScore(*score);
    }
    os << ")\n";
  }

  const ToolOptions &options;
  const CompileHooks &hooks;
  llvm::raw_ostream &os;
  runtime::DataPair data;
  std::unique_ptr<CompiledModel> model; // its context outlives the step
  std::unique_ptr<runtime::Step> step;
  ReadVariable read;
};

} // namespace

Status nibble::runTraining(const ToolOptions &options, const CompileHooks &hooks, llvm::raw_ostream &os, bool &diverged) {
  return Session(options, hooks, os).run(diverged);
}

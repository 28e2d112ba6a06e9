//===- TrainSession.cpp - one run of nibble-train ----------------------------------------===//
#include "nibble/Driver/TrainSession.h"

#include "StopSignal.h"
#include "nibble/Driver/Artifact.h"
#include "nibble/Driver/CompileCache.h"
#include "nibble/Driver/CompiledStep.h"
#include "nibble/Driver/ExportRun.h"
#include "nibble/Driver/InterpretedStep.h"
#include "nibble/Driver/NormStart.h"
#include "nibble/Driver/RunIdentity.h"
#include "nibble/Driver/StepProfile.h"
#include "nibble/Driver/Summary.h"
#include "nibble/Runtime/CheckpointFolder.h"
#include "nibble/Runtime/Trainer.h"

#include "ReportOptions.h"

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
  int64_t numTokens() const override { return step.numTokens(); }
  int64_t answersPerRow() const override { return step.answersPerRow(); }
  bool countsAnswers() const override { return step.countsAnswers(); }
  int64_t microBatches() const override { return step.microBatches(); }
  std::vector<int64_t> targetShape() const override { return step.targetShape(); }
  Status train(const runtime::Batch &batch, double rate, int64_t number,
               runtime::StepResult &result) override {
    Status status = step.train(batch, rate, number, result);
    diverged |=
        status.ok() && (result.code == runtime::StepCode::NonFinite || !std::isfinite(result.loss));
    return status;
  }
  Status evaluate(const runtime::Batch &batch, runtime::EvalResult &result) override {
    return step.evaluate(batch, result);
  }

  std::vector<runtime::StateView> state() override { return step.state(); }

  bool diverged = false;

private:
  runtime::Step &step;
};

class Session {
public:
  Session(const ToolOptions &options, const CompileHooks &hooks, llvm::raw_ostream &os)
      : options(options), hooks(hooks), os(os) {}

  Status run(TrainOutcome &outcome) {
    for (auto stage : {&Session::readData, &Session::openCheckpoints, &Session::openReport,
                       &Session::compileModel, &Session::makeStep})
      if (Status status = (this->*stage)(); !status)
        return status;
    if (options.train.data.empty())
      return exportUnscored();
    WatchedStep watched(*step);
    std::optional<StopSignal> signal;
    if (folder)
      signal.emplace(); // from here on there is something to save
    auto trainer = runtime::Trainer::create(watched, std::move(data), options.train,
                                            runtime::ProgressOptions::standardError(), control());
    if (!trainer)
      return trainer.status();
    for (const std::string &note : trainer->notes())
      os << "note: " << note << "\n";
    if (!options.exportFrom.empty())
      return exportScored(*trainer);
    if (options.train.evalOnly)
      return score(*trainer);
    if (trainer->stepsDone() == 0 && model->options.import.insertNorm) {
      auto start = [&](const runtime::Batch &batch) {
        return startInsertedNorms(*model, options.interpret, batch, *step);
      };
      if (Status status = trainer->withFirstBatch(start); !status)
        return status;
    }
    Status status = train(*trainer, outcome);
    outcome.diverged = watched.diverged;
    Status told = report.finish(os);
    return status ? told : status;
  }

private:
  // Wrong paths come to light before anything takes time.
  Status readData() {
    if (options.train.data.empty())
      return Status::success(); // --export without scores
    auto pair = runtime::loadData(options.train.data, options.train.val, options.train.labelColumn);
    if (!pair)
      return pair.status();
    data = std::move(*pair);
    return Status::success();
  }

  Status openCheckpoints() {
    const runtime::TrainOptions &train = options.train;
    if (train.evalOnly)
      return readEvaluated();
    auto opened = runtime::CheckpointFolder::open(
        options.out, {train.resume, train.resumeFile, train.overwrite, train.keepCheckpoints});
    if (!opened)
      return opened.status();
    folder = std::move(*opened);
    if (train.resume && !folder->resumed())
      os << "note: " << options.out << " holds no checkpoint to resume: the run begins\n";
    if (const runtime::Checkpoint *from = folder->resumed())
      os << "note: resumes from " << from->path << ", step " << from->progress.step << "\n";
    return Status::success();
  }

  Status openReport() {
    auto opened = RunReport::create(options);
    if (!opened)
      return opened.status();
    report = std::move(*opened);
    return Status::success();
  }

  /// The checkpoint to score. It was trained with a recipe, which holds unless another is asked
  /// for.
  Status readEvaluated() {
    if (options.train.checkpoint.empty())
      return Status::success();
    auto loaded = runtime::loadCheckpoint(options.train.checkpoint);
    if (!loaded)
      return loaded.status();
    evaluated = std::move(*loaded);
    bool isChosen = llvm::any_of(toolOptions(), [&](const ToolOption &option) {
      return option.group == OptionGroup::Recipe && options.given.contains(option.name);
    });
    if (isChosen)
      return Status::success();
    Result<Recipe> trained = recipeOf(*evaluated);
    if (!trained)
      return trained.status();
    recipe = *trained;
    return Status::success();
  }

  runtime::RunControl control() {
    runtime::RunControl result;
    result.folder = folder ? &*folder : nullptr;
    result.evaluated = evaluated ? &*evaluated : nullptr;
    result.stop = folder ? &StopSignal::received() : nullptr;
    if (folder)
      result.run = describeRun(*model);
    result.model = summarize(*model, options);
    result.observers = report.observers();
    return result;
  }

  Status compileModel() {
    CompileOptions compileOptions = options.compile;
    compileOptions.recipe = recipe;
    compileOptions.profile = options.profile;
    if (compileOptions.import.batchSize == 0)
      compileOptions.import.batchSize = 128;
    if (const auto &part = data.train ? data.train : data.validation)
      compileOptions.import.sampleShape.assign(part->sampleShape().begin(),
                                               part->sampleShape().end());
    if (!options.noCache && !options.stockFlags)
      compileOptions.cacheFolder =
          options.cacheFolder.empty() ? defaultCacheFolder() : options.cacheFolder;
    auto compiled =
        options.fromLibrary.empty()
            ? compile(compileOptions, options.interpret ? Emit::Quantized : Emit::Obj, hooks)
            : loadLibrary(compileOptions);
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

  Result<std::unique_ptr<CompiledModel>> loadLibrary(const CompileOptions &compileOptions) {
    auto loaded = loadArtifact(options.fromLibrary, compileOptions.model);
    if (loaded) {
      if ((*loaded)->threads > 1) // one compiled for one thread never uses more
        (*loaded)->threads = resolvedThreads(compileOptions);
      (*loaded)->options.cacheFolder = compileOptions.cacheFolder;
    }
    return loaded;
  }

  Status makeStep() {
    if (options.interpret) {
      model->variables = collectVariables(*model->quantized);
      auto made = InterpretedStep::create(
          mlir::OwningOpRef<mlir::ModuleOp>(model->quantized->clone()), options.train.seed);
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

  Result<ExportedFiles> writeFiles() {
    std::error_code wrong;
    std::filesystem::create_directories(options.out, wrong);
    if (wrong)
      return Status::error(options.out + ": cannot be made: " + wrong.message());
    return exportModels(*model, options.out, read, options.externalDataAbove);
  }

  /// --export without data: ranges have to be in the checkpoint already.
  Status exportUnscored() {
    if (Status status =
            runtime::restoreState(*evaluated, {}, *step, runtime::Restore::ForEvaluation);
        !status)
      return status;
    auto files = writeFiles();
    if (!files)
      return files.status();
    return describeFiles(nullptr, *files, std::nullopt);
  }

  /// --export with data: the trainer holds the checkpoint's state.
  Status exportScored(runtime::Trainer &trainer) {
    auto quantized = trainer.evaluate(); // sets ranges that are not set
    if (!quantized)
      return quantized.status();
    auto files = writeFiles();
    if (!files)
      return files.status();
    return describeFiles(&trainer, *files, *quantized);
  }

  Status score(runtime::Trainer &trainer) {
    auto result = trainer.evaluate();
    if (!result)
      return result.status();
    bool hasClasses = step->countsAnswers();
    os << "loss " << llvm::format("%.6f", result->loss);
    if (hasClasses)
      os << llvm::format("  accuracy %.2f %%", 100 * result->accuracy);
    os << "  (" << result->samples << " samples)\n";
    if (options.train.log.empty())
      return Status::success();
    std::error_code wrong;
    llvm::raw_fd_ostream log(options.train.log, wrong);
    if (wrong)
      return Status::error(options.train.log +
                           ": the log cannot be opened for writing: " + wrong.message());
    llvm::json::Object record{
        {"type", "eval"}, {"samples", result->samples}, {"val_loss", result->loss}};
    if (hasClasses)
      record["val_accuracy"] = result->accuracy;
    log << llvm::json::Value(std::move(record)) << "\n";
    return Status::success();
  }

  Status train(runtime::Trainer &trainer, TrainOutcome &outcome) {
    std::optional<runtime::Profile> profile;
    if (options.profile)
      profile.emplace(model->groups.size()).start();
    if (!options.interpret)
      printPeak(*model, os);
    os.flush();
    auto summary = trainer.run();
    if (!summary)
      return summary.status();
    if (profile) {
      profile->stop();
      printProfile(*model, *profile, os);
    }
    if ((outcome.signal = summary->stoppedBy)) {
      os.flush();
      llvm::errs() << "stopped by " << (outcome.signal == SIGINT ? "SIGINT" : "SIGTERM")
                   << " after step " << summary->steps << " of " << trainer.totalSteps()
                   << "; the state is in " << folder->lastPath()
                   << ", and --resume goes on from there\n";
      return Status::success();
    }
    // Files and their scores take memory too, after the steps and not beside them.
    step->releaseScratch();
    auto files = exportModels(*model, options.out, read, options.externalDataAbove);
    if (!files)
      return files.status();
    os << summary->steps << " steps, "
       << llvm::format("%.2f ms each; training loss %.4f", summary->millisecondsPerStep,
                       summary->train.loss);
    if (step->countsAnswers())
      os << llvm::format(", accuracy %.2f %%", 100 * summary->train.accuracy);
    if (summary->validation) {
      os << "; validation ";
      printScore(*summary->validation);
    }
    os << "\n";
    if (summary->stoppedEarly)
      os << "stopped early: nothing got better since epoch " << summary->bestEpoch
         << ", whose state is in "
         << (std::filesystem::path(options.out) / "best.safetensors").string() << "\n";
    return describeFiles(&trainer, *files, summary->validation);
  }

  void printScore(const runtime::Score &score) {
    os << llvm::format("loss %.4f", score.loss);
    if (step->countsAnswers())
      os << llvm::format(", accuracy %.2f %%", 100 * score.accuracy);
  }

  /// Each file with the validation score of what it computes; `trainer` scores where there is one.
  Status describeFiles(runtime::Trainer *trainer, const ExportedFiles &files,
                       std::optional<runtime::Score> quantized) {
    std::optional<runtime::Score> floats = quantized;
    if (trainer && quantized && !model->options.recipe.isFloat()) {
      auto network =
          FloatNetwork::create(model->options, options.interpret, model->variables, read);
      if (!network)
        return network.status();
      auto score = trainer->evaluate((*network)->step());
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

  void printFile(const std::string &file, const char *kind,
                 const std::optional<runtime::Score> &score) {
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
  /// The given one, or that of the checkpoint to score.
  Recipe recipe = options.compile.recipe;
  runtime::DataPair data;
  RunReport report;
  std::optional<runtime::CheckpointFolder> folder;
  std::optional<runtime::Checkpoint> evaluated;
  std::unique_ptr<CompiledModel> model; // its context outlives the step
  std::unique_ptr<runtime::Step> step;
  ReadVariable read;
};

} // namespace

Status nibble::runTraining(const ToolOptions &options, const CompileHooks &hooks,
                           llvm::raw_ostream &os, TrainOutcome &outcome) {
  if (options.exportFrom.empty())
    return Session(options, hooks, os).run(outcome);
  // As a checkpoint is scored, but that files are written.
  ToolOptions exporting = options;
  exporting.train.evalOnly = true;
  exporting.train.checkpoint = options.exportFrom;
  if (std::filesystem::is_directory(options.exportFrom))
    exporting.train.checkpoint =
        (std::filesystem::path(options.exportFrom) / "last.safetensors").string();
  return Session(exporting, hooks, os).run(outcome);
}

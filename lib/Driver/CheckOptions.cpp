//===- CheckOptions.cpp - options that do not fit together ---------------------------===//
#include "nibble/Driver/Options.h"

#include "ReportOptions.h"

using namespace nibble;

namespace {

/// "These options mean something only where that holds."
struct Rule {
  std::vector<const char *> options;
  bool (*holds)(const ToolOptions &);
  const char *where;
};

bool isFloat(const ToolOptions &o) { return o.compile.recipe.isFloat(); }

const Rule kRules[] = {
    {{"activations", "gradients", "first-last", "shortcuts", "attention", "residuals", "two-phase", "swap-phases", "gain",
      "separate-draws", "grad-scale", "pact-init", "pact-floor", "pact-decay"},
     [](const ToolOptions &o) { return !isFloat(o); },
     "where products are quantized, and this recipe is float everywhere"},
    {{"pact-init", "pact-floor", "pact-decay"},
     [](const ToolOptions &o) { return o.compile.recipe.activations == Activations::Pact; },
     "with --activations=pact"},
    {{"two-phase", "swap-phases", "grad-scale"},
     [](const ToolOptions &o) { return o.compile.recipe.gradients == Gradients::Radix4; },
     "with --gradients=radix4 (recipes ibm and ibm+)"},
    {{"swap-phases"}, [](const ToolOptions &o) { return o.compile.recipe.twoPhase; }, "with --two-phase"},
    {{"gain"}, [](const ToolOptions &o) { return o.compile.recipe.gradients != Gradients::Float; }, "where gradients are quantized"},
    {{"separate-draws"},
     [](const ToolOptions &o) { return o.compile.recipe.gradients == Gradients::Luq || o.compile.recipe.gradients == Gradients::Int4; },
     "with --gradients=luq or --gradients=int4"},
    {{"momentum", "nesterov"}, [](const ToolOptions &o) { return o.compile.step.optimizer == Optimizer::Sgd; }, "with --optimizer=sgd"},
    {{"nesterov"}, [](const ToolOptions &o) { return o.compile.step.momentum > 0; }, "with a --momentum above 0"},
    {{"beta1", "beta2", "adam-eps"},
     [](const ToolOptions &o) { return o.compile.step.optimizer != Optimizer::Sgd; },
     "with --optimizer=adam or --optimizer=adamw"},
    {{"step-size", "gamma"},
     [](const ToolOptions &o) { return o.train.schedule == numerics::ScheduleKind::Step; },
     "with --schedule=step"},
    {{"lib-name"}, [](const ToolOptions &o) { return o.emit == Emit::Lib; }, "with --emit=lib"},
    {{"checkpoint"}, [](const ToolOptions &o) { return o.train.evalOnly; }, "with --eval-only"},
    {{"resume", "overwrite", "checkpoint-every", "keep-checkpoints"},
     [](const ToolOptions &o) { return !o.train.evalOnly; },
     "where something is trained, and --eval-only was given"},
    {{"verify-lr", "verify-disturb"}, [](const ToolOptions &o) { return o.verify; }, "with --verify"},
    {{"verify-steps"}, [](const ToolOptions &o) { return o.verify || o.profile; }, "with --verify or --profile"},
    {{"profile"}, [](const ToolOptions &o) { return !o.interpret && !o.train.evalOnly && !o.verify; }, "where compiled code trains"},
};

/// What is compiled into a library cannot be chosen again.
Status checkFromLibrary(const ToolOptions &o) {
  for (const ToolOption &option : toolOptions()) {
    bool isCompiledIn = option.group == OptionGroup::Model || option.group == OptionGroup::Recipe || option.group == OptionGroup::Step ||
                        (option.group == OptionGroup::Code && option.tools == BothTools && option.name != "threads") ||
                        option.name == "interpret";
    if (isCompiledIn && o.given.contains(option.name))
      return Status::error("--" + option.name + " is compiled into the library of --from-lib: leave one of the two out");
  }
  return Status::success();
}

Status checkTrain(const ToolOptions &o) {
  if (!o.fromLibrary.empty())
    if (Status status = checkFromLibrary(o); !status)
      return status;
  if (!o.exportFrom.empty() && (o.train.evalOnly || o.train.resume || !o.train.checkpoint.empty()))
    return Status::error("--export writes the files of a checkpoint: it goes with none of --eval-only, --resume and --checkpoint");
  if (o.train.data.empty() && o.exportFrom.empty())
    return Status::error("--data is missing: an IDX folder (MNIST), a CIFAR-10 folder, or a .npz or .csv file");
  if (!o.train.evalOnly && o.out.empty())
    return Status::error("--out is missing: the folder for the trained model.onnx (or say --eval-only)");
  if (o.verifyThreads.size() > 1)
    return Status::error("--threads: one number expected in nibble-train");
  if (o.verifyCpus.size() > 1)
    return Status::error("--mcpu: one name expected in nibble-train");
  return Status::success();
}

Status checkCompile(const ToolOptions &o) {
  if (o.given.contains("emit") && o.given.contains("stop-after"))
    return Status::error("--emit and --stop-after both say where to stop: give one of them");
  if (o.verify && (o.given.contains("emit") || o.given.contains("stop-after")))
    return Status::error("--verify runs the program, so it does not go with --emit or --stop-after");
  if (o.profile && (o.given.contains("emit") || o.given.contains("stop-after")))
    return Status::error("--profile runs the program, so it does not go with --emit or --stop-after");
  if (!o.verify && (o.verifyThreads.size() > 1 || o.verifyCpus.size() > 1))
    return Status::error("several values of --threads or --mcpu are for --verify");
  if (o.given.contains("emit") && (o.emit == Emit::Onnx || o.emit == Emit::Obj) && o.out.empty())
    return Status::error("--emit=" + name(o.emit).str() + " writes bytes: say where with -o FILE");
  if (o.emit == Emit::Lib && o.out.empty())
    return Status::error("--emit=lib writes several files: say in which folder with -o DIR");
  return Status::success();
}

} // namespace

Status nibble::checkOptions(const ToolOptions &options, Tools tool) {
  bool isComplete = false; // nothing else is needed
  if (tool == TrainTool)
    if (Status status = checkReportOptions(options, isComplete); !status || isComplete)
      return status;
  if (options.compile.model.empty() && options.fromLibrary.empty())
    return Status::error("the ONNX file is missing");
  for (const Rule &rule : kRules)
    for (const char *option : rule.options)
      if (options.given.contains(option) && !rule.holds(options))
        return Status::error(std::string("--") + option + " means something only " + rule.where);
  return tool == TrainTool ? checkTrain(options) : checkCompile(options);
}

//===- Options.cpp - the table of options -------------------------------------------===//
#include "nibble/Driver/Options.h"

#include "ReportOptions.h"

#include "llvm/ADT/StringExtras.h"
#include "nibble/Target/Library.h"

using namespace nibble;

namespace {

Status fromText(std::string wrong) { return wrong.empty() ? Status::success() : Status::error(std::move(wrong)); }

Status expected(const std::string &name, const std::string &what, const std::string &found) {
  return Status::error("--" + name + ": " + what + " expected, found '" + found + "'");
}

template <typename T> Status parseWhole(const std::string &name, const std::string &value, T low, T high, T &to) {
  T number;
  if (llvm::StringRef(value).getAsInteger(10, number) || number < low || number > high)
    return expected(name, "a whole number from " + std::to_string(low) + " to " + std::to_string(high), value);
  to = number;
  return Status::success();
}

ToolOption recipeOption(const char *name, const char *metavar, const char *help, bool repeats = false) {
  return {name, metavar, help, OptionGroup::Recipe, BothTools, repeats, [name](ToolOptions &o, const std::string &value) {
            return fromText(setRecipeOption(o.compile.recipe, name, value.empty() && std::string(name) != "keep-float" ? "true" : value));
          }};
}

ToolOption stepOption(const char *name, const char *metavar, const char *help) {
  return {name, metavar, help, OptionGroup::Step, BothTools, false, [name](ToolOptions &o, const std::string &value) {
            return fromText(setStepOption(o.compile.step, name, value.empty() ? "true" : value));
          }};
}

/// A switch without a value, or with true or false.
ToolOption flagOption(const char *name, const char *help, OptionGroup group, unsigned tools, bool ToolOptions::*field) {
  return {name, "", help, group, tools, false, [=](ToolOptions &o, const std::string &value) {
            if (value != "" && value != "true" && value != "false")
              return expected(name, "true or false", value);
            o.*field = value != "false";
            return Status::success();
          }};
}

//===----------------------------------------------------------------------===//
// By group
//===----------------------------------------------------------------------===//

Status setShape(ToolOptions &o, const std::string &value) {
  auto [name, numbers] = llvm::StringRef(value).rsplit('=');
  if (name.empty() || !parseShape(numbers, o.compile.import.shapes[name.str()]))
    return expected("shape", "name=AxBxC (an input) or name=N (a symbolic dimension)", value);
  return Status::success();
}

Status setLoss(ToolOptions &o, const std::string &value) {
  if (value != "softmax_cross_entropy" && value != "mse" && value != "bce")
    return expected("loss", "softmax_cross_entropy, mse or bce", value);
  o.compile.import.loss = value;
  return Status::success();
}

Status setInit(ToolOptions &o, const std::string &value) {
  if (value != "keep" && value != "reinit")
    return expected("init", "keep or reinit", value);
  o.compile.import.init = value == "keep" ? InitialWeights::Keep : InitialWeights::Reinitialize;
  return Status::success();
}

void addModelOptions(std::vector<ToolOption> &table) {
  auto text = [&](const char *name, const char *help, std::string ImportOptions::*field) {
    table.push_back({name, "NAME", help, OptionGroup::Model, BothTools, false, [field](ToolOptions &o, const std::string &value) {
                       o.compile.import.*field = value;
                       return Status::success();
                     }});
  };
  auto list = [&](const char *name, const char *help, std::vector<std::string> ImportOptions::*field) {
    table.push_back({name, "REGEX", help, OptionGroup::Model, BothTools, true, [field](ToolOptions &o, const std::string &value) {
                       (o.compile.import.*field).push_back(value);
                       return Status::success();
                     }});
  };
  table.push_back({"batch-size", "N", "samples in a batch (default: the file's, else 128 in nibble-train)", OptionGroup::Model, BothTools,
                   false, [](ToolOptions &o, const std::string &v) {
                     return parseWhole<int64_t>("batch-size", v, 1, 1 << 20, o.compile.import.batchSize);
                   }});
  table.push_back({"shape", "NAME=AxBxC", "shape of an input, or value of a symbolic dimension (seq=16)", OptionGroup::Model, BothTools,
                   true, setShape});
  list("train", "train the initializers or nodes whose name contains a match (wins over --freeze)", &ImportOptions::train);
  list("freeze", "do not train them", &ImportOptions::freeze);
  text("input", "graph input to feed (default: the one that the output needs)", &ImportOptions::input);
  text("output", "value to train for (default: the first graph output)", &ImportOptions::output);
  table.push_back({"classes", "N", "replace the last layer by a fresh one for N classes", OptionGroup::Model, BothTools, false,
                   [](ToolOptions &o, const std::string &v) {
                     return parseWhole<int64_t>("classes", v, 2, 1 << 20, o.compile.import.classes);
                   }});
  table.push_back({"insert-norm", "", "put a batch normalization behind each convolution that none follows; the first batch sets it so that the "
                   "network computes what it did", OptionGroup::Model, BothTools, false, [](ToolOptions &o, const std::string &v) {
                     if (v != "" && v != "true" && v != "false")
                       return expected("insert-norm", "true or false", v);
                     o.compile.import.insertNorm = v != "false";
                     return Status::success();
                   }});
  table.push_back({"init", "keep|reinit", "start from the file's weights, or from fresh ones drawn from --seed", OptionGroup::Model,
                   BothTools, false, setInit});
  table.push_back({"loss", "softmax_cross_entropy|mse|bce", "default: the first where the output is [batch, classes], else the second; bce: binary, of logits",
                   OptionGroup::Model, BothTools, false, setLoss});
}

void addRecipeOptions(std::vector<ToolOption> &table) {
  table.push_back({"recipe", "NAME", "f32, w4a4, ibm (default), ibm+, luq or int4; also NAME,key=value,…", OptionGroup::Recipe, BothTools,
                   false, [](ToolOptions &o, const std::string &value) {
                     std::string wrong;
                     std::optional<Recipe> recipe = parseRecipe(value, &wrong);
                     if (!recipe)
                       return Status::error(wrong.rfind("--", 0) == 0 ? wrong : "--recipe: " + wrong);
                     o.compile.recipe = *recipe;
                     return Status::success();
                   }});
  table.push_back(recipeOption("activations", "pact|dynamic|minmax", "range of activations: learned, this round's maximum, this round's range"));
  table.push_back(recipeOption("gradients", "float|radix4|luq|int4", "numbers of output gradients"));
  table.push_back(recipeOption("weights", "sawb|float", "numbers of weights"));
  table.push_back(recipeOption("first-last", "int8|float|int4", "first and last layer"));
  table.push_back(recipeOption("shortcuts", "int8|float|int4", "1x1 convolutions on shortcuts"));
  table.push_back(recipeOption("attention", "int8|float|int4", "products of two activations (attention)"));
  table.push_back(recipeOption("residuals", "f32|bf16|int8|int4|recompute",
                               "what is kept for the backward pass of batch norm's inputs and other real values"));
  table.push_back(recipeOption("keep-float", "REGEX", "layers (node or weight names) whose products stay float", /*repeats=*/true));
  table.push_back(recipeOption("two-phase", "", "radix 4: dX from the even grid, dW from the odd one"));
  table.push_back(recipeOption("swap-phases", "", "exchange the two phases"));
  table.push_back(recipeOption("gain", "", "undo each quantized gradient's shrinkage (ibm+)"));
  table.push_back(recipeOption("separate-draws", "", "luq, int4: separate random draws for dX and dW"));
  table.push_back(recipeOption("grad-scale", "X", "radix 4: first gradient scale, a power of two"));
  table.push_back(recipeOption("pact-init", "max|X", "first learned bound: the first batch's maximum, or a number"));
  table.push_back(recipeOption("pact-floor", "X", "smallest learned bound"));
  table.push_back(recipeOption("pact-decay", "X", "decay of learned bounds"));
}

void addStepOptions(std::vector<ToolOption> &table) {
  table.push_back(stepOption("optimizer", "sgd|adam|adamw", "how parameters are updated"));
  table.push_back(stepOption("momentum", "X", "sgd: momentum (default 0.9)"));
  table.push_back(stepOption("nesterov", "", "sgd: Nesterov's momentum"));
  table.push_back(stepOption("weight-decay", "X", "decay of weights, not of biases and normalization"));
  table.push_back(stepOption("beta1", "X", "adam, adamw (default 0.9)"));
  table.push_back(stepOption("beta2", "X", "adam, adamw (default 0.999)"));
  table.push_back(stepOption("accumulate", "N", "average the gradients of N batches before each update (default 1)"));
  table.push_back(stepOption("clip-norm", "X", "scale gradients down to this norm of all together (default 0: no limit)"));
  table.push_back(stepOption("label-smoothing", "X", "cross-entropy: this share of each answer goes to all classes alike (default 0)"));
  table.push_back(stepOption("adam-eps", "X", "adam, adamw (default 1e-8)"));
}

void addTrainingOptions(std::vector<ToolOption> &table) {
  for (const runtime::OptionInfo &option : runtime::trainOptionTable()) {
    // The seed also draws fresh weights, which nibble-compile makes.
    unsigned tools = option.name == "seed" ? BothTools : TrainTool;
    table.push_back({std::string(option.name), std::string(option.metavar), std::string(option.help), OptionGroup::Training, tools, false,
                     [&option](ToolOptions &o, const std::string &value) {
                       Status status = option.set(o.train, value);
                       o.compile.import.seed = o.train.seed;
                       return status;
                     }});
  }
}

Status setVerifyThreads(ToolOptions &o, const std::string &value) {
  o.verifyThreads.clear();
  if (value.empty())
    return expected("threads", "a whole number from 1", value);
  for (llvm::StringRef part : llvm::split(value, ',')) {
    unsigned number = 0;
    if (Status status = parseWhole("threads", part.str(), 1u, 1024u, number); !status)
      return status;
    o.verifyThreads.push_back(number);
  }
  o.compile.threads = o.verifyThreads.front();
  return Status::success();
}

Status setCpu(ToolOptions &o, const std::string &value) {
  o.verifyCpus.clear();
  if (value.empty())
    return expected("mcpu", "the name of a processor", value);
  for (llvm::StringRef part : llvm::split(value, ',')) {
    llvm::Expected<Machine> machine = Machine::create(part);
    if (!machine)
      return Status::error(llvm::toString(machine.takeError()));
    o.verifyCpus.push_back(part.str());
  }
  o.compile.mcpu = o.verifyCpus.front();
  return Status::success();
}

Status setEmit(ToolOptions &o, const std::string &value) {
  std::optional<Emit> emit = findEmit(value);
  if (!emit)
    return expected("emit", "one of " + emitNames(), value);
  o.emit = *emit;
  return Status::success();
}

Status setStopAfter(ToolOptions &o, const std::string &value) {
  std::optional<Room> room = findRoom(value);
  if (!room)
    return expected("stop-after", "Import, Differentiate, Quantize, Schedule, Codegen or Target", value);
  o.emit = *findEmit(info(*room).stage);
  return Status::success();
}

void addCodeOptions(std::vector<ToolOption> &table) {
  table.push_back({"threads", "N", "threads of a step (default: all processors); the results do not depend on it", OptionGroup::Code,
                   BothTools, false, setVerifyThreads});
  table.push_back({"mcpu", "NAME", CpuTarget::listOfNames() + " (default: native), or a processor that LLVM knows", OptionGroup::Code,
                   BothTools, false, setCpu});
  table.push_back({"least-work", "N", "operations below which a loop is not worth threads (default 40000)", OptionGroup::Code, BothTools,
                   false, [](ToolOptions &o, const std::string &v) {
                     return parseWhole<int64_t>("least-work", v, 1, int64_t(1) << 40, o.compile.leastWork);
                   }});
  table.push_back({"O", "0..3", "LLVM's optimization level (default 2)", OptionGroup::Code, BothTools, false,
                   [](ToolOptions &o, const std::string &v) { return parseWhole("O", v, 0u, 3u, o.compile.optimization); }});
  table.push_back({"emit", "STAGE", "onnx, graph, gradient, quantized, planned, loops, llvm, asm, obj (default) or lib", OptionGroup::Output,
                   CompileTool, false, setEmit});
  table.push_back({"stop-after", "ROOM", "Import, Differentiate, Quantize, Schedule, Codegen or Target: emit what leaves it",
                   OptionGroup::Output, CompileTool, false, setStopAfter});
  table.push_back({"verify-steps", "N", "with --verify or --profile: training steps (default 20)", OptionGroup::Code, CompileTool, false,
                   [](ToolOptions &o, const std::string &v) { return parseWhole<int64_t>("verify-steps", v, 1, 1000000, o.verifySteps); }});
}

Status setVerifyRate(ToolOptions &o, const std::string &value) {
  if (llvm::StringRef(value).getAsDouble(o.verifyRate))
    return expected("verify-lr", "a number", value);
  return Status::success();
}

/// The comparison's own test: it must be able to fail.
void addHiddenOptions(std::vector<ToolOption> &table) {
  table.push_back({"verify-lr", "RATE", "learning rate of --verify", OptionGroup::Code, CompileTool, false, setVerifyRate, /*hidden=*/true});
  table.push_back({"verify-disturb", "VARIABLE", "flip a bit of this variable in the compiled programs before --verify compares",
                   OptionGroup::Code, CompileTool, false,
                   [](ToolOptions &o, const std::string &value) {
                     o.verifyDisturb = value;
                     return Status::success();
                   },
                   /*hidden=*/true});
}

Status setLibraryName(ToolOptions &o, const std::string &value) {
  if (value != libraryName(value))
    return expected("lib-name", "letters, digits and '_', no digit first,", value);
  o.libraryName = value;
  return Status::success();
}

void addOutputOptions(std::vector<ToolOption> &table) {
  auto setOut = [](ToolOptions &o, const std::string &value) {
    o.out = value;
    return Status::success();
  };
  table.push_back({"o", "FILE", "where to write what --emit names; a folder for --emit=lib; the page of --report-from", OptionGroup::Output, BothTools, false, setOut});
  table.push_back({"from-lib", "DIR", "train what nibble-compile --emit=lib wrote there; nothing is compiled", OptionGroup::Code, TrainTool, false,
                   [](ToolOptions &o, const std::string &value) {
                     o.fromLibrary = value;
                     return Status::success();
                   }});
  table.push_back({"cache-dir", "DIR", "where compiled programs are kept (default: $XDG_CACHE_HOME/nibble or ~/.cache/nibble; at most 1 GiB)",
                   OptionGroup::Code, TrainTool, false, [](ToolOptions &o, const std::string &value) {
                     o.cacheFolder = value;
                     return Status::success();
                   }});
  table.push_back(flagOption("no-cache", "compile, whether or not the program was compiled before, and do not keep it", OptionGroup::Code,
                             TrainTool, &ToolOptions::noCache));
  table.push_back({"lib-name", "NAME", "with --emit=lib: name of the library and its functions (default: the ONNX file's)", OptionGroup::Output,
                   CompileTool, false, setLibraryName});
  table.push_back({"out", "DIR", "folder for the trained network: model.onnx, and model.int4.onnx with the codes", OptionGroup::Output, TrainTool, false, setOut});
  table.push_back({"export", "CHECKPOINT|DIR",
                   "train nothing: write the ONNX files of a checkpoint (of a folder: its last one) to --out; with --data, score both",
                   OptionGroup::Output, TrainTool, false, [](ToolOptions &o, const std::string &v) {
                     o.exportFrom = v;
                     return v.empty() ? expected("export", "a checkpoint or a folder", v) : Status::success();
                   }});
  table.push_back({"external-data-above", "BYTES", "exported files above this size keep their weights in a file beside them (default 1500000000)",
                   OptionGroup::Output, TrainTool, false, [](ToolOptions &o, const std::string &v) {
                     return parseWhole<int64_t>("external-data-above", v, 0, int64_t(2000) * 1000 * 1000, o.externalDataAbove);
                   }});
  table.push_back({"health", "", "log gain and signal-to-noise ratio of each quantized tensor too (a slower step, the same updates)", OptionGroup::Code,
                   BothTools, false, [](ToolOptions &o, const std::string &v) {
                     if (v != "" && v != "true" && v != "false")
                       return expected("health", "true or false", v);
                     o.compile.health = v != "false";
                     return Status::success();
                   }});
  table.push_back(flagOption("interpret", "run the interpreter in place of compiled code (slow; the same bits)", OptionGroup::Code,
                             TrainTool, &ToolOptions::interpret));
  table.push_back(flagOption("verify", "train on random data, compiled and interpreted, and compare every bit", OptionGroup::Code,
                             CompileTool, &ToolOptions::verify));
  table.push_back(flagOption("profile", "time each layer's products and everything else (nibble-compile: of --verify-steps steps on random data)", OptionGroup::Code,
                             BothTools, &ToolOptions::profile));
  table.push_back(flagOption("print-weights", "list what is trained, and why", OptionGroup::Output, CompileTool, &ToolOptions::printWeights));
  table.push_back(flagOption("print-precision", "table of what runs in how many bits", OptionGroup::Output, CompileTool,
                             &ToolOptions::printPrecision));
  table.push_back(flagOption("v", "progress of the compilation, and more detail", OptionGroup::Output, BothTools, &ToolOptions::verbose));
}

} // namespace

const std::vector<ToolOption> &nibble::toolOptions() {
  static const std::vector<ToolOption> table = [] {
    std::vector<ToolOption> result;
    addModelOptions(result);
    addRecipeOptions(result);
    addStepOptions(result);
    addTrainingOptions(result);
    addCodeOptions(result);
    addOutputOptions(result);
    addReportOptions(result);
    addHiddenOptions(result);
    return result;
  }();
  return table;
}

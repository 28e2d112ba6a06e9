//===- Options.h - every option of every tool, once -----------------*- C++ -*-===//
//
// One table: name, what it takes, help, how it is set. Command lines are made from it (CommandLine.h). How a value is parsed is
// said where the option's struct lives (Recipe.h, StepOptions.h, TrainOptions.h, Import.h).
//
//===----------------------------------------------------------------------===//
#pragma once

#include "nibble/Driver/Compiler.h"
#include "nibble/Driver/ReportOptions.h"
#include "nibble/Runtime/TrainOptions.h"

#include "llvm/ADT/StringSet.h"

#include <functional>
#include <string>
#include <vector>

namespace nibble {

/// Everything that a tool can be told.
struct ToolOptions {
  CompileOptions compile;
  runtime::TrainOptions train;
  /// nibble-train: folder of the trained model. nibble-compile: file of what is emitted ("": standard output, or nothing for an object).
  std::string out;
  /// A checkpoint, or the output folder of a run: write its files, train nothing.
  std::string exportFrom;
  /// Exported files above this many bytes keep their weights beside them.
  int64_t externalDataAbove = int64_t(1500) * 1000 * 1000;
  /// Run the interpreter in place of compiled code.
  bool interpret = false;
  bool verbose = false;
  Emit emit = Emit::Obj;
  /// With Emit::Lib: prefix of the C names ("": the ONNX file's name).
  std::string libraryName;
  /// nibble-train: folder (or .nibble file) of a library to train without compiling.
  std::string fromLibrary;
  /// Keep compiled programs; in which folder ("": the default one).
  bool noCache = false;
  std::string cacheFolder;
  /// One of MLIR's stock flags was given: it wants to see the compiler at work.
  bool stockFlags = false;
  /// Print where the time of the steps went.
  bool profile = false;
  bool printWeights = false, printPrecision = false;
  /// nibble-compile: compare with the interpreter.
  bool verify = false;
  int64_t verifySteps = 20;
  std::vector<unsigned> verifyThreads;
  std::vector<std::string> verifyCpus;
  double verifyRate = 0.05;
  std::string verifyDisturb;

  ReportOptions report;
  /// Print the completion script for this shell and do nothing else.
  std::string completion;
  /// As it was typed, quoted for a shell.
  std::string commandLine;

  /// Names of the options that were given, without dashes.
  llvm::StringSet<> given;
};

enum class OptionGroup { Model, Recipe, Step, Training, Code, Output };

enum Tools : unsigned { CompileTool = 1, TrainTool = 2, BothTools = 3 };

struct ToolOption {
  std::string name;
  /// "N"; empty for a switch.
  std::string metavar;
  std::string help;
  OptionGroup group;
  unsigned tools = BothTools;
  /// May be given several times.
  bool repeats = false;
  std::function<Status(ToolOptions &, const std::string &)> set;
  /// Only --help-hidden shows it.
  bool hidden = false;
};

/// Every option, in the order in which they are applied: the recipe before what is changed in it.
const std::vector<ToolOption> &toolOptions();

/// Refuses what does not fit together or is missing, in a sentence that says what to do.
Status checkOptions(const ToolOptions &options, Tools tool);

} // namespace nibble

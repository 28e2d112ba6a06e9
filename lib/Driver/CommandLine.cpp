//===- CommandLine.cpp - the table of options as a command line ----------------------===//
#include "nibble/Driver/CommandLine.h"
#include "nibble/Driver/Completion.h"
#include "nibble/Driver/Register.h"
#include "nibble/Runtime/ModelSummary.h"

#include "mlir/IR/AsmState.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Support/Timing.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/Path.h"

#include <deque>
#include <unistd.h>

using namespace nibble;
namespace cl = llvm::cl;

namespace {

/// LLVM's registry wants objects that live as long as the program.
struct CommandLine {
  std::deque<cl::OptionCategory> categories;
  std::vector<cl::OptionCategory *> order;
  std::vector<std::pair<const ToolOption *, std::unique_ptr<cl::list<std::string>>>> options;
  std::unique_ptr<cl::opt<std::string>> model;

  explicit CommandLine(Tools tool) {
    for (const char *title :
         {"1. Model", "2. Recipe: which numbers are multiplied", "3. Loss and optimizer",
          "4. Training", "5. Code and processor", "6. Output"}) {
      categories.emplace_back(title);
      order.push_back(&categories.back());
    }
    model = std::make_unique<cl::opt<std::string>>(cl::Positional, cl::desc("MODEL.onnx"),
                                                   cl::cat(*order[0]));
    for (const ToolOption &option : toolOptions())
      if (option.tools & tool)
        add(option);
  }

  void add(const ToolOption &option) {
    // Libraries that come along with LLVM's shared object register flags of their own (`threads` is
    // one); ours take the name.
    if (cl::Option *foreign = cl::getRegisteredOptions().lookup(option.name))
      foreign->removeArgument();
    bool isSwitch = option.metavar.empty(), isOptional = isSwitch || option.metavar.front() == '[';
    auto made = std::make_unique<cl::list<std::string>>(
        llvm::StringRef(option.name), cl::desc(option.help),
        cl::value_desc(isSwitch ? llvm::StringRef("true|false")
                                : llvm::StringRef(option.metavar).trim("[]")),
        isOptional ? cl::ValueOptional : cl::ValueRequired,
        cl::cat(*order[static_cast<size_t>(option.group)]));
    if (option.hidden)
      made->setHiddenFlag(cl::Hidden);
    if (option.name == "O")
      made->setFormattingFlag(cl::Prefix); // -O3
    options.emplace_back(&option, std::move(made));
  }
};

} // namespace

static bool isOurs(const cl::Option &option, const CommandLine &line) {
  return llvm::any_of(option.Categories,
                      [&](cl::OptionCategory *c) { return llvm::is_contained(line.order, c); });
}

void nibble::printError(const Status &status) {
  llvm::SmallVector<llvm::StringRef> lines;
  llvm::StringRef(status.message()).split(lines, '\n');
  for (llvm::StringRef line : lines)
    llvm::errs() << (line.starts_with("  note: ") || line.starts_with("error: ") ? "" : "error: ")
                 << line << "\n";
}

std::optional<int> nibble::parseCommandLine(int argc, char **argv, Tools tool, const char *overview,
                                            ToolOptions &options) {
  // The stock flags first: they are the same on every tool. Some name passes
  // (--mlir-print-ir-after=share-codes).
  registerAllPasses();
  mlir::registerMLIRContextCLOptions();
  mlir::registerPassManagerCLOptions();
  mlir::registerDefaultTimingManagerCLOptions();
  mlir::registerAsmPrinterCLOptions();
  static CommandLine line(tool);
  for (auto &entry : cl::getRegisteredOptions()) {
    cl::Option &option = *entry.second;
    bool ours = isOurs(option, line);
    bool generic = entry.first == "help" || entry.first == "help-list" || entry.first == "version";
    if (!ours && !generic && option.getOptionHiddenFlag() == cl::NotHidden)
      option.setHiddenFlag(cl::Hidden); // --help-hidden shows it
  }
  if (!cl::ParseCommandLineOptions(argc, argv, overview, &llvm::errs()))
    return ExitUsage;

  options.compile.model = *line.model;
  for (auto &entry : cl::getRegisteredOptions())
    options.stockFlags |= entry.second->getNumOccurrences() > 0 && !isOurs(*entry.second, line);
  for (auto &[option, values] : line.options) {
    if (values->empty())
      continue;
    options.given.insert(option->name);
    if (!option->repeats && values->size() > 1) {
      printError(Status::error("--" + option->name + " is given " + std::to_string(values->size()) +
                               " times"));
      return ExitUsage;
    }
    for (const std::string &value : *values)
      if (Status status = option->set(options, value); !status) {
        printError(status);
        return ExitUsage;
      }
  }
  if (!options.completion.empty()) {
    llvm::outs() << completionScript(options.completion, tool);
    return ExitOk;
  }
  llvm::StringRef toolName = llvm::sys::path::filename(argv[0]);
  for (int i = 0; i < argc; ++i)
    options.commandLine += (i ? " " : "") + runtime::shellQuoted(i ? argv[i] : toolName.str());
  if (Status status = checkOptions(options, tool); !status) {
    printError(status);
    llvm::errs() << "       '" << toolName << " --help' lists the options\n";
    return ExitUsage;
  }
  return std::nullopt;
}

CompileHooks nibble::commandLineHooks(const ToolOptions &options) {
  CompileHooks hooks;
  if (options.verbose || isatty(STDERR_FILENO))
    hooks.progress = &llvm::errs();
  hooks.configure = [](mlir::PassManager &manager) {
    mlir::applyDefaultTimingPassManagerCLOptions(manager);
    return mlir::applyPassManagerCLOptions(manager);
  };
  return hooks;
}

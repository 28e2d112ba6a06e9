//===- Translation.cpp - nibble-translate --import-onnx ----------------------===//
#include "nibble/Dialect/NN/IR/NN.h"
#include "nibble/Dialect/Train/IR/Train.h"
#include "nibble/Import/Import.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Tools/mlir-translate/Translation.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/SourceMgr.h"

using namespace mlir;
using namespace nibble;

namespace {
/// The importer's options on the command line; made when the translation is registered.
struct Options {
  llvm::cl::OptionCategory category{"Options of --import-onnx"};
  llvm::cl::opt<int64_t> batchSize{"batch-size", llvm::cl::desc("Leading dimension of the input"),
                                   llvm::cl::value_desc("N"), llvm::cl::cat(category)};
  llvm::cl::list<std::string> shapes{
      "shape",
      llvm::cl::desc("Shape of an input (x=8x3x32x32) or value of a symbolic dimension (seq=16)"),
      llvm::cl::value_desc("name=AxBxC"), llvm::cl::cat(category)};
  llvm::cl::list<std::string> train{
      "train", llvm::cl::desc("Train the initializers or nodes whose name contains a match"),
      llvm::cl::value_desc("REGEX"), llvm::cl::cat(category)};
  llvm::cl::list<std::string> freeze{"freeze", llvm::cl::desc("Do not train them (--train wins)"),
                                     llvm::cl::value_desc("REGEX"), llvm::cl::cat(category)};
  llvm::cl::opt<std::string> input{"input", llvm::cl::desc("Graph input to use"),
                                   llvm::cl::value_desc("name"), llvm::cl::cat(category)};
  llvm::cl::opt<std::string> output{"output", llvm::cl::desc("Value to use as the output"),
                                    llvm::cl::value_desc("name"), llvm::cl::cat(category)};
  llvm::cl::opt<int64_t> classes{"classes",
                                 llvm::cl::desc("Replace the head by a fresh one of N outputs"),
                                 llvm::cl::value_desc("N"), llvm::cl::cat(category)};
  llvm::cl::opt<InitialWeights> init{
      "init", llvm::cl::desc("Initial weights"), llvm::cl::init(InitialWeights::Keep),
      llvm::cl::values(clEnumValN(InitialWeights::Keep, "keep", "the file's"),
                       clEnumValN(InitialWeights::Reinitialize, "reinit", "fresh ones")),
      llvm::cl::cat(category)};
  llvm::cl::opt<std::string> loss{"loss", llvm::cl::desc("softmax_cross_entropy, mse or bce"),
                                  llvm::cl::value_desc("name"), llvm::cl::cat(category)};
  llvm::cl::opt<uint64_t> seed{"seed", llvm::cl::desc("Seed of fresh weights"), llvm::cl::init(0),
                               llvm::cl::cat(category)};
  llvm::cl::opt<bool> list{"list-weights", llvm::cl::desc("Print the list of weights to stderr"),
                           llvm::cl::cat(category)};

  bool fill(ImportOptions &options) const {
    options.batchSize = batchSize;
    options.train.assign(train.begin(), train.end());
    options.freeze.assign(freeze.begin(), freeze.end());
    options.input = input;
    options.output = output;
    options.classes = classes;
    options.init = init;
    options.loss = loss;
    options.seed = seed;
    for (const std::string &text : shapes) {
      auto [name, numbers] = llvm::StringRef(text).rsplit('=');
      if (name.empty() || !parseShape(numbers, options.shapes[name.str()])) {
        llvm::errs() << "error: --shape takes name=AxBxC, not '" << text << "'\n";
        return false;
      }
    }
    return true;
  }
};
} // namespace

void nibble::registerImportOnnxTranslation() {
  static Options commandLine;
  static TranslateToMLIRRegistration registration(
      "import-onnx", "ONNX file to the nn dialect (room 1)",
      [](llvm::SourceMgr &sources, MLIRContext *context) -> OwningOpRef<Operation *> {
        // The file's name, not its buffer: external data lies beside it.
        std::string path =
            sources.getMemoryBuffer(sources.getMainFileID())->getBufferIdentifier().str();
        if (path == "<stdin>") {
          llvm::errs() << "error: --import-onnx reads a file, not standard input (external data "
                          "lies beside the file)\n";
          return {};
        }
        ImportOptions options;
        if (!commandLine.fill(options))
          return {};
        ImportNotes notes;
        OwningOpRef<ModuleOp> module = importOnnx(path, options, *context, &notes);
        for (const std::string &note : notes.notes)
          llvm::errs() << path << ": note: " << note << "\n";
        if (module && commandLine.list)
          printWeights(*module, llvm::errs());
        return module ? OwningOpRef<Operation *>(module.release().getOperation())
                      : OwningOpRef<Operation *>();
      },
      [](DialectRegistry &registry) {
        registry
            .insert<nn::NNDialect, train::TrainDialect, arith::ArithDialect, func::FuncDialect>();
      });
}

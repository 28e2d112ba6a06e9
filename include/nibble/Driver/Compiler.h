//===- Compiler.h - from an ONNX file to object bytes ---------------*- C++ -*-===//
//
// The rooms in order, with their options in one struct and what a person wants to know afterwards
// in another. Tools, tests and Python come in through here.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "nibble/Import/Import.h"
#include "nibble/Pipeline/Rooms.h"
#include "nibble/Quantize/PrecisionTable.h"
#include "nibble/Quantize/SavedBytes.h"
#include "nibble/Runtime/Status.h"
#include "nibble/Target/Emit.h"

#include "nibble/Dialect/Train/IR/Train.h"

#include "llvm/IR/LLVMContext.h"

#include <functional>

namespace nibble {

struct CompileOptions {
  /// The ONNX file.
  std::string model;
  ImportOptions import;
  Recipe recipe;
  StepOptions step;
  /// Processor (Machine::create).
  std::string mcpu = "native";
  /// Size of the team; 0: as many as there are processors.
  unsigned threads = 0;
  /// Operations below which a loop is not worth a team.
  int64_t leastWork = 40000;
  /// Report gain and noise of each quantized tensor too; it takes time.
  bool health = false;
  /// Code that times its groups (StepProfile.h); such programs are not kept in a cache.
  bool profile = false;
  /// LLVM's level, 0 … 3.
  unsigned optimization = 2;
  /// Folder of programs compiled before (CompileCache.h); empty: none is looked for or kept.
  std::string cacheFolder;
};

/// The number of threads that options.threads stands for.
unsigned resolvedThreads(const CompileOptions &options);

/// What can be asked for, in the order in which it is made. `Onnx` is the file with the initial
/// weights, `Llvm` optimized LLVM IR, `Lib` a folder with a library (EmitLibrary.h).
enum class Emit { Onnx, Graph, Gradient, Quantized, Planned, Loops, Llvm, Asm, Obj, Lib };
/// "onnx", "graph", …
llvm::StringRef name(Emit emit);
std::optional<Emit> findEmit(llvm::StringRef name);
/// "onnx, graph, …, lib".
std::string emitNames();

struct CompileHooks {
  /// Gets a line a room, `[2/6] Quantize (0.04 s)`; null: silent.
  llvm::raw_ostream *progress = nullptr;
  /// Called with each room's pass manager (a tool's stock flags).
  std::function<mlir::LogicalResult(mlir::PassManager &)> configure;
};

/// One train.variable and its place in the state.
struct Variable {
  std::string name;
  train::Role role;
  bool trainable = false;
  mlir::RankedTensorType type;
  /// Bytes from the start of the state.
  int64_t offset = 0;
  /// The initializer it came from ("": none) and how its value was permuted (Import).
  std::string onnxName, layout;
  /// Initial value; null: zeros.
  mlir::ElementsAttr value;
};

/// What a caller of train_step and eval_step has to know.
struct StepLayout {
  /// x; labels (i32) or targets (f32); what eval_step hands out.
  mlir::RankedTensorType input, answer, output;
  /// Their names; input's and output's are the file's.
  std::string inputName, answerName, outputName;
  /// "", or the file's last operator where it became part of the loss (Softmax, LogSoftmax).
  std::string merged;
  int64_t classes = 0;
  /// Rows of the table that the input's whole numbers are looked up in; 0: the input is real
  /// numbers.
  int64_t tokens = 0;
  /// Is report slot 1 a count of right answers (labels, binary cross-entropy)?
  bool countsAnswers = false;
  /// Calls of train_step that make one update.
  int64_t microBatches = 1;
  int64_t stateBytes = 0;
  /// Of the two functions; they may share one arena of the larger size.
  int64_t trainArenaBytes = 0, evalArenaBytes = 0;
  /// No plan needs less for train_step.
  int64_t liveBytes = 0;
  /// Report slots; 0 and 1 are loss and right answers.
  std::vector<std::string> trainKeys, evalKeys;

  /// Labels of one sample.
  int64_t answersPerRow() const {
    return classes > 0 ? answer.getNumElements() / input.getDimSize(0) : 1;
  }
  int64_t arenaBytes() const { return std::max(trainArenaBytes, evalArenaBytes); }
};

/// One plan.group of @train_step: a product, or what was fused.
struct StepGroup {
  /// The layer's name (ONNX node) and its product where it is one, else empty.
  std::string layer, product;
  /// What it computes: "matmul", "batch_norm_fold, relu, quantize".
  std::string ops;
  /// Beside a product: what reads its result in the same group, "relu, quantize".
  std::string readers;
  /// Element types of a product: "int4 x int4".
  std::string numbers;
  int64_t multiplyAdds = 0;
  /// A product that backward makes again: it is work, but none that the network asks for.
  bool repeated = false;
  bool operator==(const StepGroup &) const = default;
};

struct CompiledModel {
  CompileOptions options;
  /// Number of threads that options.threads stands for.
  unsigned threads = 1;
  Machine machine;
  std::unique_ptr<mlir::MLIRContext> context;
  /// The module as the last room left it, and as Quantize left it (null before).
  mlir::OwningOpRef<mlir::ModuleOp> module, quantized;
  /// Sentences for a person: from Import, and warnings of later rooms.
  std::vector<std::string> notes;
  std::string weights;
  std::vector<PrecisionRow> precision;
  SavedBytes saved;
  WeightBytes weightSize;
  std::vector<Variable> variables;
  /// The groups of @train_step in order.
  std::vector<StepGroup> groups;
  StepLayout layout;
  std::unique_ptr<llvm::LLVMContext> llvmContext;
  std::unique_ptr<llvm::Module> llvmModule;
  std::string assembly;
  ObjectBytes object;
  /// Time to compile, or to load.
  double seconds = 0;
  /// The file that the program was read from instead of being compiled; empty where it was
  /// compiled. `module` is null then.
  std::string loadedFrom;
};

/// Takes the file through the rooms until `until` is made. The error holds every diagnostic, a line
/// each.
Result<std::unique_ptr<CompiledModel>>
compile(const CompileOptions &options, Emit until = Emit::Obj, const CompileHooks &hooks = {});

} // namespace nibble

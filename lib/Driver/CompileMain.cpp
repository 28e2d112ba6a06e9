//===- CompileMain.cpp - nibble-compile ----------------------------------------------===//
#include "nibble/Driver/CommandLine.h"
#include "nibble/Driver/EmitLibrary.h"
#include "nibble/Driver/Export.h"
#include "nibble/Driver/StepProfile.h"
#include "nibble/Driver/Summary.h"
#include "nibble/Driver/Verify.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/ToolOutputFile.h"
#include "llvm/Support/raw_ostream.h"

using namespace nibble;

static const char *overview = R"(Nibble's compiler: from an ONNX file to a training step in four bits

EXAMPLES
  nibble-compile lenet.onnx --batch-size 128 --print-precision
      compile a step with the default recipe and see what runs in how many bits
  nibble-compile lenet.onnx --batch-size 128 --recipe luq --stop-after=Quantize
      look at the quantized graph (stages: onnx, graph, gradient, quantized, planned, loops, llvm, asm, obj, lib)
  nibble-compile lenet.onnx --batch-size 8 --recipe luq --verify --threads=1,2,4 --mcpu=native,avx2
      train 20 steps on random data, compiled and interpreted, and compare every bit
  nibble-compile lenet.onnx --batch-size 128 --recipe luq --threads=1 --profile
      where the time of a step goes: products with GOP/s and share of the processor's peak, and the rest
  nibble-compile lenet.onnx --recipe ibm --keep-float=conv1 --mcpu=avx2 --emit=obj -o lenet.o
      an object file with train_step and eval_step
  nibble-compile lenet.onnx --batch-size 128 --recipe luq --emit=lib -o mylenet
      mylenet/liblenet.so, liblenet.a and lenet.h: training from a C program, without a compiler

MLIR's own flags work too: --mlir-print-ir-after-all, --mlir-timing, --mlir-pass-pipeline-crash-reproducer …
(--help-hidden lists them).
)";

/// What `--emit` names, as text.
static void print(const CompiledModel &model, Emit emit, llvm::raw_ostream &os) {
  if (emit == Emit::Llvm)
    model.llvmModule->print(os, nullptr);
  else if (emit == Emit::Asm)
    os << model.assembly;
  else if (emit == Emit::Obj)
    os.write(model.object.data(), model.object.size());
  else {
    mlir::OwningOpRef<mlir::ModuleOp> copy = model.module.get().clone(); // printing flags come from the command line
    copy->print(os);
    os << "\n";
  }
}

static Status write(CompiledModel &model, const ToolOptions &options) {
  if (options.emit == Emit::Onnx) {
    std::vector<Variable> variables = collectVariables(*model.module);
    return exportOnnx(options.compile.model, options.out, variables, initialValues(variables));
  }
  if (options.emit == Emit::Lib)
    return emitLibrary(model, options.out, options.libraryName);
  if (options.emit == Emit::Obj && options.out.empty())
    return Status::success();
  std::error_code wrong;
  llvm::ToolOutputFile file(options.out.empty() ? "-" : options.out, wrong, llvm::sys::fs::OF_None);
  if (wrong)
    return Status::error(options.out + ": cannot be written: " + wrong.message());
  print(model, options.emit, file.os());
  file.os().flush();
  if (file.os().has_error())
    return Status::error(options.out + ": cannot be written: " + file.os().error().message());
  file.keep();
  return Status::success();
}

static Status verify(const ToolOptions &options) {
  VerifyOptions verify;
  verify.steps = options.verifySteps;
  verify.seed = options.train.seed;
  verify.learningRate = options.verifyRate;
  verify.disturb = options.verifyDisturb;
  if (!options.verifyThreads.empty())
    verify.threads = options.verifyThreads;
  if (!options.verifyCpus.empty())
    verify.cpus = options.verifyCpus;
  return verifyBits(options.compile, verify, llvm::outs(), commandLineHooks(options));
}

int nibble::nibbleCompileMain(int argc, char **argv) {
  ToolOptions options;
  if (std::optional<int> code = parseCommandLine(argc, argv, CompileTool, overview, options))
    return *code;
  Status status;
  if (options.verify) {
    status = verify(options);
  } else if (options.profile) {
    status = profileSteps(options.compile, options.verifySteps, options.train.seed, llvm::outs(), commandLineHooks(options));
  } else {
    // Tables are read off the quantized graph, whatever is emitted.
    auto model = compile(options.compile, options.emit, commandLineHooks(options));
    status = model.status();
    if (model) {
      status = write(**model, options);
      printNotes(**model, llvm::errs());
      if (options.printWeights)
        llvm::errs() << (*model)->weights;
      bool wholeProgram = options.emit >= Emit::Obj;
      if (options.printPrecision || (wholeProgram && options.verbose))
        printPrecision(**model, llvm::errs());
      if (wholeProgram)
        printMemory(**model, llvm::errs());
    }
  }
  if (!status)
    printError(status);
  return status ? ExitOk : ExitError;
}

//===- PrintSupport.cpp - what is supported, asked of the code itself ---------===//
//
// `nibble-opt --print-support /dev/null -o /dev/null`: a line an entry, fields separated by tabs,
// for scripts/support-page:
//
//   onnx  OPERATOR  converter | fold          (fold: only where it folds to a constant)
//   op    NAME      GRADIENT  interpreted | -  (GRADIENT: rule, or "none, because …", or - for ops
//   outside nn)
//
// Nothing is listed here: operators come from the importer's tables, ops from the registered
// dialects, gradients from DifferentiableOpInterface, meanings from the interpreter's table.
//
//===----------------------------------------------------------------------===//
#include "nibble/Driver/Register.h"

#include "nibble/Import/Import.h"
#include "nibble/Interfaces/Interfaces.h"
#include "nibble/Reference/Interpreter.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassRegistry.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;

static std::string gradientOf(OperationName name) {
  auto *differentiable = name.getInterface<nibble::DifferentiableOpInterface>();
  if (!differentiable)
    return "-";
  // The reason is a property of the op's name: implementations do not look at the operation.
  llvm::StringRef reason = differentiable->getNoGradientReason(differentiable, nullptr);
  return reason.empty() ? "rule" : "none, because " + reason.str();
}

namespace {
struct PrintSupportPass : public PassWrapper<PrintSupportPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(PrintSupportPass)
  llvm::StringRef getArgument() const override { return "print-support"; }
  llvm::StringRef getDescription() const override {
    return "Prints which ONNX operators have converters, and for each op its gradient rule and "
           "whether the interpreter knows it";
  }
  void getDependentDialects(DialectRegistry &registry) const override {
    nibble::registerAllDialects(registry);
  }

  void runOnOperation() override {
    for (const std::string &op : nibble::convertedOnnxOps())
      llvm::outs() << "onnx\t" << op << "\tconverter\n";
    for (const std::string &op : nibble::foldedOnnxOps())
      llvm::outs() << "onnx\t" << op << "\tfold\n";
    nibble::reference::Interpreter<float> interpreter;
    for (RegisteredOperationName op : getContext().getRegisteredOperations())
      if (llvm::is_contained({"nn", "q4", "train"}, op.getDialectNamespace()))
        llvm::outs() << "op\t" << op.getStringRef() << "\t" << gradientOf(op) << "\t"
                     << (interpreter.knows(op.getStringRef()) ? "interpreted" : "-") << "\n";
    markAllAnalysesPreserved();
  }
};
} // namespace

void nibble::registerPrintSupport() { PassRegistration<PrintSupportPass>(); }

//===- Register.cpp - every dialect, pass and pipeline of Nibble -------------===//
#include "nibble/Driver/Register.h"

#include "nibble/Dialect/NN/IR/NN.h"
#include "nibble/Dialect/Plan/IR/Plan.h"
#include "nibble/Dialect/Q4/IR/Q4.h"
#include "nibble/Dialect/Train/IR/Train.h"

#include "nibble/Codegen/CPU/Passes.h"
#include "nibble/Differentiate/Adjoint.h"
#include "nibble/Differentiate/Passes.h"
#include "nibble/Differentiate/Pipeline.h"
#include "nibble/Import/Passes.h"
#include "nibble/Import/Pipeline.h"
#include "nibble/Quantize/Pipeline.h"
#include "nibble/Schedule/Passes.h"
#include "nibble/Schedule/Pipeline.h"
#include "nibble/Target/Pipeline.h"

#include "mlir/InitAllDialects.h"
#include "mlir/InitAllExtensions.h"
#include "mlir/InitAllPasses.h"

using namespace mlir;

void nibble::registerAllDialects(DialectRegistry &registry) {
  mlir::registerAllDialects(registry);
  mlir::registerAllExtensions(registry);
  registry.insert<nn::NNDialect, q4::Q4Dialect, train::TrainDialect, plan::PlanDialect>();
  registerDifferentiableModels(registry);
  registerCodegenCpuExternalModels(registry);
}

void nibble::registerAllPasses() {
  mlir::registerAllPasses();
  registerImportPasses();
  registerImportPipeline();
  registerDifferentiatePasses();
  registerDifferentiatePipeline();
  registerQuantize();
  registerSchedulePasses();
  registerSchedulePipeline();
  registerCodegenCpu();
  registerTargetPipeline();
  registerPrintSupport();
}

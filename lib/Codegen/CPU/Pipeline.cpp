//===- Pipeline.cpp - room 5: planned to loops --------------------------------===//
#include "Emitters.h"

#include "nibble/Codegen/CPU/ContractionEmitter.h"
#include "nibble/Codegen/CPU/Passes.h"
#include "nibble/Dialect/Q4/IR/Q4.h"
#include "nibble/Interfaces/Panel.h"
#include "nibble/Interfaces/Scratch.h"

#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;

void nibble::buildCodegenCpuPipeline(OpPassManager &pm, const CodegenCpuOptions &options) {
  // While groups are small and whole: layers of one kind share their code, and no function grows
  // with the network.
  OutlineGroupsOptions outline;
  outline.profile = options.profile;
  pm.addPass(createOutlineGroups(outline));
  // All groups at once: micro-kernels and constants are shared by the whole module.
  LowerGroupsOptions lowering;
  lowering.cpu = options.cpu;
  pm.addPass(createLowerGroups(lowering));
  // After lowering: emitters compute addresses afresh wherever they need them, and two groups view
  // the same buffer.
  pm.addPass(createCSEPass());
  // Last: the door looks at what the next room gets.
  pm.addPass(createVerifyLoops());
}

void nibble::registerCodegenCpu() {
  registerCodegenCPUPasses();
  PassPipelineRegistration<CodegenCpuOptions>(
      "nibble-codegen-cpu-pipeline", "Room 5: groups on buffers become loops for a processor",
      buildCodegenCpuPipeline);
}

namespace {
/// The scratch of a group, by the emitter that will write its code.
struct FusedScratch
    : public nibble::ScratchOpInterface::ExternalModel<FusedScratch, nibble::plan::FusedOp> {
  int64_t getScratchBytes(Operation *op) const {
    int64_t bytes = 0;
    for (StringRef name : nibble::CpuTarget::names())
      bytes = std::max(bytes, nibble::codegen::scratchBytes(op->getRegion(0).front(),
                                                            *nibble::CpuTarget::parse(name)));
    return bytes;
  }
};

/// The panel of a product's right operand, if on every target it has one that can be shared.
template <typename ProductOp>
struct ProductPanel
    : public nibble::PanelOpInterface::ExternalModel<ProductPanel<ProductOp>, ProductOp> {
  int64_t getPanelBytes(Operation *op) const {
    int64_t most = 0;
    for (StringRef name : nibble::CpuTarget::names()) {
      int64_t bytes = nibble::panelBytes(op, *nibble::CpuTarget::parse(name));
      if (bytes == 0)
        return 0;
      most = std::max(most, bytes);
    }
    return most;
  }
  std::string getPanelForm(Operation *op) const {
    std::string text;
    for (StringRef name : nibble::CpuTarget::names())
      text += nibble::panelForm(op, *nibble::CpuTarget::parse(name)) + "\n";
    return text;
  }
};
} // namespace

void nibble::registerCodegenCpuExternalModels(DialectRegistry &registry) {
  registry.addExtension(+[](MLIRContext *context, nibble::q4::Q4Dialect *) {
    nibble::q4::MatMulOp::attachInterface<ProductPanel<nibble::q4::MatMulOp>>(*context);
    nibble::q4::Conv2DOp::attachInterface<ProductPanel<nibble::q4::Conv2DOp>>(*context);
    nibble::q4::Conv2DInputGradOp::attachInterface<ProductPanel<nibble::q4::Conv2DInputGradOp>>(
        *context);
  });
  registry.addExtension(+[](MLIRContext *context, nibble::plan::PlanDialect *) {
    nibble::plan::FusedOp::attachInterface<FusedScratch>(*context);
  });
}

//===- Pipeline.cpp - room 5: planned to loops --------------------------------===//
#include "Emitters.h"

#include "nibble/Codegen/CPU/Passes.h"
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
} // namespace

void nibble::registerCodegenCpuExternalModels(DialectRegistry &registry) {
  registry.addExtension(+[](MLIRContext *context, nibble::plan::PlanDialect *) {
    nibble::plan::FusedOp::attachInterface<FusedScratch>(*context);
  });
}

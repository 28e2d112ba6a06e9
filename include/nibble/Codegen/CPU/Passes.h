//===- Passes.h - passes of Codegen/CPU and its pipeline -----------*- C++ -*-===//
#pragma once

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassOptions.h"

namespace nibble {

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "nibble/Codegen/CPU/Passes.h.inc"

/// Options of the room.
struct CodegenCpuOptions : public mlir::PassPipelineOptions<CodegenCpuOptions> {
  Option<std::string> cpu{*this, "cpu", llvm::cl::init("native"),
                          llvm::cl::desc("processor the code may use: native, avx512vnni, avx512, avxvnni, avx2, dotprod, generic")};
  Option<bool> profile{*this, "profile", llvm::cl::init(false), llvm::cl::desc("tell the runtime when each group of @train_step has ended")};
};

/// Room 5: `planned` → `loops`.
void buildCodegenCpuPipeline(mlir::OpPassManager &pm, const CodegenCpuOptions &options);
/// Registers the passes and the pipeline `nibble-codegen-cpu-pipeline`.
void registerCodegenCpu();
/// Attaches ScratchOpInterface to plan.fused, which Schedule asks for the scratch of each group. The answer serves every
/// processor: what the widest target needs.
void registerCodegenCpuExternalModels(mlir::DialectRegistry &registry);

} // namespace nibble

//===- Passes.td - passes of Codegen/CPU ----------------------*- tablegen -*-===//
#ifndef NIBBLE_CODEGEN_CPU_PASSES_TD
#define NIBBLE_CODEGEN_CPU_PASSES_TD
include "mlir/Pass/PassBase.td"

def OutlineGroups : Pass<"outline-groups", "::mlir::ModuleOp"> {
  let summary = "Gives each kind of group a function of its own";
  let description = [{
    LLVM's time grows faster than a function, and deep networks repeat their layers. Each plan.group moves into a private function of its
    buffers, and groups that differ in places and names only (layer, reason, the numbers of the values) share one. The step
    becomes a list of calls. Functions are not inlined again.

    Before: functions hold `plan.group`s. After: each holds calls, every called function holds one group.

    ```mlir
    plan.group ins(%x : memref<40xf32> as %a : tensor<40xf32>) outs(%y : memref<40xf32>) { … }
    // becomes
    func.call @group_relu(%x, %y) : (memref<40xf32>, memref<40xf32>) -> ()
    ```

    With `profile`, @train_step also calls @nibble_profile_mark (Runtime/Abi.def): with -1 first, and with its number behind each group.
  }];
  let options = [Option<"profile", "profile", "bool", "false", "tell the runtime when each group of @train_step has ended">];
  let dependentDialects = ["::mlir::func::FuncDialect"];
}

def LowerGroups : Pass<"lower-groups", "::mlir::ModuleOp"> {
  let summary = "Turns every plan.group into loops over its buffers";
  let description = [{
    A group of element-wise ops becomes one flat loop over blocks of 32 elements; any other group holds one op, whose
    emitter writes its loops (`scf`, `vector`, `memref`, `arith`, `math`). Large loops are `scf.parallel`, over parts that
    write disjoint memory and whose partial sums are combined in a fixed order, so that the result does not depend on the
    number of threads. Every number is instantiated from `Numerics` with a policy that writes IR, and no fastmath flag is
    set: the bits are the interpreter's (numerics.md, section 5).

    Before: functions hold `plan.group`s on dense, padded buffers (PlanOps.td). After: no `plan` op is left. A
    `plan.guard` has become a branch that returns 1 where the flag's byte is not 0.

    ```mlir
    plan.group ins(%x : memref<40xf32> as %a : tensor<40xf32>) outs(%y : memref<40xf32>) {
      %r = nn.relu %a : tensor<40xf32>
      plan.yield %r : tensor<40xf32>
    }
    ```
    becomes
    ```mlir
    scf.for %i = %c0 to %c64 step %c32 {
      %v = vector.load %x[%i] : memref<64xf32>, vector<32xf32>
      %negative = arith.cmpf olt, %v, %zero : vector<32xf32>
      %r = arith.select %negative, %zero, %v : vector<32xi1>, vector<32xf32>
      vector.store %r, %y[%i] : memref<64xf32>, vector<32xf32>
    }
    ```
  }];
  let options = [Option<"cpu", "cpu", "std::string", "\"native\"",
      "processor the code may use: native, avx512vnni, avx512, avxvnni, avx2, dotprod, generic (decides widths, never numbers)">];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::cf::ControlFlowDialect", "::mlir::func::FuncDialect",
      "::mlir::LLVM::LLVMDialect", "::mlir::math::MathDialect", "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect",
      "::mlir::vector::VectorDialect"];
}

def VerifyLoops : Pass<"verify-loops", "::mlir::ModuleOp"> {
  let summary = "The door of Codegen/CPU: no op of ours is left, and nothing allocates";
  let description = [{
    Reads only. Reports every op of `nn`, `q4` and `plan`, every `train` op inside a function, every op on tensors, and every
    allocation (`memref.alloc`, `memref.alloca`, `memref.realloc`, `llvm.alloca`), with the room's name and what was expected.
    `train.variable`s stay: the target writes them into the manifest.
  }];
}
#endif

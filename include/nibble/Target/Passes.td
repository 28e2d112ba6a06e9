//===- Passes.td - room 6: from loops to LLVM -----------------*- tablegen -*-===//
#ifndef NIBBLE_TARGET_PASSES_TD
#define NIBBLE_TARGET_PASSES_TD
include "mlir/Pass/PassBase.td"

def AssignThreads : Pass<"assign-threads", "::mlir::ModuleOp"> {
  let summary = "Decides which parallel loops get threads; the others become sequential";
  let description = [{
    *Strategy.* Only an outermost `scf.parallel` with more than one iteration may have threads: a team inside a team costs a fork and
    gains nothing, and neither does a loop of one iteration, nor one that is over before a team has met (a fork and a barrier are some
    microseconds, longer on a busy machine; work is estimated in operations, those on vectors by their bytes, `least-work`). With `threads=1` no loop has any, and the object does not call the
    OpenMP runtime. All other parallel loops become nests of `scf.for`, which compute the same values: iterations of a
    parallel loop write disjoint places and hand nothing on, so the number of threads never shows in a result.

    *Before.* Contract `loops`. *After.* Each `scf.parallel` is a region of its own for OpenMP.

    *Living example:* test/Target/assign-threads.mlir.
  }];
  let options = [
    Option<"threads", "threads", "unsigned", "1", "1: no threads; more: threads">,
    Option<"leastWork", "least-work", "int64_t", "40000", "Operations below which a loop is not worth a team">
  ];
  let dependentDialects = ["::mlir::scf::SCFDialect"];
}

def InlineAllocationScopes : Pass<"inline-allocation-scopes", "::mlir::ModuleOp"> {
  let summary = "Dissolves memref.alloca_scope: nothing of ours allocates";
  let description = [{
    *Strategy.* `convert-scf-to-openmp` puts each loop body into a `memref.alloca_scope`, which may hold a single block, so that a branch in
    the body could not be lowered. Its canonicalizer keeps the scope where the body calls a function. The door of Codegen has made
    sure that nothing allocates: the bodies move out.

    *Before.* `convert-scf-to-openmp`. *After.* No `memref.alloca_scope`; one that holds a `memref.alloca` is an error.

    *Living example:* test/Target/threads-and-branches.mlir.
  }];
  let dependentDialects = ["::mlir::memref::MemRefDialect"];
}

def TakeThreads : Pass<"take-threads", "::mlir::ModuleOp"> {
  let summary = "The size of the team becomes the last argument of every entry point";
  let description = [{
    *Strategy.* The number of threads changes no result, so it need not be compiled in: every public function gets a last argument, i32
    `threads`, and hands it to each fork (`__kmpc_push_num_threads` before `__kmpc_fork_call`) and to the functions it calls that fork.
    Nothing of the process is set, so two instances of one program can run with teams of different sizes, and one object serves every
    number of threads. Entry points of a program that never forks have the argument as well and ignore it: one signature.

    *Before.* `convert-scf-to-openmp`, without a number. *After.* Each `omp.parallel` names its `num_threads`.

    *Living example:* test/Target/take-threads.mlir.
  }];
}

def StripState : Pass<"strip-state", "::mlir::ModuleOp"> {
  let summary = "Leaves the variables behind: code gets the state as an argument";
  let description = [{
    *Strategy.* `train.variable`s and the module's attributes describe what the caller owns; the driver has read them off after Schedule.
    What stays is code.

    *Before.* Contract `loops`. *After.* The module holds functions (and the globals that Codegen made) only.
  }];
}

def VerifyTarget : Pass<"verify-target", "::mlir::ModuleOp"> {
  let summary = "The door into LLVM: every function is one that LLVM IR can hold";
  let description = [{
    Read-only. Checked before the translation, which stops at the first thing it does not know: all operations are LLVM's or OpenMP's;
    every declared function without a body is a symbol of the bridge (Runtime/Abi.def) or an intrinsic. All violations are reported.

    *Before and after.* Contract `llvm`. *Living example:* test/Target/verify-target-errors.mlir.
  }];
}
#endif

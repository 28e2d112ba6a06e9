// Allocation scopes around the bodies of parallel loops disappear, also where the body calls a function (which the canonicalizer leaves).
// RUN: nibble-opt %s --convert-scf-to-openmp --inline-allocation-scopes | FileCheck %s
// RUN: nibble-opt %s --nibble-target-pipeline="threads=2 least-work=1" | FileCheck %s --check-prefix=LOWERED

func.func private @kernel(%i: index) {
  return
}

// CHECK-LABEL: func.func @step
// CHECK: omp.loop_nest
// CHECK-NEXT: scf.for
// CHECK-NEXT: call @kernel
// CHECK-NOT: alloca_scope
// LOWERED: omp.loop_nest
// LOWERED: llvm.call @kernel
func.func @step() {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %n = arith.constant 128 : index
  scf.parallel (%i) = (%c0) to (%n) step (%c1) {
    scf.for %j = %c0 to %i step %c1 {
      func.call @kernel(%j) : (index) -> ()
    }
    scf.reduce
  }
  return
}

// A branch and a call inside a parallel loop: the OpenMP region then has several blocks.
// RUN: nibble-opt %s --nibble-target-pipeline="threads=2 least-work=1" | FileCheck %s

func.func private @clear(%x: memref<128xf32>, %i: index) {
  %zero = arith.constant 0.0 : f32
  memref.store %zero, %x[%i] : memref<128xf32>
  return
}

// CHECK-LABEL: llvm.func @step
// CHECK: omp.parallel
// CHECK-NOT: alloca_scope
// CHECK: llvm.cond_br
func.func @step(%x: memref<128xf32>) -> i32 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %n = arith.constant 128 : index
  %zero = arith.constant 0.0 : f32
  scf.parallel (%i) = (%c0) to (%n) step (%c1) {
    %v = memref.load %x[%i] : memref<128xf32>
    %negative = arith.cmpf olt, %v, %zero : f32
    scf.if %negative {
      func.call @clear(%x, %i) : (memref<128xf32>, index) -> ()
    }
    scf.reduce
  }
  %ok = arith.constant 0 : i32
  return %ok : i32
}

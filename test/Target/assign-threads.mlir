// Which parallel loops keep threads: outermost ones with more than one iteration, if there is more than one thread.
// RUN: nibble-opt %s --assign-threads=threads=4 | FileCheck %s --check-prefixes=CHECK,MANY
// RUN: nibble-opt %s --assign-threads | FileCheck %s --check-prefixes=CHECK,ONE

// CHECK-LABEL: func.func @nested
func.func @nested(%x: memref<8x8xf32>, %v: f32) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c8 = arith.constant 8 : index
  // MANY: scf.parallel
  // MANY-NEXT: scf.for
  // ONE: scf.for
  // ONE-NEXT: scf.for
  // CHECK-NOT: scf.parallel
  scf.parallel (%i) = (%c0) to (%c8) step (%c1) {
    scf.parallel (%j) = (%c0) to (%c8) step (%c1) {
      memref.store %v, %x[%i, %j] : memref<8x8xf32>
      scf.reduce
    }
    scf.reduce
  }
  return
}

// CHECK-LABEL: func.func @runs_once
func.func @runs_once(%x: memref<8xf32>, %v: f32) {
  %c0 = arith.constant 0 : index
  %c8 = arith.constant 8 : index
  // CHECK-NOT: scf.parallel
  scf.parallel (%i) = (%c0) to (%c8) step (%c8) {
    memref.store %v, %x[%i] : memref<8xf32>
    scf.reduce
  }
  return
}

// Which parallel loops keep threads: outermost ones with more than one iteration, if there is more than one thread.
// RUN: nibble-opt %s --assign-threads="threads=4 least-work=100" | FileCheck %s --check-prefixes=CHECK,MANY
// RUN: nibble-opt %s --assign-threads=threads=4 | FileCheck %s --check-prefix=WORTH
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

// By default a loop of a few operations is not worth a team, one of many is; what a called function does counts.
// CHECK-LABEL: func.func private @work
func.func private @work(%x: memref<8xf32>, %n: index, %v: f32) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  scf.for %i = %c0 to %n step %c1 {
    memref.store %v, %x[%c0] : memref<8xf32>
  }
  return
}
// WORTH-LABEL: func.func @small
// WORTH-NOT: scf.parallel
// WORTH-LABEL: func.func @large
// WORTH: scf.parallel
func.func @small(%x: memref<8xf32>, %v: f32) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c8 = arith.constant 8 : index
  %n = arith.constant 10 : index
  scf.parallel (%i) = (%c0) to (%c8) step (%c1) {
    func.call @work(%x, %n, %v) : (memref<8xf32>, index, f32) -> ()
    scf.reduce
  }
  return
}
func.func @large(%x: memref<8xf32>, %v: f32) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c8 = arith.constant 8 : index
  %n = arith.constant 100000 : index
  scf.parallel (%i) = (%c0) to (%c8) step (%c1) {
    func.call @work(%x, %n, %v) : (memref<8xf32>, index, f32) -> ()
    scf.reduce
  }
  return
}

// Room 6 as a whole: buffers arrive as plain pointers, threads as an OpenMP region whose size is the last argument, vector.fma stays one operation.
// RUN: nibble-opt %s --nibble-target-pipeline="threads=2 least-work=1" | FileCheck %s
// RUN: nibble-opt %s --nibble-target-pipeline | FileCheck %s --check-prefix=ONE

// CHECK-LABEL: llvm.func @step(
// CHECK-SAME: %{{.*}}: !llvm.ptr, %{{.*}}: f64, %[[THREADS:.*]]: i32) -> i32
// CHECK: omp.parallel num_threads(%[[THREADS]] : i32)
// CHECK: omp.wsloop
// ONE-NOT: omp.
func.func @step(%arena: memref<1024xi8>, %rate: f64) -> i32 {
  %c0 = arith.constant 0 : index
  %c8 = arith.constant 8 : index
  %n = arith.constant 128 : index
  %shift = arith.constant 512 : index
  %x = memref.view %arena[%c0][] : memref<1024xi8> to memref<128xf32>
  %y = memref.view %arena[%shift][] : memref<1024xi8> to memref<128xf32>
  scf.parallel (%i) = (%c0) to (%n) step (%c8) {
    %v = vector.load %x[%i] : memref<128xf32>, vector<8xf32>
    %r = math.fma %v, %v, %v : vector<8xf32>
    // CHECK: llvm.intr.fma
    vector.store %r, %y[%i] : memref<128xf32>, vector<8xf32>
    scf.reduce
  }
  %ok = arith.constant 0 : i32
  return %ok : i32
}

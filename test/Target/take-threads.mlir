// The size of the team is the last argument of every entry point, handed on to all that forks. Functions that never fork and are not
// entry points keep their type.
// RUN: nibble-opt %s --take-threads | FileCheck %s

// CHECK-LABEL: func.func private @leaf(%{{.*}}: memref<8xf32>) {
func.func private @leaf(%x: memref<8xf32>) {
  return
}

// CHECK-LABEL: func.func private @fork(
// CHECK-SAME: %{{.*}}: memref<8xf32>, %[[THREADS:.*]]: i32)
// CHECK: omp.parallel num_threads(%[[THREADS]] : i32)
// CHECK: call @leaf(%{{.*}}) : (memref<8xf32>) -> ()
func.func private @fork(%x: memref<8xf32>) {
  omp.parallel {
    func.call @leaf(%x) : (memref<8xf32>) -> ()
    omp.terminator
  }
  return
}

// CHECK-LABEL: func.func @entry(
// CHECK-SAME: %{{.*}}: memref<8xf32>, %[[SIZE:.*]]: i32)
// CHECK: call @fork(%{{.*}}, %[[SIZE]]) : (memref<8xf32>, i32) -> ()
func.func @entry(%x: memref<8xf32>) {
  call @fork(%x) : (memref<8xf32>) -> ()
  return
}

// CHECK-LABEL: func.func @alone(%{{.*}}: i32, %{{.*}}: i32) -> i32
func.func @alone(%x: i32) -> i32 {
  return %x : i32
}

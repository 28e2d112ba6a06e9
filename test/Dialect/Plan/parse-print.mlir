// Groups are read back as they were printed, with and without scratch.
// RUN: nibble-opt %s | nibble-opt | FileCheck %s

// CHECK-LABEL: @groups
func.func @groups(%x: memref<4xf32>, %y: memref<4xf32>, %s: memref<64xi8>, %f: memref<1xi8>, %t: tensor<4xf32>) -> i32 {
  // CHECK: plan.group ins(%{{.*}} : memref<4xf32> as %{{.*}} : tensor<4xf32>) outs(%{{.*}} : memref<4xf32>) attributes {reads = array<i64: 0>, writes = array<i64: 1>} {
  // CHECK-NEXT: nn.relu
  // CHECK-NEXT: plan.yield
  plan.group ins(%x : memref<4xf32> as %a : tensor<4xf32>) outs(%y : memref<4xf32>) attributes {reads = array<i64: 0>, writes = array<i64: 1>} {
    %r = nn.relu %a : tensor<4xf32>
    plan.yield %r : tensor<4xf32>
  }
  // CHECK: plan.group ins() outs() scratch(%{{.*}} : memref<64xi8>)
  plan.group ins() outs() scratch(%s : memref<64xi8>) {
    plan.yield
  }
  // CHECK: plan.guard %{{.*}} : memref<1xi8>
  plan.guard %f : memref<1xi8>
  // CHECK: plan.fused (%{{.*}} as %{{.*}} : tensor<4xf32>) -> (tensor<4xf32>)
  %u = plan.fused (%t as %a : tensor<4xf32>) -> (tensor<4xf32>) {
    %r = nn.neg %a : tensor<4xf32>
    plan.yield %r : tensor<4xf32>
  }
  %c0 = arith.constant 0 : i32
  return %c0 : i32
}

// What packs, and what reads the panel, with a zero point.
// CHECK-LABEL: @panels
func.func @panels(%x: tensor<2x3x!q4.int4>, %w: tensor<5x3x!q4.int4>, %s: tensor<f32>, %z: tensor<i32>) -> tensor<2x5xf32> {
  // CHECK: plan.pack %{{.*}} zero_point(%{{.*}}) for "rnn" : (tensor<5x3x!q4.int4>, tensor<i32>) -> tensor<512xi8> {
  // CHECK-NEXT: ^
  // CHECK-NEXT: q4.matmul
  %p = plan.pack %w zero_point(%z) for "rnn" : (tensor<5x3x!q4.int4>, tensor<i32>) -> tensor<512xi8> {
  ^bb0(%l: tensor<2x3x!q4.int4>, %r: tensor<5x3x!q4.int4>, %a: tensor<f32>, %b: tensor<i32>):
    %0 = q4.matmul %l, %r scales(%a, %a) right_zero_point(%b) {transpose_b} : (tensor<2x3x!q4.int4>, tensor<5x3x!q4.int4>, tensor<f32>, tensor<f32>, tensor<i32>) -> tensor<2x5xf32>
  }
  // CHECK: plan.packed %{{.*}} : (tensor<512xi8>) -> tensor<5x3x!q4.int4>
  %v = plan.packed %p : (tensor<512xi8>) -> tensor<5x3x!q4.int4>
  %y = q4.matmul %x, %v scales(%s, %s) right_zero_point(%z) {transpose_b} : (tensor<2x3x!q4.int4>, tensor<5x3x!q4.int4>, tensor<f32>, tensor<f32>, tensor<i32>) -> tensor<2x5xf32>
  return %y : tensor<2x5xf32>
}

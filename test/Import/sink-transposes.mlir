// RUN: nibble-opt %s --nn-sink-transposes --split-input-file | FileCheck %s

// Law: transposes move below what does not care about the order of dimensions and cancel; axes are renamed.

// CHECK-LABEL: @elementwise
// CHECK-SAME: %[[A:.*]]: tensor<2x5x5x8xf32>, %[[B:.*]]: tensor<2x5x5x8xf32>)
func.func @elementwise(%a: tensor<2x5x5x8xf32>, %b: tensor<2x5x5x8xf32>) -> tensor<2x5x5x8xf32> {
  // CHECK: %[[R:.*]] = nn.relu %[[A]]
  // CHECK: %[[S:.*]] = nn.add %[[R]], %[[B]]
  // CHECK: %[[C:.*]] = nn.clip %[[S]] {hi = 6.000000e+00 : f32, lo = 0.000000e+00 : f32}
  // CHECK: return %[[C]]
  %0 = nn.transpose %a {perm = array<i64: 0, 3, 1, 2>} : (tensor<2x5x5x8xf32>) -> tensor<2x8x5x5xf32>
  %1 = nn.relu %0 : tensor<2x8x5x5xf32>
  %2 = nn.transpose %b {perm = array<i64: 0, 3, 1, 2>} : (tensor<2x5x5x8xf32>) -> tensor<2x8x5x5xf32>
  %3 = nn.add %1, %2 : (tensor<2x8x5x5xf32>, tensor<2x8x5x5xf32>) -> tensor<2x8x5x5xf32>
  %4 = nn.clip %3 {lo = 0.0 : f32, hi = 6.0 : f32} : tensor<2x8x5x5xf32>
  %5 = nn.transpose %4 {perm = array<i64: 0, 2, 3, 1>} : (tensor<2x8x5x5xf32>) -> tensor<2x5x5x8xf32>
  return %5 : tensor<2x5x5x8xf32>
}

// -----

// A vector along the channels, and a scalar, broadcast in the new order without a transpose.
train.variable @scale : tensor<8x1x1xf32> {role = #train.role<norm>}
// CHECK-LABEL: @broadcast
// CHECK-SAME: %[[A:.*]]: tensor<2x5x5x8xf32>
func.func @broadcast(%a: tensor<2x5x5x8xf32>) -> tensor<2x5x5x8xf32> {
  // CHECK: %[[V:.*]] = train.read @scale
  // CHECK: %[[W:.*]] = nn.reshape %[[V]] : (tensor<8x1x1xf32>) -> tensor<8xf32>
  // CHECK: %[[M:.*]] = nn.mul %[[A]], %[[W]] : (tensor<2x5x5x8xf32>, tensor<8xf32>)
  // CHECK: %[[D:.*]] = nn.div %{{.*}}, %[[M]] : (tensor<f32>, tensor<2x5x5x8xf32>)
  // CHECK: return %[[D]]
  %v = train.read @scale : tensor<8x1x1xf32>
  %one = arith.constant dense<1.0> : tensor<1x1xf32>
  %0 = nn.transpose %a {perm = array<i64: 0, 3, 1, 2>} : (tensor<2x5x5x8xf32>) -> tensor<2x8x5x5xf32>
  %1 = nn.mul %0, %v : (tensor<2x8x5x5xf32>, tensor<8x1x1xf32>) -> tensor<2x8x5x5xf32>
  %2 = nn.div %one, %1 : (tensor<1x1xf32>, tensor<2x8x5x5xf32>) -> tensor<2x8x5x5xf32>
  %3 = nn.transpose %2 {perm = array<i64: 0, 2, 3, 1>} : (tensor<2x8x5x5xf32>) -> tensor<2x5x5x8xf32>
  return %3 : tensor<2x5x5x8xf32>
}

// -----

// CHECK-LABEL: @axes
// CHECK-SAME: %[[A:.*]]: tensor<2x5x6x8xf32>
func.func @axes(%a: tensor<2x5x6x8xf32>) -> tensor<2x1x1x8xf32> {
  // CHECK: %[[C:.*]] = nn.concat %[[A]], %[[A]] {axis = 3 : i64} {{.*}} -> tensor<2x5x6x16xf32>
  // CHECK: %[[S:.*]] = nn.slice %[[C]] {starts = array<i64: 0, 1, 0, 4>, steps = array<i64: 1, 2, 1, 1>} {{.*}} -> tensor<2x2x6x8xf32>
  // CHECK: %[[M:.*]] = nn.reduce_mean %[[S]] {axes = array<i64: 1, 2>}
  // CHECK: return %[[M]]
  %0 = nn.transpose %a {perm = array<i64: 0, 3, 1, 2>} : (tensor<2x5x6x8xf32>) -> tensor<2x8x5x6xf32>
  %1 = nn.concat %0, %0 {axis = 1 : i64} : (tensor<2x8x5x6xf32>, tensor<2x8x5x6xf32>) -> tensor<2x16x5x6xf32>
  %2 = nn.slice %1 {starts = array<i64: 0, 4, 1, 0>, steps = array<i64: 1, 1, 2, 1>} : (tensor<2x16x5x6xf32>) -> tensor<2x8x2x6xf32>
  %3 = nn.reduce_mean %2 {axes = array<i64: 2, 3>} : (tensor<2x8x2x6xf32>) -> tensor<2x8x1x1xf32>
  %4 = nn.transpose %3 {perm = array<i64: 0, 2, 3, 1>} : (tensor<2x8x1x1xf32>) -> tensor<2x1x1x8xf32>
  return %4 : tensor<2x1x1x8xf32>
}

// -----

// A full-size operand that is not transposed keeps the transpose where it is: moving it would add one.
// CHECK-LABEL: @stays
func.func @stays(%a: tensor<2x5x5x8xf32>, %b: tensor<2x8x5x5xf32>) -> tensor<2x8x5x5xf32> {
  // CHECK: nn.transpose
  // CHECK-NEXT: nn.add
  // CHECK-NEXT: return
  %0 = nn.transpose %a {perm = array<i64: 0, 3, 1, 2>} : (tensor<2x5x5x8xf32>) -> tensor<2x8x5x5xf32>
  %1 = nn.add %0, %b : (tensor<2x8x5x5xf32>, tensor<2x8x5x5xf32>) -> tensor<2x8x5x5xf32>
  return %1 : tensor<2x8x5x5xf32>
}

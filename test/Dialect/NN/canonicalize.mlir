// Folds change no bit of what a program computes.
// RUN: nibble-opt %s --canonicalize | FileCheck %s

// CHECK-LABEL: @constants_fold_by_numerics
func.func @constants_fold_by_numerics() -> (tensor<3xf32>, tensor<3xf32>, tensor<f32>) {
  // CHECK-DAG: dense<[-1.000000e+00, 0.000000e+00, -2.000000e+00]>
  // CHECK-DAG: dense<[1.000000e+00, 0.000000e+00, 2.000000e+00]>
  // CHECK-DAG: dense<6.000000e+00>
  %x = arith.constant dense<[1.0, -0.0, 2.0]> : tensor<3xf32>
  %0 = nn.neg %x : tensor<3xf32>
  %1 = nn.abs %x : tensor<3xf32>
  %two = arith.constant dense<2.0> : tensor<f32>
  %three = arith.constant dense<3.0> : tensor<f32>
  %2 = nn.mul %two, %three : (tensor<f32>, tensor<f32>) -> tensor<f32>
  return %0, %1, %2 : tensor<3xf32>, tensor<3xf32>, tensor<f32>
}

// x + (+0) turns −0 into +0, so only x + (−0) is x.
// CHECK-LABEL: @only_minus_zero_is_neutral
// CHECK-SAME: (%[[X:.*]]: tensor<4xf32>)
func.func @only_minus_zero_is_neutral(%x: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  %plus = arith.constant dense<0.0> : tensor<f32>
  %minus = arith.constant dense<-0.0> : tensor<f32>
  // CHECK: %[[SUM:.*]] = nn.add %[[X]]
  %0 = nn.add %x, %plus : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %1 = nn.add %x, %minus : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  // CHECK: return %[[SUM]], %[[X]]
  return %0, %1 : tensor<4xf32>, tensor<4xf32>
}

// A factor of 1 folds only where it does not broadcast the other operand to a larger shape.
// CHECK-LABEL: @one_times
// CHECK-SAME: (%[[X:.*]]: tensor<4xf32>)
func.func @one_times(%x: tensor<4xf32>) -> (tensor<4xf32>, tensor<2x4xf32>) {
  %one = arith.constant dense<1.0> : tensor<f32>
  %ones = arith.constant dense<1.0> : tensor<2x4xf32>
  %0 = nn.mul %x, %one : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  // CHECK: %[[WIDE:.*]] = nn.mul
  %1 = nn.mul %x, %ones : (tensor<4xf32>, tensor<2x4xf32>) -> tensor<2x4xf32>
  // CHECK: return %[[X]], %[[WIDE]]
  return %0, %1 : tensor<4xf32>, tensor<2x4xf32>
}

// CHECK-LABEL: @transposes_cancel
// CHECK-SAME: (%[[X:.*]]: tensor<2x3x4x5xf32>)
func.func @transposes_cancel(%x: tensor<2x3x4x5xf32>) -> (tensor<2x3x4x5xf32>, tensor<2x5x3x4xf32>) {
  %0 = nn.transpose %x {perm = array<i64: 0, 2, 3, 1>} : (tensor<2x3x4x5xf32>) -> tensor<2x4x5x3xf32>
  %1 = nn.transpose %0 {perm = array<i64: 0, 3, 1, 2>} : (tensor<2x4x5x3xf32>) -> tensor<2x3x4x5xf32>
  // CHECK: %[[ONCE:.*]] = nn.transpose %[[X]] {perm = array<i64: 0, 3, 1, 2>}
  %2 = nn.transpose %0 {perm = array<i64: 0, 2, 3, 1>} : (tensor<2x4x5x3xf32>) -> tensor<2x5x3x4xf32>
  // CHECK: return %[[X]], %[[ONCE]]
  return %1, %2 : tensor<2x3x4x5xf32>, tensor<2x5x3x4xf32>
}

// Moving a dimension of 1 keeps the flat order.
// CHECK-LABEL: @transpose_of_ones_is_a_reshape
// CHECK-NOT: nn.transpose
// CHECK: nn.reshape
func.func @transpose_of_ones_is_a_reshape(%x: tensor<2x1x8x8xf32>) -> tensor<2x8x8x1xf32> {
  %0 = nn.transpose %x {perm = array<i64: 0, 2, 3, 1>} : (tensor<2x1x8x8xf32>) -> tensor<2x8x8x1xf32>
  return %0 : tensor<2x8x8x1xf32>
}

// CHECK-LABEL: @reshapes_join
// CHECK-SAME: (%[[X:.*]]: tensor<2x6xf32>)
func.func @reshapes_join(%x: tensor<2x6xf32>) -> tensor<2x6xf32> {
  %0 = nn.reshape %x : (tensor<2x6xf32>) -> tensor<12xf32>
  %1 = nn.reshape %0 : (tensor<12xf32>) -> tensor<2x6xf32>
  // CHECK: return %[[X]]
  return %1 : tensor<2x6xf32>
}

// CHECK-LABEL: @masked_once
// CHECK-COUNT-1: nn.mask
// CHECK-NOT: nn.mask
func.func @masked_once(%x: tensor<4xf32>, %m: tensor<4xi1>) -> tensor<4xf32> {
  %0 = nn.mask %x, %m : (tensor<4xf32>, tensor<4xi1>) -> tensor<4xf32>
  %1 = nn.mask %0, %m : (tensor<4xf32>, tensor<4xi1>) -> tensor<4xf32>
  return %1 : tensor<4xf32>
}

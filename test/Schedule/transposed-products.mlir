// The transpose of a matrix product is the product with its operands exchanged.
// RUN: nibble-opt %s --prepare-schedule | FileCheck %s

// CHECK-LABEL: @weight_gradient
// CHECK-SAME: %[[X:.*]]: tensor<8x3xf32>, %[[DY:.*]]: tensor<8x5xf32>
func.func @weight_gradient(%x: tensor<8x3xf32>, %dy: tensor<8x5xf32>) -> tensor<5x3xf32> {
  // CHECK-NEXT: nn.matmul %[[DY]], %[[X]] {{.*}}transpose_a
  // CHECK-NOT: transpose_b
  // CHECK-NEXT: return
  %w = nn.matmul %x, %dy {transpose_a, layer = "fc", product = #nn.product<weight_gradient>} : (tensor<8x3xf32>, tensor<8x5xf32>) -> tensor<3x5xf32>
  %t = nn.transpose %w {perm = array<i64: 1, 0>} : (tensor<3x5xf32>) -> tensor<5x3xf32>
  return %t : tensor<5x3xf32>
}

// Scales and zero points go with their operands.
// CHECK-LABEL: @codes
// CHECK-SAME: %[[X:[^:]*]]: tensor<8x3x!q4.int4>, %[[DY:[^:]*]]: tensor<8x5x!q4.int4>, %[[SX:[^:]*]]: tensor<f32>, %[[SY:[^:]*]]: tensor<f32>, %[[Z:[^:]*]]: tensor<i32>
func.func @codes(%x: tensor<8x3x!q4.int4>, %dy: tensor<8x5x!q4.int4>, %sx: tensor<f32>, %sy: tensor<f32>, %z: tensor<i32>) -> tensor<5x3xf32> {
  // CHECK-NEXT: q4.matmul %[[DY]], %[[X]] scales(%[[SY]], %[[SX]]) right_zero_point(%[[Z]]) {{.*}}transpose_a
  // CHECK-NEXT: return
  %w = q4.matmul %x, %dy scales(%sx, %sy) left_zero_point(%z) {transpose_a} : (tensor<8x3x!q4.int4>, tensor<8x5x!q4.int4>, tensor<f32>, tensor<f32>, tensor<i32>) -> tensor<3x5xf32>
  %t = nn.transpose %w {perm = array<i64: 1, 0>} : (tensor<3x5xf32>) -> tensor<5x3xf32>
  return %t : tensor<5x3xf32>
}

// What is also read as it is stays.
// CHECK-LABEL: @read_twice
// CHECK: nn.matmul
// CHECK: nn.transpose
func.func @read_twice(%a: tensor<2x3xf32>, %b: tensor<3x5xf32>) -> (tensor<2x5xf32>, tensor<5x2xf32>) {
  %y = nn.matmul %a, %b : (tensor<2x3xf32>, tensor<3x5xf32>) -> tensor<2x5xf32>
  %t = nn.transpose %y {perm = array<i64: 1, 0>} : (tensor<2x5xf32>) -> tensor<5x2xf32>
  return %y, %t : tensor<2x5xf32>, tensor<5x2xf32>
}

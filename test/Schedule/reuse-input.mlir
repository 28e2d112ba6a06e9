// An element-wise group writes over an input that dies there; a transpose, or a group whose input lives on, does not.
// RUN: nibble-opt %s --nibble-schedule-pipeline | FileCheck %s

module {
  // CHECK-LABEL: func.func @train_step
  // One place of 128 x 32 floats serves both values, a second one the transpose, beside the loss.
  // CHECK-SAME: nibble.arena_bytes = 32896 : i64
  func.func @train_step(%x: tensor<128x32xf32>, %n: tensor<i32>) -> (tensor<f32>, tensor<i32>) {
    %t = nn.transpose %x {perm = array<i64: 1, 0>} : (tensor<128x32xf32>) -> tensor<32x128xf32>
    %y = nn.relu %t : tensor<32x128xf32>
    %u = nn.transpose %y {perm = array<i64: 1, 0>} : (tensor<32x128xf32>) -> tensor<128x32xf32>
    %loss = q4.absmax %u : (tensor<128x32xf32>) -> tensor<f32>
    return %loss, %n : tensor<f32>, tensor<i32>
  }
}

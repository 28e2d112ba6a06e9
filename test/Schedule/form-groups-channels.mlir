// Sums per channel ride in the loop that makes or reads what they sum, where rows begin at whole blocks of 32 elements.
// RUN: nibble-opt %s --split-input-file --form-groups | FileCheck %s

// One sweep: the masked gradient, the sums of batch norm, and a maximum.
// CHECK-LABEL: @in_one_sweep
// CHECK: plan.fused
// CHECK-NEXT: nn.mask
// CHECK-NEXT: nn.channel_sum
// CHECK-NEXT: q4.absmax
// CHECK-NEXT: plan.yield
// CHECK-NOT: plan.fused
func.func @in_one_sweep(%g: tensor<2x3x3x32xf32>, %m: tensor<2x3x3x32xi1>) -> (tensor<2x3x3x32xf32>, tensor<32xf32>, tensor<f32>) {
  %y = nn.mask %g, %m : (tensor<2x3x3x32xf32>, tensor<2x3x3x32xi1>) -> tensor<2x3x3x32xf32>
  %s = nn.channel_sum %y : (tensor<2x3x3x32xf32>) -> tensor<32xf32>
  %a = q4.absmax %y : (tensor<2x3x3x32xf32>) -> tensor<f32>
  return %y, %s, %a : tensor<2x3x3x32xf32>, tensor<32xf32>, tensor<f32>
}

// -----

// What the sums give is there after the loop: who reads it comes later.
// CHECK-LABEL: @read_afterwards
// CHECK: plan.fused
// CHECK-NEXT: nn.relu
// CHECK-NEXT: nn.channel_sum
// CHECK-NEXT: plan.yield
// CHECK: plan.fused
// CHECK-NEXT: nn.add
func.func @read_afterwards(%x: tensor<9x32xf32>) -> tensor<9x32xf32> {
  %y = nn.relu %x : tensor<9x32xf32>
  %s = nn.channel_sum %y : (tensor<9x32xf32>) -> tensor<32xf32>
  %z = nn.add %y, %s : (tensor<9x32xf32>, tensor<32xf32>) -> tensor<9x32xf32>
  return %z : tensor<9x32xf32>
}

// -----

// Ten channels: rows begin inside blocks, and sums over another shape have other blocks. Neither rides along.
// CHECK-LABEL: @other_shapes_do_not
// CHECK: plan.fused
// CHECK-NEXT: nn.relu
// CHECK-NEXT: plan.yield
// CHECK: plan.fused
// CHECK-NEXT: nn.channel_sum
// CHECK-NEXT: plan.yield
// CHECK: plan.fused
// CHECK-NEXT: nn.neg
// CHECK-NEXT: nn.channel_sum
// CHECK-NEXT: plan.yield
// CHECK: plan.fused
// CHECK-NEXT: nn.channel_sum
func.func @other_shapes_do_not(%x: tensor<9x10xf32>, %v: tensor<8x32xf32>)
    -> (tensor<9x10xf32>, tensor<10xf32>, tensor<32xf32>, tensor<64xf32>) {
  %y = nn.relu %x : tensor<9x10xf32>
  %s = nn.channel_sum %y : (tensor<9x10xf32>) -> tensor<10xf32>
  %w = nn.neg %v : tensor<8x32xf32>
  %t = nn.channel_sum %w : (tensor<8x32xf32>) -> tensor<32xf32>
  %r = nn.reshape %w : (tensor<8x32xf32>) -> tensor<4x64xf32>
  %u = nn.channel_sum %r : (tensor<4x64xf32>) -> tensor<64xf32>
  return %y, %s, %t, %u : tensor<9x10xf32>, tensor<10xf32>, tensor<32xf32>, tensor<64xf32>
}

// Ops that move whole blocks of 32 elements are read in place by loops: each group that reads one has a copy.
// RUN: nibble-opt %s --split-input-file --form-groups | FileCheck %s

// The heads of attention: a slice and a transpose on the way to codes are no groups.
// CHECK-LABEL: @heads
// CHECK: plan.fused (%{{.*}} as %[[X:.*]] : tensor<2x5x192xf32>, {{.*}} -> (tensor<2x3x5x32x!q4.int8>)
// CHECK-NEXT: nn.slice %[[X]]
// CHECK-NEXT: nn.reshape
// CHECK-NEXT: nn.transpose
// CHECK-NEXT: q4.quantize
// CHECK-NOT: plan.fused
// CHECK: return
func.func @heads(%x: tensor<2x5x192xf32>, %s: tensor<f32>) -> tensor<2x3x5x32x!q4.int8> {
  %c = nn.slice %x {starts = array<i64: 0, 0, 96>, steps = array<i64: 1, 1, 1>} : (tensor<2x5x192xf32>) -> tensor<2x5x96xf32>
  %d = nn.reshape %c : (tensor<2x5x96xf32>) -> tensor<2x5x3x32xf32>
  %t = nn.transpose %d {perm = array<i64: 0, 2, 1, 3>} : (tensor<2x5x3x32xf32>) -> tensor<2x3x5x32xf32>
  %q = q4.quantize %t, %s {qmin = -127 : i32, qmax = 127 : i32} : (tensor<2x3x5x32xf32>, tensor<f32>) -> tensor<2x3x5x32x!q4.int8>
  return %q : tensor<2x3x5x32x!q4.int8>
}

// -----

// The loop that makes the elements ends before they are read at other places.
// CHECK-LABEL: @made_and_moved
// CHECK: plan.fused
// CHECK-NEXT: nn.relu
// CHECK-NEXT: plan.yield
// CHECK: plan.fused
// CHECK-NEXT: nn.transpose
// CHECK-NEXT: nn.add
func.func @made_and_moved(%x: tensor<4x4x32xf32>) -> tensor<4x4x32xf32> {
  %y = nn.relu %x : tensor<4x4x32xf32>
  %t = nn.transpose %y {perm = array<i64: 1, 0, 2>} : (tensor<4x4x32xf32>) -> tensor<4x4x32xf32>
  %z = nn.add %y, %t : (tensor<4x4x32xf32>, tensor<4x4x32xf32>) -> tensor<4x4x32xf32>
  return %z : tensor<4x4x32xf32>
}

// -----

// Rows of 20 are no whole blocks, and a product reads memory: these moves are groups.
// CHECK-LABEL: @in_memory
// CHECK: plan.fused
// CHECK-NEXT: nn.transpose
// CHECK-NEXT: plan.yield
// CHECK: plan.fused
// CHECK-NEXT: nn.relu
// CHECK: plan.fused
// CHECK-NEXT: nn.slice
// CHECK-NEXT: plan.yield
// CHECK: plan.fused
// CHECK-NEXT: nn.matmul
func.func @in_memory(%x: tensor<4x3x20xf32>, %w: tensor<64x32xf32>, %v: tensor<32x8xf32>) -> (tensor<3x4x20xf32>, tensor<32x8xf32>) {
  %t = nn.transpose %x {perm = array<i64: 1, 0, 2>} : (tensor<4x3x20xf32>) -> tensor<3x4x20xf32>
  %y = nn.relu %t : tensor<3x4x20xf32>
  %s = nn.slice %w {starts = array<i64: 32, 0>, steps = array<i64: 1, 1>} : (tensor<64x32xf32>) -> tensor<32x32xf32>
  %m = nn.matmul %s, %v : (tensor<32x32xf32>, tensor<32x8xf32>) -> tensor<32x8xf32>
  return %y, %m : tensor<3x4x20xf32>, tensor<32x8xf32>
}

// -----

// The gradients of three heads go side by side to one loop.
// CHECK-LABEL: @joined
// CHECK: plan.fused
// CHECK-NEXT: nn.transpose
// CHECK-NEXT: nn.concat
// CHECK-NEXT: q4.absmax
// CHECK-NOT: plan.fused
// CHECK: return
func.func @joined(%x: tensor<4x2x32xf32>, %y: tensor<2x4x64xf32>) -> tensor<f32> {
  %t = nn.transpose %x {perm = array<i64: 1, 0, 2>} : (tensor<4x2x32xf32>) -> tensor<2x4x32xf32>
  %c = nn.concat %t, %y {axis = 2 : i64} : (tensor<2x4x32xf32>, tensor<2x4x64xf32>) -> tensor<2x4x96xf32>
  %a = q4.absmax %c : (tensor<2x4x96xf32>) -> tensor<f32>
  return %a : tensor<f32>
}

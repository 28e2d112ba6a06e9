// A product whose result one loop reads is in that loop's group: the result is neither written nor read.
// RUN: nibble-opt %s --split-input-file --form-groups | FileCheck %s

// CHECK-LABEL: @chained
// CHECK: plan.fused (%{{.*}} : tensor<99x32x32x32x!q4.int4>, {{.*}}) -> (tensor<99x32x32x64xbf16>, tensor<f32>) {
// CHECK-NEXT: q4.conv2d
// CHECK-NEXT: q4.narrow
// CHECK-NEXT: q4.absmax
// CHECK-NEXT: plan.yield
// CHECK-NOT: plan.fused
func.func @chained(%x: tensor<99x32x32x32x!q4.int4>, %w: tensor<64x1x1x32x!q4.int4>, %s: tensor<f32>) -> (tensor<99x32x32x64xbf16>, tensor<f32>) {
  %z = q4.conv2d %x, %w scales(%s, %s) {layer = "c", pads = array<i64: 0, 0, 0, 0>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, groups = 1 : i64}
    : (tensor<99x32x32x32x!q4.int4>, tensor<64x1x1x32x!q4.int4>, tensor<f32>, tensor<f32>) -> tensor<99x32x32x64xf32>
  %n = q4.narrow %z : (tensor<99x32x32x64xf32>) -> tensor<99x32x32x64xbf16>
  %a = q4.absmax %z : (tensor<99x32x32x64xf32>) -> tensor<f32>
  return %n, %a : tensor<99x32x32x64xbf16>, tensor<f32>
}

// -----

// A result that a cache holds, and one of which 31 channels are no block.
// CHECK-LABEL: @left_alone
// CHECK: q4.matmul
// CHECK-NEXT: plan.yield
// CHECK: nn.relu
// CHECK-NEXT: plan.yield
// CHECK: q4.matmul
// CHECK-NEXT: plan.yield
// CHECK: nn.relu
func.func @left_alone(%x: tensor<64x32x!q4.int4>, %w: tensor<64x32x!q4.int4>, %v: tensor<99999x32x!q4.int4>, %u: tensor<31x32x!q4.int4>, %s: tensor<f32>)
    -> (tensor<64x64xf32>, tensor<99999x31xf32>) {
  %z = q4.matmul %x, %w scales(%s, %s) {layer = "f", transpose_b} : (tensor<64x32x!q4.int4>, tensor<64x32x!q4.int4>, tensor<f32>, tensor<f32>) -> tensor<64x64xf32>
  %y = nn.relu %z : tensor<64x64xf32>
  %r = q4.matmul %v, %u scales(%s, %s) {layer = "f", transpose_b} : (tensor<99999x32x!q4.int4>, tensor<31x32x!q4.int4>, tensor<f32>, tensor<f32>) -> tensor<99999x31xf32>
  %q = nn.relu %r : tensor<99999x31xf32>
  return %y, %q : tensor<64x64xf32>, tensor<99999x31xf32>
}

// -----

// Two loops read the result, one of them after what the other folds: it has to be in memory.
// CHECK-LABEL: @read_twice
// CHECK: q4.matmul
// CHECK-NEXT: plan.yield
// CHECK: q4.absmax
// CHECK-NEXT: plan.yield
// CHECK: nn.mul
func.func @read_twice(%x: tensor<99999x32x!q4.int4>, %w: tensor<32x32x!q4.int4>, %s: tensor<f32>) -> tensor<99999x32xf32> {
  %z = q4.matmul %x, %w scales(%s, %s) {layer = "f", transpose_b} : (tensor<99999x32x!q4.int4>, tensor<32x32x!q4.int4>, tensor<f32>, tensor<f32>) -> tensor<99999x32xf32>
  %a = q4.absmax %z : (tensor<99999x32xf32>) -> tensor<f32>
  %y = nn.mul %z, %a : (tensor<99999x32xf32>, tensor<f32>) -> tensor<99999x32xf32>
  return %y : tensor<99999x32xf32>
}

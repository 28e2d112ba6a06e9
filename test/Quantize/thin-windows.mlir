// A 1x1 window with strides reads and keeps the codes of the pixels it stands on; windows of more pixels are left alone.
// RUN: nibble-opt %s --thin-windows --fold-quantizers | FileCheck %s

// CHECK-LABEL: func.func @train_step
// CHECK: %[[P:.*]] = nn.slice %arg0 {starts = array<i64: 0, 0, 0, 0>, steps = array<i64: 1, 2, 2, 1>} : (tensor<2x5x4x8xf32>) -> tensor<2x3x2x8xf32>
// CHECK: %[[Q:.*]] = q4.quantize %[[P]], %arg2 {{.*}} -> tensor<2x3x2x8x!q4.int8>
// CHECK: %[[KEPT:.*]] = train.save %[[Q]]
// CHECK: q4.conv2d %[[Q]], {{.*}}strides = array<i64: 1, 1>
// CHECK: q4.conv2d_weight_grad %[[KEPT]], {{.*}}strides = array<i64: 1, 1>
func.func @train_step(%x: tensor<2x5x4x8xf32>, %w: tensor<6x1x1x8x!q4.int8>, %s: tensor<f32>, %dy: tensor<2x3x2x6x!q4.int8>) -> (tensor<2x3x2x6xf32>, tensor<6x1x1x8xf32>) {
  %q = q4.quantize %x, %s {qmin = -127 : i32, qmax = 127 : i32} : (tensor<2x5x4x8xf32>, tensor<f32>) -> tensor<2x5x4x8x!q4.int8>
  %kept = train.save %q : tensor<2x5x4x8x!q4.int8>
  %y = q4.conv2d %q, %w scales(%s, %s) {layer = "shortcut", precision = #nn.precision<int8>, strides = array<i64: 2, 2>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<2x5x4x8x!q4.int8>, tensor<6x1x1x8x!q4.int8>, tensor<f32>, tensor<f32>) -> tensor<2x3x2x6xf32>
  %dw = q4.conv2d_weight_grad %kept, %dy scales(%s, %s) {layer = "shortcut", precision = #nn.precision<int8>, product = #nn.product<weight_gradient>, strides = array<i64: 2, 2>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<2x5x4x8x!q4.int8>, tensor<2x3x2x6x!q4.int8>, tensor<f32>, tensor<f32>) -> tensor<6x1x1x8xf32>
  return %y, %dw : tensor<2x3x2x6xf32>, tensor<6x1x1x8xf32>
}

// The codes of all pixels are there for another product: picking some would only keep more.
// CHECK-LABEL: func.func @shared_codes
// CHECK-NOT: nn.slice
// CHECK: q4.conv2d {{.*}}layer = "shortcut", {{.*}}strides = array<i64: 2, 2>
func.func @shared_codes(%x: tensor<2x5x5x8xf32>, %w: tensor<6x1x1x8x!q4.int8>, %v: tensor<6x3x3x8x!q4.int8>, %s: tensor<f32>) -> (tensor<2x3x3x6xf32>, tensor<2x2x2x6xf32>) {
  %q = q4.quantize %x, %s {qmin = -127 : i32, qmax = 127 : i32} : (tensor<2x5x5x8xf32>, tensor<f32>) -> tensor<2x5x5x8x!q4.int8>
  %y = q4.conv2d %q, %w scales(%s, %s) {layer = "shortcut", precision = #nn.precision<int8>, strides = array<i64: 2, 2>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<2x5x5x8x!q4.int8>, tensor<6x1x1x8x!q4.int8>, tensor<f32>, tensor<f32>) -> tensor<2x3x3x6xf32>
  %u = q4.conv2d %q, %v scales(%s, %s) {layer = "wide", precision = #nn.precision<int8>, strides = array<i64: 2, 2>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<2x5x5x8x!q4.int8>, tensor<6x3x3x8x!q4.int8>, tensor<f32>, tensor<f32>) -> tensor<2x2x2x6xf32>
  return %y, %u : tensor<2x3x3x6xf32>, tensor<2x2x2x6xf32>
}

// CHECK-LABEL: func.func @wide_window
// CHECK-NOT: nn.slice
// CHECK: q4.conv2d {{.*}}strides = array<i64: 2, 2>
func.func @wide_window(%x: tensor<2x5x5x8xf32>, %w: tensor<6x3x3x8x!q4.int8>, %s: tensor<f32>) -> tensor<2x2x2x6xf32> {
  %q = q4.quantize %x, %s {qmin = -127 : i32, qmax = 127 : i32} : (tensor<2x5x5x8xf32>, tensor<f32>) -> tensor<2x5x5x8x!q4.int8>
  %y = q4.conv2d %q, %w scales(%s, %s) {layer = "wide", precision = #nn.precision<int8>, strides = array<i64: 2, 2>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<2x5x5x8x!q4.int8>, tensor<6x3x3x8x!q4.int8>, tensor<f32>, tensor<f32>) -> tensor<2x2x2x6xf32>
  return %y : tensor<2x2x2x6xf32>
}

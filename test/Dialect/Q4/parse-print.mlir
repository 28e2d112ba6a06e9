// Every op and type of q4 is read back as it was printed.
// RUN: nibble-opt %s | nibble-opt | FileCheck %s

// CHECK-LABEL: @types
// CHECK-SAME: tensor<4x!q4.int4>, %{{.*}}: tensor<4x!q4.int8>, %{{.*}}: tensor<4x!q4.log<4>>, %{{.*}}: tensor<4x!q4.log<2>>, %{{.*}}: tensor<4x!q4.e2m1>
func.func @types(%a: tensor<4x!q4.int4>, %b: tensor<4x!q4.int8>, %c: tensor<4x!q4.log<4>>, %d: tensor<4x!q4.log<2>>, %e: tensor<4x!q4.e2m1>) {
  return
}

// CHECK-LABEL: @scales
func.func @scales(%x: tensor<4x8xf32>, %s: tensor<f32>, %f: tensor<i1>, %q: tensor<4x8x!q4.int4>, %z: tensor<i32>) {
  // CHECK: q4.absmax %{{.*}} : (tensor<4x8xf32>) -> tensor<f32>
  %0 = q4.absmax %x : (tensor<4x8xf32>) -> tensor<f32>
  // CHECK: q4.range
  %1:2 = q4.range %x : (tensor<4x8xf32>) -> (tensor<f32>, tensor<f32>)
  // CHECK: q4.non_finite %{{.*}} {infinities}
  %2 = q4.non_finite %x {infinities} : (tensor<4x8xf32>) -> tensor<i1>
  // CHECK: q4.or
  %3 = q4.or %2, %f : (tensor<i1>, tensor<i1>) -> tensor<i1>
  // CHECK: q4.sawb_clip
  %4 = q4.sawb_clip %x : (tensor<4x8xf32>) -> tensor<f32>
  // CHECK: q4.scale %{{.*}} {divisor = 7.000000e+00 : f32}
  %5 = q4.scale %4 {divisor = 7.0 : f32} : (tensor<f32>) -> tensor<f32>
  // CHECK: q4.affine_scale
  %6:2 = q4.affine_scale %1#0, %1#1 : (tensor<f32>, tensor<f32>) -> (tensor<f32>, tensor<i32>)
  // CHECK: q4.log_scale %{{.*}} {odd}
  %7 = q4.log_scale %s {odd} : (tensor<f32>) -> tensor<f32>
  // CHECK: q4.grad_scale_update
  %8 = q4.grad_scale_update %s, %0 : (tensor<f32>, tensor<f32>) -> tensor<f32>
  // CHECK: q4.gain
  %9 = q4.gain %x, %q, %s : (tensor<4x8xf32>, tensor<4x8x!q4.int4>, tensor<f32>) -> tensor<f32>
  // CHECK: q4.fidelity
  %fidelity:2 = q4.fidelity %x, %q, %s : (tensor<4x8xf32>, tensor<4x8x!q4.int4>, tensor<f32>) -> (tensor<f32>, tensor<f32>)
  // CHECK: q4.moving_range
  %10 = q4.moving_range %s, %0 : (tensor<f32>, tensor<f32>) -> tensor<f32>
  // CHECK: q4.init_clip
  %11 = q4.init_clip %s, %x {init = 0.0 : f32, floor = 0.001 : f32} : (tensor<f32>, tensor<4x8xf32>) -> tensor<f32>
  // CHECK: q4.frozen_range
  %12 = q4.frozen_range %s, %x : (tensor<f32>, tensor<4x8xf32>) -> tensor<f32>
  // CHECK: q4.code_counts
  %13 = q4.code_counts %q, %z {qmin = -8 : i32} : (tensor<4x8x!q4.int4>, tensor<i32>) -> tensor<2xi32>
  return
}

// CHECK-LABEL: @conversions
func.func @conversions(%x: tensor<4x8xf32>, %s: tensor<f32>, %z: tensor<i32>, %u: tensor<4x8xi16>) {
  // CHECK: q4.quantize %{{.*}}, %{{.*}} zero_point(%{{.*}}) {qmax = 7 : i32, qmin = -8 : i32}
  %0 = q4.quantize %x, %s zero_point(%z) {qmin = -8 : i32, qmax = 7 : i32} : (tensor<4x8xf32>, tensor<f32>, tensor<i32>) -> tensor<4x8x!q4.int4>
  // CHECK: q4.quantize %{{.*}}, %{{.*}} noise(%{{.*}}) {qmax = 127 : i32, qmin = -127 : i32}
  %1 = q4.quantize %x, %s noise(%u) {qmin = -127 : i32, qmax = 127 : i32} : (tensor<4x8xf32>, tensor<f32>, tensor<4x8xi16>) -> tensor<4x8x!q4.int8>
  // CHECK: q4.quantize_log
  %2 = q4.quantize_log %x, %s : (tensor<4x8xf32>, tensor<f32>) -> tensor<4x8x!q4.log<4>>
  // CHECK: q4.quantize_log
  %3 = q4.quantize_log %x, %s, %u : (tensor<4x8xf32>, tensor<f32>, tensor<4x8xi16>) -> tensor<4x8x!q4.log<2>>
  // CHECK: q4.dequantize
  %4 = q4.dequantize %0, %s, %z : (tensor<4x8x!q4.int4>, tensor<f32>, tensor<i32>) -> tensor<4x8xf32>
  // CHECK: q4.narrow %{{.*}} : (tensor<4x8xf32>) -> tensor<4x8xbf16>
  %5 = q4.narrow %x : (tensor<4x8xf32>) -> tensor<4x8xbf16>
  // CHECK: q4.widen %{{.*}} : (tensor<4x8xbf16>) -> tensor<4x8xf32>
  %6 = q4.widen %5 : (tensor<4x8xbf16>) -> tensor<4x8xf32>
  return
}

// CHECK-LABEL: @products
func.func @products(%x: tensor<2x5x4x3x!q4.int4>, %w: tensor<6x3x3x3x!q4.int4>, %dy: tensor<2x5x4x6x!q4.log<4>>, %a: tensor<4x7x!q4.int4>, %b: tensor<9x7x!q4.int4>, %s: tensor<f32>, %z: tensor<i32>) {
  // CHECK: q4.conv2d %{{.*}}, %{{.*}} scales(%{{.*}}, %{{.*}}) left_zero_point(%{{.*}}) {
  %0 = q4.conv2d %x, %w scales(%s, %s) left_zero_point(%z) {strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>} : (tensor<2x5x4x3x!q4.int4>, tensor<6x3x3x3x!q4.int4>, tensor<f32>, tensor<f32>, tensor<i32>) -> tensor<2x5x4x6xf32>
  // CHECK: q4.conv2d_input_grad {{.*}} gain(%{{.*}})
  %1 = q4.conv2d_input_grad %dy, %w scales(%s, %s) gain(%s) {product = #nn.product<input_gradient>, strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>} : (tensor<2x5x4x6x!q4.log<4>>, tensor<6x3x3x3x!q4.int4>, tensor<f32>, tensor<f32>, tensor<f32>) -> tensor<2x5x4x3xf32>
  // CHECK: q4.conv2d_weight_grad
  %2 = q4.conv2d_weight_grad %x, %dy scales(%s, %s) left_zero_point(%z) {product = #nn.product<weight_gradient>, strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>} : (tensor<2x5x4x3x!q4.int4>, tensor<2x5x4x6x!q4.log<4>>, tensor<f32>, tensor<f32>, tensor<i32>) -> tensor<6x3x3x3xf32>
  // CHECK: q4.matmul {{.*}}transpose_b
  %3 = q4.matmul %a, %b scales(%s, %s) {transpose_b} : (tensor<4x7x!q4.int4>, tensor<9x7x!q4.int4>, tensor<f32>, tensor<f32>) -> tensor<4x9xf32>
  return
}

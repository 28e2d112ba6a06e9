// relu's bit beside a clip's codes and bit is told by these; a kept product with a constant is told by its other factor.
// RUN: nibble-opt %s --split-input-file --drop-residuals | FileCheck %s

// CHECK-LABEL: func.func @sign_of_a_coded_value
// CHECK: %[[IN:.*]] = nn.inside
// CHECK: %[[INKEPT:.*]] = train.save %[[IN]]
// CHECK: %[[Q:.*]] = q4.quantize
// CHECK: %[[QKEPT:.*]] = train.save %[[Q]]
// CHECK: %[[A:.*]] = nn.mask %arg3, %[[INKEPT]]
// CHECK: %[[WORTH:.*]] = q4.dequantize %[[QKEPT]],
// CHECK: %[[ABOVE:.*]] = nn.compare %[[WORTH]], %{{.*}} {predicate = #nn.cmp<gt>}
// CHECK: %[[OUTSIDE:.*]] = nn.mask %arg3, %[[ABOVE]]
// CHECK: %[[B:.*]] = nn.select %[[INKEPT]], %arg3, %[[OUTSIDE]]
// CHECK: return %[[A]], %[[B]]
func.func @sign_of_a_coded_value(%x: tensor<4x8xf32>, %alpha: tensor<f32>, %unused: tensor<f32>, %dy: tensor<4x8xf32>)
    -> (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8x!q4.int4>) {
  %zero = arith.constant dense<0.0> : tensor<f32>
  %z = arith.constant dense<-8> : tensor<i32>
  %s = q4.scale %alpha {divisor = 1.5e+01 : f32} : (tensor<f32>) -> tensor<f32>
  %bit = nn.compare %x, %zero {predicate = #nn.cmp<gt>} : (tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xi1>
  %bits = train.save %bit : tensor<4x8xi1>
  %y = nn.clip_learned %x, %alpha {one_sided} : (tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xf32>
  %in = nn.inside %x, %zero, %alpha : (tensor<4x8xf32>, tensor<f32>, tensor<f32>) -> tensor<4x8xi1>
  %ins = train.save %in : tensor<4x8xi1>
  %q = q4.quantize %y, %s zero_point(%z) {qmin = -8 : i32, qmax = 7 : i32} : (tensor<4x8xf32>, tensor<f32>, tensor<i32>) -> tensor<4x8x!q4.int4>
  %qs = train.save %q : tensor<4x8x!q4.int4>
  %a = nn.mask %dy, %ins : (tensor<4x8xf32>, tensor<4x8xi1>) -> tensor<4x8xf32>
  %b = nn.mask %dy, %bits : (tensor<4x8xf32>, tensor<4x8xi1>) -> tensor<4x8xf32>
  return %a, %b, %qs : tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8x!q4.int4>
}

// -----

// A scale of another range than the clip's: what the clip cuts off may have zero's code, so the codes do not tell the bit.
// CHECK-LABEL: func.func @other_scale
// CHECK: %[[BIT:.*]] = nn.compare %arg0
// CHECK: %[[KEPT:.*]] = train.save %[[BIT]]
// CHECK-NOT: nn.select
// CHECK: nn.mask %arg3, %[[KEPT]]
func.func @other_scale(%x: tensor<4x8xf32>, %alpha: tensor<f32>, %max: tensor<f32>, %dy: tensor<4x8xf32>)
    -> (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8x!q4.int4>) {
  %zero = arith.constant dense<0.0> : tensor<f32>
  %z = arith.constant dense<-8> : tensor<i32>
  %s = q4.scale %max {divisor = 1.5e+01 : f32} : (tensor<f32>) -> tensor<f32>
  %bit = nn.compare %x, %zero {predicate = #nn.cmp<gt>} : (tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xi1>
  %bits = train.save %bit : tensor<4x8xi1>
  %y = nn.clip_learned %x, %alpha {one_sided} : (tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xf32>
  %in = nn.inside %x, %zero, %alpha : (tensor<4x8xf32>, tensor<f32>, tensor<f32>) -> tensor<4x8xi1>
  %ins = train.save %in : tensor<4x8xi1>
  %q = q4.quantize %y, %s zero_point(%z) {qmin = -8 : i32, qmax = 7 : i32} : (tensor<4x8xf32>, tensor<f32>, tensor<i32>) -> tensor<4x8x!q4.int4>
  %qs = train.save %q : tensor<4x8x!q4.int4>
  %a = nn.mask %dy, %ins : (tensor<4x8xf32>, tensor<4x8xi1>) -> tensor<4x8xf32>
  %b = nn.mask %dy, %bits : (tensor<4x8xf32>, tensor<4x8xi1>) -> tensor<4x8xf32>
  return %a, %b, %qs : tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8x!q4.int4>
}

// -----

// CHECK-LABEL: func.func @scaled_copy
// CHECK: %[[X:.*]] = train.save %arg0
// CHECK: %[[Y:.*]] = nn.mul %[[X]], %{{.*}} : (tensor<4x8xf32>, tensor<f32>)
// CHECK: nn.mul %[[X]], %[[Y]]
func.func @scaled_copy(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %half = arith.constant dense<0.5> : tensor<f32>
  %xs = train.save %x : tensor<4x8xf32>
  %y = nn.mul %x, %half : (tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xf32>
  %ys = train.save %y : tensor<4x8xf32>
  %d = nn.mul %xs, %ys : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  return %d : tensor<4x8xf32>
}

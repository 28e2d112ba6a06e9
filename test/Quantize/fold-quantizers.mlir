// Decoding and quantizing again on the same grid gives the codes back; what is idle goes.
// RUN: nibble-opt %s --fold-quantizers | FileCheck %s

// CHECK-LABEL: func.func @round_trip
// CHECK-NEXT: %[[Q:.*]] = q4.quantize
// CHECK-NEXT: return %[[Q]]
func.func @round_trip(%x: tensor<4xf32>, %s: tensor<f32>) -> tensor<4x!q4.int4> {
  %q = q4.quantize %x, %s {qmin = -7 : i32, qmax = 7 : i32} : (tensor<4xf32>, tensor<f32>) -> tensor<4x!q4.int4>
  %d = q4.dequantize %q, %s : (tensor<4x!q4.int4>, tensor<f32>) -> tensor<4xf32>
  %r = q4.quantize %d, %s {qmin = -7 : i32, qmax = 7 : i32} : (tensor<4xf32>, tensor<f32>) -> tensor<4x!q4.int4>
  return %r : tensor<4x!q4.int4>
}

// Another scale, a narrower set, or noise: not the identity.
// CHECK-LABEL: func.func @others_stay
// CHECK-COUNT-4: q4.quantize
func.func @others_stay(%x: tensor<4xf32>, %s: tensor<f32>, %t: tensor<f32>, %n: tensor<4xi16>)
    -> (tensor<4x!q4.int4>, tensor<4x!q4.int4>, tensor<4x!q4.int4>) {
  %q = q4.quantize %x, %s {qmin = -8 : i32, qmax = 7 : i32} : (tensor<4xf32>, tensor<f32>) -> tensor<4x!q4.int4>
  %d = q4.dequantize %q, %s : (tensor<4x!q4.int4>, tensor<f32>) -> tensor<4xf32>
  %0 = q4.quantize %d, %t {qmin = -8 : i32, qmax = 7 : i32} : (tensor<4xf32>, tensor<f32>) -> tensor<4x!q4.int4>
  %1 = q4.quantize %d, %s {qmin = -7 : i32, qmax = 7 : i32} : (tensor<4xf32>, tensor<f32>) -> tensor<4x!q4.int4>
  %2 = q4.quantize %d, %s noise(%n) {qmin = -8 : i32, qmax = 7 : i32} : (tensor<4xf32>, tensor<f32>, tensor<4xi16>) -> tensor<4x!q4.int4>
  return %0, %1, %2 : tensor<4x!q4.int4>, tensor<4x!q4.int4>, tensor<4x!q4.int4>
}

// CHECK-LABEL: func.func @saves
// CHECK-NEXT: %[[S:.*]] = train.save %arg0
// CHECK-NEXT: return %[[S]]
func.func @saves(%x: tensor<4xf32>, %s: tensor<f32>) -> tensor<4xf32> {
  %a = train.save %x : tensor<4xf32>
  %b = train.save %a : tensor<4xf32>
  %idle = train.save %s : tensor<f32>
  %codes = q4.quantize %x, %s {qmin = -7 : i32, qmax = 7 : i32} : (tensor<4xf32>, tensor<f32>) -> tensor<4x!q4.int4>
  return %b : tensor<4xf32>
}

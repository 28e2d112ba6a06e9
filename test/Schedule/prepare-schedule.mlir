// A fused loop walks one flat index: operands that repeat any other way than with a period are spelled out first.
// RUN: nibble-opt %s --prepare-schedule | FileCheck %s

// CHECK: train.variable @[[TABLE:.*]] : tensor<3xf32> {role = #train.role<constant>, value = dense<[1.000000e+00, 2.000000e+00, 3.000000e+00]>

// CHECK-LABEL: @rows_are_spelled_out
func.func @rows_are_spelled_out(%x: tensor<4x3xf32>, %rows: tensor<4x1xf32>) -> tensor<4x3xf32> {
  // CHECK: %[[FULL:.*]] = nn.broadcast %{{.*}} : (tensor<4x1xf32>) -> tensor<4x3xf32>
  // CHECK: nn.mul %{{.*}}, %[[FULL]]
  %y = nn.mul %x, %rows : (tensor<4x3xf32>, tensor<4x1xf32>) -> tensor<4x3xf32>
  return %y : tensor<4x3xf32>
}

// CHECK-LABEL: @a_suffix_is_a_period
func.func @a_suffix_is_a_period(%x: tensor<2x4x3xf32>, %p: tensor<1x4x3xf32>) -> tensor<2x4x3xf32> {
  // CHECK-NOT: nn.broadcast
  // CHECK: nn.add
  %y = nn.add %x, %p : (tensor<2x4x3xf32>, tensor<1x4x3xf32>) -> tensor<2x4x3xf32>
  return %y : tensor<2x4x3xf32>
}

// CHECK-LABEL: @one_element_is_a_scalar
func.func @one_element_is_a_scalar(%x: tensor<4x3xf32>, %one: tensor<1x1xf32>) -> tensor<4x3xf32> {
  // CHECK: %[[SCALAR:.*]] = nn.reshape %{{.*}} : (tensor<1x1xf32>) -> tensor<f32>
  // CHECK: nn.add %{{.*}}, %[[SCALAR]]
  %y = nn.add %x, %one : (tensor<4x3xf32>, tensor<1x1xf32>) -> tensor<4x3xf32>
  return %y : tensor<4x3xf32>
}

// CHECK-LABEL: @only_splats_stay_constants
func.func @only_splats_stay_constants(%x: tensor<4x3xf32>) -> tensor<4x3xf32> {
  // CHECK-DAG: %[[SPLAT:.*]] = arith.constant dense<2.000000e+00>
  // CHECK-DAG: %[[READ:.*]] = train.read @[[TABLE]]
  %two = arith.constant dense<2.0> : tensor<f32>
  %table = arith.constant dense<[1.0, 2.0, 3.0]> : tensor<3xf32>
  // CHECK: nn.mul %{{.*}}, %[[SPLAT]]
  %a = nn.mul %x, %two : (tensor<4x3xf32>, tensor<f32>) -> tensor<4x3xf32>
  // CHECK: nn.add %{{.*}}, %[[READ]]
  %b = nn.add %a, %table : (tensor<4x3xf32>, tensor<3xf32>) -> tensor<4x3xf32>
  return %b : tensor<4x3xf32>
}

train.variable @w : tensor<4xf32> {role = #train.role<weight>, trainable}

// What only writes behind the guard read is computed behind it; the loss is not.
// CHECK-LABEL: @updates_sink
// CHECK: nn.neg
// CHECK: train.guard
// CHECK: nn.abs
// CHECK: train.write
func.func @updates_sink(%x: tensor<4xf32>, %f: tensor<i1>) -> tensor<4xf32> {
  %a = nn.abs %x : tensor<4xf32>
  %b = nn.neg %x : tensor<4xf32>
  train.guard %f : tensor<i1>
  train.write @w, %a : tensor<4xf32>
  return %b : tensor<4xf32>
}

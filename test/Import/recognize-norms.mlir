// RUN: nibble-opt %s --nn-recognize-norms --split-input-file | FileCheck %s

// Law: a layer norm that is spelled out, over the last dimension, becomes one op, with its scale and its shift.

train.variable @scale : tensor<8xf32> {role = #train.role<norm>}
train.variable @shift : tensor<8xf32> {role = #train.role<norm>}
// CHECK-LABEL: @layer_norm
// CHECK-SAME: %[[X:.*]]: tensor<2x3x8xf32>
func.func @layer_norm(%x: tensor<2x3x8xf32>) -> tensor<2x3x8xf32> {
  // CHECK: %[[SCALE:.*]] = train.read @scale
  // CHECK: %[[SHIFT:.*]] = train.read @shift
  // CHECK-NEXT: %[[Y:.*]], %mean, %rstd = nn.layer_norm %[[X]], %[[SCALE]], %[[SHIFT]] {epsilon = 9.99999974E-6 : f32}
  // CHECK-NEXT: return %[[Y]]
  %scale = train.read @scale : tensor<8xf32>
  %shift = train.read @shift : tensor<8xf32>
  %eps = arith.constant dense<1.0e-5> : tensor<f32>
  %m = nn.reduce_mean %x {axes = array<i64: 2>} : (tensor<2x3x8xf32>) -> tensor<2x3x1xf32>
  %d = nn.sub %x, %m : (tensor<2x3x8xf32>, tensor<2x3x1xf32>) -> tensor<2x3x8xf32>
  %s = nn.mul %d, %d : (tensor<2x3x8xf32>, tensor<2x3x8xf32>) -> tensor<2x3x8xf32>
  %v = nn.reduce_mean %s {axes = array<i64: 2>} : (tensor<2x3x8xf32>) -> tensor<2x3x1xf32>
  %e = nn.add %v, %eps : (tensor<2x3x1xf32>, tensor<f32>) -> tensor<2x3x1xf32>
  %r = nn.sqrt %e : tensor<2x3x1xf32>
  %n = nn.div %d, %r : (tensor<2x3x8xf32>, tensor<2x3x1xf32>) -> tensor<2x3x8xf32>
  %a = nn.mul %n, %scale : (tensor<2x3x8xf32>, tensor<8xf32>) -> tensor<2x3x8xf32>
  %y = nn.add %a, %shift : (tensor<2x3x8xf32>, tensor<8xf32>) -> tensor<2x3x8xf32>
  return %y : tensor<2x3x8xf32>
}

// -----

train.variable @scale : tensor<8xf32> {role = #train.role<norm>}
// CHECK-LABEL: @root_mean_square
// CHECK-SAME: %[[X:.*]]: tensor<6x8xf32>
func.func @root_mean_square(%x: tensor<6x8xf32>) -> tensor<6x8xf32> {
  // CHECK: %[[SCALE:.*]] = train.read @scale
  // CHECK: nn.layer_norm %[[X]], %[[SCALE]] {epsilon = 1.000000e-03 : f32, rms}
  %scale = train.read @scale : tensor<8xf32>
  %eps = arith.constant dense<1.0e-3> : tensor<f32>
  %one = arith.constant dense<1.0> : tensor<f32>
  %s = nn.mul %x, %x : (tensor<6x8xf32>, tensor<6x8xf32>) -> tensor<6x8xf32>
  %v = nn.reduce_mean %s {axes = array<i64: 1>} : (tensor<6x8xf32>) -> tensor<6x1xf32>
  %e = nn.add %eps, %v : (tensor<f32>, tensor<6x1xf32>) -> tensor<6x1xf32>
  %r = nn.sqrt %e : tensor<6x1xf32>
  %i = nn.div %one, %r : (tensor<f32>, tensor<6x1xf32>) -> tensor<6x1xf32>
  %n = nn.mul %x, %i : (tensor<6x8xf32>, tensor<6x1xf32>) -> tensor<6x8xf32>
  %y = nn.mul %scale, %n : (tensor<8xf32>, tensor<6x8xf32>) -> tensor<6x8xf32>
  return %y : tensor<6x8xf32>
}

// -----

// Over another dimension it stays as it is.
// CHECK-LABEL: @columns
// CHECK-NOT: nn.layer_norm
func.func @columns(%x: tensor<6x8xf32>) -> tensor<6x8xf32> {
  %eps = arith.constant dense<1.0e-3> : tensor<f32>
  %s = nn.mul %x, %x : (tensor<6x8xf32>, tensor<6x8xf32>) -> tensor<6x8xf32>
  %v = nn.reduce_mean %s {axes = array<i64: 0>} : (tensor<6x8xf32>) -> tensor<1x8xf32>
  %e = nn.add %v, %eps : (tensor<1x8xf32>, tensor<f32>) -> tensor<1x8xf32>
  %r = nn.sqrt %e : tensor<1x8xf32>
  %n = nn.div %x, %r : (tensor<6x8xf32>, tensor<1x8xf32>) -> tensor<6x8xf32>
  return %n : tensor<6x8xf32>
}

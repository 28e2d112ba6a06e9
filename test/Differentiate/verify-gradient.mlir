// The whole room on a small network, for every recipe, ends with the door satisfied; running the door again changes nothing.
// RUN: nibble-opt %s --nibble-differentiate-pipeline=recipe=f32 -o %t.f32
// RUN: nibble-opt %t.f32 --verify-gradient | diff %t.f32 -
// RUN: nibble-opt %s --nibble-differentiate-pipeline=recipe=w4a4 | FileCheck %s
// RUN: nibble-opt %s --nibble-differentiate-pipeline=recipe=ibm | FileCheck %s
// RUN: nibble-opt %s --nibble-differentiate-pipeline=recipe=ibm+ | FileCheck %s
// RUN: nibble-opt %s --nibble-differentiate-pipeline="recipe=luq step=optimizer=adamw,weight-decay=0.01" | FileCheck %s
// RUN: nibble-opt %s --nibble-differentiate-pipeline=recipe=int4 | FileCheck %s

// CHECK: train.variable @two.alpha
// CHECK: func.func @train_step
// CHECK: func.func @eval_step
module attributes {nibble.loss = "softmax_cross_entropy"} {
  train.variable @w1 : tensor<8x4xf32> {role = #train.role<weight>, trainable, decay}
  train.variable @w2 : tensor<4x4xf32> {role = #train.role<weight>, trainable, decay}
  train.variable @w3 : tensor<4x3xf32> {role = #train.role<weight>, trainable, decay}
  func.func @forward(%x: tensor<2x8xf32>) -> tensor<2x3xf32> {
    %w1 = train.read @w1 : tensor<8x4xf32>
    %0 = nn.matmul %x, %w1 {layer = "one"} : (tensor<2x8xf32>, tensor<8x4xf32>) -> tensor<2x4xf32>
    %1 = nn.relu %0 : tensor<2x4xf32>
    %w2 = train.read @w2 : tensor<4x4xf32>
    %2 = nn.matmul %1, %w2 {layer = "two"} : (tensor<2x4xf32>, tensor<4x4xf32>) -> tensor<2x4xf32>
    %3 = nn.relu %2 : tensor<2x4xf32>
    %w3 = train.read @w3 : tensor<4x3xf32>
    %4 = nn.matmul %3, %w3 {layer = "three"} : (tensor<2x4xf32>, tensor<4x3xf32>) -> tensor<2x3xf32>
    return %4 : tensor<2x3xf32>
  }
}

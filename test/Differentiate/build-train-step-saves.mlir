// What is saved: one bit where a bit suffices, each value once, relu's bit not at all where a clip's implies it.
// RUN: nibble-opt %s --build-train-step --split-input-file | FileCheck %s

// CHECK-LABEL: func.func @train_step
// CHECK: %[[RELU:.*]] = nn.relu
// CHECK: %[[ALPHA:.*]] = q4.init_clip %{{.*}}, %[[RELU]] {floor = 9.765625E-4 : f32, init = 0.0
// CHECK: %[[ALPHAS:.*]] = train.save %[[ALPHA]] : tensor<f32>
// CHECK: %[[Y:.*]] = nn.clip_learned %[[RELU]], %[[ALPHA]] {one_sided}
// CHECK: %[[IN:.*]] = nn.inside %[[RELU]], %{{.*}}, %[[ALPHA]]
// CHECK: %[[BITS:.*]] = train.save %[[IN]] : tensor<2x4xi1>
// CHECK: %[[YS:.*]] = train.save %[[Y]] : tensor<2x4xf32>
// CHECK-NOT: nn.compare
// CHECK: nn.softmax_cross_entropy_grad
// CHECK: %[[DY:.*]] = nn.matmul
// CHECK: nn.matmul %[[YS]],
// CHECK: %[[DX:.*]] = nn.mask %[[DY]], %[[BITS]]
// CHECK: %[[DALPHA:.*]] = nn.clip_alpha_grad %[[DY]], %[[BITS]], %[[YS]]
// relu's gradient is the clip's.
// CHECK: nn.matmul %{{.*}}, %[[DX]] {layer = "one"
// CHECK: %[[NEW:.*]], %{{.*}} = train.sgd %[[ALPHAS]], %[[DALPHA]], {{.*}} {decay = 4.000000e-04 : f32
// CHECK: %[[FLOORED:.*]] = nn.max %[[NEW]], %{{.*}}
// CHECK: train.write @two.alpha, %[[FLOORED]]
module attributes {nibble.loss = "softmax_cross_entropy", nibble.recipe = "ibm"} {
  train.variable @w1 : tensor<8x4xf32> {role = #train.role<weight>, trainable}
  train.variable @w2 : tensor<4x3xf32> {role = #train.role<weight>, trainable}
  train.variable @two.alpha : tensor<f32> {role = #train.role<clip>, trainable}
  func.func @forward(%x: tensor<2x8xf32>) -> tensor<2x3xf32> {
    %w1 = train.read @w1 : tensor<8x4xf32>
    %0 = nn.matmul %x, %w1 {layer = "one"} : (tensor<2x8xf32>, tensor<8x4xf32>) -> tensor<2x4xf32>
    %1 = nn.relu %0 : tensor<2x4xf32>
    %alpha = train.read @two.alpha : tensor<f32>
    %2 = nn.clip_learned %1, %alpha {one_sided} : (tensor<2x4xf32>, tensor<f32>) -> tensor<2x4xf32>
    %w2 = train.read @w2 : tensor<4x3xf32>
    %3 = nn.matmul %2, %w2 {layer = "two"} : (tensor<2x4xf32>, tensor<4x3xf32>) -> tensor<2x3xf32>
    return %3 : tensor<2x3xf32>
  }
}

// -----

// x is saved once for both products, and its two gradients are added, last use first.
// CHECK-LABEL: func.func @train_step
// CHECK: %[[H:.*]] = nn.tanh
// CHECK: %[[HS:.*]] = train.save %[[H]]
// CHECK-NOT: train.save %[[H]]
// CHECK: nn.softmax_cross_entropy_grad
// CHECK: %[[D2:.*]] = nn.matmul {{.*}}layer = "right", product = #nn.product<input_gradient>
// CHECK: nn.matmul %[[HS]], {{.*}}layer = "right"
// CHECK: %[[D1:.*]] = nn.matmul {{.*}}layer = "left", product = #nn.product<input_gradient>
// CHECK: %[[D:.*]] = nn.add %[[D2]], %[[D1]]
module attributes {nibble.loss = "softmax_cross_entropy"} {
  train.variable @w : tensor<4x4xf32> {role = #train.role<weight>, trainable}
  train.variable @l : tensor<4x3xf32> {role = #train.role<weight>, trainable}
  train.variable @r : tensor<4x3xf32> {role = #train.role<weight>, trainable}
  func.func @forward(%x: tensor<2x4xf32>) -> tensor<2x3xf32> {
    %w = train.read @w : tensor<4x4xf32>
    %l = train.read @l : tensor<4x3xf32>
    %r = train.read @r : tensor<4x3xf32>
    %0 = nn.matmul %x, %w {layer = "in"} : (tensor<2x4xf32>, tensor<4x4xf32>) -> tensor<2x4xf32>
    %1 = nn.tanh %0 : tensor<2x4xf32>
    %2 = nn.matmul %1, %l {layer = "left"} : (tensor<2x4xf32>, tensor<4x3xf32>) -> tensor<2x3xf32>
    %3 = nn.matmul %1, %r {layer = "right"} : (tensor<2x4xf32>, tensor<4x3xf32>) -> tensor<2x3xf32>
    %4 = nn.add %2, %3 : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>
    return %4 : tensor<2x3xf32>
  }
}

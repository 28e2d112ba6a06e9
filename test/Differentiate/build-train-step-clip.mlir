// Clipping by global norm stands between gradients and optimizer, and watches the norm; label smoothing is part of the training loss alone.
// RUN: nibble-opt %s --build-train-step=step=clip-norm=2.5,label-smoothing=0.25 --build-eval-step=step=label-smoothing=0.25 --verify-gradient | FileCheck %s

module attributes {nibble.loss = "softmax_cross_entropy"} {
  train.variable @w : tensor<8x3xf32> {role = #train.role<weight>, trainable, decay}
  train.variable @b : tensor<3xf32> {role = #train.role<bias>, trainable}
  func.func @forward(%x: tensor<2x8xf32> {nn.name = "x"}) -> (tensor<2x3xf32> {nn.name = "logits"}) {
    %w = train.read @w : tensor<8x3xf32>
    %b = train.read @b : tensor<3xf32>
    %0 = nn.matmul %x, %w {layer = "fc"} : (tensor<2x8xf32>, tensor<8x3xf32>) -> tensor<2x3xf32>
    %1 = nn.add %0, %b : (tensor<2x3xf32>, tensor<3xf32>) -> tensor<2x3xf32>
    return %1 : tensor<2x3xf32>
  }
}

// CHECK: func.func @train_step
// CHECK: %[[CE:.*]], %{{.*}} = nn.softmax_cross_entropy
// CHECK: %[[LOGS:.*]] = nn.log_softmax
// CHECK: %[[MEAN:.*]] = nn.reduce_mean %[[LOGS]] {axes = array<i64: 0, 1>}
// CHECK: %[[SHARP:.*]] = arith.constant dense<7.500000e-01> : tensor<f32>
// CHECK: %[[A:.*]] = nn.mul %[[CE]], %[[SHARP]]
// CHECK: %[[FLAT:.*]] = arith.constant dense<2.500000e-01> : tensor<f32>
// CHECK: %[[B:.*]] = nn.mul %{{.*}}, %[[FLAT]]
// CHECK: %[[LOSS:.*]] = nn.sub %[[A]], %[[B]]
// CHECK: %[[FACTOR:.*]], %[[NORM:.*]] = train.clip_factor %[[DW:.*]], %[[DB:.*]] {limit = 2.500000e+00 : f64}
// CHECK: %[[CW:.*]] = nn.mul %[[DW]], %[[FACTOR]]
// CHECK: %[[CB:.*]] = nn.mul %[[DB]], %[[FACTOR]]
// CHECK: train.sgd %{{.*}}, %[[CW]],
// CHECK: train.sgd %{{.*}}, %[[CB]],
// CHECK: q4.non_finite %[[NORM]] {infinities}
// CHECK: train.report %[[NORM]] {{.*}}"all/gradient/norm"
// CHECK: train.guard
// CHECK: func.func @eval_step
// CHECK-NOT: nn.log_softmax

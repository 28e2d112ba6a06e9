// Evaluation from the same graph: running statistics, no dropout, bounds as they stand; the loss of the first rows as a sum.
// RUN: nibble-opt %s --build-eval-step | FileCheck %s

// CHECK-NOT: func.func @forward
// CHECK: func.func @eval_step(%[[X:.*]]: tensor<8x4xf32> {nn.name = "x"}, %[[LABELS:.*]]: tensor<8xi32> {nn.name = "labels"}, %[[VALID:.*]]: tensor<i32> {nn.name = "valid"})
// CHECK-SAME: -> (tensor<f32>, tensor<i32>, tensor<8x4x1xf32> {nn.name = "y"})
// CHECK: %[[A:.*]], %[[B:.*]], %{{.*}} = nn.batch_norm_fold
// CHECK: %[[Z:.*]] = nn.fma %[[X]], %[[A]], %[[B]]
// CHECK: %[[ALPHA:.*]] = q4.init_clip %{{.*}}, %[[Z]]
// CHECK: %[[CLIP:.*]] = nn.clip_learned %[[Z]], %[[ALPHA]]
// CHECK: %[[OUT:.*]] = nn.reshape %[[CLIP]]
// CHECK: %[[ROWS:.*]] = nn.reshape %[[OUT]] : (tensor<8x4x1xf32>) -> tensor<8x4xf32>
// CHECK: %[[LOSS:.*]], %[[CORRECT:.*]] = nn.softmax_cross_entropy %[[ROWS]], %[[LABELS]], %[[VALID]]
// CHECK-NOT: train.write
// CHECK: return %[[LOSS]], %[[CORRECT]], %[[OUT]]
module attributes {nibble.loss = "softmax_cross_entropy", nibble.recipe = "ibm"} {
  train.variable @scale : tensor<4xf32> {role = #train.role<norm>, trainable}
  train.variable @mean : tensor<4xf32> {role = #train.role<running_stat>}
  train.variable @alpha : tensor<f32> {role = #train.role<clip>, trainable}
  func.func @forward(%x: tensor<8x4xf32> {nn.name = "x"}) -> (tensor<8x4x1xf32> {nn.name = "y"}) {
    %s = train.read @scale : tensor<4xf32>
    %m = train.read @mean : tensor<4xf32>
    %a = train.read @alpha : tensor<f32>
    %0 = nn.batch_norm %x, %s, %s, %m, %m {epsilon = 1.0e-5 : f32, momentum = 0.9 : f32} : (tensor<8x4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<8x4xf32>
    %1 = nn.dropout %0 {ratio = 0.5 : f32} : (tensor<8x4xf32>) -> tensor<8x4xf32>
    %2 = nn.clip_learned %1, %a : (tensor<8x4xf32>, tensor<f32>) -> tensor<8x4xf32>
    %3 = nn.reshape %2 : (tensor<8x4xf32>) -> tensor<8x4x1xf32>
    return %3 : tensor<8x4x1xf32>
  }
}

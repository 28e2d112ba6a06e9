// A step in its order: forward with saves, loss, backward without a gradient of the input, update, guard, writes.
// RUN: nibble-opt %s --build-train-step=step=momentum=0.5,nesterov=true,weight-decay=0.25 | FileCheck %s
// RUN: nibble-opt %s --build-train-step=step=optimizer=adamw,weight-decay=0.25 | FileCheck %s --check-prefix=ADAMW
// RUN: nibble-opt %s --build-train-step=step=optimizer=adam,weight-decay=0.25 | FileCheck %s --check-prefix=ADAM

// CHECK: nibble.step = "loss=softmax_cross_entropy,optimizer=sgd,momentum=0.5,nesterov=true,weight-decay=0.25,
// CHECK: train.variable @w1.velocity : tensor<8x4xf32> {role = #train.role<moment>}
// ADAM: train.variable @w1.m : tensor<8x4xf32> {role = #train.role<moment>}
// ADAM: train.variable @w1.v : tensor<8x4xf32> {role = #train.role<moment>}
module attributes {nibble.loss = "softmax_cross_entropy"} {
  train.variable @w1 : tensor<8x4xf32> {role = #train.role<weight>, trainable, decay}
  train.variable @b1 : tensor<4xf32> {role = #train.role<bias>, trainable}
  train.variable @frozen : tensor<4x4xf32> {role = #train.role<weight>}
  train.variable @w2 : tensor<3x4xf32> {role = #train.role<weight>, trainable, decay}
  // CHECK: func.func @forward
  func.func @forward(%x: tensor<2x8xf32> {nn.name = "x"}) -> (tensor<2x3xf32> {nn.name = "logits"}) {
    %w1 = train.read @w1 : tensor<8x4xf32>
    %b1 = train.read @b1 : tensor<4xf32>
    %0 = nn.matmul %x, %w1 {layer = "fc1", precision = #nn.precision<int8>, reason = "first layer"} : (tensor<2x8xf32>, tensor<8x4xf32>) -> tensor<2x4xf32>
    %1 = nn.add %0, %b1 : (tensor<2x4xf32>, tensor<4xf32>) -> tensor<2x4xf32>
    %2 = nn.relu %1 : tensor<2x4xf32>
    %f = train.read @frozen : tensor<4x4xf32>
    %3 = nn.matmul %2, %f {layer = "fixed"} : (tensor<2x4xf32>, tensor<4x4xf32>) -> tensor<2x4xf32>
    %w2 = train.read @w2 : tensor<3x4xf32>
    %4 = nn.matmul %3, %w2 {layer = "fc2", transpose_b} : (tensor<2x4xf32>, tensor<3x4xf32>) -> tensor<2x3xf32>
    return %4 : tensor<2x3xf32>
  }
}

// CHECK: func.func @train_step(%[[X:.*]]: tensor<2x8xf32> {nn.name = "x"}, %[[LABELS:.*]]: tensor<2xi32> {nn.name = "labels"}, %[[LR:.*]]: tensor<f64> {{.*}}, %[[STEP:.*]]: tensor<i64> {{.*}}, %{{.*}}: tensor<2xi64>
// CHECK-SAME: -> (tensor<f32>, tensor<i32>)
// CHECK: %[[XS:.*]] = train.save %[[X]]
// CHECK: %[[ONE:.*]] = arith.constant dense<1.0
// CHECK: %[[W1:.*]] = train.read @w1
// CHECK: %[[RELU:.*]] = nn.relu
// CHECK: %[[BIT:.*]] = nn.compare %[[RELU]], {{.*}} {predicate = #nn.cmp<gt>}
// CHECK: %[[KEPT:.*]] = train.save %[[BIT]] : tensor<2x4xi1>
// The product with the frozen weight needs no weight gradient, so relu's values are not saved.
// CHECK: %[[F:.*]] = train.read @frozen
// CHECK: %[[H:.*]] = nn.matmul %[[RELU]], %[[F]]
// CHECK: %[[HS:.*]] = train.save %[[H]]
// CHECK: %[[W2:.*]] = train.read @w2
// CHECK: %[[OUT:.*]] = nn.matmul %[[H]], %[[W2]] {{.*}}transpose_b
// CHECK: %[[OUTS:.*]] = train.save %[[OUT]]
// CHECK: %[[LOSS:.*]], %[[CORRECT:.*]] = nn.softmax_cross_entropy %[[OUT]], %[[LABELS]]
// CHECK: %[[DY:.*]] = nn.softmax_cross_entropy_grad %[[OUTS]], %[[LABELS]], %[[ONE]]
// CHECK: %[[DH:.*]] = nn.matmul %[[DY]], %[[W2]] {layer = "fc2", product = #nn.product<input_gradient>} :
// CHECK: %[[DWT:.*]] = nn.matmul %[[HS]], %[[DY]] {layer = "fc2", product = #nn.product<weight_gradient>, transpose_a} :
// CHECK: %[[DW2:.*]] = nn.transpose %[[DWT]]
// CHECK: %[[DR:.*]] = nn.matmul %[[DH]], %[[F]] {layer = "fixed", product = #nn.product<input_gradient>, transpose_b}
// CHECK: %[[D1:.*]] = nn.mask %[[DR]], %[[KEPT]]
// CHECK: %[[DB:.*]] = nn.channel_sum %[[D1]]
// CHECK: %[[DW1:.*]] = nn.matmul %[[XS]], %[[D1]] {layer = "fc1", precision = #nn.precision<int8>, product = #nn.product<weight_gradient>, reason = "first layer", transpose_a}
// No gradient of the network's input.
// CHECK-NOT: nn.matmul
// CHECK: %[[V:.*]] = train.read @w1.velocity
// CHECK: %[[RATE:.*]] = train.rate %[[LR]], %[[STEP]]
// CHECK: %[[NEW:.*]], %[[NEWV:.*]] = train.sgd %[[W1]], %[[DW1]], %[[V]], %[[RATE]] {decay = 2.500000e-01 : f32, momentum = 5.000000e-01 : f32, nesterov}
// CHECK: train.sgd %{{.*}}, %[[DB]], %{{.*}}, %[[RATE]] {decay = 0.0
// CHECK: train.sgd %[[W2]], %[[DW2]],
// CHECK: %[[FLAG:.*]] = q4.or
// CHECK-NEXT: train.guard %[[FLAG]]
// CHECK-NEXT: train.write @w1, %[[NEW]]
// CHECK: train.write @w1.velocity, %[[NEWV]]
// CHECK-NOT: train.write @frozen
// CHECK: return %[[LOSS]], %[[CORRECT]]

// ADAM: train.rate {{.*}} {adam, beta1 = 9.0{{.*}}, beta2 = 0.998999
// ADAM: train.adam {{.*}} {beta1 = {{.*}} : f64, beta2 = {{.*}} : f64, decay = 2.500000e-01 : f32, epsilon =
// ADAMW: %[[RATE:.*]] = train.rate {{.*}} {adam,
// ADAMW: %[[DECAY:.*]] = train.rate {{.*}} {factor = 2.500000e-01 : f64}
// ADAMW: train.adam {{.*}}, %[[RATE]], %[[DECAY]] {{{.*}}decay = 0.0
// A bias does not decay.
// ADAMW: train.adam {{.*}}, %[[RATE]] {

// Batch norm and dropout spelled out: statistics of the batch, running statistics written after the guard; frozen: running
// statistics; dropout: random bits of a stream that its name fixes.
// RUN: nibble-opt %s --build-train-step | FileCheck %s

module attributes {nibble.loss = "mse"} {
  train.variable @w : tensor<4x4xf32> {role = #train.role<weight>, trainable}
  train.variable @scale : tensor<4xf32> {role = #train.role<norm>, trainable}
  train.variable @shift : tensor<4xf32> {role = #train.role<norm>, trainable}
  train.variable @mean : tensor<4xf32> {role = #train.role<running_stat>}
  train.variable @variance : tensor<4xf32> {role = #train.role<running_stat>}
  train.variable @mean2 : tensor<4xf32> {role = #train.role<running_stat>}
  train.variable @variance2 : tensor<4xf32> {role = #train.role<running_stat>}
  func.func @forward(%x: tensor<8x4xf32>) -> tensor<8x4xf32> {
    %w = train.read @w : tensor<4x4xf32>
    %s = train.read @scale : tensor<4xf32>
    %b = train.read @shift : tensor<4xf32>
    %m = train.read @mean : tensor<4xf32>
    %v = train.read @variance : tensor<4xf32>
    %m2 = train.read @mean2 : tensor<4xf32>
    %v2 = train.read @variance2 : tensor<4xf32>
    %0 = nn.matmul %x, %w {layer = "fc"} : (tensor<8x4xf32>, tensor<4x4xf32>) -> tensor<8x4xf32>
    %1 = nn.batch_norm %0, %s, %b, %m, %v {epsilon = 1.0e-5 : f32, momentum = 0.9 : f32} : (tensor<8x4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<8x4xf32>
    %2 = nn.dropout %1 {ratio = 0.5 : f32} : (tensor<8x4xf32>) -> tensor<8x4xf32> loc("drop")
    %3 = nn.batch_norm %2, %s, %b, %m2, %v2 {epsilon = 1.0e-5 : f32, momentum = 0.9 : f32, frozen} : (tensor<8x4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<8x4xf32>
    return %3 : tensor<8x4xf32>
  }
}

// CHECK: func.func @train_step(%{{.*}}: tensor<8x4xf32>, %{{.*}}: tensor<8x4xf32> {nn.name = "target"}, {{.*}}, %[[RNG:.*]]: tensor<2xi64> {nn.name = "rng"})
// CHECK: %[[Z:.*]] = nn.matmul
// CHECK: %[[ZS:.*]] = train.save %[[Z]]
// CHECK: %[[A:.*]], %[[B:.*]], %[[MEAN:.*]], %[[RSTD:.*]], %[[NEWM:.*]], %[[NEWV:.*]] = nn.batch_stats %[[Z]],
// CHECK: %[[RS:.*]] = train.save %[[RSTD]]
// CHECK: %[[MS:.*]] = train.save %[[MEAN]]
// CHECK: %[[Y:.*]] = nn.fma %[[Z]], %[[A]], %[[B]]
// FNV-1a-32 of "drop/dropout/mask".
// CHECK: %[[BITS:.*]] = train.random_bits %[[RNG]] {name = "drop/dropout/mask", stream = {{-?[0-9]+}} : i32}
// CHECK: %[[KEEP:.*]] = nn.keep_mask %[[BITS]] {ratio = 5.0
// CHECK: %[[KS:.*]] = train.save %[[KEEP]] : tensor<8x4xi1>
// CHECK: %[[MASKED:.*]] = nn.mask %[[Y]], %[[KEEP]]
// CHECK: nn.mul %[[MASKED]],
// CHECK: %[[FA:.*]], %[[FB:.*]], %[[FR:.*]] = nn.batch_norm_fold
// CHECK: nn.fma %{{.*}}, %[[FA]], %[[FB]]
// CHECK: nn.mse
// CHECK: nn.mse_grad
// CHECK: nn.mask %{{.*}}, %[[KS]]
// CHECK: %[[K1:.*]], %[[K2:.*]], %[[K3:.*]], %[[DG:.*]], %[[DB:.*]] = nn.batch_norm_grad %[[DY:.*]], %[[ZS]], %{{.*}}, %[[MS]], %[[RS]]
// CHECK: %[[INNER:.*]] = nn.fma %[[K2]], %[[ZS]], %[[K3]]
// CHECK: nn.fma %[[K1]], %[[DY]], %[[INNER]]
// CHECK: train.guard
// CHECK: train.write @mean, %[[NEWM]]
// CHECK: train.write @variance, %[[NEWV]]
// CHECK-NOT: train.write @mean2

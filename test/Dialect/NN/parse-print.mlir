// Every op of nn is read back as it was printed.
// RUN: nibble-opt %s | nibble-opt | FileCheck %s

// CHECK-LABEL: @contractions
func.func @contractions(%x: tensor<2x5x4x3xf32>, %w: tensor<6x3x3x3xf32>, %dy: tensor<2x5x4x6xf32>, %a: tensor<4x7xf32>, %b: tensor<9x7xf32>, %q: tensor<3x4x7xf32>, %k: tensor<3x9x7xf32>) {
  // CHECK: nn.conv2d %{{.*}} {dilations = array<i64: 1, 1>, layer = "conv1", pads = array<i64: 1, 1, 1, 1>, strides = array<i64: 1, 1>}
  %0 = nn.conv2d %x, %w {layer = "conv1", strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>} : (tensor<2x5x4x3xf32>, tensor<6x3x3x3xf32>) -> tensor<2x5x4x6xf32>
  // CHECK: nn.conv2d_input_grad {{.*}}product = #nn.product<input_gradient>
  %1 = nn.conv2d_input_grad %dy, %w {layer = "conv1", product = #nn.product<input_gradient>, strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>} : (tensor<2x5x4x6xf32>, tensor<6x3x3x3xf32>) -> tensor<2x5x4x3xf32>
  // CHECK: nn.conv2d_weight_grad {{.*}}product = #nn.product<weight_gradient>
  %2 = nn.conv2d_weight_grad %x, %dy {layer = "conv1", product = #nn.product<weight_gradient>, strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>} : (tensor<2x5x4x3xf32>, tensor<2x5x4x6xf32>) -> tensor<6x3x3x3xf32>
  // CHECK: nn.matmul {{.*}} {layer = "fc", precision = #nn.precision<float>, reason = "last layer", transpose_b}
  %3 = nn.matmul %a, %b {layer = "fc", precision = #nn.precision<float>, reason = "last layer", transpose_b} : (tensor<4x7xf32>, tensor<9x7xf32>) -> tensor<4x9xf32>
  // CHECK: nn.matmul {{.*}} {layer = "scores", transpose_b} : (tensor<3x4x7xf32>, tensor<3x9x7xf32>) -> tensor<3x4x9xf32>
  %4 = nn.matmul %q, %k {layer = "scores", transpose_b} : (tensor<3x4x7xf32>, tensor<3x9x7xf32>) -> tensor<3x4x9xf32>
  return
}

// CHECK-LABEL: @elementwise
func.func @elementwise(%x: tensor<4x8xf32>, %c: tensor<8xf32>, %s: tensor<f32>, %m: tensor<4x8xi1>, %u: tensor<4x8xi16>) {
  // CHECK: nn.neg %{{.*}} : tensor<4x8xf32>
  %0 = nn.neg %x : tensor<4x8xf32>
  // CHECK: nn.sqrt
  %1 = nn.sqrt %x : tensor<4x8xf32>
  // CHECK: nn.exp
  %2 = nn.exp %x : tensor<4x8xf32>
  // CHECK: nn.log %
  %3 = nn.log %x : tensor<4x8xf32>
  // CHECK: nn.abs
  %4 = nn.abs %x : tensor<4x8xf32>
  // CHECK: nn.erf
  %5 = nn.erf %x : tensor<4x8xf32>
  // CHECK: nn.tanh
  %6 = nn.tanh %x : tensor<4x8xf32>
  // CHECK: nn.sigmoid
  %7 = nn.sigmoid %x : tensor<4x8xf32>
  // CHECK: nn.relu
  %8 = nn.relu %x : tensor<4x8xf32>
  // CHECK: nn.leaky_relu %{{.*}} {slope = {{.*}} : f32}
  %9 = nn.leaky_relu %x {slope = 0.01 : f32} : tensor<4x8xf32>
  // CHECK: nn.clip %{{.*}} {hi = 6.000000e+00 : f32, lo = 0.000000e+00 : f32}
  %10 = nn.clip %x {lo = 0.0 : f32, hi = 6.0 : f32} : tensor<4x8xf32>
  // CHECK: nn.add %{{.*}} : (tensor<4x8xf32>, tensor<8xf32>) -> tensor<4x8xf32>
  %11 = nn.add %x, %c : (tensor<4x8xf32>, tensor<8xf32>) -> tensor<4x8xf32>
  // CHECK: nn.sub
  %12 = nn.sub %x, %s : (tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xf32>
  // CHECK: nn.mul
  %13 = nn.mul %x, %x : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  // CHECK: nn.div
  %14 = nn.div %s, %x : (tensor<f32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  // CHECK: nn.min
  %15 = nn.min %x, %c : (tensor<4x8xf32>, tensor<8xf32>) -> tensor<4x8xf32>
  // CHECK: nn.max
  %16 = nn.max %x, %c : (tensor<4x8xf32>, tensor<8xf32>) -> tensor<4x8xf32>
  // CHECK: nn.fma
  %17 = nn.fma %x, %c, %s : (tensor<4x8xf32>, tensor<8xf32>, tensor<f32>) -> tensor<4x8xf32>
  // CHECK: nn.compare %{{.*}} {predicate = #nn.cmp<gt>}
  %18 = nn.compare %x, %s {predicate = #nn.cmp<gt>} : (tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xi1>
  // CHECK: nn.inside
  %19 = nn.inside %x, %s, %s : (tensor<4x8xf32>, tensor<f32>, tensor<f32>) -> tensor<4x8xi1>
  // CHECK: nn.mask
  %20 = nn.mask %x, %m : (tensor<4x8xf32>, tensor<4x8xi1>) -> tensor<4x8xf32>
  // CHECK: nn.select
  %21 = nn.select %m, %x, %s : (tensor<4x8xi1>, tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xf32>
  // CHECK: nn.clip_learned %{{.*}} {one_sided}
  %22 = nn.clip_learned %x, %s {one_sided} : (tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xf32>
  // CHECK: nn.keep_mask
  %23 = nn.keep_mask %u {ratio = 0.5 : f32} : (tensor<4x8xi16>) -> tensor<4x8xi1>
  // CHECK: nn.dropout
  %24 = nn.dropout %x {ratio = 0.5 : f32} : (tensor<4x8xf32>) -> tensor<4x8xf32>
  return
}

// CHECK-LABEL: @shapes
func.func @shapes(%x: tensor<2x4x6x3xf32>, %dy: tensor<2x2x3x3xf32>, %v: tensor<3xf32>, %m: tensor<2x4x6x3xi1>) {
  // CHECK: nn.reshape
  %0 = nn.reshape %x : (tensor<2x4x6x3xf32>) -> tensor<2x72xf32>
  // CHECK: nn.transpose %{{.*}} {perm = array<i64: 0, 3, 1, 2>}
  %1 = nn.transpose %x {perm = array<i64: 0, 3, 1, 2>} : (tensor<2x4x6x3xf32>) -> tensor<2x3x4x6xf32>
  // CHECK: nn.broadcast
  %2 = nn.broadcast %v : (tensor<3xf32>) -> tensor<2x4x6x3xf32>
  // CHECK: nn.concat %{{.*}} {axis = 1 : i64}
  %3 = nn.concat %x, %x {axis = 1} : (tensor<2x4x6x3xf32>, tensor<2x4x6x3xf32>) -> tensor<2x8x6x3xf32>
  // CHECK: nn.slice %{{.*}} {starts = array<i64: 0, 3, 0, 0>, steps = array<i64: 1, -1, 2, 1>}
  %4 = nn.slice %x {starts = array<i64: 0, 3, 0, 0>, steps = array<i64: 1, -1, 2, 1>} : (tensor<2x4x6x3xf32>) -> tensor<2x4x3x3xf32>
  // CHECK: nn.unslice
  %5 = nn.unslice %4 {starts = array<i64: 0, 3, 0, 0>, steps = array<i64: 1, -1, 2, 1>} : (tensor<2x4x3x3xf32>) -> tensor<2x4x6x3xf32>
  // CHECK: nn.reduce_sum %{{.*}} {axes = array<i64: 1, 2>}
  %6 = nn.reduce_sum %x {axes = array<i64: 1, 2>} : (tensor<2x4x6x3xf32>) -> tensor<2x1x1x3xf32>
  // CHECK: nn.reduce_mean
  %7 = nn.reduce_mean %x {axes = array<i64: 1, 2>} : (tensor<2x4x6x3xf32>) -> tensor<2x1x1x3xf32>
  // CHECK: nn.channel_sum
  %8 = nn.channel_sum %x : (tensor<2x4x6x3xf32>) -> tensor<3xf32>
  // CHECK: nn.clip_alpha_grad
  %9 = nn.clip_alpha_grad %x, %m, %x : (tensor<2x4x6x3xf32>, tensor<2x4x6x3xi1>, tensor<2x4x6x3xf32>) -> tensor<f32>
  // CHECK: nn.max_pool
  %10:2 = nn.max_pool %x {kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<2x4x6x3xf32>) -> (tensor<2x2x3x3xf32>, tensor<2x2x3x3xi8>)
  // CHECK: nn.max_pool_grad
  %11 = nn.max_pool_grad %dy, %10#1 {kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<2x2x3x3xf32>, tensor<2x2x3x3xi8>) -> tensor<2x4x6x3xf32>
  // CHECK: nn.avg_pool
  %12 = nn.avg_pool %x {kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, count_include_pad} : (tensor<2x4x6x3xf32>) -> tensor<2x2x3x3xf32>
  // CHECK: nn.avg_pool_grad
  %13 = nn.avg_pool_grad %dy {kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<2x2x3x3xf32>) -> tensor<2x4x6x3xf32>
  return
}

// CHECK-LABEL: @norms_and_losses
func.func @norms_and_losses(%x: tensor<4x8xf32>, %c: tensor<8xf32>, %labels: tensor<4xi32>, %n: tensor<i32>, %s: tensor<f32>) {
  // CHECK: nn.batch_norm %
  %0 = nn.batch_norm %x, %c, %c, %c, %c {epsilon = 1.0e-5 : f32, momentum = 0.9 : f32} : (tensor<4x8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>) -> tensor<4x8xf32>
  // CHECK: nn.batch_stats
  %1:6 = nn.batch_stats %x, %c, %c, %c, %c {epsilon = 1.0e-5 : f32, momentum = 0.9 : f32} : (tensor<4x8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>) -> (tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>)
  // CHECK: nn.batch_norm_fold
  %2:3 = nn.batch_norm_fold %c, %c, %c, %c {epsilon = 1.0e-5 : f32} : (tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>) -> (tensor<8xf32>, tensor<8xf32>, tensor<8xf32>)
  // CHECK: nn.batch_norm_grad
  %3:5 = nn.batch_norm_grad %x, %x, %c, %c, %c : (tensor<4x8xf32>, tensor<4x8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>) -> (tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>)
  // CHECK: nn.batch_norm_grad_normalized
  %ng:4 = nn.batch_norm_grad_normalized %x, %x, %c : (tensor<4x8xf32>, tensor<4x8xf32>, tensor<8xf32>) -> (tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>)
  // CHECK: nn.layer_norm %{{.*}}, %{{.*}}, %{{.*}} {epsilon = {{.*}} : f32} : (tensor<4x8xf32>, tensor<8xf32>, tensor<8xf32>) ->
  %ln:3 = nn.layer_norm %x, %c, %c {epsilon = 1.0e-5 : f32} : (tensor<4x8xf32>, tensor<8xf32>, tensor<8xf32>) -> (tensor<4x8xf32>, tensor<4xf32>, tensor<4xf32>)
  // CHECK: nn.layer_norm_grad
  %lg:3 = nn.layer_norm_grad %x, %x, %c, %ln#1, %ln#2 : (tensor<4x8xf32>, tensor<4x8xf32>, tensor<8xf32>, tensor<4xf32>, tensor<4xf32>) -> (tensor<4x8xf32>, tensor<8xf32>, tensor<8xf32>)
  // CHECK: nn.embedding %{{.*}}, %{{.*}} : (tensor<4x8xf32>, tensor<4xi32>) -> tensor<4x8xf32>
  %em = nn.embedding %x, %labels : (tensor<4x8xf32>, tensor<4xi32>) -> tensor<4x8xf32>
  // CHECK: nn.embedding_grad
  %eg = nn.embedding_grad %em, %labels : (tensor<4x8xf32>, tensor<4xi32>) -> tensor<9x8xf32>
  // CHECK: nn.softmax %{{.*}} : tensor<4x8xf32>
  %4 = nn.softmax %x : tensor<4x8xf32>
  // CHECK: nn.log_softmax
  %5 = nn.log_softmax %x : tensor<4x8xf32>
  // CHECK: nn.softmax_cross_entropy %
  %6:2 = nn.softmax_cross_entropy %x, %labels, %n : (tensor<4x8xf32>, tensor<4xi32>, tensor<i32>) -> (tensor<f32>, tensor<i32>)
  // CHECK: nn.softmax_cross_entropy_grad
  %7 = nn.softmax_cross_entropy_grad %x, %labels, %s : (tensor<4x8xf32>, tensor<4xi32>, tensor<f32>) -> tensor<4x8xf32>
  // CHECK: nn.mse %
  %8 = nn.mse %x, %x : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<f32>
  // CHECK: nn.mse_grad
  %9 = nn.mse_grad %x, %x, %s : (tensor<4x8xf32>, tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xf32>
  // CHECK: nn.binary_cross_entropy %
  %10, %11 = nn.binary_cross_entropy %x, %x : (tensor<4x8xf32>, tensor<4x8xf32>) -> (tensor<f32>, tensor<i32>)
  // CHECK: nn.binary_cross_entropy_grad
  %12 = nn.binary_cross_entropy_grad %x, %x, %s : (tensor<4x8xf32>, tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xf32>
  return
}

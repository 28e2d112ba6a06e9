// Sums of gradients that mean one op become it.
// RUN: nibble-opt %s --combine-gradients | FileCheck %s

// CHECK-LABEL: @train_step
// CHECK-SAME: %[[X0:[^:]*]]: tensor<4x3xf32>, %[[X1:[^:]*]]: tensor<4x3xf32>, %[[D0:[^:]*]]: tensor<4x5xf32>, %[[D1:[^:]*]]: tensor<4x5xf32>
func.func @train_step(%x0: tensor<4x3xf32>, %x1: tensor<4x3xf32>, %d0: tensor<4x5xf32>, %d1: tensor<4x5xf32>)
    -> (tensor<5x3xf32>, tensor<4x10xf32>, tensor<4x10xf32>) {
  // The first application's X comes first, though reverse mode adds its gradient last; saved Xs are joined before they are saved.
  // CHECK: %[[X:.*]] = nn.concat %[[X0]], %[[X1]] {axis = 0 : i64} : (tensor<4x3xf32>, tensor<4x3xf32>) -> tensor<8x3xf32>
  // CHECK: %[[SAVED:.*]] = train.save %[[X]]
  // CHECK: %[[D:.*]] = nn.concat %[[D0]], %[[D1]]
  // CHECK: %[[W:.*]] = nn.matmul %[[SAVED]], %[[D]] {layer = "rnn/recurrent"{{.*}}transpose_a
  // CHECK: %[[T:.*]] = nn.transpose %[[W]]
  %s0 = train.save %x0 : tensor<4x3xf32>
  %s1 = train.save %x1 : tensor<4x3xf32>
  %w1 = nn.matmul %s1, %d1 {transpose_a, layer = "rnn/recurrent[1]", product = #nn.product<weight_gradient>} : (tensor<4x3xf32>, tensor<4x5xf32>) -> tensor<3x5xf32>
  %t1 = nn.transpose %w1 {perm = array<i64: 1, 0>} : (tensor<3x5xf32>) -> tensor<5x3xf32>
  %w0 = nn.matmul %s0, %d0 {transpose_a, layer = "rnn/recurrent[0]", product = #nn.product<weight_gradient>} : (tensor<4x3xf32>, tensor<4x5xf32>) -> tensor<3x5xf32>
  %t0 = nn.transpose %w0 {perm = array<i64: 1, 0>} : (tensor<3x5xf32>) -> tensor<5x3xf32>
  %dw = nn.add %t1, %t0 : (tensor<5x3xf32>, tensor<5x3xf32>) -> tensor<5x3xf32>

  // Parts that fill a tensor are joined, in their own order.
  // CHECK: %[[WHOLE:.*]] = nn.concat %[[D1]], %[[D0]] {axis = 1 : i64}
  %p0 = nn.unslice %d0 {starts = array<i64: 0, 5>, steps = array<i64: 1, 1>} : (tensor<4x5xf32>) -> tensor<4x10xf32>
  %p1 = nn.unslice %d1 {starts = array<i64: 0, 0>, steps = array<i64: 1, 1>} : (tensor<4x5xf32>) -> tensor<4x10xf32>
  %whole = nn.add %p0, %p1 : (tensor<4x10xf32>, tensor<4x10xf32>) -> tensor<4x10xf32>

  // Parts that overlap, or leave a gap, stay a sum.
  // CHECK: %[[SUM:.*]] = nn.add
  %p2 = nn.unslice %d1 {starts = array<i64: 0, 4>, steps = array<i64: 1, 1>} : (tensor<4x5xf32>) -> tensor<4x10xf32>
  %overlap = nn.add %p1, %p2 : (tensor<4x10xf32>, tensor<4x10xf32>) -> tensor<4x10xf32>
  // CHECK: return %[[T]], %[[WHOLE]], %[[SUM]]
  return %dw, %whole, %overlap : tensor<5x3xf32>, tensor<4x10xf32>, tensor<4x10xf32>
}

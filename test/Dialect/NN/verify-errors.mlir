// What does not fit is named with what was seen and what was expected.
// RUN: nibble-opt %s --split-input-file --verify-diagnostics

func.func @channels(%x: tensor<2x5x4x1xf32>, %w: tensor<6x3x3x3xf32>) {
  // expected-error @below {{(layer 'conv1') weight has 3 input channels in 1 group(s), input has 1}}
  %0 = nn.conv2d %x, %w {layer = "conv1", strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>} : (tensor<2x5x4x1xf32>, tensor<6x3x3x3xf32>) -> tensor<2x5x4x6xf32>
  return
}

// -----

func.func @window(%x: tensor<2x5x4x3xf32>, %w: tensor<6x3x3x3xf32>) {
  // expected-error @below {{output is 5x4 where the window gives 3x2}}
  %0 = nn.conv2d %x, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<2x5x4x3xf32>, tensor<6x3x3x3xf32>) -> tensor<2x5x4x6xf32>
  return
}

// -----

func.func @stride(%x: tensor<2x5x4x3xf32>, %w: tensor<6x3x3x3xf32>) {
  // expected-error @below {{'strides' holds 0}}
  %0 = nn.conv2d %x, %w {strides = array<i64: 0, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<2x5x4x3xf32>, tensor<6x3x3x3xf32>) -> tensor<2x5x4x6xf32>
  return
}

// -----

func.func @output_channels(%x: tensor<2x5x4x3xf32>, %dy: tensor<2x5x4x5xf32>, %w: tensor<6x3x3x3xf32>) {
  // expected-error @below {{weight has 6 output channels in 1 group(s), output has 5}}
  %0 = nn.conv2d_input_grad %dy, %w {strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>} : (tensor<2x5x4x5xf32>, tensor<6x3x3x3xf32>) -> tensor<2x5x4x3xf32>
  return
}

// -----

func.func @batches(%x: tensor<2x5x4x3xf32>, %dy: tensor<3x5x4x6xf32>) {
  // expected-error @below {{batch sizes differ: 2 and 3}}
  %0 = nn.conv2d_weight_grad %x, %dy {strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>} : (tensor<2x5x4x3xf32>, tensor<3x5x4x6xf32>) -> tensor<6x3x3x3xf32>
  return
}

// -----

func.func @inner(%a: tensor<4x7xf32>, %b: tensor<9x8xf32>) {
  // expected-error @below {{(layer 'fc') contracts 7 elements of the left operand with 8 of the right}}
  %0 = nn.matmul %a, %b {layer = "fc", transpose_b} : (tensor<4x7xf32>, tensor<9x8xf32>) -> tensor<4x9xf32>
  return
}

// -----

func.func @stacks(%a: tensor<2x4x7xf32>, %b: tensor<3x7x5xf32>) {
  // expected-error @below {{(layer 'scores') multiplies stacks of 2 and 3 matrices to one of 2}}
  %0 = nn.matmul %a, %b {layer = "scores"} : (tensor<2x4x7xf32>, tensor<3x7x5xf32>) -> tensor<2x4x5xf32>
  return
}

// -----

func.func @layer_norm(%x: tensor<2x4x7xf32>, %g: tensor<7xf32>) {
  // expected-error @below {{the operand has 8 rows, mean and rstd are 'tensor<4xf32>'}}
  %0, %1, %2 = nn.layer_norm %x, %g {epsilon = 0.1 : f32} : (tensor<2x4x7xf32>, tensor<7xf32>) -> (tensor<2x4x7xf32>, tensor<4xf32>, tensor<4xf32>)
  return
}

// -----

func.func @embedding(%t: tensor<9x7xf32>, %i: tensor<2x3xi32>) {
  // expected-error @below {{has rows of 7 for tokens 'tensor<2x3xi32>', got 'tensor<2x7xf32>'}}
  %0 = nn.embedding %t, %i : (tensor<9x7xf32>, tensor<2x3xi32>) -> tensor<2x7xf32>
  return
}

// -----

func.func @broadcast(%a: tensor<4x7xf32>, %b: tensor<6xf32>) {
  // expected-error @below {{operands of shapes (4x7) and (6) do not broadcast}}
  %0 = nn.add %a, %b : (tensor<4x7xf32>, tensor<6xf32>) -> tensor<4x7xf32>
  return
}

// -----

func.func @broadcast_result(%a: tensor<4x7xf32>, %b: tensor<7xf32>) {
  // expected-error @below {{result has shape (4x8) where the operands give (4x7)}}
  %0 = nn.mul %a, %b : (tensor<4x7xf32>, tensor<7xf32>) -> tensor<4x8xf32>
  return
}

// -----

func.func @bound_of_rank_1(%x: tensor<4xf32>, %alpha: tensor<1xf32>) {
  // expected-error @below {{the learned bound is of rank 0}}
  %0 = nn.clip_learned %x, %alpha : (tensor<4xf32>, tensor<1xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @ratio(%x: tensor<4xf32>) {
  // expected-error @below {{it has to be in [0, 1)}}
  %0 = nn.dropout %x {ratio = 1.0 : f32} : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @elements(%x: tensor<4xf32>) {
  // expected-error @below {{the number or the type of the elements differs}}
  %0 = nn.reshape %x : (tensor<4xf32>) -> tensor<5xf32>
  return
}

// -----

func.func @permutation(%x: tensor<4x5xf32>) {
  // expected-error @below {{perm is not a permutation}}
  %0 = nn.transpose %x {perm = array<i64: 0, 0>} : (tensor<4x5xf32>) -> tensor<4x4xf32>
  return
}

// -----

func.func @slice_leaves(%x: tensor<4xf32>) {
  // expected-error @below {{dimension 0: 3 elements from 1 in steps of 2 leave the 4 that there are}}
  %0 = nn.slice %x {starts = array<i64: 1>, steps = array<i64: 2>} : (tensor<4xf32>) -> tensor<3xf32>
  return
}

// -----

func.func @joined(%x: tensor<4x2xf32>) {
  // expected-error @below {{parts have 8 elements along axis 0, the result has 9}}
  %0 = nn.concat %x, %x {axis = 0} : (tensor<4x2xf32>, tensor<4x2xf32>) -> tensor<9x2xf32>
  return
}

// -----

func.func @axes(%x: tensor<4x2xf32>) {
  // expected-error @below {{axes are not ascending numbers of dimensions}}
  %0 = nn.reduce_sum %x {axes = array<i64: 1, 0>} : (tensor<4x2xf32>) -> tensor<1x1xf32>
  return
}

// -----

func.func @pool_window(%x: tensor<2x4x6x3xf32>) {
  // expected-error @below {{output has 4 windows along dimension 1 where the window gives 2}}
  %0 = nn.avg_pool %x {kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<2x4x6x3xf32>) -> tensor<2x4x3x3xf32>
  return
}

// -----

func.func @channels_of_norm(%x: tensor<4x8xf32>, %c: tensor<7xf32>) {
  // expected-error @below {{the operand has 8 channels, a vector is 'tensor<7xf32>'}}
  %0 = nn.batch_norm %x, %c, %c, %c, %c {epsilon = 1.0e-5 : f32, momentum = 0.9 : f32} : (tensor<4x8xf32>, tensor<7xf32>, tensor<7xf32>, tensor<7xf32>, tensor<7xf32>) -> tensor<4x8xf32>
  return
}

// -----

func.func @labels(%x: tensor<4x8xf32>, %labels: tensor<5xi32>) {
  // expected-error @below {{takes rows of logits and one label a row}}
  %0:2 = nn.softmax_cross_entropy %x, %labels : (tensor<4x8xf32>, tensor<5xi32>) -> (tensor<f32>, tensor<i32>)
  return
}

// -----

func.func @normalized_grad_of_two_shapes(%x: tensor<4x8xf32>, %dy: tensor<8x8xf32>, %a: tensor<8xf32>) {
  // expected-error @below {{value and gradient have different types}}
  %0:4 = nn.batch_norm_grad_normalized %dy, %x, %a : (tensor<8x8xf32>, tensor<4x8xf32>, tensor<8xf32>) -> (tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>)
  return
}

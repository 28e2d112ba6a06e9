// @forward has one input and one output; the loss must be one that we know.
// RUN: nibble-opt %s --build-eval-step --split-input-file --verify-diagnostics

module attributes {nibble.loss = "mse"} {
  // expected-error @+1 {{room Differentiate: @forward takes one f32 tensor (or tokens, i32) and returns one f32 tensor, in one block; found '(tensor<2xf32>, tensor<2xf32>) -> tensor<2xf32>'}}
  func.func @forward(%x: tensor<2xf32>, %y: tensor<2xf32>) -> tensor<2xf32> {
    return %x : tensor<2xf32>
  }
}

// -----

// expected-error @+1 {{attribute 'nibble.loss' is 'hinge': softmax_cross_entropy, mse or bce expected}}
module attributes {nibble.loss = "hinge"} {
  func.func @forward(%x: tensor<2xf32>) -> tensor<2xf32> {
    return %x : tensor<2xf32>
  }
}

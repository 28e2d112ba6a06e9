// Only steps have a plan: tensors in, a loss and a count out.
// RUN: nibble-opt %s --split-input-file --verify-diagnostics --plan-memory

// expected-error @below {{plan-memory: a step returns its loss and its count of right answers, both of rank 0, first}}
func.func @no_results(%x: tensor<4xf32>) {
  return
}

// -----

// expected-error @below {{plan-memory: a step takes and returns tensors}}
func.func @numbers(%x: f32, %l: tensor<f32>, %n: tensor<i32>) -> (tensor<f32>, tensor<i32>) {
  return %l, %n : tensor<f32>, tensor<i32>
}

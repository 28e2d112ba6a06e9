// Everything without a gradient is reported at once, with the ONNX node; nothing trainable, no loss, a bad output shape and bad
// options are errors.
// RUN: nibble-opt %s --build-train-step --split-input-file --verify-diagnostics
// RUN: not nibble-opt %s --build-train-step=step=optimizer=lion 2>&1 | FileCheck %s
// CHECK: error: --optimizer: sgd, adam or adamw expected, found 'lion'

module attributes {nibble.loss = "mse"} {
  train.variable @w : tensor<4x4xf32> {role = #train.role<weight>, trainable}
  func.func @forward(%x: tensor<2x4xf32>) -> tensor<2x4xf32> {
    %w = train.read @w : tensor<4x4xf32>
    // Not on the way to a trained weight: not reported.
    %p = arith.negf %x : tensor<2x4xf32>
    %0 = nn.matmul %p, %w {layer = "fc"} : (tensor<2x4xf32>, tensor<4x4xf32>) -> tensor<2x4xf32>
    // expected-error @unknown {{ONNX node 'node/neg': 'arith.negf' has no gradient (no rule is known for it), and it stands between the loss and a trained weight; freeze the weights before it (--freeze=REGEX) or replace the node}}
    %1 = arith.negf %0 : tensor<2x4xf32> loc("node/neg")
    %2 = nn.relu %1 : tensor<2x4xf32>
    // expected-error @+1 {{'arith.mulf' has no gradient}}
    %3 = arith.mulf %2, %2 : tensor<2x4xf32>
    return %3 : tensor<2x4xf32>
  }
}

// -----

// expected-error @+1 {{nothing is trainable: no variable that @forward reads is marked trainable (--train=REGEX)}}
module attributes {nibble.loss = "mse"} {
  train.variable @w : tensor<4x4xf32> {role = #train.role<weight>}
  func.func @forward(%x: tensor<2x4xf32>) -> tensor<2x4xf32> {
    %w = train.read @w : tensor<4x4xf32>
    %0 = nn.matmul %x, %w {layer = "fc"} : (tensor<2x4xf32>, tensor<4x4xf32>) -> tensor<2x4xf32>
    return %0 : tensor<2x4xf32>
  }
}

// -----

// expected-error @+1 {{nothing is trainable: no trainable variable influences the loss}}
module attributes {nibble.loss = "mse"} {
  // expected-warning @+1 {{variable @w does not influence the loss: it is not trained}}
  train.variable @w : tensor<4x4xf32> {role = #train.role<weight>, trainable}
  func.func @forward(%x: tensor<2x4xf32>) -> tensor<2x4xf32> {
    %w = train.read @w : tensor<4x4xf32>
    return %x : tensor<2x4xf32>
  }
}

// -----

// expected-error @+1 {{no loss: the module has no attribute 'nibble.loss', and option 'loss' is not set (softmax_cross_entropy, mse or bce)}}
module {
  func.func @forward(%x: tensor<2x4xf32>) -> tensor<2x4xf32> {
    return %x : tensor<2x4xf32>
  }
}

// -----

module attributes {nibble.loss = "softmax_cross_entropy"} {
  train.variable @w : tensor<4xf32> {role = #train.role<weight>, trainable}
  func.func @forward(%x: tensor<2x3x5x4xf32>) -> tensor<2x3x5x4xf32> {
    %w = train.read @w : tensor<4xf32>
    %0 = nn.mul %x, %w : (tensor<2x3x5x4xf32>, tensor<4xf32>) -> tensor<2x3x5x4xf32>
    // expected-error @+1 {{cross-entropy takes an output of rows×classes (other dimensions 1) or of batch×sequence×classes, the network's output is 'tensor<2x3x5x4xf32>'}}
    return %0 : tensor<2x3x5x4xf32>
  }
}

// -----

module attributes {nibble.loss = "mse"} {
  train.variable @w : tensor<4xf32> {role = #train.role<norm>, trainable}
  func.func @forward(%x: tensor<2x4xf32>) -> tensor<2x4xf32> {
    %w = train.read @w : tensor<4xf32>
    %m = arith.constant dense<1.0> : tensor<4xf32>
    // expected-error @+1 {{running mean and variance are not variables, so they cannot follow the batches; freeze the normalization}}
    %0 = nn.batch_norm %x, %w, %w, %m, %m {epsilon = 1.0e-5 : f32, momentum = 0.9 : f32} : (tensor<2x4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<2x4xf32>
    return %0 : tensor<2x4xf32>
  }
}

// RUN: nibble-opt %s --verify-graph --split-input-file --verify-diagnostics

// Law: what leaves room 1 is the contract `graph`; the door says what is not.

// expected-error @below {{room 1 (Import): there is no @forward}}
module attributes {nibble.loss = "mse"} {}

// -----

module attributes {nibble.loss = "mse"} {
  // expected-error @below {{room 1 (Import): the module holds variables and @forward, not this}}
  func.func @train_step(%x: tensor<2xf32>) -> tensor<2xf32> {
    return %x : tensor<2xf32>
  }
}

// -----

// expected-error @below {{the module names no loss}}
module {
  // expected-error @below {{input 0 of @forward is 'tensor<2xi64>', expected a tensor of f32, or of i32 (tokens)}}
  // expected-error @below {{input 0 of @forward has no name (nn.name)}}
  // expected-error @below {{the output of @forward has no name (nn.name)}}
  func.func @forward(%x: tensor<2xi64>) -> tensor<2xi64> {
    return %x : tensor<2xi64>
  }
}

// -----

module attributes {nibble.loss = "softmax_cross_entropy", nibble.classes = 10 : i64} {
  // expected-error @below {{the output is 'tensor<2x3xf32>', cross-entropy expects [batch, nibble.classes]}}
  func.func @forward(%x: tensor<2x3xf32> {nn.name = "x"}) -> (tensor<2x3xf32> {nn.name = "y"}) {
    return %x : tensor<2x3xf32>
  }
}

// -----

module attributes {nibble.loss = "mse"} {
  func.func @forward(%x: tensor<3x3xf32> {nn.name = "x"}) -> (tensor<3x3xf32> {nn.name = "y"}) {
    // expected-error @below {{a contraction without a layer's name}}
    %0 = nn.matmul %x, %x : (tensor<3x3xf32>, tensor<3x3xf32>) -> tensor<3x3xf32>
    // expected-note @below {{here}}
    %1 = nn.matmul %x, %0 {layer = "fc"} : (tensor<3x3xf32>, tensor<3x3xf32>) -> tensor<3x3xf32>
    // expected-error @below {{the layer 'fc' exists already}}
    %2 = nn.matmul %x, %1 {layer = "fc"} : (tensor<3x3xf32>, tensor<3x3xf32>) -> tensor<3x3xf32>
    // expected-error @below {{'builtin.unrealized_conversion_cast' does not belong here}}
    %3 = builtin.unrealized_conversion_cast %2 : tensor<3x3xf32> to tensor<3x3xf32>
    return %3 : tensor<3x3xf32>
  }
}

// -----

module attributes {nibble.loss = "mse"} {
  // expected-error @below {{the location of an 'nn.relu' names no ONNX node}}
  func.func @forward(%x: tensor<3xf32> {nn.name = "x"}) -> (tensor<3xf32> {nn.name = "y"}) {
    %0 = nn.relu %x : tensor<3xf32> loc(unknown)
    return %0 : tensor<3xf32>
  }
}

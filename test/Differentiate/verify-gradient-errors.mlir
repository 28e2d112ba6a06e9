// What the door refuses.
// RUN: nibble-opt %s --verify-gradient --split-input-file --verify-diagnostics

// expected-error @+2 {{verify-gradient: there is no @train_step of one block}}
// expected-error @+1 {{verify-gradient: there is no @eval_step of one block}}
module {
  // expected-error @+1 {{verify-gradient: @forward is still there}}
  func.func @forward(%x: tensor<2xf32>) -> tensor<2xf32> {
    return %x : tensor<2xf32>
  }
}

// -----

// The gradient uses a forward value that is not saved; another is saved twice; a second write; a parameter without a gradient; a
// write before the guard; a frozen variable written; a value that no optimizer made.
module {
  train.variable @w : tensor<2xf32> {role = #train.role<weight>, trainable}
  // expected-error @+1 {{verify-gradient: trainable variable @lonely gets no gradient}}
  train.variable @lonely : tensor<2xf32> {role = #train.role<weight>, trainable}
  train.variable @frozen : tensor<2xf32> {role = #train.role<weight>}
  train.variable @velocity : tensor<2xf32> {role = #train.role<moment>}
  func.func @train_step(%x: tensor<2xf32>, %rate: tensor<f32>) -> tensor<2xf32> {
    %w = train.read @w : tensor<2xf32>
    %v = train.read @velocity : tensor<2xf32>
    // expected-note @+1 {{the value is made here}}
    %y = nn.mul %x, %w : (tensor<2xf32>, tensor<2xf32>) -> tensor<2xf32>
    // expected-note @+1 {{the first save is here}}
    %s = train.save %x : tensor<2xf32>
    // expected-error @+1 {{verify-gradient: a value is saved twice}}
    %s2 = train.save %x : tensor<2xf32>
    // expected-error @+1 {{verify-gradient: operand 1 is a forward value that is not saved}}
    %g = nn.mul %s, %y : (tensor<2xf32>, tensor<2xf32>) -> tensor<2xf32>
    %n, %nv = train.sgd %w, %g, %v, %rate {momentum = 0.0 : f32, decay = 0.0 : f32} : (tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<f32>) -> (tensor<2xf32>, tensor<2xf32>)
    // expected-error @+1 {{verify-gradient: a write of @velocity stands before the guard}}
    train.write @velocity, %nv : tensor<2xf32>
    %flag = q4.non_finite %g : (tensor<2xf32>) -> tensor<i1>
    train.guard %flag : tensor<i1>
    // expected-error @+1 {{verify-gradient: the new value of @w is not an optimizer's, made from a gradient of the backward part}}
    train.write @w, %g : tensor<2xf32>
    // expected-error @+1 {{verify-gradient: a second write of @w}}
    train.write @w, %n : tensor<2xf32>
    // expected-error @+1 {{verify-gradient: @frozen is written, but not trainable}}
    train.write @frozen, %y : tensor<2xf32>
    return %y : tensor<2xf32>
  }
  func.func @eval_step(%x: tensor<2xf32>) -> tensor<2xf32> {
    // expected-error @+1 {{verify-gradient: 'nn.dropout' is not spelled out}}
    %y = nn.dropout %x {ratio = 0.5 : f32} : (tensor<2xf32>) -> tensor<2xf32>
    // expected-error @+1 {{verify-gradient: @eval_step writes @w}}
    train.write @w, %y : tensor<2xf32>
    return %y : tensor<2xf32>
  }
}

// -----

module {
  // expected-error @+1 {{verify-gradient: @train_step has 0 guards, one is expected}}
  func.func @train_step(%x: tensor<2xf32>) -> tensor<2xf32> {
    return %x : tensor<2xf32>
  }
  func.func @eval_step(%x: tensor<2xf32>) -> tensor<2xf32> {
    return %x : tensor<2xf32>
  }
}

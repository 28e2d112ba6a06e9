// Each promise of the door, broken.
// RUN: nibble-opt %s --verify-quantized=recipe=int4 --split-input-file --verify-diagnostics

module {
  func.func @train_step(%x: tensor<4x8xf32>, %w: tensor<8x8xf32>) -> (tensor<4x8xf32>, tensor<4x8xf32>) {
    // expected-error @below {{door of quantize: layer 'fc', forward: precision is int4, but its operands are 'tensor<4x8xf32>' and 'tensor<8x8xf32>'; codes were expected}}
    %y = nn.matmul %x, %w {layer = "fc", precision = #nn.precision<int4>} : (tensor<4x8xf32>, tensor<8x8xf32>) -> tensor<4x8xf32>
    // expected-error @below {{layer 'silent', forward: runs in float and does not say why (attribute reason)}}
    %z = nn.matmul %x, %w {layer = "silent", precision = #nn.precision<float>} : (tensor<4x8xf32>, tensor<8x8xf32>) -> tensor<4x8xf32>
    return %y, %z : tensor<4x8xf32>, tensor<4x8xf32>
  }
}

// -----

// Scales: another one than the codes' own, and one that nothing of this step made.
module {
  func.func @train_step(%x: tensor<4x8xf32>, %w: tensor<8x8xf32>, %open: tensor<f32>) -> (tensor<4x8xf32>, tensor<4x8xf32>) {
    %m = q4.absmax %x : (tensor<4x8xf32>) -> tensor<f32>
    %s = q4.scale %m {divisor = 7.0 : f32} : (tensor<f32>) -> tensor<f32>
    %t = q4.scale %m {divisor = 15.0 : f32} : (tensor<f32>) -> tensor<f32>
    // expected-note @below {{the codes are made here}}
    %a = q4.quantize %x, %s {qmin = -7 : i32, qmax = 7 : i32} : (tensor<4x8xf32>, tensor<f32>) -> tensor<4x8x!q4.int4>
    %b = q4.quantize %w, %s {qmin = -7 : i32, qmax = 7 : i32} : (tensor<8x8xf32>, tensor<f32>) -> tensor<8x8x!q4.int4>
    %c = q4.quantize %w, %open {qmin = -7 : i32, qmax = 7 : i32} : (tensor<8x8xf32>, tensor<f32>) -> tensor<8x8x!q4.int4>
    // expected-error @below {{door of quantize: layer 'one', forward: left operand: the scale is not the one that the codes were made with}}
    %y = q4.matmul %a, %b scales(%t, %s) {layer = "one"}
        : (tensor<4x8x!q4.int4>, tensor<8x8x!q4.int4>, tensor<f32>, tensor<f32>) -> tensor<4x8xf32>
    // expected-error @below {{layer 'two', forward: the right operand's scale is open: it comes from no op that makes scales}}
    %z = q4.matmul %a, %c scales(%s, %open) {layer = "two"}
        : (tensor<4x8x!q4.int4>, tensor<8x8x!q4.int4>, tensor<f32>, tensor<f32>) -> tensor<4x8xf32>
    return %y, %z : tensor<4x8xf32>, tensor<4x8xf32>
  }
}

// -----

// Codes: of another width, from no quantizer, with another zero point.
module {
  func.func @train_step(%x: tensor<4x8xf32>, %q: tensor<8x8x!q4.int4>) -> (tensor<4x8xf32>, tensor<4x8xf32>) {
    %zero = arith.constant dense<-8> : tensor<i32>
    %m = q4.absmax %x : (tensor<4x8xf32>) -> tensor<f32>
    %s = q4.scale %m {divisor = 7.0 : f32} : (tensor<f32>) -> tensor<f32>
    %wide = q4.quantize %x, %s {qmin = -127 : i32, qmax = 127 : i32} : (tensor<4x8xf32>, tensor<f32>) -> tensor<4x8x!q4.int8>
    // expected-note @below {{the codes are made here}}
    %a = q4.quantize %x, %s zero_point(%zero) {qmin = -8 : i32, qmax = 7 : i32} : (tensor<4x8xf32>, tensor<f32>, tensor<i32>) -> tensor<4x8x!q4.int4>
    // expected-error @below {{is an int4 product; its left operand is 'tensor<4x8x!q4.int8>'}}
    // expected-error @below {{the right operand's codes come from no quantizer}}
    %y = q4.matmul %wide, %q scales(%s, %s) {layer = "one"}
        : (tensor<4x8x!q4.int8>, tensor<8x8x!q4.int4>, tensor<f32>, tensor<f32>) -> tensor<4x8xf32>
    // expected-error @below {{layer 'two', forward: left operand: the zero point is not the one that the codes were made with}}
    // expected-error @below {{the right operand's codes come from no quantizer}}
    %z = q4.matmul %a, %q scales(%s, %s) {layer = "two"}
        : (tensor<4x8x!q4.int4>, tensor<8x8x!q4.int4>, tensor<f32>, tensor<f32>) -> tensor<4x8xf32>
    return %y, %z : tensor<4x8xf32>, tensor<4x8xf32>
  }
}

// -----

// The backward part has codes of its own; the clip's gradient keeps reals.
module {
  func.func @train_step(%x: tensor<8x8xf32>, %w: tensor<8x8xf32>, %pass: tensor<8x8xi1>, %rng: tensor<2xi64>) -> (tensor<8x8xf32>, tensor<8x8xf32>, tensor<f32>) {
    %m = q4.absmax %x : (tensor<8x8xf32>) -> tensor<f32>
    %s = q4.scale %m {divisor = 7.0 : f32} : (tensor<f32>) -> tensor<f32>
    // expected-note @below {{the codes are made here}}
    %a = q4.quantize %x, %s {qmin = -7 : i32, qmax = 7 : i32} : (tensor<8x8xf32>, tensor<f32>) -> tensor<8x8x!q4.int4>
    %b = q4.quantize %w, %s {qmin = -7 : i32, qmax = 7 : i32} : (tensor<8x8xf32>, tensor<f32>) -> tensor<8x8x!q4.int4>
    %y = q4.matmul %a, %b scales(%s, %s) {layer = "fc"}
        : (tensor<8x8x!q4.int4>, tensor<8x8x!q4.int4>, tensor<f32>, tensor<f32>) -> tensor<8x8xf32>
    %bits = train.random_bits %rng {stream = 1 : i32, name = "a"} : (tensor<2xi64>) -> tensor<8x8xi16>
    // expected-error @below {{door of quantize: random bits 'b' and 'a' have the same stream}}
    %more = train.random_bits %rng {stream = 1 : i32, name = "b"} : (tensor<2xi64>) -> tensor<8x8xi16>
    %g = q4.quantize %y, %s noise(%bits) {qmin = -7 : i32, qmax = 7 : i32} : (tensor<8x8xf32>, tensor<f32>, tensor<8x8xi16>) -> tensor<8x8x!q4.int4>
    // expected-error @below {{layer 'fc', input_gradient: one operand must be codes of the forward product, 0 are}}
    %dx = q4.matmul %g, %g scales(%s, %s) {layer = "fc", product = #nn.product<input_gradient>}
        : (tensor<8x8x!q4.int4>, tensor<8x8x!q4.int4>, tensor<f32>, tensor<f32>) -> tensor<8x8xf32>
    // expected-error @below {{layer 'fc', weight_gradient: the left operand's codes reach the backward part without a train.save}}
    %dw = q4.matmul %a, %g scales(%s, %s) {layer = "fc", product = #nn.product<weight_gradient>}
        : (tensor<8x8x!q4.int4>, tensor<8x8x!q4.int4>, tensor<f32>, tensor<f32>) -> tensor<8x8xf32>
    // expected-error @below {{the gradient of a clip keeps the clipped value as f32, though its codes tell the same}}
    %da = nn.clip_alpha_grad %dx, %pass, %x : (tensor<8x8xf32>, tensor<8x8xi1>, tensor<8x8xf32>) -> tensor<f32>
    return %dx, %dw, %da : tensor<8x8xf32>, tensor<8x8xf32>, tensor<f32>
  }
}

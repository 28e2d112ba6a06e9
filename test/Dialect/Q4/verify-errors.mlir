// Codes outside their type, noise where none belongs, zero points of formats that have none.
// RUN: nibble-opt %s --split-input-file --verify-diagnostics

func.func @seventeen_codes(%x: tensor<4xf32>, %s: tensor<f32>) {
  // expected-error @below {{codes of '!q4.int4' lie in [-8, 7], asked for [-8, 8]}}
  %0 = q4.quantize %x, %s {qmin = -8 : i32, qmax = 8 : i32} : (tensor<4xf32>, tensor<f32>) -> tensor<4x!q4.int4>
  return
}

// -----

func.func @shape(%x: tensor<4xf32>, %s: tensor<f32>) {
  // expected-error @below {{value, codes and noise have different shapes}}
  %0 = q4.quantize %x, %s {qmin = -7 : i32, qmax = 7 : i32} : (tensor<4xf32>, tensor<f32>) -> tensor<5x!q4.int4>
  return
}

// -----

func.func @int8_is_symmetric(%x: tensor<4xf32>, %s: tensor<f32>, %z: tensor<i32>) {
  // expected-error @below {{int8 codes are symmetric: no zero point}}
  %0 = q4.quantize %x, %s zero_point(%z) {qmin = -127 : i32, qmax = 127 : i32} : (tensor<4xf32>, tensor<f32>, tensor<i32>) -> tensor<4x!q4.int8>
  return
}

// -----

func.func @radix_2_needs_noise(%x: tensor<4xf32>, %s: tensor<f32>) {
  // expected-error @below {{radix 2 rounds stochastically and takes noise}}
  %0 = q4.quantize_log %x, %s : (tensor<4xf32>, tensor<f32>) -> tensor<4x!q4.log<2>>
  return
}

// -----

func.func @radix_4_takes_none(%x: tensor<4xf32>, %s: tensor<f32>, %u: tensor<4xi16>) {
  // expected-error @below {{radix 4 rounds to nearest and takes no noise}}
  %0 = q4.quantize_log %x, %s, %u : (tensor<4xf32>, tensor<f32>, tensor<4xi16>) -> tensor<4x!q4.log<4>>
  return
}

// -----

// expected-error @below {{!q4.log takes radix 2 or 4, not 3}}
func.func private @radix(tensor<4x!q4.log<3>>)

// -----

func.func @zero_point_of_log(%a: tensor<4x7x!q4.log<4>>, %b: tensor<9x7x!q4.int4>, %s: tensor<f32>, %z: tensor<i32>) {
  // expected-error @below {{the left operand has a zero point but is not int4}}
  %0 = q4.matmul %a, %b scales(%s, %s) left_zero_point(%z) {transpose_b} : (tensor<4x7x!q4.log<4>>, tensor<9x7x!q4.int4>, tensor<f32>, tensor<f32>, tensor<i32>) -> tensor<4x9xf32>
  return
}

// -----

func.func @inner(%a: tensor<4x7x!q4.int4>, %b: tensor<9x8x!q4.int4>, %s: tensor<f32>) {
  // expected-error @below {{(layer 'fc') contracts 7 elements of the left operand with 8 of the right}}
  %0 = q4.matmul %a, %b scales(%s, %s) {layer = "fc", transpose_b} : (tensor<4x7x!q4.int4>, tensor<9x8x!q4.int4>, tensor<f32>, tensor<f32>) -> tensor<4x9xf32>
  return
}

// -----

func.func @floats_are_no_codes(%a: tensor<4x7xf32>, %b: tensor<9x7x!q4.int4>, %s: tensor<f32>) {
  // expected-error @below {{operand #0 must be}}
  %0 = q4.matmul %a, %b scales(%s, %s) {transpose_b} : (tensor<4x7xf32>, tensor<9x7x!q4.int4>, tensor<f32>, tensor<f32>) -> tensor<4x9xf32>
  return
}

// -----

func.func @narrow_shape(%x: tensor<4x7xf32>) {
  // expected-error @below {{value and copy have different shapes}}
  %0 = q4.narrow %x : (tensor<4x7xf32>) -> tensor<7x4xbf16>
  return
}

// -----

func.func @widen_shape(%x: tensor<4x7xbf16>) {
  // expected-error @below {{copy and result have different shapes}}
  %0 = q4.widen %x : (tensor<4x7xbf16>) -> tensor<28xf32>
  return
}

// Groups that break the contract of `planned` are refused with what was seen and what was expected.
// RUN: not nibble-opt --lower-groups=cpu=z80 %s 2>&1 | FileCheck %s
// CHECK: lower-groups: unknown processor 'z80'; known are native, avx512vnni, avx512, avxvnni, avx2, dotprod, generic
// RUN: nibble-opt --lower-groups=cpu=generic --split-input-file --verify-diagnostics %s

func.func @buffer(%x: memref<8xf32>, %q: memref<8xf32>, %s: memref<f32>) {
  // expected-error @+1 {{cannot use a buffer of type 'memref<8xf32>' for a tensor of type 'tensor<8x!q4.int4>': expected a dense memref of 'i8'}}
  plan.group ins(%x : memref<8xf32> as %a : tensor<8xf32>, %s : memref<f32> as %b : tensor<f32>) outs(%q : memref<8xf32>) {
    %c = q4.quantize %a, %b {qmin = -7 : i32, qmax = 7 : i32} : (tensor<8xf32>, tensor<f32>) -> tensor<8x!q4.int4>
    plan.yield %c : tensor<8x!q4.int4>
  }
  return
}

// -----

func.func @scratch(%x: memref<4x10xf32>, %v: memref<10xf32>, %y: memref<4x10xf32>) {
  // expected-error @+1 {{has 0 bytes of scratch, its code needs 256}}
  plan.group ins(%x : memref<4x10xf32> as %a : tensor<4x10xf32>, %v : memref<10xf32> as %b : tensor<10xf32>) outs(%y : memref<4x10xf32>) {
    %c = nn.add %a, %b : (tensor<4x10xf32>, tensor<10xf32>) -> tensor<4x10xf32>
    plan.yield %c : tensor<4x10xf32>
  }
  return
}

// -----

func.func @broadcast(%x: memref<4x10xf32>, %v: memref<4x1xf32>, %y: memref<4x10xf32>, %s: memref<256xi8>) {
  plan.group ins(%x : memref<4x10xf32> as %a : tensor<4x10xf32>, %v : memref<4x1xf32> as %b : tensor<4x1xf32>) outs(%y : memref<4x10xf32>) scratch(%s : memref<256xi8>) {
    // expected-error @+1 {{has an operand of type 'tensor<4x1xf32>' that does not repeat along leading dimensions: it needs an nn.broadcast before the group}}
    %c = nn.add %a, %b : (tensor<4x10xf32>, tensor<4x1xf32>) -> tensor<4x10xf32>
    plan.yield %c : tensor<4x10xf32>
  }
  return
}

// -----

func.func @two(%x: memref<8xf32>, %y: memref<f32>) {
  // expected-error @+1 {{holds several ops that are not element-wise: a group is one op, a set of element-wise ops, or a product and such a set that reads it}}
  plan.group ins(%x : memref<8xf32> as %a : tensor<8xf32>) outs(%y : memref<f32>) {
    %m = q4.sawb_clip %a : (tensor<8xf32>) -> tensor<f32>
    %n = nn.neg %m : tensor<f32>
    plan.yield %n : tensor<f32>
  }
  return
}

// -----

func.func @fold_read_too_early(%x: memref<8xf32>, %y: memref<f32>) {
  plan.group ins(%x : memref<8xf32> as %a : tensor<8xf32>) outs(%y : memref<f32>) {
    %m = q4.absmax %a : (tensor<8xf32>) -> tensor<f32>
    // expected-error @+1 {{reads what a fold of its own group gives, which is there only after the loop}}
    %n = nn.neg %m : tensor<f32>
    plan.yield %n : tensor<f32>
  }
  return
}

// -----

func.func @guard(%flag: memref<1xi8>) {
  // expected-error @+1 {{stands at the top of a function that returns an i32 status}}
  plan.guard %flag : memref<1xi8>
  return
}

// -----

func.func @small_panel(%x: memref<16xi8>, %p: memref<16xi8>, %s: memref<f32>, %y: memref<2x5xf32>) {
  plan.group ins(%x : memref<16xi8> as %a : tensor<2x3x!q4.int4>, %p : memref<16xi8> as %b : tensor<16xi8>, %s : memref<f32> as %c : tensor<f32>) outs(%y : memref<2x5xf32>) {
    %w = plan.packed %b : (tensor<16xi8>) -> tensor<5x3x!q4.int4>
    // expected-error @+1 {{room Codegen: reads a panel of 16 bytes; expected}}
    %0 = q4.matmul %a, %w scales(%c, %c) {transpose_b} : (tensor<2x3x!q4.int4>, tensor<5x3x!q4.int4>, tensor<f32>, tensor<f32>) -> tensor<2x5xf32>
    plan.yield %0 : tensor<2x5xf32>
  }
  return
}

// -----

func.func @moved(%x: memref<4x3x20xf32>, %y: memref<3x4x20xf32>) {
  plan.group ins(%x : memref<4x3x20xf32> as %a : tensor<4x3x20xf32>) outs(%y : memref<3x4x20xf32>) {
    // expected-error @+1 {{does not move whole blocks of 32 elements of the group}}
    %t = nn.transpose %a {perm = array<i64: 1, 0, 2>} : (tensor<4x3x20xf32>) -> tensor<3x4x20xf32>
    %r = nn.relu %t : tensor<3x4x20xf32>
    plan.yield %r : tensor<3x4x20xf32>
  }
  return
}

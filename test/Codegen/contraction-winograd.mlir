// A 3x3 window at stride 1: weights and tiles of 4x4 pixels are transformed in integers, sixteen products a tile, and the sums, four times too
// large, are transformed back and divided exactly (a shift). Four-bit codes are transformed in bytes, for quads; what goes through pairs (radix 4,
// and everything on targets without quads), in 16 bits. Radix-2 codes do not fit bytes when transformed: direct quads are as fast as pairs here.
// RUN: nibble-opt %s --lower-groups=cpu=avx512vnni | FileCheck %s
// RUN: nibble-opt %s --lower-groups=cpu=generic | FileCheck %s --check-prefix=PAIRS
// RUN: nibble-opt %s --lower-groups=cpu=avx2 | FileCheck %s --check-prefix=UBS

// CHECK-LABEL: func.func @codes
// Weights: 2·g, g0 ± g1 + g2, 2·g.
// CHECK: arith.addi {{.*}} : vector<32xi8>
// CHECK: arith.subi {{.*}} : vector<32xi8>
// The sum of four nibbles (position 5) has an offset of its own.
// CHECK: arith.select {{.*}} : i32
// A block of tiles:
// CHECK: scf.parallel
// CHECK: arith.subi {{.*}} : vector<64xi8>
// CHECK: call @nibble_quads_vnni512_8x2_columns_store32
// CHECK: %[[QUARTER:.*]] = arith.shrsi {{.*}} : vector<16xi32>
// CHECK: arith.sitofp %[[QUARTER]]
// CHECK-LABEL: func.func @radix2
// CHECK-NOT: store32
// CHECK: call @nibble_quads_vnni512_8x2_columns_store(
// CHECK-LABEL: func.func @radix4
// CHECK: arith.subi {{.*}} : vector<32xi16>
// CHECK: call @nibble_pairs_vnni512_8x2_store32

// PAIRS-LABEL: func.func @codes
// PAIRS: arith.subi {{.*}} : vector<8xi16>
// PAIRS: call @nibble_pairs_generic128_4x2_store32
// PAIRS-LABEL: func.func @radix2
// PAIRS: call @nibble_pairs_generic128_4x2_store32
// PAIRS-LABEL: func.func @radix4
// PAIRS: call @nibble_pairs_generic128_4x2_store32

// Quads that add in 16 bits have no room for transformed bytes: their direct product is as fast as Winograd by pairs.
// UBS-LABEL: func.func @codes
// UBS: call @nibble_quads_ubs256_4x2_columns_store(
// UBS-LABEL: func.func @radix2
// UBS: call @nibble_quads_ubs256_4x2_columns_store(
// UBS-LABEL: func.func @radix4
// UBS: call @nibble_pairs_madd256_4x2_store32

func.func @codes(%x: memref<32768xi8>, %w: memref<73728xi8>, %s: memref<f32>, %y: memref<4x8x8x128xf32>, %scratch: memref<16777216xi8>) {
  plan.group ins(%x : memref<32768xi8> as %a : tensor<4x8x8x128x!q4.int4>, %w : memref<73728xi8> as %b : tensor<128x3x3x128x!q4.int4>, %s : memref<f32> as %c : tensor<f32>) outs(%y : memref<4x8x8x128xf32>) scratch(%scratch : memref<16777216xi8>) {
    %r = q4.conv2d %a, %b scales(%c, %c) {layer = "conv", pads = array<i64: 1, 1, 1, 1>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, groups = 1 : i64}
        : (tensor<4x8x8x128x!q4.int4>, tensor<128x3x3x128x!q4.int4>, tensor<f32>, tensor<f32>) -> tensor<4x8x8x128xf32>
    plan.yield %r : tensor<4x8x8x128xf32>
  }
  return
}

func.func @radix2(%x: memref<32768xi8>, %w: memref<73728xi8>, %s: memref<f32>, %y: memref<4x8x8x128xf32>, %scratch: memref<16777216xi8>) {
  plan.group ins(%x : memref<32768xi8> as %a : tensor<4x8x8x128x!q4.log<2>>, %w : memref<73728xi8> as %b : tensor<128x3x3x128x!q4.int4>, %s : memref<f32> as %c : tensor<f32>) outs(%y : memref<4x8x8x128xf32>) scratch(%scratch : memref<16777216xi8>) {
    %r = q4.conv2d_input_grad %a, %b scales(%c, %c) {layer = "conv", pads = array<i64: 1, 1, 1, 1>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, groups = 1 : i64}
        : (tensor<4x8x8x128x!q4.log<2>>, tensor<128x3x3x128x!q4.int4>, tensor<f32>, tensor<f32>) -> tensor<4x8x8x128xf32>
    plan.yield %r : tensor<4x8x8x128xf32>
  }
  return
}

func.func @radix4(%x: memref<32768xi8>, %w: memref<73728xi8>, %s: memref<f32>, %y: memref<4x8x8x128xf32>, %scratch: memref<16777216xi8>) {
  plan.group ins(%x : memref<32768xi8> as %a : tensor<4x8x8x128x!q4.log<4>>, %w : memref<73728xi8> as %b : tensor<128x3x3x128x!q4.int4>, %s : memref<f32> as %c : tensor<f32>) outs(%y : memref<4x8x8x128xf32>) scratch(%scratch : memref<16777216xi8>) {
    %r = q4.conv2d_input_grad %a, %b scales(%c, %c) {layer = "conv", pads = array<i64: 1, 1, 1, 1>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, groups = 1 : i64}
        : (tensor<4x8x8x128x!q4.log<4>>, tensor<128x3x3x128x!q4.int4>, tensor<f32>, tensor<f32>) -> tensor<4x8x8x128xf32>
    plan.yield %r : tensor<4x8x8x128xf32>
  }
  return
}

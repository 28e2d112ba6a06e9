// One product of int4 codes on each target that multiplies bytes in its own way.
// RUN: nibble-opt %s --lower-groups=cpu=avxvnni | FileCheck %s --check-prefix=VNNI
// RUN: nibble-opt %s --lower-groups=cpu=avx512 | FileCheck %s --check-prefixes=UBS,UBS512
// RUN: nibble-opt %s --lower-groups=cpu=avx2 | FileCheck %s --check-prefixes=UBS,UBS256
// RUN: nibble-opt %s --lower-groups=cpu=dotprod | FileCheck %s --check-prefix=NEON

// AVX-VNNI: the instruction of AVX-512 VNNI on half as many lanes.
// VNNI: func.func private @nibble_quads_vnni256_6x2_columns_store
// VNNI-COUNT-12: llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.256"{{.*}} : (vector<8xi32>, vector<32xi8>, vector<32xi8>)

// Without VNNI two products of bytes are added in 16 bits. A nibble (0 … 15) times a weight (-8 … 7), twice: 240 at most, 32767 / 240 = 136 steps
// fit. The 256 steps of this product are two parts of 128. A part begins at zero and is then added to the sums of 32 bits.
// UBS-LABEL: func.func @product
// UBS: call @nibble_quads_ubs{{(256_4|512_8)}}x2_columns_store({{.*}}, %c256_i64{{[_0-9]*}}, {{.*}}, %c128_i64{{[_0-9]*}}, %c1_i64{{[_0-9]*}}) :
// UBS: func.func private @nibble_quads_ubs
// Row tiles, segments, parts of a segment; in 16 bits, from zero: segments and tuples of the part.
// UBS: scf.for
// UBS: arith.constant dense<0> : vector<{{16|32}}xi16>
// UBS-COUNT-4: scf.for
// UBS512-COUNT-16: llvm.call_intrinsic "llvm.x86.avx512.pmaddubs.w.512"
// UBS512: llvm.call_intrinsic "llvm.x86.avx512.pmaddw.d.512"
// UBS256-COUNT-8: llvm.call_intrinsic "llvm.x86.avx2.pmadd.ub.sw"
// UBS256: llvm.call_intrinsic "llvm.x86.avx2.pmadd.wd"

// `sdot` multiplies signed bytes: values without an offset, sums from zero, nothing of x86.
// NEON-NOT: llvm.x86
// NEON: arith.subi {{.*}} : vector<32xi8>
// NEON: call @nibble_quads_neon_6x4_store
// NEON: func.func private @nibble_quads_neon_6x4_store
// NEON-COUNT-24: llvm.call_intrinsic "llvm.aarch64.neon.sdot"{{.*}} : (vector<4xi32>, vector<16xi8>, vector<16xi8>)
// NEON-NOT: llvm.x86

func.func @product(%x: memref<32768xi8>, %w: memref<131072xi8>, %s: memref<f32>, %z: memref<i32>, %y: memref<64x256xf32>,
                   %scratch: memref<2097152xi8>) {
  plan.group ins(%x : memref<32768xi8> as %a : tensor<64x1024x!q4.int4>, %w : memref<131072xi8> as %b : tensor<256x1024x!q4.int4>, %s : memref<f32> as %c : tensor<f32>, %z : memref<i32> as %d : tensor<i32>) outs(%y : memref<64x256xf32>) scratch(%scratch : memref<2097152xi8>) {
    %r = q4.matmul %a, %b scales(%c, %c) left_zero_point(%d) {layer = "fc1", transpose_b}
        : (tensor<64x1024x!q4.int4>, tensor<256x1024x!q4.int4>, tensor<f32>, tensor<f32>, tensor<i32>) -> tensor<64x256xf32>
    plan.yield %r : tensor<64x256xf32>
  }
  return
}

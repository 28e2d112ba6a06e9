// Products of codes: operands decoded to small integers, products added up by the target's instruction, a tuple of terms at a time, one
// float conversion and one multiplication an output. Formats that fit a byte take quads where the target has them, one operand as unsigned
// numbers (the sums begin at what that adds: `start`); radix 4 takes pairs. A kernel is a function that all products of the module share.
// RUN: nibble-opt %s --lower-groups=cpu=avx512vnni | FileCheck %s --check-prefix=VNNI
// (The other targets' instructions: contraction-targets.mlir.)
// RUN: nibble-opt %s --lower-groups=cpu=generic | FileCheck %s --check-prefix=PAIRS

// VNNI-LABEL: func.func @three_products
// VNNI-NOT: mulf %{{.*}} : vector
// The weights' panel, straight from nibbles, and where the sums of its columns begin; the images are nibbles as they are.
// VNNI: vector.shuffle {{.*}} : vector<16xi32>, vector<16xi32>
// VNNI: arith.andi {{.*}} : vector<64xi8>
// VNNI: llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"{{.*}} : (vector<16xi32>, vector<64xi8>, vector<64xi8>)
// VNNI: arith.andi {{.*}} : vector<16xi8>
// VNNI: call @nibble_quads_vnni512_8x2_columns_store
// Radix 2, 16 values a look-up of bytes:
// VNNI: llvm.call_intrinsic "llvm.x86.avx2.pshuf.b"
// VNNI: call @nibble_quads_vnni512_8x2_columns_store
// VNNI: call @nibble_pairs_vnni512_8x2_store
// VNNI-NOT: memref.alloc

// VNNI: func.func private @nibble_quads_vnni512_8x2_columns_store
// VNNI-SAME: noinline
// VNNI: llvm.load {{.*}} -> vector<16xi32>
// VNNI-COUNT-16: llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"
// VNNI-NOT: mulf
// VNNI: arith.sitofp
// VNNI-NEXT: arith.mulf
// VNNI-NEXT: llvm.intr.masked.store
// VNNI: func.func private @nibble_pairs_vnni512_8x2_store
// VNNI-COUNT-16: llvm.call_intrinsic "llvm.x86.avx512.vpdpwssd.512"
// VNNI-NOT: func.func private @nibble_{{.*}}x2

// PAIRS-LABEL: func.func @three_products
// PAIRS-NOT: mulf %{{.*}} : vector
// PAIRS: scf.parallel
// PAIRS: call @[[KERNEL:nibble_pairs_[a-z0-9]+_[0-9]x2_store]]
// PAIRS: call @[[KERNEL]]
// PAIRS: call @[[KERNEL]]
// PAIRS-NOT: memref.alloc
// PAIRS: func.func private @[[KERNEL]]
// PAIRS-SAME: noinline
// PAIRS-NOT: mulf
// PAIRS-NOT: llvm.x86
// PAIRS: arith.muli {{.*}} : vector<8xi32>
// PAIRS-NOT: mulf
// PAIRS: arith.sitofp
// PAIRS-NEXT: arith.mulf
// PAIRS-NEXT: llvm.intr.masked.store
// PAIRS-NOT: func.func private @nibble_pairs_{{.*}}_{{.*}}x2_store

func.func @three_products(%x: memref<16384xi8>, %w: memref<8192xi8>, %s: memref<f32>, %z: memref<i32>, %y: memref<512x256xf32>,
                          %u: memref<512x256xf32>, %v: memref<512x256xf32>, %scratch: memref<1048576xi8>) {
  plan.group ins(%x : memref<16384xi8> as %a : tensor<512x64x!q4.int4>, %w : memref<8192xi8> as %b : tensor<256x64x!q4.int4>, %s : memref<f32> as %c : tensor<f32>, %z : memref<i32> as %d : tensor<i32>) outs(%y : memref<512x256xf32>) scratch(%scratch : memref<1048576xi8>) {
    %r = q4.matmul %a, %b scales(%c, %c) left_zero_point(%d) {layer = "fc1", transpose_b}
        : (tensor<512x64x!q4.int4>, tensor<256x64x!q4.int4>, tensor<f32>, tensor<f32>, tensor<i32>) -> tensor<512x256xf32>
    plan.yield %r : tensor<512x256xf32>
  }
  plan.group ins(%x : memref<16384xi8> as %a : tensor<512x64x!q4.log<2>>, %w : memref<8192xi8> as %b : tensor<64x256x!q4.int4>, %s : memref<f32> as %c : tensor<f32>) outs(%u : memref<512x256xf32>) scratch(%scratch : memref<1048576xi8>) {
    %r = q4.matmul %a, %b scales(%c, %c) {layer = "fc1"}
        : (tensor<512x64x!q4.log<2>>, tensor<64x256x!q4.int4>, tensor<f32>, tensor<f32>) -> tensor<512x256xf32>
    plan.yield %r : tensor<512x256xf32>
  }
  plan.group ins(%x : memref<16384xi8> as %a : tensor<512x64x!q4.log<4>>, %w : memref<8192xi8> as %b : tensor<64x256x!q4.int4>, %s : memref<f32> as %c : tensor<f32>) outs(%v : memref<512x256xf32>) scratch(%scratch : memref<1048576xi8>) {
    %r = q4.matmul %a, %b scales(%c, %c) {layer = "fc1"}
        : (tensor<512x64x!q4.log<4>>, tensor<64x256x!q4.int4>, tensor<f32>, tensor<f32>) -> tensor<512x256xf32>
    plan.yield %r : tensor<512x256xf32>
  }
  return
}

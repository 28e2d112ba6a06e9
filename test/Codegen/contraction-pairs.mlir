// A product of codes: operands decoded to 16-bit integers, sums of pairs in 32-bit integers by the target's instruction, one
// float conversion and one multiplication an output. The kernel is a function that all products of the module share.
// RUN: nibble-opt %s --lower-groups=cpu=avx512vnni --split-input-file | FileCheck %s --check-prefixes=CHECK,VNNI
// RUN: nibble-opt %s --lower-groups=cpu=avx512 --split-input-file | FileCheck %s --check-prefixes=CHECK,AVX512
// RUN: nibble-opt %s --lower-groups=cpu=avx2 --split-input-file | FileCheck %s --check-prefixes=CHECK,AVX2
// RUN: nibble-opt %s --lower-groups=cpu=generic --split-input-file | FileCheck %s --check-prefixes=CHECK,GENERIC

// CHECK-LABEL: func.func @two_products
// CHECK-NOT: mulf %{{.*}} : vector
// CHECK: scf.parallel
// CHECK: call @[[KERNEL:nibble_pairs_[a-z0-9]+_[0-9]x2_store]]
// CHECK: scf.parallel
// CHECK: call @[[KERNEL]]
// CHECK-NOT: memref.alloc

// CHECK: func.func private @[[KERNEL]]
// CHECK-SAME: noinline
// CHECK: scf.for
// CHECK: scf.for
// CHECK: scf.for
// CHECK-NOT: mulf
// VNNI: llvm.call_intrinsic "llvm.x86.avx512.vpdpwssd.512"
// AVX512: llvm.call_intrinsic "llvm.x86.avx512.pmaddw.d.512"
// AVX2: llvm.call_intrinsic "llvm.x86.avx2.pmadd.wd"
// GENERIC-NOT: llvm.x86
// GENERIC: arith.muli {{.*}} : vector<8xi32>
// CHECK-NOT: mulf
// CHECK: scf.yield
// CHECK: arith.sitofp
// CHECK-NEXT: arith.mulf
// CHECK-NEXT: llvm.intr.masked.store
// CHECK-NOT: func.func private @nibble_pairs_{{.*}}_{{.*}}x2_store

func.func @two_products(%x: memref<16384xi8>, %w: memref<8192xi8>, %s: memref<f32>, %z: memref<i32>, %y: memref<512x256xf32>,
                        %v: memref<512x256xf32>, %scratch: memref<1048576xi8>) {
  plan.group ins(%x : memref<16384xi8> as %a : tensor<512x64x!q4.int4>, %w : memref<8192xi8> as %b : tensor<256x64x!q4.int4>, %s : memref<f32> as %c : tensor<f32>, %z : memref<i32> as %d : tensor<i32>) outs(%y : memref<512x256xf32>) scratch(%scratch : memref<1048576xi8>) {
    %r = q4.matmul %a, %b scales(%c, %c) left_zero_point(%d) {layer = "fc1", transpose_b}
        : (tensor<512x64x!q4.int4>, tensor<256x64x!q4.int4>, tensor<f32>, tensor<f32>, tensor<i32>) -> tensor<512x256xf32>
    plan.yield %r : tensor<512x256xf32>
  }
  plan.group ins(%x : memref<16384xi8> as %a : tensor<512x64x!q4.log<4>>, %w : memref<8192xi8> as %b : tensor<64x256x!q4.int4>, %s : memref<f32> as %c : tensor<f32>) outs(%v : memref<512x256xf32>) scratch(%scratch : memref<1048576xi8>) {
    %r = q4.matmul %a, %b scales(%c, %c) {layer = "fc1"}
        : (tensor<512x64x!q4.log<4>>, tensor<64x256x!q4.int4>, tensor<f32>, tensor<f32>) -> tensor<512x256xf32>
    plan.yield %r : tensor<512x256xf32>
  }
  return
}

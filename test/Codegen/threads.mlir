// Groups whose loops take longer than a fork are shared by a team: loops of vectors count by bytes, and chunks that end at a minimum by the chunk.
// RUN: nibble-opt %s --lower-groups=cpu=avx512vnni --assign-threads=threads=2 | FileCheck %s
// RUN: nibble-opt %s --lower-groups=cpu=avx512vnni --assign-threads=threads=1 | FileCheck %s --check-prefix=ONE
// ONE-NOT: scf.parallel

// 256 KB in and out, some microseconds.
// CHECK-LABEL: func.func @add
// CHECK: scf.parallel
func.func @add(%x: memref<256x256xf32>, %y: memref<256x256xf32>) {
  plan.group ins(%x : memref<256x256xf32> as %a : tensor<256x256xf32>) outs(%y : memref<256x256xf32>) {
    %r = nn.add %a, %a : (tensor<256x256xf32>, tensor<256x256xf32>) -> tensor<256x256xf32>
    plan.yield %r : tensor<256x256xf32>
  }
  return
}

// 80 KB: over before a team has met.
// CHECK-LABEL: func.func @short
// CHECK-NOT: scf.parallel
func.func @short(%x: memref<80x256xf32>, %y: memref<80x256xf32>) {
  plan.group ins(%x : memref<80x256xf32> as %a : tensor<80x256xf32>) outs(%y : memref<80x256xf32>) {
    %r = nn.relu %a : tensor<80x256xf32>
    plan.yield %r : tensor<80x256xf32>
  }
  return
}

// Chunks of a fold end at min(chunk's end, n); their results are merged by one thread.
// CHECK-LABEL: func.func @maximum
// CHECK: scf.parallel
// CHECK-NOT: scf.parallel
func.func @maximum(%x: memref<384x384xf32>, %m: memref<f32>, %s: memref<256xi8>) {
  plan.group ins(%x : memref<384x384xf32> as %a : tensor<384x384xf32>) outs(%m : memref<f32>) scratch(%s : memref<256xi8>) {
    %r = q4.absmax %a : (tensor<384x384xf32>) -> tensor<f32>
    plan.yield %r : tensor<f32>
  }
  return
}

// CHECK-LABEL: func.func @transpose
// CHECK: scf.parallel
func.func @transpose(%x: memref<8x64x6x64xf32>, %y: memref<8x6x64x64xf32>) {
  plan.group ins(%x : memref<8x64x6x64xf32> as %a : tensor<8x64x6x64xf32>) outs(%y : memref<8x6x64x64xf32>) {
    %r = nn.transpose %a {perm = array<i64: 0, 2, 1, 3>} : (tensor<8x64x6x64xf32>) -> tensor<8x6x64x64xf32>
    plan.yield %r : tensor<8x6x64x64xf32>
  }
  return
}

// A product's operands are packed and decoded by the team, too; the third loop is that of the tiles.
// CHECK-LABEL: func.func @product
// CHECK-COUNT-3: scf.parallel
// CHECK: call @nibble_quads
func.func @product(%x: memref<393216xi8>, %w: memref<294912xi8>, %s: memref<f32>, %y: memref<2048x1536xf32>, %scratch: memref<8388608xi8>) {
  plan.group ins(%x : memref<393216xi8> as %a : tensor<2048x384x!q4.int4>, %w : memref<294912xi8> as %b : tensor<1536x384x!q4.int4>,
                 %s : memref<f32> as %c : tensor<f32>) outs(%y : memref<2048x1536xf32>) scratch(%scratch : memref<8388608xi8>) {
    %r = q4.matmul %a, %b scales(%c, %c) {layer = "", transpose_b} : (tensor<2048x384x!q4.int4>, tensor<1536x384x!q4.int4>, tensor<f32>, tensor<f32>) -> tensor<2048x1536xf32>
    plan.yield %r : tensor<2048x1536xf32>
  }
  return
}

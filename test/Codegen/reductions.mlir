// Reductions keep the order of numerics.md, section 5, at any vector width.
// RUN: nibble-opt --lower-groups=cpu=generic %s | FileCheck %s

// The flat order: 16 lanes, blocks of 4096 whose sums are kept apart, then added ascending in f64.
// CHECK-LABEL: func.func @sawb
// CHECK: scf.parallel
// CHECK: scf.for {{.*}} -> (vector<16xf32>, vector<16xf32>)
// CHECK: arith.addf {{.*}} : vector<8xf32>
// CHECK: arith.addf {{.*}} : vector<4xf32>
// CHECK: arith.addf {{.*}} : vector<2xf32>
// CHECK: arith.addf {{.*}} : vector<1xf32>
// CHECK: scf.for {{.*}} -> (f64, f64)
// CHECK: arith.extf {{.*}} : f32 to f64
// CHECK: math.sqrt {{.*}} : f64
// The maximum is looked for only where the formula gives nothing positive.
// CHECK: scf.if
// CHECK: else
// CHECK: arith.maxsi
func.func @sawb(%w: memref<40960xf32>, %a: memref<f32>, %s: memref<256xi8>) {
  plan.group ins(%w : memref<40960xf32> as %x : tensor<40960xf32>) outs(%a : memref<f32>) scratch(%s : memref<256xi8>) {
    %r = q4.sawb_clip %x : (tensor<40960xf32>) -> tensor<f32>
    plan.yield %r : tensor<f32>
  }
  return
}

// The per-channel order: an image is a block, made by one thread, its rows ascending; blocks ascending in f64.
// CHECK-LABEL: func.func @bias_gradient
// CHECK: scf.parallel (%[[IMAGE:.*]]) = (%{{.*}}) to
// CHECK: scf.for {{.*}} -> (vector<16xf32>)
// CHECK: vector.maskedload
// CHECK: arith.addf {{.*}} : vector<16xf32>
// CHECK: scf.for {{.*}} -> (vector<16xf64>)
// CHECK: arith.extf {{.*}} : vector<16xf32> to vector<16xf64>
func.func @bias_gradient(%dy: memref<32x8x8x10xf32>, %db: memref<10xf32>, %s: memref<4096xi8>) {
  plan.group ins(%dy : memref<32x8x8x10xf32> as %x : tensor<32x8x8x10xf32>) outs(%db : memref<10xf32>) scratch(%s : memref<4096xi8>) {
    %r = nn.channel_sum %x : (tensor<32x8x8x10xf32>) -> tensor<10xf32>
    plan.yield %r : tensor<10xf32>
  }
  return
}

// One clip a value before int4 products, one-sided where the value is provably not negative, none on data; other uses of the
// value stay unclipped; no clips with other ranges or in float.
// RUN: nibble-opt %s --assign-precision=recipe=ibm,first-last=int4 --insert-clips | FileCheck %s
// RUN: nibble-opt %s --assign-precision=recipe=ibm,activations=dynamic --insert-clips | FileCheck %s --check-prefix=NONE
// RUN: nibble-opt %s --assign-precision=recipe=f32 --insert-clips | FileCheck %s --check-prefix=NONE

// NONE-NOT: nn.clip_learned
// CHECK: train.variable @shared.alpha : tensor<f32> {role = #train.role<clip>, trainable}
// CHECK: train.variable @signed.alpha : tensor<f32> {role = #train.role<clip>, trainable}
module {
  train.variable @w : tensor<4x4xf32> {role = #train.role<weight>, trainable}
  func.func @forward(%x: tensor<2x4xf32>) -> tensor<2x4xf32> {
    %w = train.read @w : tensor<4x4xf32>
    // CHECK: %[[INPUT:.*]] = nn.matmul %arg0,
    %0 = nn.matmul %x, %w {layer = "first"} : (tensor<2x4xf32>, tensor<4x4xf32>) -> tensor<2x4xf32>
    // CHECK: %[[RELU:.*]] = nn.relu %[[INPUT]]
    %1 = nn.relu %0 : tensor<2x4xf32>
    // CHECK: %[[ALPHA:.*]] = train.read @shared.alpha
    // CHECK: %[[CLIP:.*]] = nn.clip_learned %[[RELU]], %[[ALPHA]] {one_sided}
    // CHECK: nn.matmul %[[CLIP]], {{.*}}layer = "shared"
    %2 = nn.matmul %1, %w {layer = "shared"} : (tensor<2x4xf32>, tensor<4x4xf32>) -> tensor<2x4xf32>
    // CHECK-NOT: nn.clip_learned
    // CHECK: nn.matmul %[[CLIP]], {{.*}}layer = "sharing"
    %3 = nn.matmul %1, %w {layer = "sharing"} : (tensor<2x4xf32>, tensor<4x4xf32>) -> tensor<2x4xf32>
    // CHECK: nn.add {{.*}}, %[[RELU]]
    %4 = nn.add %2, %1 : (tensor<2x4xf32>, tensor<2x4xf32>) -> tensor<2x4xf32>
    // CHECK: %[[SUM:.*]] = nn.sub
    %5 = nn.sub %4, %3 : (tensor<2x4xf32>, tensor<2x4xf32>) -> tensor<2x4xf32>
    // CHECK: %[[TWO:.*]] = nn.clip_learned %[[SUM]], %{{[0-9]+}} : (tensor<2x4xf32>
    // CHECK: nn.matmul %[[TWO]], {{.*}}layer = "signed"
    %6 = nn.matmul %5, %w {layer = "signed"} : (tensor<2x4xf32>, tensor<4x4xf32>) -> tensor<2x4xf32>
    return %6 : tensor<2x4xf32>
  }
}

// Products that read the same weights in the same form read one panel, which is made before the first of them.
// RUN: nibble-opt %s --split-input-file --share-panels | FileCheck %s
// RUN: nibble-opt %s --split-input-file --share-panels --form-groups | FileCheck %s --check-prefix=GROUPS

// Two steps of a sequence: forward reads the weights by rows, the input gradient by columns, so each direction has its panel.
// The last product is alone with its form.
// CHECK-LABEL: @two_steps
// CHECK-SAME: %[[H0:[^:]*]]: tensor<2x64x!q4.int4>, %[[H1:[^:]*]]: tensor<2x64x!q4.int4>, %{{.*}}, %[[W:[^:]*]]: tensor<96x64x!q4.int4>
// CHECK: %[[P:.*]] = plan.pack %[[W]] for "lstm[0]" : (tensor<96x64x!q4.int4>) -> tensor<{{[0-9]+}}xi8> {
// CHECK-NEXT: ^{{.*}}(%[[L:.*]]: tensor<2x64x!q4.int4>, %[[R:.*]]: tensor<96x64x!q4.int4>, %{{.*}}: tensor<f32>):
// CHECK-NEXT: q4.matmul %[[L]], %[[R]]
// CHECK: %[[W0:.*]] = plan.packed %[[P]]
// CHECK-NEXT: q4.matmul %[[H0]], %[[W0]]
// CHECK: %[[W1:.*]] = plan.packed %[[P]]
// CHECK-NEXT: q4.matmul %[[H1]], %[[W1]]
// CHECK-NOT: plan.pack
// CHECK: q4.matmul %{{.*}}, %[[W]]

// The panel is a value between groups; how a product reads it stands beside the product.
// GROUPS-LABEL: @two_steps
// GROUPS: %[[P:.*]] = plan.fused
// GROUPS-NEXT: plan.pack
// GROUPS: plan.fused {{.*}}%[[P]] as %[[A:.*]] : tensor<{{[0-9]+}}xi8>
// GROUPS-NEXT: %[[W:.*]] = plan.packed %[[A]]
// GROUPS-NEXT: q4.matmul %{{.*}}, %[[W]]
// GROUPS: plan.fused {{.*}}%[[P]] as
// GROUPS-NEXT: plan.packed
func.func @two_steps(%h0: tensor<2x64x!q4.int4>, %h1: tensor<2x64x!q4.int4>, %g: tensor<2x96x!q4.log<2>>, %w: tensor<96x64x!q4.int4>, %s: tensor<f32>) -> (tensor<2x96xf32>, tensor<2x96xf32>, tensor<2x64xf32>) {
  %y0 = q4.matmul %h0, %w scales(%s, %s) {transpose_b, layer = "lstm[0]"} : (tensor<2x64x!q4.int4>, tensor<96x64x!q4.int4>, tensor<f32>, tensor<f32>) -> tensor<2x96xf32>
  %y1 = q4.matmul %h1, %w scales(%s, %s) {transpose_b, layer = "lstm[1]"} : (tensor<2x64x!q4.int4>, tensor<96x64x!q4.int4>, tensor<f32>, tensor<f32>) -> tensor<2x96xf32>
  %dx = q4.matmul %g, %w scales(%s, %s) {layer = "lstm[1]"} : (tensor<2x96x!q4.log<2>>, tensor<96x64x!q4.int4>, tensor<f32>, tensor<f32>) -> tensor<2x64xf32>
  return %y0, %y1, %dx : tensor<2x96xf32>, tensor<2x96xf32>, tensor<2x64xf32>
}

// -----

// A panel holds code - zero point, so another zero point is another panel.
// CHECK-LABEL: @another_zero_point
// CHECK-NOT: plan.pack
func.func @another_zero_point(%x: tensor<2x64x!q4.int4>, %w: tensor<96x64x!q4.int4>, %s: tensor<f32>, %z0: tensor<i32>, %z1: tensor<i32>) -> (tensor<2x96xf32>, tensor<2x96xf32>) {
  %y0 = q4.matmul %x, %w scales(%s, %s) right_zero_point(%z0) {transpose_b} : (tensor<2x64x!q4.int4>, tensor<96x64x!q4.int4>, tensor<f32>, tensor<f32>, tensor<i32>) -> tensor<2x96xf32>
  %y1 = q4.matmul %x, %w scales(%s, %s) right_zero_point(%z1) {transpose_b} : (tensor<2x64x!q4.int4>, tensor<96x64x!q4.int4>, tensor<f32>, tensor<f32>, tensor<i32>) -> tensor<2x96xf32>
  return %y0, %y1 : tensor<2x96xf32>, tensor<2x96xf32>
}

// -----

// With many rows, packing is nothing beside the product, and the panel would be memory for long.
// CHECK-LABEL: @many_rows
// CHECK-NOT: plan.pack
func.func @many_rows(%x: tensor<2048x64x!q4.int4>, %w: tensor<96x64x!q4.int4>, %s: tensor<f32>, %t: tensor<f32>) -> (tensor<2048x96xf32>, tensor<2048x96xf32>) {
  %y0 = q4.matmul %x, %w scales(%s, %s) {transpose_b} : (tensor<2048x64x!q4.int4>, tensor<96x64x!q4.int4>, tensor<f32>, tensor<f32>) -> tensor<2048x96xf32>
  %y1 = q4.matmul %x, %w scales(%s, %t) {transpose_b} : (tensor<2048x64x!q4.int4>, tensor<96x64x!q4.int4>, tensor<f32>, tensor<f32>) -> tensor<2048x96xf32>
  return %y0, %y1 : tensor<2048x96xf32>, tensor<2048x96xf32>
}

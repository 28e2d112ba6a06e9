// Groups that differ in buffers and in the layer's name only share one function.
// RUN: nibble-opt --outline-groups %s | FileCheck %s

// CHECK-LABEL: func.func @step
// CHECK: call @[[MATMUL:group_matmul]](%[[A:[a-z0-9]+]], %[[B:[a-z0-9]+]], %[[C:[a-z0-9]+]])
// CHECK: call @[[MATMUL]](%[[C]], %[[B]], %[[A]])
// CHECK: call @group_neg
// CHECK-NOT: plan.group
func.func @step(%a: memref<4x4xf32>, %b: memref<4x4xf32>, %c: memref<4x4xf32>) {
  plan.group ins(%a : memref<4x4xf32> as %x : tensor<4x4xf32>, %b : memref<4x4xf32> as %y : tensor<4x4xf32>)
      outs(%c : memref<4x4xf32>) attributes {reads = array<i64: 0, 1>, writes = array<i64: 2>} {
    %r = nn.matmul %x, %y {layer = "fc1"} : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
    plan.yield %r : tensor<4x4xf32>
  }
  plan.group ins(%c : memref<4x4xf32> as %x : tensor<4x4xf32>, %b : memref<4x4xf32> as %y : tensor<4x4xf32>)
      outs(%a : memref<4x4xf32>) attributes {reads = array<i64: 2, 1>, writes = array<i64: 3>} {
    %r = nn.matmul %x, %y {layer = "fc2"} : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
    plan.yield %r : tensor<4x4xf32>
  }
  plan.group ins(%a : memref<4x4xf32> as %x : tensor<4x4xf32>) outs(%c : memref<4x4xf32>) {
    %r = nn.neg %x : tensor<4x4xf32>
    plan.yield %r : tensor<4x4xf32>
  }
  return
}

// CHECK: func.func private @[[MATMUL]]
// CHECK-SAME: noinline
// CHECK: plan.group
// CHECK: func.func private @group_neg

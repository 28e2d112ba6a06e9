// A guard returns 1 (NONFINITE) where the flag's byte is set; what stands behind it, writes above all, is then not done.
// RUN: nibble-opt --nibble-codegen-cpu-pipeline=cpu=generic %s | FileCheck %s

// CHECK-LABEL: func.func @step
// CHECK: %[[FLAG:.*]] = memref.load %{{.*}} : memref<1xi8>
// CHECK: %[[SET:.*]] = arith.cmpi ne, %[[FLAG]]
// CHECK: cf.cond_br %[[SET]], ^[[STOP:bb[0-9]+]], ^[[GO:bb[0-9]+]]
// CHECK: ^[[GO]]:
// CHECK: call @group_neg
// CHECK: return %{{.*}} : i32
// CHECK: ^[[STOP]]:
// CHECK: %[[ONE:.*]] = arith.constant 1 : i32
// CHECK: return %[[ONE]] : i32
func.func @step(%loss: memref<f32>, %flag: memref<1xi8>, %state: memref<f32>) -> i32 {
  plan.group ins(%loss : memref<f32> as %x : tensor<f32>) outs(%flag : memref<1xi8>) {
    %r = q4.non_finite %x {infinities} : (tensor<f32>) -> tensor<i1>
    plan.yield %r : tensor<i1>
  }
  plan.guard %flag : memref<1xi8>
  plan.group ins(%loss : memref<f32> as %x : tensor<f32>) outs(%state : memref<f32>) {
    %r = nn.neg %x : tensor<f32>
    plan.yield %r : tensor<f32>
  }
  %ok = arith.constant 0 : i32
  return %ok : i32
}

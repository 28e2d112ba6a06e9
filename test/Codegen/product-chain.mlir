// A product and the loop that reads its result: pass by pass, in scratch. 1024 rows of 512 results are 384 rows (four blocks of 96) a pass.
// RUN: nibble-opt %s --lower-groups=cpu=generic --split-input-file --verify-diagnostics | FileCheck %s

// CHECK-LABEL: func.func @rows
// CHECK: memref.view %{{.*}} : memref<4194304xi8> to memref<196608xf32>
// CHECK: scf.for %{{.*}} to %{{.*}} step %c384{{.*}} {
// CHECK: func.call @nibble_{{.*}}_store
// CHECK: scf.parallel (%{{.*}}) =
// CHECK: scf.for %[[AT:.*]] = %{{.*}} to %{{.*}} step %c32 {
// CHECK: %[[IN_PASS:.*]] = arith.subi %[[AT]], %{{.*}} : index
// CHECK-NEXT: vector.load %{{.*}}[%[[IN_PASS]]] : memref<196608xf32>, vector<32xf32>
// CHECK: vector.store %{{.*}}, %{{.*}}[%[[AT]]] : memref<524288xi16>, vector<32xi16>
func.func @rows(%x: memref<16384xi8>, %w: memref<8192xi8>, %s: memref<f32>, %y: memref<1024x512xi16>, %scratch: memref<4194304xi8>) {
  plan.group ins(%x : memref<16384xi8> as %a : tensor<1024x32x!q4.int4>, %w : memref<8192xi8> as %b : tensor<512x32x!q4.int4>, %s : memref<f32> as %c : tensor<f32>) outs(%y : memref<1024x512xi16>) scratch(%scratch : memref<4194304xi8>) {
    %z = q4.matmul %a, %b scales(%c, %c) {layer = "f", transpose_b} : (tensor<1024x32x!q4.int4>, tensor<512x32x!q4.int4>, tensor<f32>, tensor<f32>) -> tensor<1024x512xf32>
    %n = q4.narrow %z : (tensor<1024x512xf32>) -> tensor<1024x512xbf16>
    plan.yield %n : tensor<1024x512xbf16>
  }
  return
}

// -----

func.func @transposed(%x: memref<16384xi8>, %w: memref<8192xi8>, %s: memref<f32>, %y: memref<512x1024xf32>, %scratch: memref<4194304xi8>) {
  // expected-error @+1 {{holds ops beside a product that do not read its result element by element}}
  plan.group ins(%x : memref<16384xi8> as %a : tensor<1024x32x!q4.int4>, %w : memref<8192xi8> as %b : tensor<512x32x!q4.int4>, %s : memref<f32> as %c : tensor<f32>) outs(%y : memref<512x1024xf32>) scratch(%scratch : memref<4194304xi8>) {
    %z = q4.matmul %a, %b scales(%c, %c) {layer = "f", transpose_b} : (tensor<1024x32x!q4.int4>, tensor<512x32x!q4.int4>, tensor<f32>, tensor<f32>) -> tensor<1024x512xf32>
    %t = nn.transpose %z {perm = array<i64: 1, 0>} : (tensor<1024x512xf32>) -> tensor<512x1024xf32>
    plan.yield %t : tensor<512x1024xf32>
  }
  return
}

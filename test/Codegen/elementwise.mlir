// Element-wise groups are one loop over whole blocks of 32 elements: buffers are padded, so there is no remainder.
// RUN: nibble-opt --lower-groups=cpu=generic %s | FileCheck %s

// CHECK-LABEL: func.func @relu
// CHECK-SAME: (%[[X:.*]]: memref<4x10xf32>, %[[Y:.*]]: memref<4x10xf32>)
// CHECK-DAG: %[[STEP:.*]] = arith.constant 32 : index
// CHECK-DAG: %[[END:.*]] = arith.constant 64 : index
// CHECK-DAG: %[[ZERO:.*]] = arith.constant dense<0.000000e+00> : vector<32xf32>
// CHECK: %[[FLATX:.*]] = memref.reinterpret_cast %[[X]] {{.*}} to memref<64xf32>
// CHECK: %[[FLATY:.*]] = memref.reinterpret_cast %[[Y]] {{.*}} to memref<64xf32>
// CHECK: scf.for %[[I:.*]] = %{{.*}} to %[[END]] step %[[STEP]] {
// CHECK-NEXT: %[[V:.*]] = vector.load %[[FLATX]][%[[I]]]
// CHECK-NEXT: %[[NEGATIVE:.*]] = arith.cmpf olt, %[[V]], %[[ZERO]]
// CHECK-NEXT: %[[R:.*]] = arith.select %[[NEGATIVE]], %[[ZERO]], %[[V]]
// CHECK-NEXT: vector.store %[[R]], %[[FLATY]][%[[I]]]
// CHECK-NEXT: }
// CHECK-NOT: scf.for
func.func @relu(%x: memref<4x10xf32>, %y: memref<4x10xf32>) {
  plan.group ins(%x : memref<4x10xf32> as %a : tensor<4x10xf32>) outs(%y : memref<4x10xf32>) {
    %r = nn.relu %a : tensor<4x10xf32>
    plan.yield %r : tensor<4x10xf32>
  }
  return
}

// A scale is inverted once, in front of the loop; codes leave two to a byte, 16 bytes a block. No step may be fused.
// CHECK-LABEL: func.func @quantize
// CHECK: %[[S:.*]] = memref.load
// CHECK: %[[R:.*]] = arith.divf %{{.*}}, %[[S]] : f32
// CHECK: %[[RS:.*]] = vector.broadcast %[[R]] : f32 to vector<32xf32>
// CHECK: scf.for
// CHECK-NOT: arith.divf
// CHECK: arith.mulf %{{.*}}, %[[RS]] : vector<32xf32>
// CHECK: arith.trunci %{{.*}} : vector<32xi32> to vector<32xi8>
// CHECK: vector.store %{{.*}} : memref<128xi8>, vector<16xi8>
// CHECK-NOT: fastmath
func.func @quantize(%x: memref<96xf32>, %s: memref<f32>, %q: memref<128xi8>) {
  plan.group ins(%x : memref<96xf32> as %a : tensor<96xf32>, %s : memref<f32> as %b : tensor<f32>) outs(%q : memref<128xi8>) {
    %c = q4.quantize %a, %b {qmin = -7 : i32, qmax = 7 : i32} : (tensor<96xf32>, tensor<f32>) -> tensor<96x!q4.int4>
    plan.yield %c : tensor<96x!q4.int4>
  }
  return
}

// Large groups are chunks of 16,384 elements on several threads; the last one ends where the buffer does.
// CHECK-LABEL: func.func @large
// CHECK-DAG: %[[CHUNKS:.*]] = arith.constant 3 : index
// CHECK-DAG: %[[CHUNK:.*]] = arith.constant 16384 : index
// CHECK-DAG: %[[END:.*]] = arith.constant 40000 : index
// CHECK: scf.parallel (%[[C:.*]]) = (%{{.*}}) to (%[[CHUNKS]])
// CHECK: %[[LO:.*]] = arith.muli %[[C]], %[[CHUNK]]
// CHECK: %[[HI:.*]] = arith.addi %[[LO]], %[[CHUNK]]
// CHECK: %[[LAST:.*]] = arith.minsi %[[HI]], %[[END]]
// CHECK: scf.for %{{.*}} = %[[LO]] to %[[LAST]]
func.func @large(%x: memref<40000xf32>, %y: memref<40000xf32>) {
  plan.group ins(%x : memref<40000xf32> as %a : tensor<40000xf32>) outs(%y : memref<40000xf32>) {
    %r = nn.neg %a : tensor<40000xf32>
    plan.yield %r : tensor<40000xf32>
  }
  return
}

// A vector of 10 repeats: it is laid out 42 elements long in scratch, so that a block can be read from any place.
// CHECK-LABEL: func.func @bias
// CHECK: %[[TABLE:.*]] = memref.view %{{.*}} to memref<42xf32>
// CHECK: %[[TEN:.*]] = arith.remui %{{.*}} : index
// CHECK: vector.load %[[TABLE]][%[[TEN]]] : memref<42xf32>, vector<32xf32>
func.func @bias(%x: memref<64x10xf32>, %b: memref<10xf32>, %y: memref<64x10xf32>, %s: memref<256xi8>) {
  plan.group ins(%x : memref<64x10xf32> as %a : tensor<64x10xf32>, %b : memref<10xf32> as %c : tensor<10xf32>)
      outs(%y : memref<64x10xf32>) scratch(%s : memref<256xi8>) {
    %r = nn.add %a, %c : (tensor<64x10xf32>, tensor<10xf32>) -> tensor<64x10xf32>
    plan.yield %r : tensor<64x10xf32>
  }
  return
}

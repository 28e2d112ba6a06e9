// Three ways to the range of X: the learned clip (insert-quantizers.mlir), this round's maximum, this round's minimum and maximum;
// frozen in evaluation. int8 takes the maximum.
// RUN: nibble-opt %s --insert-quantizers=recipe=w4a4,activations=dynamic | FileCheck %s --check-prefixes=CHECK,DYN
// RUN: nibble-opt %s --insert-quantizers=recipe=w4a4 | FileCheck %s --check-prefixes=CHECK,PACT

module {
  train.variable @w : tensor<8x8xf32> {role = #train.role<weight>, trainable}
  // CHECK-DAG: train.variable @first.range_lo : tensor<f32> {role = #train.role<range>}
  // CHECK-DAG: train.variable @first.range_hi : tensor<f32> {role = #train.role<range>}
  // CHECK-DAG: train.variable @wide.range : tensor<f32> {role = #train.role<range>}
  // DYN-DAG: train.variable @second.range : tensor<f32> {role = #train.role<range>}

  // CHECK-LABEL: @train_step(
  // CHECK-SAME: %[[IN:.*]]: tensor<4x8xf32>
  func.func @train_step(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
    %w = train.read @w : tensor<8x8xf32>
    %alpha = arith.constant dense<1.0> : tensor<f32>
    // Data of the network has a range, whatever the recipe's way is; both ends keep a moving average.
    // CHECK: %[[LO:.*]], %[[HI:.*]] = q4.range %[[IN]]
    // CHECK: %[[LOS:.*]] = train.read @first.range_lo
    // CHECK: %[[HIS:.*]] = train.read @first.range_hi
    // CHECK: %[[UNSET:.*]] = nn.compare %[[LOS]], %[[HIS]] {predicate = #nn.cmp<eq>}
    // CHECK: %[[NEWLO:.*]] = nn.select %[[UNSET]], %[[LO]],
    // CHECK: %[[NEWHI:.*]] = nn.select %[[UNSET]], %[[HI]],
    // CHECK: %[[S:.*]], %[[Z:.*]] = q4.affine_scale %[[LO]], %[[HI]]
    // CHECK: q4.quantize %[[IN]], %[[S]] zero_point(%[[Z]]) {qmax = 7 : i32, qmin = -8 : i32}
    %a = nn.matmul %x, %w {layer = "first", precision = #nn.precision<int4>} : (tensor<4x8xf32>, tensor<8x8xf32>) -> tensor<4x8xf32>
    // A value that may be negative: ±7; here clipped, so the clip's own bound where the recipe is pact.
    %c = nn.clip_learned %a, %alpha : (tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xf32>
    // CHECK: %[[C:.*]] = nn.clip_learned
    // DYN: %[[STATE:.*]] = train.read @second.range
    // DYN: %[[MAX:.*]] = q4.absmax %[[C]]
    // DYN: %[[MOVED:.*]] = q4.moving_range %[[STATE]], %[[MAX]]
    // DYN: q4.scale %[[MAX]] {divisor = 7.000000e+00 : f32}
    // PACT: q4.scale %cst {divisor = 7.000000e+00 : f32}
    // CHECK: q4.quantize %[[C]], %{{[^ ]*}} {qmax = 7 : i32, qmin = -7 : i32}
    %b = nn.matmul %c, %w {layer = "second", precision = #nn.precision<int4>} : (tensor<4x8xf32>, tensor<8x8xf32>) -> tensor<4x8xf32>
    // Provably not negative: sixteen steps from 0.
    %r = nn.relu %b : tensor<4x8xf32>
    // CHECK: %[[R:.*]] = nn.relu
    // CHECK: %[[RMAX:.*]] = q4.absmax %[[R]]
    // CHECK: q4.scale %[[RMAX]] {divisor = 1.500000e+01 : f32}
    // CHECK: q4.quantize %[[R]], %{{.*}} zero_point({{.*}}) {qmax = 7 : i32, qmin = -8 : i32}
    %d = nn.matmul %r, %w {layer = "third", precision = #nn.precision<int4>} : (tensor<4x8xf32>, tensor<8x8xf32>) -> tensor<4x8xf32>
    // int8: symmetric, to nearest, for both operands.
    // CHECK: %[[DMAX:.*]] = q4.absmax
    // CHECK: q4.scale %[[DMAX]] {divisor = 1.270000e+02 : f32}
    // CHECK: q4.quantize {{.*}} {qmax = 127 : i32, qmin = -127 : i32}{{.*}}!q4.int8
    // CHECK: q4.absmax
    // CHECK: q4.quantize {{.*}} {qmax = 127 : i32, qmin = -127 : i32}{{.*}}!q4.int8
    // CHECK: q4.matmul {{.*}}precision = #nn.precision<int8>, reason = "last layer"
    %e = nn.matmul %d, %w {layer = "wide", precision = #nn.precision<int8>, reason = "last layer"} : (tensor<4x8xf32>, tensor<8x8xf32>) -> tensor<4x8xf32>
    // CHECK: train.write @first.range_lo, %[[NEWLO]]
    // CHECK: train.write @first.range_hi, %[[NEWHI]]
    // DYN: train.write @second.range, %[[MOVED]]
    return %e : tensor<4x8xf32>
  }
  // CHECK-LABEL: @eval_step(
  func.func @eval_step(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
    %w = train.read @w : tensor<8x8xf32>
    // The kept ends where they are set, else this batch's; either way they are what is kept.
    // CHECK: %[[LO:.*]], %[[HI:.*]] = q4.range
    // CHECK: %[[USELO:.*]] = nn.select %{{.*}}, %[[LO]],
    // CHECK: %[[USEHI:.*]] = nn.select %{{.*}}, %[[HI]],
    // CHECK: q4.affine_scale %[[USELO]], %[[USEHI]]
    %a = nn.matmul %x, %w {layer = "first", precision = #nn.precision<int4>} : (tensor<4x8xf32>, tensor<8x8xf32>) -> tensor<4x8xf32>
    // CHECK: %[[STATE:.*]] = train.read @wide.range
    // CHECK: %[[MAX:.*]] = q4.frozen_range %[[STATE]],
    // CHECK: q4.scale %[[MAX]] {divisor = 1.270000e+02 : f32}
    %e = nn.matmul %a, %w {layer = "wide", precision = #nn.precision<int8>, reason = "last layer"} : (tensor<4x8xf32>, tensor<8x8xf32>) -> tensor<4x8xf32>
    // CHECK: train.write @first.range_lo, %[[USELO]]
    // CHECK: train.write @first.range_hi, %[[USEHI]]
    // CHECK: train.write @wide.range, %[[MAX]]
    return %e : tensor<4x8xf32>
  }
}

// Element-wise ops over one number of elements become one loop nest where no dependence forbids it.
// RUN: nibble-opt %s --split-input-file --form-groups | FileCheck %s

// A producer, its consumer, and a sibling that reads the same value share one group.
// CHECK-LABEL: @producer_and_sibling
// CHECK: plan.fused
// CHECK-NEXT: nn.relu
// CHECK-NEXT: nn.compare
// CHECK-NEXT: nn.neg
// CHECK-NEXT: plan.yield
// CHECK-NOT: plan.fused
func.func @producer_and_sibling(%x: tensor<4x32xf32>) -> (tensor<4x32xf32>, tensor<4x32xi1>, tensor<4x32xf32>) {
  %y = nn.relu %x : tensor<4x32xf32>
  %m = nn.compare %x, %y {predicate = #nn.cmp<gt>} : (tensor<4x32xf32>, tensor<4x32xf32>) -> tensor<4x32xi1>
  %n = nn.neg %y : tensor<4x32xf32>
  return %y, %m, %n : tensor<4x32xf32>, tensor<4x32xi1>, tensor<4x32xf32>
}

// -----

// The last op needs the maximum of the first: one loop could not compute both, but the maximum rides in the first.
// CHECK-LABEL: @a_reduction_between
// CHECK: plan.fused
// CHECK-NEXT: nn.relu
// CHECK-NEXT: q4.absmax
// CHECK: plan.fused
// CHECK-NEXT: nn.mul
func.func @a_reduction_between(%x: tensor<4x32xf32>) -> tensor<4x32xf32> {
  %y = nn.relu %x : tensor<4x32xf32>
  %a = q4.absmax %y : (tensor<4x32xf32>) -> tensor<f32>
  %z = nn.mul %y, %a : (tensor<4x32xf32>, tensor<f32>) -> tensor<4x32xf32>
  return %z : tensor<4x32xf32>
}

// -----

// A reshape between element-wise ops moves nothing and stays inside the group.
// CHECK-LABEL: @through_a_reshape
// CHECK: plan.fused
// CHECK-NEXT: nn.relu
// CHECK-NEXT: nn.reshape
// CHECK-NEXT: nn.neg
// CHECK-NEXT: plan.yield
func.func @through_a_reshape(%x: tensor<4x32xf32>) -> tensor<128xf32> {
  %y = nn.relu %x : tensor<4x32xf32>
  %r = nn.reshape %y : (tensor<4x32xf32>) -> tensor<128xf32>
  %z = nn.neg %r : tensor<128xf32>
  return %z : tensor<128xf32>
}

// -----

// Nothing crosses the guard, and what was kept for the backward pass is told: 128 four-bit codes and 128 bits are 80 bytes.
// CHECK-LABEL: @guard_and_saved_bytes
// CHECK-SAME: nibble.saved_bytes = 80 : i64
// CHECK: nn.neg
// CHECK: train.guard
// CHECK: plan.fused
// CHECK-NEXT: nn.abs
func.func @guard_and_saved_bytes(%x: tensor<128xf32>, %q: tensor<128x!q4.int4>, %m: tensor<128xi1>, %f: tensor<i1>)
    -> (tensor<128x!q4.int4>, tensor<128xi1>, tensor<128xf32>, tensor<128xf32>) {
  %s = train.save %q : tensor<128x!q4.int4>
  %t = train.save %m : tensor<128xi1>
  %y = nn.neg %x : tensor<128xf32>
  train.guard %f : tensor<i1>
  %z = nn.abs %x : tensor<128xf32>
  return %s, %t, %y, %z : tensor<128x!q4.int4>, tensor<128xi1>, tensor<128xf32>, tensor<128xf32>
}

// -----

// A maximum, a flag and counts ride in the loop that makes what they fold; who reads what they give comes in a later group.
// CHECK-LABEL: @folds_ride_along
// CHECK: plan.fused
// CHECK-NEXT: nn.relu
// CHECK-NEXT: q4.absmax
// CHECK-NEXT: q4.non_finite
// CHECK-NEXT: plan.yield
// CHECK: plan.fused
// CHECK-NEXT: q4.scale
// CHECK: plan.fused
// CHECK-NEXT: q4.quantize
// CHECK-NEXT: q4.code_counts
// CHECK-NEXT: plan.yield
func.func @folds_ride_along(%x: tensor<4x32xf32>) -> (tensor<4x32x!q4.int4>, tensor<2xi32>, tensor<i1>) {
  %y = nn.relu %x : tensor<4x32xf32>
  %m = q4.absmax %y : (tensor<4x32xf32>) -> tensor<f32>
  %f = q4.non_finite %y : (tensor<4x32xf32>) -> tensor<i1>
  %s = q4.scale %m {divisor = 7.0 : f32} : (tensor<f32>) -> tensor<f32>
  %q = q4.quantize %y, %s {qmin = -7 : i32, qmax = 7 : i32} : (tensor<4x32xf32>, tensor<f32>) -> tensor<4x32x!q4.int4>
  %c = q4.code_counts %q : (tensor<4x32x!q4.int4>) -> tensor<2xi32>
  return %q, %c, %f : tensor<4x32x!q4.int4>, tensor<2xi32>, tensor<i1>
}

// -----

// What reads a decoded value decodes it, each for itself: in a loop, and in a reduction that can; the reals are not in memory.
// CHECK-LABEL: @each_reader_decodes
// CHECK: %[[N:.*]]:3 = plan.fused {{.*}} -> (tensor<4x32xbf16>, tensor<32xf32>, tensor<32xf32>)
// CHECK-NEXT: q4.narrow
// CHECK-NEXT: q4.widen
// CHECK-NEXT: nn.batch_norm_grad
// CHECK: plan.fused {{.*}}%[[N]]#0 as
// CHECK-NEXT: q4.widen
// CHECK-NEXT: nn.fma
func.func @each_reader_decodes(%z: tensor<4x32xf32>, %dy: tensor<4x32xf32>, %c: tensor<32xf32>) -> tensor<4x32xf32> {
  %n = q4.narrow %z : (tensor<4x32xf32>) -> tensor<4x32xbf16>
  %w = q4.widen %n : (tensor<4x32xbf16>) -> tensor<4x32xf32>
  %g:5 = nn.batch_norm_grad %dy, %w, %c, %c, %c : (tensor<4x32xf32>, tensor<4x32xf32>, tensor<32xf32>, tensor<32xf32>, tensor<32xf32>) -> (tensor<32xf32>, tensor<32xf32>, tensor<32xf32>, tensor<32xf32>, tensor<32xf32>)
  %y = nn.fma %g#1, %w, %g#2 : (tensor<32xf32>, tensor<4x32xf32>, tensor<32xf32>) -> tensor<4x32xf32>
  return %y : tensor<4x32xf32>
}

// -----

// A product reads reals: they are made once, in a loop of their own.
// CHECK-LABEL: @a_reader_that_cannot
// CHECK: plan.fused
// CHECK-NEXT: q4.widen
// CHECK-NEXT: plan.yield
// CHECK: plan.fused
// CHECK-NEXT: nn.matmul
func.func @a_reader_that_cannot(%n: tensor<4x32xbf16>, %w: tensor<32x8xf32>) -> tensor<4x8xf32> {
  %x = q4.widen %n : (tensor<4x32xbf16>) -> tensor<4x32xf32>
  %y = nn.matmul %x, %w : (tensor<4x32xf32>, tensor<32x8xf32>) -> tensor<4x8xf32>
  return %y : tensor<4x8xf32>
}

// -----

// A derivative at a saved value does not go to the loop that narrows the value: its four bytes would be kept in place of the two.
// Begun for itself, it becomes one with the loop of the gradient that the next op meets it with.
// CHECK-LABEL: @loops_that_meet
// CHECK: plan.fused {{.*}} -> (tensor<4x32xbf16>)
// CHECK-NEXT: q4.narrow
// CHECK-NEXT: plan.yield
// CHECK: plan.fused {{.*}} -> (tensor<4x32xf32>)
// CHECK-NEXT: nn.relu
// CHECK-NEXT: q4.widen
// CHECK-NEXT: nn.exp
// CHECK-NEXT: nn.mul
// CHECK-NEXT: plan.yield
// CHECK-NOT: plan.fused
func.func @loops_that_meet(%z: tensor<4x32xf32>, %dy: tensor<4x32xf32>) -> tensor<4x32xf32> {
  %n = q4.narrow %z : (tensor<4x32xf32>) -> tensor<4x32xbf16>
  %g = nn.relu %dy : tensor<4x32xf32>
  %w = q4.widen %n : (tensor<4x32xbf16>) -> tensor<4x32xf32>
  %e = nn.exp %w : tensor<4x32xf32>
  %d = nn.mul %g, %e : (tensor<4x32xf32>, tensor<4x32xf32>) -> tensor<4x32xf32>
  return %d : tensor<4x32xf32>
}

// -----

// Not where something between them needs the first: the sum has to be there before the second loop begins.
// CHECK-LABEL: @loops_apart
// CHECK: plan.fused
// CHECK-NEXT: nn.exp
// CHECK-NEXT: plan.yield
// CHECK: nn.reduce_sum
// CHECK: plan.fused
// CHECK-NEXT: nn.mul
// CHECK-NEXT: nn.add
func.func @loops_apart(%x: tensor<4x32xf32>, %y: tensor<4x32xf32>) -> tensor<4x32xf32> {
  %e = nn.exp %x : tensor<4x32xf32>
  %r = nn.reduce_sum %e {axes = array<i64: 0, 1>} : (tensor<4x32xf32>) -> tensor<1x1xf32>
  %s = nn.reshape %r : (tensor<1x1xf32>) -> tensor<f32>
  %m = nn.mul %y, %s : (tensor<4x32xf32>, tensor<f32>) -> tensor<4x32xf32>
  %a = nn.add %e, %m : (tensor<4x32xf32>, tensor<4x32xf32>) -> tensor<4x32xf32>
  return %a : tensor<4x32xf32>
}

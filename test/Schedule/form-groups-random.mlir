// Random bits are made where they are read, in registers; bits that two groups read go to memory once.
// RUN: nibble-opt %s --split-input-file --form-groups | FileCheck %s

// CHECK-LABEL: @in_the_group_that_reads_them
// CHECK: plan.fused
// CHECK-NEXT: nn.neg
// CHECK-NEXT: train.random_bits
// CHECK-NEXT: q4.quantize
// CHECK-NEXT: plan.yield
// CHECK-NOT: plan.fused
func.func @in_the_group_that_reads_them(%x: tensor<4x32xf32>, %s: tensor<f32>, %rng: tensor<2xi64>)
    -> tensor<4x32x!q4.int4> {
  %u = train.random_bits %rng {stream = 1 : i32} : (tensor<2xi64>) -> tensor<4x32xi16>
  %y = nn.neg %x : tensor<4x32xf32>
  %q = q4.quantize %y, %s noise(%u) {qmin = -7 : i32, qmax = 7 : i32}
    : (tensor<4x32xf32>, tensor<f32>, tensor<4x32xi16>) -> tensor<4x32x!q4.int4>
  return %q : tensor<4x32x!q4.int4>
}

// -----

// The second mask needs a number that only the first one's group gives: two groups read the bits, which are made before both.
// CHECK-LABEL: @two_groups_read_them
// CHECK: plan.fused
// CHECK-NEXT: train.random_bits
// CHECK-NEXT: plan.yield
// CHECK: plan.fused
// CHECK-NEXT: nn.keep_mask
// CHECK: plan.fused
// CHECK-NEXT: q4.quantize
func.func @two_groups_read_them(%x: tensor<4x32xf32>, %rng: tensor<2xi64>) -> tensor<4x32x!q4.int4> {
  %u = train.random_bits %rng {stream = 1 : i32} : (tensor<2xi64>) -> tensor<4x32xi16>
  %m = nn.keep_mask %u {ratio = 0.5 : f32} : (tensor<4x32xi16>) -> tensor<4x32xi1>
  %y = nn.mask %x, %m : (tensor<4x32xf32>, tensor<4x32xi1>) -> tensor<4x32xf32>
  %a = q4.absmax %y : (tensor<4x32xf32>) -> tensor<f32>
  %q = q4.quantize %y, %a noise(%u) {qmin = -7 : i32, qmax = 7 : i32}
    : (tensor<4x32xf32>, tensor<f32>, tensor<4x32xi16>) -> tensor<4x32x!q4.int4>
  return %q : tensor<4x32x!q4.int4>
}

// -----

// Rows of 128 channels: bits are made in the loop that sums them; of 96 they lie in memory.
// CHECK-LABEL: @beside_a_sum
// CHECK: plan.fused
// CHECK-NEXT: nn.channel_sum
// CHECK-NEXT: train.random_bits
// CHECK-NEXT: q4.quantize
// CHECK: plan.fused
// CHECK-NEXT: train.random_bits
// CHECK-NEXT: plan.yield
// CHECK: nn.channel_sum
// CHECK-NEXT: q4.quantize
func.func @beside_a_sum(%x: tensor<4x128xf32>, %y: tensor<4x96xf32>, %s: tensor<f32>, %rng: tensor<2xi64>)
    -> (tensor<128xf32>, tensor<4x128x!q4.int4>, tensor<96xf32>, tensor<4x96x!q4.int4>) {
  %u = train.random_bits %rng {stream = 1 : i32} : (tensor<2xi64>) -> tensor<4x128xi16>
  %c = nn.channel_sum %x : (tensor<4x128xf32>) -> tensor<128xf32>
  %q = q4.quantize %x, %s noise(%u) {qmin = -7 : i32, qmax = 7 : i32}
    : (tensor<4x128xf32>, tensor<f32>, tensor<4x128xi16>) -> tensor<4x128x!q4.int4>
  %v = train.random_bits %rng {stream = 2 : i32} : (tensor<2xi64>) -> tensor<4x96xi16>
  %d = nn.channel_sum %y : (tensor<4x96xf32>) -> tensor<96xf32>
  %p = q4.quantize %y, %s noise(%v) {qmin = -7 : i32, qmax = 7 : i32}
    : (tensor<4x96xf32>, tensor<f32>, tensor<4x96xi16>) -> tensor<4x96x!q4.int4>
  return %c, %q, %d, %p : tensor<128xf32>, tensor<4x128x!q4.int4>, tensor<96xf32>, tensor<4x96x!q4.int4>
}

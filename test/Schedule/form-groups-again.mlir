// What cheap ops make from what is in memory anyway is made again by the groups that read it, where that moves fewer bytes.
// RUN: nibble-opt %s --split-input-file --form-groups | FileCheck %s

// The first sweep finds the maximum and stores nothing: 2 writes and 1 read of 4 bytes an element would be more than to read the
// gradient and its mask, 4 1/8 bytes, again.
// CHECK-LABEL: @a_maximum_between
// CHECK: plan.fused
// CHECK-NEXT: nn.mask
// CHECK-NEXT: q4.absmax
// CHECK-NEXT: plan.yield %{{.*}} : tensor<f32>
// CHECK: plan.fused
// CHECK-NEXT: nn.mask
// CHECK-NEXT: nn.mul
func.func @a_maximum_between(%g: tensor<512x256xf32>, %m: tensor<512x256xi1>) -> tensor<512x256xf32> {
  %y = nn.mask %g, %m : (tensor<512x256xf32>, tensor<512x256xi1>) -> tensor<512x256xf32>
  %a = q4.absmax %y : (tensor<512x256xf32>) -> tensor<f32>
  %z = nn.mul %y, %a : (tensor<512x256xf32>, tensor<f32>) -> tensor<512x256xf32>
  return %z : tensor<512x256xf32>
}

// -----

// Four operands are 16 bytes to read again, 12 to store: stored. A logarithm is not cheap, a result of the function is in memory,
// and what is small stays in caches.
// CHECK-LABEL: @stored
// CHECK-COUNT-3: nn.add
// CHECK: nn.log
// CHECK-NOT: nn.add
// CHECK-NOT: nn.log
// CHECK: return
func.func @stored(%p: tensor<512x256xf32>, %q: tensor<512x256xf32>, %r: tensor<512x256xf32>, %s: tensor<512x256xf32>)
    -> (tensor<512x256xf32>, tensor<512x256xf32>) {
  %0 = nn.add %p, %q : (tensor<512x256xf32>, tensor<512x256xf32>) -> tensor<512x256xf32>
  %1 = nn.add %r, %s : (tensor<512x256xf32>, tensor<512x256xf32>) -> tensor<512x256xf32>
  %2 = nn.add %0, %1 : (tensor<512x256xf32>, tensor<512x256xf32>) -> tensor<512x256xf32>
  %a = q4.absmax %2 : (tensor<512x256xf32>) -> tensor<f32>
  %l = nn.log %p : tensor<512x256xf32>
  %b = q4.absmax %l : (tensor<512x256xf32>) -> tensor<f32>
  %3 = nn.mul %2, %a : (tensor<512x256xf32>, tensor<f32>) -> tensor<512x256xf32>
  %4 = nn.mul %l, %b : (tensor<512x256xf32>, tensor<f32>) -> tensor<512x256xf32>
  return %3, %4 : tensor<512x256xf32>, tensor<512x256xf32>
}

// -----

// A learned clip reads the tensor only before it is set: it gets a copy of what makes it, and nobody waits for it. So one sweep
// goes from the product to codes.
// CHECK-LABEL: @a_clip_that_is_set
// CHECK: plan.fused
// CHECK-NEXT: nn.relu
// CHECK-NEXT: q4.init_clip
// CHECK-NEXT: plan.yield
// CHECK: plan.fused
// CHECK-NEXT: nn.relu
// CHECK-NEXT: nn.clip_learned
// CHECK-NEXT: plan.yield
// CHECK-NOT: plan.fused
func.func @a_clip_that_is_set(%x: tensor<4x32xf32>, %alpha: tensor<f32>) -> tensor<4x32xf32> {
  %y = nn.relu %x : tensor<4x32xf32>
  %c = q4.init_clip %alpha, %y {init = 0.0 : f32, floor = 0.001 : f32} : (tensor<f32>, tensor<4x32xf32>) -> tensor<f32>
  %z = nn.clip_learned %y, %c {one_sided} : (tensor<4x32xf32>, tensor<f32>) -> tensor<4x32xf32>
  return %z : tensor<4x32xf32>
}

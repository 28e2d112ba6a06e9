// Each rule of the policy once: first and last layer, shortcut, depthwise, two activations, --keep-float; the rest is int4.
// RUN: nibble-opt %s --assign-precision=recipe=ibm,keep-float=^head --split-input-file | FileCheck %s
// RUN: nibble-opt %s --assign-precision=recipe=luq,first-last=int4,shortcuts=float --split-input-file | FileCheck %s --check-prefix=EDGE
// RUN: nibble-opt %s --assign-precision=recipe=f32 --split-input-file | FileCheck %s --check-prefix=FLOAT
// RUN: nibble-opt %s --assign-precision=recipe=luq,attention=int4 --split-input-file | FileCheck %s --check-prefix=ATTN

// CHECK: nibble.recipe = "name=ibm,weights=sawb,
// CHECK-SAME: keep-float=^head"
module {
  train.variable @w1 : tensor<4x3x3x4xf32> {role = #train.role<weight>, trainable}
  train.variable @w2 : tensor<8x3x3x4xf32> {role = #train.role<weight>, trainable}
  train.variable @ws : tensor<8x1x1x4xf32> {role = #train.role<weight>, trainable}
  train.variable @wd : tensor<8x3x3x1xf32> {role = #train.role<weight>, trainable}
  train.variable @wk : tensor<8x1x1x8xf32> {role = #train.role<weight>, trainable, onnx_name = "head.proj"}
  train.variable @wl : tensor<8x3x3x8xf32> {role = #train.role<weight>, trainable}
  func.func @forward(%x: tensor<1x4x4x4xf32>) -> tensor<1x4x4x8xf32> {
    %w1 = train.read @w1 : tensor<4x3x3x4xf32>
    %w2 = train.read @w2 : tensor<8x3x3x4xf32>
    %ws = train.read @ws : tensor<8x1x1x4xf32>
    %wd = train.read @wd : tensor<8x3x3x1xf32>
    %wk = train.read @wk : tensor<8x1x1x8xf32>
    %wl = train.read @wl : tensor<8x3x3x8xf32>
    // CHECK: layer = "stem"{{.*}}precision = #nn.precision<int8>, reason = "first layer"
    // EDGE: layer = "stem"{{.*}}precision = #nn.precision<int4>
    // EDGE-NOT: reason
    // FLOAT: layer = "stem"{{.*}}precision = #nn.precision<float>, reason = "recipe f32 multiplies floats"
    %0 = nn.conv2d %x, %w1 {layer = "stem", strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>} : (tensor<1x4x4x4xf32>, tensor<4x3x3x4xf32>) -> tensor<1x4x4x4xf32>
    %1 = nn.relu %0 : tensor<1x4x4x4xf32>
    // CHECK: layer = "main"{{.*}}precision = #nn.precision<int4>
    // CHECK-NOT: reason
    // EDGE: layer = "main"{{.*}}precision = #nn.precision<int4>
    %2 = nn.conv2d %1, %w2 {layer = "main", strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>} : (tensor<1x4x4x4xf32>, tensor<8x3x3x4xf32>) -> tensor<1x4x4x8xf32>
    // The projection beside it changes the channels. The block's own 1x1 convolutions would not be shortcuts.
    // CHECK: layer = "projection"{{.*}}precision = #nn.precision<int8>, reason = "shortcut convolution"
    // EDGE: layer = "projection"{{.*}}precision = #nn.precision<float>, reason = "shortcut convolution"
    %3 = nn.conv2d %1, %ws {layer = "projection", strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x4x4x4xf32>, tensor<8x1x1x4xf32>) -> tensor<1x4x4x8xf32>
    %4 = nn.add %2, %3 : (tensor<1x4x4x8xf32>, tensor<1x4x4x8xf32>) -> tensor<1x4x4x8xf32>
    // CHECK: layer = "depthwise"{{.*}}precision = #nn.precision<float>, reason = "depthwise convolution"
    // EDGE: layer = "depthwise"{{.*}}precision = #nn.precision<float>, reason = "depthwise convolution"
    %5 = nn.conv2d %4, %wd {layer = "depthwise", strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, groups = 8} : (tensor<1x4x4x8xf32>, tensor<8x3x3x1xf32>) -> tensor<1x4x4x8xf32>
    // CHECK: layer = "kept"{{.*}}precision = #nn.precision<float>, reason = "--keep-float=^head"
    // EDGE: layer = "kept"{{.*}}precision = #nn.precision<int4>
    %6 = nn.conv2d %5, %wk {layer = "kept", strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x4x4x8xf32>, tensor<8x1x1x8xf32>) -> tensor<1x4x4x8xf32>
    // CHECK: layer = "end"{{.*}}precision = #nn.precision<int8>, reason = "last layer"
    // FLOAT: layer = "end"{{.*}}precision = #nn.precision<float>
    %7 = nn.conv2d %6, %wl {layer = "end", strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>} : (tensor<1x4x4x8xf32>, tensor<8x3x3x8xf32>) -> tensor<1x4x4x8xf32>
    return %7 : tensor<1x4x4x8xf32>
  }
}

// -----

module {
  train.variable @w : tensor<4x4xf32> {role = #train.role<weight>, trainable}
  func.func @forward(%x: tensor<4x4xf32>) -> tensor<4x4xf32> {
    %w = train.read @w : tensor<4x4xf32>
    // CHECK: layer = "in"{{.*}}reason = "first layer"
    %0 = nn.matmul %x, %w {layer = "in"} : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
    // CHECK: layer = "scores"{{.*}}precision = #nn.precision<int8>, reason = "attention product"
    %1 = nn.matmul %0, %x {layer = "scores"} : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
    // CHECK: layer = "left"{{.*}}precision = #nn.precision<float>, reason = "the weight is the left operand"
    %2 = nn.matmul %w, %1 {layer = "left"} : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
    return %2 : tensor<4x4xf32>
  }
}

// -----

module {
  train.variable @w : tensor<4x4xf32> {role = #train.role<weight>, trainable}
  func.func @forward(%x: tensor<4x4xf32>) -> tensor<4x4xf32> {
    %w = train.read @w : tensor<4x4xf32>
    // CHECK: layer = "only"{{.*}}reason = "first and last layer"
    %0 = nn.matmul %x, %w {layer = "only"} : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
    return %0 : tensor<4x4xf32>
  }
}

// -----

// Stacks of matrices: four bits on request, where matrices begin at whole blocks of 32 codes.
module {
  train.variable @w : tensor<8x8xf32> {role = #train.role<weight>, trainable}
  func.func @forward(%x: tensor<2x8x8xf32>) -> tensor<2x8x6xf32> {
    %w = train.read @w : tensor<8x8xf32>
    %r = nn.reshape %x : (tensor<2x8x8xf32>) -> tensor<16x8xf32>
    %0 = nn.matmul %r, %w {layer = "in"} : (tensor<16x8xf32>, tensor<8x8xf32>) -> tensor<16x8xf32>
    %q = nn.reshape %0 : (tensor<16x8xf32>) -> tensor<2x8x8xf32>
    // ATTN: layer = "whole", precision = #nn.precision<int4>, transpose_b
    %1 = nn.matmul %q, %x {layer = "whole", transpose_b} : (tensor<2x8x8xf32>, tensor<2x8x8xf32>) -> tensor<2x8x8xf32>
    %s = nn.slice %x {starts = array<i64: 0, 0, 0>, steps = array<i64: 1, 1, 1>} : (tensor<2x8x8xf32>) -> tensor<2x8x6xf32>
    // ATTN: layer = "cut"{{.*}}precision = #nn.precision<int8>, reason = "its stacked matrices are no multiples of 32 elements"
    %2 = nn.matmul %1, %s {layer = "cut"} : (tensor<2x8x8xf32>, tensor<2x8x6xf32>) -> tensor<2x8x6xf32>
    return %2 : tensor<2x8x6xf32>
  }
}

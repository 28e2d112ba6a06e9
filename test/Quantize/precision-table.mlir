// The table says, read off the IR, what each product runs in and why what is above 4 bits is; then what is kept for backward.
// RUN: nibble-opt %S/Inputs/layer.mlir --nibble-quantize-pipeline=recipe=w4a4 --print-precision-table -o /dev/null | FileCheck %s
// RUN: nibble-opt %S/Inputs/layer.mlir --nibble-quantize-pipeline=recipe=ibm --print-precision-table -o /dev/null | FileCheck %s --check-prefix=IBM
// RUN: nibble-opt %s --print-precision-table -o /dev/null | FileCheck %s --check-prefix=NONE

// CHECK:      layer  op      product     operands           bits  multiply-adds  why not 4
// CHECK-NEXT: fc     matmul  Y = X W     int4 x int4           4            192
// CHECK-NEXT:                dX = dY W'  f32 x f32 of int4    32            192  gradient float (recipe)
// CHECK-NEXT:                dW = X' dY  f32 x f32 of int4    32            192  gradient float (recipe)
// CHECK-NEXT: 33.3 % of 576 multiply-adds run in 4 bits
// CHECK-NOT: warning
// CHECK: kept from forward to backward:
// 32 codes of X, 32 pass bits, 48 codes of W, two scales.
// CHECK-DAG: 16 B  tensor<4x8x!q4.int4>
// CHECK-DAG: 4 B  tensor<4x8xi1>
// CHECK-DAG: 24 B  tensor<6x8x!q4.int4>
// CHECK: 52 B  in all

// IBM: 100.0 % of 576 multiply-adds run in 4 bits

// NONE: only   conv2d  Y = X W     f32 x f32    32             72  kept float
// NONE-NEXT:           dX = dY W'  -             -              -  not computed: nothing before this layer is trained
// NONE-NEXT:           dW = X' dY  -             -              -  not computed: the weight is not trained
// NONE: warning: no product of this step runs in 4 bits
func.func @train_step(%x: tensor<1x2x2x2xf32>, %w: tensor<2x3x3x2xf32>) -> tensor<1x1x2x2xf32> {
  %y = nn.conv2d %x, %w {layer = "only", precision = #nn.precision<float>, reason = "kept float", strides = array<i64: 1, 1>,
      pads = array<i64: 0, 1, 1, 1>, dilations = array<i64: 1, 1>} : (tensor<1x2x2x2xf32>, tensor<2x3x3x2xf32>) -> tensor<1x1x2x2xf32>
  return %y : tensor<1x1x2x2xf32>
}

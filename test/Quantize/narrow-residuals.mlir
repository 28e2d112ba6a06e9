// What the backward pass keeps of a batch norm's input: bf16, which forward reads too; or codes of the normalized value, for the
// gradient alone; or the value itself. The other real value that is kept is a bf16 copy in each case but the last.
// RUN: nibble-opt %s --narrow-residuals=recipe=luq | FileCheck %s --check-prefixes=ALL,BF16
// RUN: nibble-opt %s --narrow-residuals=recipe=luq,residuals=int8 --cse | FileCheck %s --check-prefixes=ALL,CODES,INT8
// RUN: nibble-opt %s --narrow-residuals=recipe=luq,residuals=int4 --cse | FileCheck %s --check-prefixes=ALL,CODES,INT4
// RUN: nibble-opt %s --narrow-residuals=recipe=luq,residuals=recompute | FileCheck %s --check-prefix=AGAIN
// RUN: nibble-opt %s --narrow-residuals=recipe=luq,residuals=f32 | FileCheck %s --check-prefix=NONE
// RUN: nibble-opt %s --narrow-residuals=recipe=f32 | FileCheck %s --check-prefix=NONE
// RUN: not nibble-opt %s --narrow-residuals=recipe=luq,residuals=fp8 2>&1 | FileCheck %s --check-prefix=ERROR

// The product is multiplied again, from what it was multiplied from; the table of products does not count it.
// AGAIN: %[[Z:.*]] = q4.matmul %arg0, %arg1
// AGAIN: nn.batch_stats %[[Z]],
// AGAIN: %[[AGAIN:.*]] = q4.matmul %arg0, %arg1 {{.*}}nibble.repeated
// AGAIN: nn.batch_norm_grad %{{.*}}, %[[AGAIN]],

// NONE-NOT: q4.narrow
// NONE: nn.batch_norm_grad %
// ERROR: --residuals: f32, bf16, int8, int4 or recompute expected, found 'fp8'

// ALL-LABEL: func.func @train_step
// ALL: %[[Z:.*]] = q4.matmul

// Statistics, normalization and gradient see the same numbers.
// BF16: %[[N:.*]] = q4.narrow %[[Z]]
// BF16: %[[W:.*]] = q4.widen %[[N]]
// BF16: nn.batch_stats %[[W]],
// BF16: %[[KEPT:.*]] = train.save %[[N]] : tensor<8x4xbf16>
// BF16: %[[B:.*]] = q4.widen %[[KEPT]]
// BF16: nn.fma %[[W]],

// CODES: %[[SA:.*]], %{{.*}}, %[[SM:.*]], %[[SR:.*]], %{{.*}}, %{{.*}} = nn.batch_stats %[[Z]],
// CODES: %[[A:.*]] = train.save %[[SA]]
// CODES: %[[D:.*]] = nn.sub %[[Z]], %[[SM]]
// CODES: %[[H:.*]] = nn.mul %[[D]], %[[SR]]
// INT8: %[[C:.*]] = arith.constant dense<0.0629921257>
// INT4: %[[C:.*]] = arith.constant dense<5.000000e-01>
// INT8: %[[Q:.*]] = q4.quantize %[[H]], %[[C]] {qmax = 127 : i32, qmin = -127 : i32}
// INT4: %[[Q:.*]] = q4.quantize %[[H]], %[[C]] {qmax = 7 : i32, qmin = -7 : i32}
// CODES: %[[KEPT:.*]] = train.save %[[Q]]
// CODES: nn.fma %[[Z]],

// ALL: %[[T:.*]] = nn.tanh
// ALL: %[[TN:.*]] = q4.narrow %[[T]]
// ALL: %[[TK:.*]] = train.save %[[TN]] : tensor<8x4xbf16>
// ALL: %[[TB:.*]] = q4.widen %[[TK]]
// ALL: %[[DY:.*]] = nn.mul %[[TB]], %[[TB]]

// BF16: nn.batch_norm_grad %[[DY]], %[[B]],
// BF16: nn.fma %{{.*}}, %[[B]],

// CODES: %[[X:.*]] = q4.dequantize %[[KEPT]], %[[C]]
// CODES: %[[K2:.*]], %[[K3:.*]], %{{.*}}, %{{.*}} = nn.batch_norm_grad_normalized %[[DY]], %[[X]], %[[A]]
// CODES: %[[INNER:.*]] = nn.fma %[[K2]], %[[X]], %[[K3]]
// CODES: nn.fma %[[A]], %[[DY]], %[[INNER]]
func.func @train_step(%x: tensor<8x4x!q4.int4>, %w: tensor<4x4x!q4.int4>, %s: tensor<f32>, %c: tensor<4xf32>) -> (tensor<8x4xf32>, tensor<8x4xf32>) {
  %z = q4.matmul %x, %w scales(%s, %s) {layer = "fc"} : (tensor<8x4x!q4.int4>, tensor<4x4x!q4.int4>, tensor<f32>, tensor<f32>) -> tensor<8x4xf32>
  %n:6 = nn.batch_stats %z, %c, %c, %c, %c {epsilon = 1.0e-5 : f32, momentum = 0.9 : f32} : (tensor<8x4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>)
  %zs = train.save %z : tensor<8x4xf32>
  %mean = train.save %n#2 : tensor<4xf32>
  %rstd = train.save %n#3 : tensor<4xf32>
  %y = nn.fma %z, %n#0, %n#1 : (tensor<8x4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<8x4xf32>
  %t = nn.tanh %y : tensor<8x4xf32>
  %ts = train.save %t : tensor<8x4xf32>
  %d = nn.mul %ts, %ts : (tensor<8x4xf32>, tensor<8x4xf32>) -> tensor<8x4xf32>
  %g:5 = nn.batch_norm_grad %d, %zs, %c, %mean, %rstd : (tensor<8x4xf32>, tensor<8x4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>)
  %inner = nn.fma %g#1, %zs, %g#2 : (tensor<4xf32>, tensor<8x4xf32>, tensor<4xf32>) -> tensor<8x4xf32>
  %dz = nn.fma %g#0, %d, %inner : (tensor<4xf32>, tensor<8x4xf32>, tensor<8x4xf32>) -> tensor<8x4xf32>
  return %t, %dz : tensor<8x4xf32>, tensor<8x4xf32>
}

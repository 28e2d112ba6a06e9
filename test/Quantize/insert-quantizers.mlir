// Each product gets quantizers of its own: W by SAWB on ±7, X by its learned clip on sixteen steps from 0, dY in radix-4 FP4, the
// even grid for dX, the odd one for dW (the paper's recipe).
// RUN: nibble-opt %S/Inputs/layer.mlir --insert-quantizers=recipe=ibm | FileCheck %s

// CHECK: train.variable @fc.grad_scale : tensor<f32> {role = #train.role<grad_scale>, value = dense<1.024000e+03>
// CHECK-LABEL: func.func @train_step
// CHECK-SAME: %{{[^:]*}}: tensor<4x8xf32>, %[[DY:[^:]*]]: tensor<4x6xf32>
// CHECK: %[[W:.*]] = train.read @fc.weight
// CHECK: %[[ALPHA:.*]] = q4.init_clip
// CHECK: %[[X:.*]] = nn.clip_learned

// Y = X W
// CHECK: %[[XS:.*]] = q4.scale %[[ALPHA]] {divisor = 1.500000e+01 : f32}
// CHECK: %[[Z:.*]] = arith.constant dense<-8> : tensor<i32>
// CHECK: %[[XQ:.*]] = q4.quantize %[[X]], %[[XS]] zero_point(%[[Z]]) {qmax = 7 : i32, qmin = -8 : i32}
// CHECK: %[[WA:.*]] = q4.sawb_clip %[[W]]
// CHECK: %[[WS:.*]] = q4.scale %[[WA]] {divisor = 7.000000e+00 : f32}
// CHECK: %[[WQ:.*]] = q4.quantize %[[W]], %[[WS]] {qmax = 7 : i32, qmin = -7 : i32}
// CHECK: q4.matmul %[[XQ]], %[[WQ]] scales(%[[XS]], %[[WS]]) left_zero_point(%[[Z]]) {layer = "fc", transpose_b}

// dX = dY W'
// CHECK: %[[GS:.*]] = train.read @fc.grad_scale
// CHECK: %[[MAX:.*]] = q4.absmax %[[DY]]
// CHECK: %[[NEXT:.*]] = q4.grad_scale_update %[[GS]], %[[MAX]]
// CHECK: %[[EVEN:.*]] = q4.log_scale %[[GS]] :
// CHECK: %[[GE:.*]] = q4.quantize_log %[[DY]], %[[EVEN]]
// CHECK: %[[WQ2:.*]] = q4.quantize %[[W]]
// CHECK: q4.matmul %[[GE]], %[[WQ2]] scales(%[[EVEN]], {{.*}}product = #nn.product<input_gradient>

// dW = dY' X: the forward operand is recognized on whichever side it stands.
// CHECK: %[[ODD:.*]] = q4.log_scale %[[GS]] {odd}
// CHECK: %[[GO:.*]] = q4.quantize_log %[[DY]], %[[ODD]]
// CHECK: q4.matmul %[[GO]], %{{.*}} scales(%[[ODD]], %{{.*}}) right_zero_point({{.*}}product = #nn.product<weight_gradient>

// CHECK: train.guard
// CHECK: train.write @fc.grad_scale, %[[NEXT]]

// CHECK-LABEL: func.func @eval_step
// CHECK: %[[KEPT:.*]] = q4.init_clip
// CHECK: q4.matmul
// An α that the first evaluated batch set is kept.
// CHECK: train.write @fc.alpha, %[[KEPT]]

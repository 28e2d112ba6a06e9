// Each quantized tensor is watched once, before its codes hide what it was; a maximum of it that is there already tells the same.
// RUN: nibble-opt %S/Inputs/layer.mlir --insert-quantizers=recipe=luq --cse --share-codes --fold-quantizers --cse --insert-flags | FileCheck %s

// CHECK-LABEL: func.func @train_step
// NaN alone where X and W are concerned: infinities saturate.
// CHECK: %[[C:.*]] = nn.clip_learned
// CHECK: %[[F1:.*]] = q4.non_finite %[[C]] : (tensor<4x8xf32>)
// CHECK-NEXT: q4.quantize %[[C]]
// CHECK: %[[SAWB:.*]] = q4.sawb_clip
// CHECK-NEXT: %[[F2:.*]] = q4.non_finite %[[SAWB]] : (tensor<f32>)
// NaN and infinities in a gradient, read off its maximum.
// CHECK: %[[MAX:.*]] = q4.absmax
// CHECK-NEXT: %[[F3:.*]] = q4.non_finite %[[MAX]] {infinities} : (tensor<f32>)
// CHECK: %[[F0:.*]] = q4.non_finite %{{.*}} {infinities} : (tensor<6x8xf32>)
// CHECK: %[[OR:.*]] = q4.or %[[F0]], %[[F1]], %[[F2]], %[[F3]] :
// CHECK-NEXT: train.guard %[[OR]]

// Evaluation has no guard of its own; what it keeps of its first batch must be a number.
// CHECK-LABEL: func.func @eval_step
// CHECK: %[[ALPHA:.*]] = q4.init_clip
// CHECK: %[[F:.*]] = q4.non_finite %[[ALPHA]] {infinities}
// CHECK: %[[OR:.*]] = q4.or %[[F]]
// CHECK-NEXT: train.guard %[[OR]]
// CHECK-NEXT: train.write @fc.alpha, %[[ALPHA]]

// Three numbers a quantized tensor, three tensors a layer, in the training step alone; ends and zero are those of the tensor's set.
// RUN: nibble-opt %S/Inputs/layer.mlir --insert-quantizers=recipe=ibm --cse --share-codes --fold-quantizers --cse --insert-reports | FileCheck %s

// CHECK-LABEL: func.func @train_step
// CHECK: %[[XQ:.*]] = q4.quantize %{{.*}}, %[[XS:.*]] zero_point(%[[Z:.*]]) {
// CHECK: %[[XC:.*]] = q4.code_counts %[[XQ]], %[[Z]] {qmin = -8 : i32}
// CHECK: train.report %[[XC]] {count = 32 : i64, keys = ["fc/input/saturation", "fc/input/underflow"]} : tensor<2xi32>
// CHECK: train.report %[[XS]] {keys = ["fc/input/scale"]} : tensor<f32>
// CHECK: train.report %{{.*}} {count = 48 : i64, keys = ["fc/weight/saturation", "fc/weight/underflow"]}
// CHECK: train.report %{{.*}} {keys = ["fc/weight/scale"]}
// Of the two phases the one that the weight gradient reads.
// CHECK: %[[ODD:.*]] = q4.log_scale %{{.*}} {odd}
// CHECK: %[[G:.*]] = q4.quantize_log %{{.*}}, %[[ODD]]
// CHECK: %[[GC:.*]] = q4.code_counts %[[G]] : (tensor<4x6x!q4.log<4>>)
// CHECK: train.report %[[GC]] {count = 24 : i64, keys = ["fc/output_gradient/saturation", "fc/output_gradient/underflow"]}
// CHECK: train.report %[[ODD]] {keys = ["fc/output_gradient/scale"]}
// CHECK-NOT: train.report

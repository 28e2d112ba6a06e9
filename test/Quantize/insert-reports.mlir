// Three numbers a quantized tensor, three tensors a layer, in the training step alone; ends and zero are those of the tensor's set.
// RUN: nibble-opt %S/Inputs/layer.mlir --insert-quantizers=recipe=ibm --cse --share-codes --fold-quantizers --cse --insert-reports | FileCheck %s
// With `fidelity` gain and noise of each, of the values that were coded.
// RUN: nibble-opt %S/Inputs/layer.mlir --insert-quantizers=recipe=ibm --cse --share-codes --fold-quantizers --cse --insert-reports=fidelity | FileCheck %s --check-prefix=HEALTH

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

// HEALTH-LABEL: func.func @train_step
// HEALTH: %[[XQ:.*]] = q4.quantize %[[X:.*]], %[[XS:.*]] zero_point(%[[Z:.*]]) {
// HEALTH: %[[GAIN:.*]], %[[NOISE:.*]] = q4.fidelity %[[X]], %[[XQ]], %[[XS]], %[[Z]] :
// HEALTH: train.report %[[GAIN]] {keys = ["fc/input/gain"]}
// HEALTH: train.report %[[NOISE]] {keys = ["fc/input/noise"]}
// HEALTH: keys = ["fc/weight/gain"]
// HEALTH: %[[GS:.*]] = q4.log_scale %{{.*}} {odd}
// HEALTH: %[[G:.*]] = q4.quantize_log %[[DY:.*]], %[[GS]] :
// HEALTH: q4.fidelity %[[DY]], %[[G]], %[[GS]] :
// HEALTH: keys = ["fc/output_gradient/gain"]

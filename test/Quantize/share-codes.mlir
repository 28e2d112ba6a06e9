// What the backward part quantized from saved values it takes from the forward part as codes: 4 bits an element are saved, and the
// clip's gradient reads the codes' sign.
// RUN: nibble-opt %S/Inputs/layer.mlir --insert-quantizers=recipe=ibm --cse --share-codes --cse | FileCheck %s
// RUN: nibble-opt %S/Inputs/layer.mlir --insert-quantizers=recipe=w4a4,activations=dynamic --cse --share-codes --cse | FileCheck %s --check-prefix=DYN

// CHECK-LABEL: func.func @train_step
// CHECK: %[[Z:.*]] = arith.constant dense<-8>
// CHECK: %[[XS:.*]] = q4.scale
// CHECK: %[[XQ:.*]] = q4.quantize %{{.*}}, %[[XS]] zero_point(%[[Z]])
// CHECK: %[[XQB:.*]] = train.save %[[XQ]] : tensor<4x8x!q4.int4>
// CHECK: %[[XSB:.*]] = train.save %[[XS]] : tensor<f32>
// CHECK: %[[WS:.*]] = q4.scale
// CHECK: %[[WSB:.*]] = train.save %[[WS]]
// CHECK: %[[WQ:.*]] = q4.quantize %{{.*}}, %[[WS]]
// CHECK: %[[WQB:.*]] = train.save %[[WQ]] : tensor<6x8x!q4.int4>
// CHECK-NOT: q4.quantize %
// CHECK: q4.matmul %[[XQ]], %[[WQ]] scales(%[[XS]], %[[WS]])
// CHECK: q4.matmul %{{.*}}, %[[WQB]] scales(%{{.*}}, %[[WSB]]) {{.*}}input_gradient
// CHECK: q4.matmul %{{.*}}, %[[XQB]] scales(%{{.*}}, %[[XSB]]) right_zero_point(%[[Z]]) {{.*}}weight_gradient
// CHECK: nn.clip_alpha_grad %{{.*}}, %{{.*}}, %[[XQB]], %[[Z]]

// One maximum, one scale, one quantizer; a float gradient decodes the saved codes.
// DYN-LABEL: func.func @train_step
// DYN: q4.absmax
// DYN-NOT: q4.absmax
// DYN: %[[XQ:.*]] = q4.quantize
// DYN: %[[XQB:.*]] = train.save %[[XQ]] : tensor<4x8x!q4.int4>
// DYN-NOT: q4.absmax
// DYN: q4.dequantize %[[XQB]],
// DYN: func.func @eval_step

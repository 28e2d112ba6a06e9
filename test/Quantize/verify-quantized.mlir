// The door lets through what the room makes of each recipe.
// RUN: nibble-opt %S/Inputs/layer.mlir --nibble-quantize-pipeline=recipe=ibm --verify-quantized=recipe=ibm -o /dev/null
// RUN: nibble-opt %S/Inputs/layer.mlir --nibble-quantize-pipeline=recipe=ibm+ --verify-quantized=recipe=ibm+ -o /dev/null
// RUN: nibble-opt %S/Inputs/layer.mlir --nibble-quantize-pipeline=recipe=luq --verify-quantized=recipe=luq -o /dev/null
// RUN: nibble-opt %S/Inputs/layer.mlir --nibble-quantize-pipeline=recipe=int4,separate-draws=true --verify-quantized=recipe=int4 -o /dev/null
// RUN: nibble-opt %S/Inputs/layer.mlir --nibble-quantize-pipeline=recipe=w4a4 --verify-quantized=recipe=w4a4 -o /dev/null
// And nothing of one recipe for another's.
// RUN: not nibble-opt %S/Inputs/layer.mlir --nibble-quantize-pipeline=recipe=int4 --verify-quantized=recipe=luq 2>&1 | FileCheck %s
// CHECK: error: door of quantize: layer 'fc', input_gradient: dY is 'tensor<4x6x!q4.int4>', which recipe 'luq' does not make of it

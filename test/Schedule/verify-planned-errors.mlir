// The door replays the plan: whoever reads bytes that were overwritten is told which.
// RUN: nibble-opt %s --split-input-file --verify-diagnostics --verify-planned

func.func @overwritten(%state: memref<128xi8>, %arena: memref<256xi8>, %x: memref<128xi8>) {
  %c0 = arith.constant 0 : index
  %a = memref.view %x[%c0][] : memref<128xi8> to memref<32xf32>
  %b = memref.view %arena[%c0][] : memref<256xi8> to memref<32xf32>
  plan.group ins(%a : memref<32xf32> as %t : tensor<32xf32>) outs(%b : memref<32xf32>) attributes {reads = array<i64: 0>, writes = array<i64: 1>} {
    plan.yield %t : tensor<32xf32>
  }
  plan.group ins(%a : memref<32xf32> as %t : tensor<32xf32>) outs(%b : memref<32xf32>) attributes {reads = array<i64: 0>, writes = array<i64: 2>} {
    plan.yield %t : tensor<32xf32>
  }
  // expected-error @below {{an input's bytes were overwritten, or never written, before they are read ('memref<32xf32>'): byte 0 of the arena, value 1}}
  plan.group ins(%b : memref<32xf32> as %t : tensor<32xf32>) outs(%a : memref<32xf32>) attributes {reads = array<i64: 1>, writes = array<i64: 3>} {
    plan.yield %t : tensor<32xf32>
  }
  return
}

// -----

func.func @outside(%state: memref<128xi8>, %arena: memref<256xi8>) {
  %c192 = arith.constant 192 : index
  %c0 = arith.constant 0 : index
  %a = memref.view %state[%c0][] : memref<128xi8> to memref<32xf32>
  %b = memref.view %arena[%c192][] : memref<256xi8> to memref<32xf32>
  // expected-error @below {{an output is no constant view inside its buffer}}
  plan.group ins(%a : memref<32xf32> as %t : tensor<32xf32>) outs(%b : memref<32xf32>) attributes {reads = array<i64: 0>, writes = array<i64: 1>} {
    plan.yield %t : tensor<32xf32>
  }
  return
}

// -----

func.func @scratch_on_input(%state: memref<128xi8>, %arena: memref<256xi8>) {
  %c0 = arith.constant 0 : index
  %c64 = arith.constant 64 : index
  %c128 = arith.constant 128 : index
  %a = memref.view %state[%c0][] : memref<128xi8> to memref<32xf32>
  %b = memref.view %arena[%c0][] : memref<256xi8> to memref<32xf32>
  %s = memref.view %arena[%c64][] : memref<256xi8> to memref<64xi8>
  // expected-error @below {{scratch overlaps an output}}
  plan.group ins(%a : memref<32xf32> as %t : tensor<32xf32>) outs(%b : memref<32xf32>) scratch(%s : memref<64xi8>) attributes {reads = array<i64: 0>, writes = array<i64: 1>} {
    plan.yield %t : tensor<32xf32>
  }
  return
}

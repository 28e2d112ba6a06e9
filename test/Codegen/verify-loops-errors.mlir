// The door of Codegen/CPU names what is left and what allocates.
// RUN: nibble-opt --verify-loops --split-input-file --verify-diagnostics %s

func.func @left(%flag: memref<1xi8>) -> i32 {
  // expected-error @+1 {{door of Codegen/CPU: 'plan.guard' is left: expected loops}}
  plan.guard %flag : memref<1xi8>
  %ok = arith.constant 0 : i32
  return %ok : i32
}

// -----

func.func @allocates() {
  // expected-error @+1 {{door of Codegen/CPU: 'memref.alloc' allocates: expected all memory to come from the plan}}
  %m = memref.alloc() : memref<4xf32>
  return
}

// -----

func.func @tensors() {
  // expected-error @+1 {{door of Codegen/CPU: 'arith.constant' works on tensors: expected memrefs and vectors}}
  %t = arith.constant dense<1.0> : tensor<4xf32>
  return
}

// -----

// Variables stay for the target's manifest.
train.variable @w : tensor<4xf32> {role = #train.role<weight>}
func.func @fine(%m: memref<4xf32>) {
  return
}

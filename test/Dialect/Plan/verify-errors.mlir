// A group's buffers and its body have to agree.
// RUN: nibble-opt %s --split-input-file --verify-diagnostics

func.func @outputs(%x: memref<4xf32>, %y: memref<4xf32>) {
  // expected-error @below {{yields 0 tensors to 1 output buffers}}
  plan.group ins(%x : memref<4xf32> as %a : tensor<4xf32>) outs(%y : memref<4xf32>) {
    plan.yield
  }
  return
}

// -----

func.func @results(%x: tensor<4xf32>) {
  // expected-error @below {{inputs and results have the types of the body's arguments and yielded values}}
  %0 = plan.fused (%x as %a : tensor<4xf32>) -> (tensor<5xf32>) {
    plan.yield %a : tensor<4xf32>
  }
  return
}

// -----

func.func @bodies_work_on_tensors(%x: memref<4xf32>) {
  // expected-error @below {{the body works on tensors}}
  plan.group ins(%x : memref<4xf32> as %a : memref<4xf32>) outs(%x : memref<4xf32>) {
    plan.yield %a : memref<4xf32>
  }
  return
}

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

// -----

func.func @pack_for_no_product(%w: tensor<5x3xf32>) -> tensor<512xi8> {
  // expected-error @below {{the body is one product, which wants the panel}}
  %p = plan.pack %w for "" : (tensor<5x3xf32>) -> tensor<512xi8> {
  ^bb0(%x: tensor<5x3xf32>):
    %0 = nn.relu %x : tensor<5x3xf32>
  }
  return %p : tensor<512xi8>
}

// -----

func.func @pack_for_another(%w: tensor<4x3xf32>) -> tensor<512xi8> {
  // expected-error @below {{packs 'tensor<4x3xf32>' for a product whose right operand is 'tensor<5x3xf32>'}}
  %p = plan.pack %w for "" : (tensor<4x3xf32>) -> tensor<512xi8> {
  ^bb0(%l: tensor<2x3xf32>, %r: tensor<5x3xf32>):
    %0 = nn.matmul %l, %r {transpose_b} : (tensor<2x3xf32>, tensor<5x3xf32>) -> tensor<2x5xf32>
  }
  return %p : tensor<512xi8>
}

// -----

func.func @panel_as_a_number(%p: tensor<512xi8>) -> tensor<5x3xf32> {
  // expected-error @below {{is read by products alone, as their right operand}}
  %w = plan.packed %p : (tensor<512xi8>) -> tensor<5x3xf32>
  %y = nn.relu %w : tensor<5x3xf32>
  return %y : tensor<5x3xf32>
}

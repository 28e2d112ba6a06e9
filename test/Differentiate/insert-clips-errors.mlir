// Without a recipe in the module there is nothing to go by.
// RUN: nibble-opt %s --insert-clips --split-input-file --verify-diagnostics

// expected-error @+1 {{the module has no attribute 'nibble.recipe'; assign-precision sets it}}
module {
  func.func @forward(%x: tensor<2x4xf32>) -> tensor<2x4xf32> {
    return %x : tensor<2x4xf32>
  }
}

// -----

// expected-error @+1 {{attribute 'nibble.recipe': no recipe 'fp2': f32, w4a4, ibm, ibm+, luq or int4 expected}}
module attributes {nibble.recipe = "fp2"} {
  func.func @forward(%x: tensor<2x4xf32>) -> tensor<2x4xf32> {
    return %x : tensor<2x4xf32>
  }
}

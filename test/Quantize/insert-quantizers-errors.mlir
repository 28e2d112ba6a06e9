// A recipe that is none, and a stochastic recipe in a step without random state, are told apart from bugs.
// RUN: not nibble-opt %s --insert-quantizers=recipe=imb 2>&1 | FileCheck %s --check-prefix=NAME
// RUN: not nibble-opt %s --insert-quantizers=recipe=ibm,gradients=int5 2>&1 | FileCheck %s --check-prefix=VALUE
// RUN: not nibble-opt %s --insert-quantizers=recipe=luq 2>&1 | FileCheck %s --check-prefix=RNG
// RUN: not nibble-opt %s --insert-quantizers 2>&1 | FileCheck %s --check-prefix=ABSENT

// ABSENT: error: the module has no attribute 'nibble.recipe'
// NAME: error: quantize: recipe 'imb': no recipe 'imb': f32, w4a4, ibm, ibm+, luq or int4 expected
// VALUE: error: quantize: recipe 'ibm,gradients=int5': --gradients: float, radix4, luq or int4 expected, found 'int5'
module {
  train.variable @w : tensor<8x8xf32> {role = #train.role<weight>, trainable}
  func.func @train_step(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
    %w = train.read @w : tensor<8x8xf32>
    %y = nn.matmul %x, %w {layer = "fc", precision = #nn.precision<int4>} : (tensor<4x8xf32>, tensor<8x8xf32>) -> tensor<4x8xf32>
    // RNG: error: quantize: layer 'fc', input_gradient: stochastic rounding needs the random state, and @train_step has no argument of type tensor<2xi64>
    %dx = nn.matmul %y, %w {layer = "fc", product = #nn.product<input_gradient>, precision = #nn.precision<int4>, transpose_b}
        : (tensor<4x8xf32>, tensor<8x8xf32>) -> tensor<4x8xf32>
    return %y : tensor<4x8xf32>
  }
}

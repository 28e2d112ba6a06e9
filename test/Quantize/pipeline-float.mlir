// A recipe of float products leaves the graph as it is, to the letter.
// RUN: nibble-opt %s > %t.before
// RUN: nibble-opt %s --nibble-quantize-pipeline=recipe=f32 > %t.after
// RUN: cmp %t.before %t.after

module {
  train.variable @w : tensor<8x8xf32> {role = #train.role<weight>, trainable}
  func.func @train_step(%x: tensor<4x8xf32>, %dy: tensor<4x8xf32>) -> tensor<4x8xf32> {
    %w = train.read @w : tensor<8x8xf32>
    %saved = train.save %x : tensor<4x8xf32>
    %y = nn.matmul %x, %w {layer = "fc", precision = #nn.precision<float>, reason = "recipe f32 multiplies floats"}
        : (tensor<4x8xf32>, tensor<8x8xf32>) -> tensor<4x8xf32>
    %dw = nn.matmul %saved, %dy {layer = "fc", product = #nn.product<weight_gradient>, precision = #nn.precision<float>,
        reason = "recipe f32 multiplies floats", transpose_a} : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<8x8xf32>
    %bad = q4.non_finite %dw {infinities} : (tensor<8x8xf32>) -> tensor<i1>
    train.guard %bad : tensor<i1>
    train.write @w, %dw : tensor<8x8xf32>
    return %y : tensor<4x8xf32>
  }
}

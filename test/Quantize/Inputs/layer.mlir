// A 4-bit linear layer behind a relu, with its learned clip, as room 2 hands it over; dY is an argument, for brevity.
module {
  train.variable @fc.weight : tensor<6x8xf32> {role = #train.role<weight>, trainable}
  train.variable @fc.alpha : tensor<f32> {role = #train.role<clip>, trainable}
  func.func @train_step(%x: tensor<4x8xf32>, %dy: tensor<4x6xf32>, %rng: tensor<2xi64>) -> tensor<4x6xf32> {
    %zero = arith.constant dense<0.0> : tensor<f32>
    %w = train.read @fc.weight : tensor<6x8xf32>
    %unset = train.read @fc.alpha : tensor<f32>
    %r = nn.relu %x : tensor<4x8xf32>
    %alpha = q4.init_clip %unset, %r {init = 0.0 : f32, floor = 0.0009765625 : f32} : (tensor<f32>, tensor<4x8xf32>) -> tensor<f32>
    %c = nn.clip_learned %r, %alpha {one_sided} : (tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xf32>
    %pass = nn.inside %r, %zero, %alpha : (tensor<4x8xf32>, tensor<f32>, tensor<f32>) -> tensor<4x8xi1>
    %kept = train.save %pass : tensor<4x8xi1>
    %saved = train.save %c : tensor<4x8xf32>
    %y = nn.matmul %c, %w {layer = "fc", precision = #nn.precision<int4>, transpose_b}
        : (tensor<4x8xf32>, tensor<6x8xf32>) -> tensor<4x6xf32>
    %dx = nn.matmul %dy, %w {layer = "fc", product = #nn.product<input_gradient>, precision = #nn.precision<int4>}
        : (tensor<4x6xf32>, tensor<6x8xf32>) -> tensor<4x8xf32>
    %dw = nn.matmul %dy, %saved {layer = "fc", product = #nn.product<weight_gradient>, precision = #nn.precision<int4>, transpose_a}
        : (tensor<4x6xf32>, tensor<4x8xf32>) -> tensor<6x8xf32>
    %da = nn.clip_alpha_grad %dx, %kept, %saved : (tensor<4x8xf32>, tensor<4x8xi1>, tensor<4x8xf32>) -> tensor<f32>
    %bad = q4.non_finite %dw {infinities} : (tensor<6x8xf32>) -> tensor<i1>
    %flag = q4.or %bad : (tensor<i1>) -> tensor<i1>
    train.guard %flag : tensor<i1>
    train.write @fc.weight, %dw : tensor<6x8xf32>
    train.write @fc.alpha, %da : tensor<f32>
    return %y : tensor<4x6xf32>
  }
  func.func @eval_step(%x: tensor<4x8xf32>) -> tensor<4x6xf32> {
    %w = train.read @fc.weight : tensor<6x8xf32>
    %unset = train.read @fc.alpha : tensor<f32>
    %r = nn.relu %x : tensor<4x8xf32>
    %alpha = q4.init_clip %unset, %r {init = 0.0 : f32, floor = 0.0009765625 : f32} : (tensor<f32>, tensor<4x8xf32>) -> tensor<f32>
    %c = nn.clip_learned %r, %alpha {one_sided} : (tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xf32>
    %y = nn.matmul %c, %w {layer = "fc", precision = #nn.precision<int4>, transpose_b}
        : (tensor<4x8xf32>, tensor<6x8xf32>) -> tensor<4x6xf32>
    return %y : tensor<4x6xf32>
  }
}

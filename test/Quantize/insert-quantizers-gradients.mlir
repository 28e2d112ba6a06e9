// What dY becomes is the recipe's choice, and one option each.
// RUN: nibble-opt %S/Inputs/layer.mlir --insert-quantizers=recipe=luq --cse | FileCheck %s --check-prefix=LUQ
// RUN: nibble-opt %S/Inputs/layer.mlir --insert-quantizers=recipe=int4 --cse | FileCheck %s --check-prefix=INT4
// RUN: nibble-opt %S/Inputs/layer.mlir --insert-quantizers=recipe=int4,separate-draws=true --cse | FileCheck %s --check-prefix=TWO
// RUN: nibble-opt %S/Inputs/layer.mlir --insert-quantizers=recipe=ibm+,swap-phases=true --cse | FileCheck %s --check-prefix=PLUS
// RUN: nibble-opt %S/Inputs/layer.mlir --insert-quantizers=recipe=ibm,two-phase=false,grad-scale=4096 --cse | FileCheck %s --check-prefix=ONE
// RUN: nibble-opt %S/Inputs/layer.mlir --insert-quantizers=recipe=w4a4 --cse | FileCheck %s --check-prefix=W4A4

// Radix 2 below max/64, stochastic, one draw for both products.
// LUQ: @train_step({{.*}}, %[[DY:.*]]: tensor<4x6xf32>, %[[RNG:.*]]: tensor<2xi64>)
// LUQ: %[[BITS:.*]] = train.random_bits %[[RNG]] {name = "fc/input_gradient/output_gradient", stream = {{.*}} : i32}
// LUQ: %[[MAX:.*]] = q4.absmax %[[DY]]
// LUQ: %[[S:.*]] = q4.scale %[[MAX]] {divisor = 6.400000e+01 : f32}
// LUQ: %[[G:.*]] = q4.quantize_log %[[DY]], %[[S]], %[[BITS]]{{.*}}!q4.log<2>
// LUQ: q4.matmul %[[G]], {{.*}}input_gradient
// LUQ-NOT: random_bits
// LUQ: q4.matmul %[[G]], {{.*}}weight_gradient

// INT4: %[[BITS:.*]] = train.random_bits
// INT4: q4.scale %{{.*}} {divisor = 7.000000e+00 : f32}
// INT4: %[[G:.*]] = q4.quantize %{{.*}} noise(%[[BITS]]) {qmax = 7 : i32, qmin = -7 : i32}
// INT4: q4.matmul %[[G]], {{.*}}input_gradient
// INT4-NOT: random_bits
// INT4: q4.matmul %[[G]], {{.*}}weight_gradient

// TWO: train.random_bits {{.*}}"fc/input_gradient/output_gradient", stream = [[FIRST:.*]] : i32
// TWO-NOT: stream = [[FIRST]] :
// TWO: train.random_bits {{.*}}"fc/weight_gradient/output_gradient"

// The gain is folded into the product's scale, one for each quantized copy.
// PLUS: %[[S:.*]] = q4.log_scale %{{.*}} {odd}
// PLUS: %[[G:.*]] = q4.quantize_log %[[DY:.*]], %[[S]]
// PLUS: %[[GAIN:.*]] = q4.gain %[[DY]], %[[G]], %[[S]]
// PLUS: q4.matmul {{.*}} gain(%[[GAIN]]) {{.*}}input_gradient
// PLUS: %[[S2:.*]] = q4.log_scale %{{[^{]*}} :
// PLUS: %[[GAIN2:.*]] = q4.gain %[[DY]], %{{.*}}, %[[S2]]
// PLUS: q4.matmul {{.*}} gain(%[[GAIN2]]) {{.*}}weight_gradient

// ONE: @fc.grad_scale {{.*}}value = dense<4.096000e+03>
// ONE-NOT: {odd}
// ONE: eval_step

// Float gradients: the products multiply reals, the coded operand is decoded first.
// W4A4: q4.matmul
// W4A4: %[[W:.*]] = q4.dequantize %{{.*}} -> tensor<6x8xf32>
// W4A4: nn.matmul %{{.*}}, %[[W]] {layer = "fc", precision = #nn.precision<float>, product = #nn.product<input_gradient>, reason = "gradient float (recipe)"}
// W4A4: %[[X:.*]] = q4.dequantize %{{.*}}, %{{.*}}, %{{.*}} -> tensor<4x8xf32>
// W4A4: nn.matmul %{{.*}}, %[[X]] {{.*}}reason = "gradient float (recipe)"

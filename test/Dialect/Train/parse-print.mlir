// Every op of train is read back as it was printed.
// RUN: nibble-opt %s | nibble-opt | FileCheck %s

// CHECK: train.variable @w : tensor<4xf32> {decay, onnx_name = "fc.weight", role = #train.role<weight>, trainable, value = dense<1.000000e+00> : tensor<4xf32>}
train.variable @w : tensor<4xf32> {role = #train.role<weight>, trainable, decay, onnx_name = "fc.weight", value = dense<1.0> : tensor<4xf32>}
// CHECK: train.variable @v : tensor<4xf32> {role = #train.role<moment>}
train.variable @v : tensor<4xf32> {role = #train.role<moment>}

// CHECK-LABEL: @step
func.func @step(%g: tensor<4xf32>, %lr: tensor<f64>, %t: tensor<i64>, %rng: tensor<2xi64>, %f: tensor<i1>) {
  // CHECK: train.read @w : tensor<4xf32>
  %w = train.read @w : tensor<4xf32>
  %v = train.read @v : tensor<4xf32>
  // CHECK: train.save
  %s = train.save %g : tensor<4xf32>
  // CHECK: train.random_bits %{{.*}} {name = "y/forward/x", stream = 7 : i32} : (tensor<2xi64>) -> tensor<4xi16>
  %u = train.random_bits %rng {stream = 7 : i32, name = "y/forward/x"} : (tensor<2xi64>) -> tensor<4xi16>
  // CHECK: train.guard %{{.*}} : tensor<i1>
  train.guard %f : tensor<i1>
  // CHECK: train.rate %{{.*}} {adam, beta1 = 9.000000e-01 : f64, beta2 = 0.99{{.*}} : f64}
  %r = train.rate %lr, %t {adam, beta1 = 0.9, beta2 = 0.999} : (tensor<f64>, tensor<i64>) -> tensor<f32>
  // CHECK: train.micro_batch %{{.*}} {count = 4 : i64}
  %micro:2 = train.micro_batch %rng {count = 4} : (tensor<2xi64>) -> (tensor<i1>, tensor<i1>)
  // CHECK: train.clip_factor {{.*}} {limit = 1.000000e+00 : f64}
  %factor:2 = train.clip_factor %w, %s {limit = 1.0} : (tensor<4xf32>, tensor<4xf32>) -> (tensor<f32>, tensor<f32>)
  // CHECK: train.sgd {{.*}} nesterov
  %0:2 = train.sgd %w, %s, %v, %r {momentum = 0.9 : f32, decay = 0.0 : f32, nesterov} : (tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<f32>) -> (tensor<4xf32>, tensor<4xf32>)
  // CHECK: train.adam
  %1:3 = train.adam %w, %s, %v, %v, %r, %r {beta1 = 0.9, beta2 = 0.999, epsilon = 1.0e-8 : f32, decay = 0.0 : f32} : (tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<f32>, tensor<f32>) -> (tensor<4xf32>, tensor<4xf32>, tensor<4xf32>)
  // CHECK: train.write @w, %{{.*}} : tensor<4xf32>
  train.write @w, %0#0 : tensor<4xf32>
  // CHECK: train.report %{{.*}} {keys = ["a/weight/scale"]} : tensor<f32>
  train.report %r {keys = ["a/weight/scale"]} : tensor<f32>
  return
}

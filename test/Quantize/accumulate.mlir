// Three calls make an update: gradients are averaged, and only the last call changes parameters. Running statistics and a bound that is
// not set yet go from call to call in shadows.
// RUN: nibble-opt %s --accumulate-micro-batches | FileCheck %s

// CHECK: module
module attributes {nibble.step = "accumulate=3"} {
  train.variable @fc.weight : tensor<2x2xf32> {role = #train.role<weight>, trainable}
  train.variable @fc.weight.velocity : tensor<2x2xf32> {role = #train.role<moment>}
  train.variable @fc.alpha : tensor<f32> {role = #train.role<clip>, trainable}
  train.variable @mean : tensor<2xf32> {role = #train.role<running_stat>}
  // CHECK-DAG: train.variable @fc.weight.gradient_sum : tensor<2x2xf32> {{.*}}role = #train.role<moment>
  // CHECK-DAG: train.variable @fc.alpha.gradient_sum : tensor<f32> {{.*}}role = #train.role<moment>
  // CHECK-DAG: train.variable @fc.alpha.shadow : tensor<f32> {{.*}}role = #train.role<moment>
  // CHECK-DAG: train.variable @mean.shadow : tensor<2xf32> {{.*}}role = #train.role<moment>
  // CHECK: func.func @train_step(%{{.*}}, %{{.*}}, %[[RNG:.*]]: tensor<2xi64>
  func.func @train_step(%x: tensor<2x2xf32>, %rate: tensor<f32>, %rng: tensor<2xi64>) {
    // What is read is there before any call of the update has written it.
    // CHECK-DAG: %[[MEAN:.*]] = train.read @mean :
    // CHECK-DAG: %[[MEAN_SHADOW:.*]] = train.read @mean.shadow :
    // CHECK-DAG: %[[UNSET:.*]] = train.read @fc.alpha :
    // CHECK-DAG: %[[ALPHA_SHADOW:.*]] = train.read @fc.alpha.shadow :
    // CHECK-DAG: %[[SUM:.*]] = train.read @fc.weight.gradient_sum :
    // CHECK-DAG: %[[W:.*]] = train.read @fc.weight :
    // CHECK-DAG: %[[V:.*]] = train.read @fc.weight.velocity :
    // CHECK: %[[FIRST:.*]], %[[LAST:.*]] = train.micro_batch %[[RNG]] {count = 3 : i64}
    // CHECK-DAG: %[[MEAN_NOW:.*]] = nn.select %[[FIRST]], %[[MEAN]], %[[MEAN_SHADOW]]
    // CHECK-DAG: %[[UNSET_NOW:.*]] = nn.select %[[FIRST]], %[[UNSET]], %[[ALPHA_SHADOW]]
    %w = train.read @fc.weight : tensor<2x2xf32>
    %v = train.read @fc.weight.velocity : tensor<2x2xf32>
    %unset = train.read @fc.alpha : tensor<f32>
    %mean = train.read @mean : tensor<2xf32>
    // CHECK: %[[ALPHA:.*]] = q4.init_clip %[[UNSET_NOW]], %{{.*}}
    %alpha = q4.init_clip %unset, %x {init = 0.0 : f32, floor = 0.0009765625 : f32} : (tensor<f32>, tensor<2x2xf32>) -> tensor<f32>
    // CHECK: %[[FOLLOWED:.*]] = nn.add %[[MEAN_NOW]], %[[MEAN_NOW]]
    %followed = nn.add %mean, %mean : (tensor<2xf32>, tensor<2xf32>) -> tensor<2xf32>
    // CHECK: %[[G:.*]] = nn.mul %[[W]], %{{.*}}
    // CHECK: %[[ADDED:.*]] = nn.add %[[SUM]], %[[G]]
    // CHECK: %[[NEW_SUM:.*]] = nn.select %[[FIRST]], %[[G]], %[[ADDED]]
    // CHECK: %[[THIRD:.*]] = arith.constant dense<0.333333343> : tensor<f32>
    // CHECK: %[[AVERAGE:.*]] = nn.mul %[[NEW_SUM]], %[[THIRD]]
    %g = nn.mul %w, %x : (tensor<2x2xf32>, tensor<2x2xf32>) -> tensor<2x2xf32>
    %da = nn.mul %alpha, %alpha : (tensor<f32>, tensor<f32>) -> tensor<f32>
    // CHECK: train.sgd %[[W]], %[[AVERAGE]], %[[V]]
    %new:2 = train.sgd %w, %g, %v, %rate {momentum = 0.9 : f32, decay = 0.0 : f32}
        : (tensor<2x2xf32>, tensor<2x2xf32>, tensor<2x2xf32>, tensor<f32>) -> (tensor<2x2xf32>, tensor<2x2xf32>)
    %va = arith.constant dense<0.0> : tensor<f32>
    // CHECK: train.sgd %[[ALPHA]],
    %newa:2 = train.sgd %alpha, %da, %va, %rate {momentum = 0.0 : f32, decay = 0.0 : f32}
        : (tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>) -> (tensor<f32>, tensor<f32>)
    // CHECK: q4.non_finite %[[AVERAGE]]
    %bad = q4.non_finite %g {infinities} : (tensor<2x2xf32>) -> tensor<i1>
    // CHECK: train.guard
    train.guard %bad : tensor<i1>
    // CHECK: %[[NEW_W:.*]] = nn.select %[[LAST]], %{{.*}}, %[[W]]
    // CHECK-NEXT: train.write @fc.weight, %[[NEW_W]]
    train.write @fc.weight, %new#0 : tensor<2x2xf32>
    train.write @fc.weight.velocity, %new#1 : tensor<2x2xf32>
    train.write @fc.alpha, %newa#0 : tensor<f32>
    // CHECK: %[[NEW_MEAN:.*]] = nn.select %[[LAST]], %[[FOLLOWED]], %[[MEAN]]
    // CHECK-NEXT: train.write @mean, %[[NEW_MEAN]]
    train.write @mean, %followed : tensor<2xf32>
    // Sums and shadows are written by every call.
    // CHECK-DAG: train.write @fc.weight.gradient_sum, %[[NEW_SUM]]
    // CHECK-DAG: train.write @mean.shadow, %[[FOLLOWED]]
    // CHECK-DAG: train.write @fc.alpha.shadow, %[[ALPHA]]
    return
  }
}

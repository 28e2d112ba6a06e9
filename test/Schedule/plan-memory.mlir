// Variables lie in the state, values in one arena, a step ends with a status.
// RUN: nibble-opt %s --nibble-schedule-pipeline | FileCheck %s

// CHECK: nibble.state_bytes = 256
// CHECK: nibble.state_layout = {v = 128 : i64, w = 0 : i64}
module {
  train.variable @w : tensor<32xf32> {role = #train.role<weight>, trainable}
  train.variable @v : tensor<32xf32> {role = #train.role<moment>}

  // CHECK: func.func @train_step(%[[STATE:[a-z0-9]+]]: memref<256xi8>, %[[ARENA:[a-z0-9]+]]: memref<[[BYTES:[0-9]+]]xi8>,
  // CHECK-SAME: f64{{.*}} -> i32
  // CHECK-SAME: nibble.arena_bytes = [[BYTES]] : i64
  // CHECK-SAME: nibble.report_keys = ["loss", "correct", "w/weight/scale"]
  func.func @train_step(%x: tensor<32xf32>, %rate: tensor<f64>, %step: tensor<i64>, %correct: tensor<i32>) -> (tensor<f32>, tensor<i32>) {
    %w = train.read @w : tensor<32xf32>
    %v = train.read @v : tensor<32xf32>
    %g = nn.mul %x, %w : (tensor<32xf32>, tensor<32xf32>) -> tensor<32xf32>
    %loss = q4.absmax %g : (tensor<32xf32>) -> tensor<f32>
    %flag = q4.non_finite %loss {infinities} : (tensor<f32>) -> tensor<i1>
    train.guard %flag : tensor<i1>
    // The flag's byte decides; nothing is written to the state before.
    // CHECK: plan.guard
    // CHECK: train.rate
    %lr = train.rate %rate, %step : (tensor<f64>, tensor<i64>) -> tensor<f32>
    // The update is made in the variables' own places.
    // CHECK-DAG: %[[W:[^ ]+]] = memref.view %[[STATE]][%c0{{.*}}][] : memref<256xi8> to memref<32xf32>
    // CHECK-DAG: %[[V:[^ ]+]] = memref.view %[[STATE]][%c128{{.*}}][] : memref<256xi8> to memref<32xf32>
    // CHECK: plan.group ins({{.*}}outs(%{{.*}} : memref<32xf32>, %{{.*}} : memref<32xf32>)
    // CHECK-NEXT: train.sgd
    %w1, %v1 = train.sgd %w, %g, %v, %lr {momentum = 0.9 : f32, decay = 0.0 : f32}
        : (tensor<32xf32>, tensor<32xf32>, tensor<32xf32>, tensor<f32>) -> (tensor<32xf32>, tensor<32xf32>)
    train.write @w, %w1 : tensor<32xf32>
    train.write @v, %v1 : tensor<32xf32>
    train.report %loss {keys = ["w/weight/scale"]} : tensor<f32>
    // CHECK: return %{{.*}} : i32
    return %loss, %correct : tensor<f32>, tensor<i32>
  }
}

// Variables are used with the type that they have, and only reals are trained.
// RUN: nibble-opt %s --split-input-file --verify-diagnostics

// expected-error @below {{is declared 'tensor<4xf32>', its value is 'tensor<5xf32>'}}
train.variable @w : tensor<4xf32> {role = #train.role<weight>, value = dense<1.0> : tensor<5xf32>}

// -----

// expected-error @below {{only f32 variables are trainable}}
train.variable @n : tensor<4xi32> {role = #train.role<constant>, trainable}

// -----

func.func @unknown() {
  // expected-error @below {{there is no train.variable @w}}
  %0 = train.read @w : tensor<4xf32>
  return
}

// -----

train.variable @w : tensor<4xf32> {role = #train.role<weight>}
func.func @type(%x: tensor<5xf32>) {
  // expected-error @below {{variable @w is 'tensor<4xf32>', here it is 'tensor<5xf32>'}}
  train.write @w, %x : tensor<5xf32>
  return
}

// -----

func.func @no_update(%rng: tensor<2xi64>) {
  // expected-error @below {{attribute 'count' failed to satisfy constraint: 64-bit signless integer attribute whose value is positive}}
  %0:2 = train.micro_batch %rng {count = 0} : (tensor<2xi64>) -> (tensor<i1>, tensor<i1>)
  return
}

// An update needs the random state, which counts calls, a guard, and options that can be read.
// RUN: nibble-opt %s --split-input-file --verify-diagnostics --accumulate-micro-batches

module attributes {nibble.step = "accumulate=2"} {
  func.func @train_step(%flag: tensor<i1>) {
    // expected-error@+1 {{accumulate: @train_step has no random state of type tensor<2xi64>}}
    train.guard %flag : tensor<i1>
    return
  }
}

// -----

module attributes {nibble.step = "accumulate=2"} {
  // expected-error@+1 {{accumulate: @train_step has no guard}}
  func.func @train_step(%rng: tensor<2xi64>) {
    return
  }
}

// -----

// expected-error@+1 {{accumulate: attribute 'nibble.step': --accumulate: a whole number from 1 to 65536 expected, found '1.5'}}
module attributes {nibble.step = "accumulate=1.5"} {
}

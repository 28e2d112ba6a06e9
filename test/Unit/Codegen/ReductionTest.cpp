//===- ReductionTest.cpp - statistics, scales and flags against the interpreter -===//
//
// Law: reductions keep the order of numerics.md, section 5, so compiled code gives the interpreter's bits; elements beyond a
// tensor's end (the harness makes them NaN) take no part.
//
//===----------------------------------------------------------------------===//
#include "GroupHarness.h"

#include <gtest/gtest.h>

using namespace nibble::test;

namespace {

/// Below a vector, below a flat block, blocks with a ragged end, several chunks.
const char *const kSizes[] = {"1", "3", "16", "33", "4096", "4099", "50001"};

void atEverySize(const std::string &text) {
  for (const char *n : kSizes)
    expectSameBits(with(text, {{"n", n}}));
  expectSameBits(with(text, {{"n", "1037"}}), "generic");
}

} // namespace

// Maxima and ranges do not depend on the order, and are NaN where any element is.
TEST(Reduction, Maxima) {
  for (std::string special : {"", "{t.special}"}) {
    atEverySize(with(R"((%x: tensor<$nxf32> $s) -> tensor<f32> {
      %0 = q4.absmax %x : (tensor<$nxf32>) -> tensor<f32>
      return %0 : tensor<f32>
    })", {{"s", special}}));
    atEverySize(with(R"((%x: tensor<$nxf32> $s) -> (tensor<f32>, tensor<f32>) {
      %0, %1 = q4.range %x : (tensor<$nxf32>) -> (tensor<f32>, tensor<f32>)
      return %0, %1 : tensor<f32>, tensor<f32>
    })", {{"s", special}}));
  }
  // All of one sign: the other end is zero.
  expectSameBits(R"((%x: tensor<77xf32> {t.lo = 1.0, t.hi = 2.0}) -> (tensor<f32>, tensor<f32>) {
    %0, %1 = q4.range %x : (tensor<77xf32>) -> (tensor<f32>, tensor<f32>)
    return %0, %1 : tensor<f32>, tensor<f32>
  })");
}

// The flag is set by a NaN, with `infinities` by an infinity, and by nothing beyond the tensor.
TEST(Reduction, Flags) {
  for (std::string special : {"", "{t.special}", "{t.value = 1.0}", "{t.value = 0x7F800000 : f32}", "{t.value = 0xFFC00000 : f32}"})
    for (std::string infinities : {"", "{infinities}"})
      atEverySize(with(R"((%x: tensor<$nxf32> $s) -> tensor<i1> {
        %0 = q4.non_finite %x $i : (tensor<$nxf32>) -> tensor<i1>
        return %0 : tensor<i1>
      })", {{"s", special}, {"i", infinities}}));
  for (std::string value : {"0", "1"})
    expectSameBits(with(R"((%a: tensor<i1> {t.value = 0}, %b: tensor<i1> {t.value = $v}, %c: tensor<i1> {t.value = 0}) -> tensor<i1> {
      %0 = q4.or %a, %b, %c : (tensor<i1>, tensor<i1>, tensor<i1>) -> tensor<i1>
      return %0 : tensor<i1>
    })", {{"v", value}}));
}

// SAWB's clip from flat sums, and the maximum where the formula gives nothing positive (constant weights).
TEST(Reduction, Sawb) {
  for (std::string range : {"{t.lo = -1.0, t.hi = 1.0}", "", "{t.value = 0.5}", "{t.value = 0.0}", "{t.special}"})
    atEverySize(with(R"((%w: tensor<$nxf32> $r) -> tensor<f32> {
      %0 = q4.sawb_clip %w : (tensor<$nxf32>) -> tensor<f32>
      return %0 : tensor<f32>
    })", {{"r", range}}));
}

// A clip or range that is set stays; one that is not takes the pass's maximum.
TEST(Reduction, LastingRanges) {
  for (std::string state : {"0.0", "1.5", "0.0001"}) {
    for (std::string init : {"0.0", "6.0"})
      atEverySize(with(R"((%a: tensor<f32> {t.value = $v}, %x: tensor<$nxf32>) -> tensor<f32> {
        %0 = q4.init_clip %a, %x {init = $init : f32, floor = 0.0009765625 : f32} : (tensor<f32>, tensor<$nxf32>) -> tensor<f32>
        return %0 : tensor<f32>
      })", {{"v", state}, {"init", init}}));
    atEverySize(with(R"((%a: tensor<f32> {t.value = $v}, %x: tensor<$nxf32>) -> tensor<f32> {
      %0 = q4.frozen_range %a, %x : (tensor<f32>, tensor<$nxf32>) -> tensor<f32>
      return %0 : tensor<f32>
    })", {{"v", state}}));
    expectSameBits(with(R"((%a: tensor<f32> {t.value = $v}, %x: tensor<f32>) -> tensor<f32> {
      %0 = q4.moving_range %a, %x : (tensor<f32>, tensor<f32>) -> tensor<f32>
      return %0 : tensor<f32>
    })", {{"v", state}}));
  }
}

// Scales of maxima: ordinary, tiny, infinite, NaN.
TEST(Reduction, Scales) {
  for (std::string max : {"3.7 : f32", "1.0e-35 : f32", "0.0 : f32", "0x7F800000 : f32", "0x7FC00000 : f32"})
    for (std::string divisor : {"7.0", "15.0", "127.0", "64.0"})
      expectSameBits(with(R"((%m: tensor<f32> {t.value = $m}) -> tensor<f32> {
        %0 = q4.scale %m {divisor = $d : f32} : (tensor<f32>) -> tensor<f32>
        return %0 : tensor<f32>
      })", {{"m", max}, {"d", divisor}}));
  for (auto [lo, hi] : {std::pair("-1.3", "2.4"), {"0.0", "5.0"}, {"-7.0", "0.0"}, {"0.0", "0.0"}})
    expectSameBits(with(R"((%lo: tensor<f32> {t.value = $lo}, %hi: tensor<f32> {t.value = $hi}) -> (tensor<f32>, tensor<i32>) {
      %0, %1 = q4.affine_scale %lo, %hi : (tensor<f32>, tensor<f32>) -> (tensor<f32>, tensor<i32>)
      return %0, %1 : tensor<f32>, tensor<i32>
    })", {{"lo", lo}, {"hi", hi}}));
  for (std::string odd : {"", "{odd}"})
    expectSameBits(with(R"((%s: tensor<f32> {t.value = 1024.0}) -> tensor<f32> {
      %0 = q4.log_scale %s $o : (tensor<f32>) -> tensor<f32>
      return %0 : tensor<f32>
    })", {{"o", odd}}));
  for (std::string max : {"0.1 : f32", "0.01 : f32", "0.05 : f32", "0.0 : f32", "0x7F800000 : f32", "0x7FC00000 : f32"})
    expectSameBits(with(R"((%s: tensor<f32> {t.value = 1024.0}, %m: tensor<f32> {t.value = $m}) -> tensor<f32> {
      %0 = q4.grad_scale_update %s, %m : (tensor<f32>, tensor<f32>) -> tensor<f32>
      return %0 : tensor<f32>
    })", {{"m", max}}));
}

// The learning rate of a step, with Adam's corrections at early and late steps.
TEST(Reduction, Rate) {
  for (std::string step : {"1", "2", "77", "100000"})
    for (std::string form : {"{factor = 1.0e-4 : f64}", "{adam, beta1 = 0.9 : f64, beta2 = 0.999 : f64}"})
      expectSameBits(with(R"((%lr: tensor<f64> {t.value = 0.0123}, %t: tensor<i64> {t.value = $t}) -> tensor<f32> {
        %0 = train.rate %lr, %t $f : (tensor<f64>, tensor<i64>) -> tensor<f32>
        return %0 : tensor<f32>
      })", {{"t", step}, {"f", form}}));
}

// The first and the last call of an update, at every place of small and of large counters.
TEST(Reduction, MicroBatch) {
  for (std::string call : {"0", "1", "2", "3", "5", "3000000002"})
    for (std::string count : {"1", "3", "65536"})
      expectSameBits(with(R"((%rng: tensor<2xi64> {t.value = $call}) -> (tensor<i1>, tensor<i1>) {
        %0:2 = train.micro_batch %rng {count = $n} : (tensor<2xi64>) -> (tensor<i1>, tensor<i1>)
        return %0#0, %0#1 : tensor<i1>, tensor<i1>
      })", {{"call", call}, {"n", count}}));
}

// Codes at the ends of their set and codes of zero are counted once each, packed or not.
TEST(Reduction, CodeCounts) {
  for (std::string type : {"!q4.int4", "!q4.int8", "!q4.log<4>", "!q4.log<2>"})
    atEverySize(with(R"((%x: tensor<$nx$t>) -> tensor<2xi32> {
      %0 = q4.code_counts %x : (tensor<$nx$t>) -> tensor<2xi32>
      return %0 : tensor<2xi32>
    })", {{"t", type}}));
  for (std::string zero : {"-8", "3"})
    atEverySize(with(R"((%x: tensor<$nx!q4.int4>, %z: tensor<i32> {t.value = $z}) -> tensor<2xi32> {
      %0 = q4.code_counts %x, %z {qmin = -8 : i32, qmax = 7 : i32} : (tensor<$nx!q4.int4>, tensor<i32>) -> tensor<2xi32>
      return %0 : tensor<2xi32>
    })", {{"z", zero}}));
}

// Clipping by global norm: flat sums of squares, added in f64; below and above the limit.
TEST(Reduction, ClipFactor) {
  for (std::string limit : {"1.0e-3", "1.0e6"})
    for (std::string special : {"", "{t.special}"})
      atEverySize(with(R"((%a: tensor<$nxf32> $s, %b: tensor<7x3xf32>, %c: tensor<f32>) -> (tensor<f32>, tensor<f32>) {
        %0, %1 = train.clip_factor %a, %b, %c {limit = $l : f64} : (tensor<$nxf32>, tensor<7x3xf32>, tensor<f32>) -> (tensor<f32>, tensor<f32>)
        return %0, %1 : tensor<f32>, tensor<f32>
      })", {{"l", limit}, {"s", special}}));
}

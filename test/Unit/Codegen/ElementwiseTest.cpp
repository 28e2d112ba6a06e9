//===- ElementwiseTest.cpp - element-wise groups against the interpreter ------===//
//
// Law: compiled element-wise code gives the interpreter's bits, for every op, ragged size, broadcast and processor.
//
//===----------------------------------------------------------------------===//
#include "GroupHarness.h"

#include <gtest/gtest.h>

using namespace nibble::test;

static void everywhere(const std::string &text) {
  for (const char *cpu : kProcessors)
    expectSameBits(text, cpu);
}

// Each function of one operand, over special values too.
TEST(Elementwise, Unary) {
  everywhere(R"((%x: tensor<5x67xf32> {t.special}, %z: tensor<5x67xf32> {t.lo = -100.0, t.hi = 100.0})
      -> (tensor<5x67xf32>, tensor<5x67xf32>, tensor<5x67xf32>, tensor<5x67xf32>, tensor<5x67xf32>, tensor<5x67xf32>,
          tensor<5x67xf32>, tensor<5x67xf32>) {
    %0 = nn.neg %x : tensor<5x67xf32>
    %1 = nn.abs %x : tensor<5x67xf32>
    %2 = nn.sqrt %x : tensor<5x67xf32>
    %3 = nn.exp %z : tensor<5x67xf32>
    %4 = nn.log %x : tensor<5x67xf32>
    %5 = nn.erf %x : tensor<5x67xf32>
    %6 = nn.tanh %x : tensor<5x67xf32>
    %7 = nn.sigmoid %z : tensor<5x67xf32>
    return %0, %1, %2, %3, %4, %5, %6, %7 : tensor<5x67xf32>, tensor<5x67xf32>, tensor<5x67xf32>, tensor<5x67xf32>,
        tensor<5x67xf32>, tensor<5x67xf32>, tensor<5x67xf32>, tensor<5x67xf32>
  })");
}

// Where results are denormal, zero or infinite, the power of two is applied with one rounding: by halves, or by an instruction.
TEST(Elementwise, ExpAtItsEnds) {
  for (auto [lo, hi] : {std::pair("-104.5", "-86.5"), std::pair("87.5", "90.0"), std::pair("-1e30", "1e30")})
    everywhere(with(R"((%x: tensor<4099xf32> {t.lo = $lo, t.hi = $hi}, %z: tensor<4099xf32> {t.special}) -> (tensor<4099xf32>, tensor<4099xf32>) {
      %0 = nn.exp %x : tensor<4099xf32>
      %1 = nn.exp %z : tensor<4099xf32>
      return %0, %1 : tensor<4099xf32>, tensor<4099xf32>
    })", {{"lo", lo}, {"hi", hi}}));
}

// Comparisons and selections decide as the formulas say, NaN and zeros of both signs included.
TEST(Elementwise, Piecewise) {
  everywhere(R"((%x: tensor<131xf32> {t.special}, %y: tensor<131xf32> {t.special}, %alpha: tensor<f32> {t.value = 1.25})
      -> (tensor<131xf32>, tensor<131xf32>, tensor<131xf32>, tensor<131xf32>, tensor<131xf32>, tensor<131xf32>,
          tensor<131xf32>) {
    %0 = nn.relu %x : tensor<131xf32>
    %1 = nn.leaky_relu %x {slope = 0.01 : f32} : tensor<131xf32>
    %2 = nn.clip %x {lo = -1.0 : f32, hi = 2.0 : f32} : tensor<131xf32>
    %3 = nn.min %x, %y : (tensor<131xf32>, tensor<131xf32>) -> tensor<131xf32>
    %4 = nn.max %x, %y : (tensor<131xf32>, tensor<131xf32>) -> tensor<131xf32>
    %5 = nn.clip_learned %x, %alpha {one_sided} : (tensor<131xf32>, tensor<f32>) -> tensor<131xf32>
    %6 = nn.clip_learned %x, %alpha : (tensor<131xf32>, tensor<f32>) -> tensor<131xf32>
    return %0, %1, %2, %3, %4, %5, %6 : tensor<131xf32>, tensor<131xf32>, tensor<131xf32>, tensor<131xf32>, tensor<131xf32>,
        tensor<131xf32>, tensor<131xf32>
  })");
}

// Every comparison, and what is made of masks; a mask's bits beyond the tensor do not matter.
TEST(Elementwise, Masks) {
  for (std::string predicate : {"lt", "le", "gt", "ge", "eq"})
    expectSameBits(with(R"((%x: tensor<3x45xf32> {t.special}, %y: tensor<45xf32> {t.special}) -> tensor<3x45xi1> {
      %0 = nn.compare %x, %y {predicate = #nn.cmp<$p>} : (tensor<3x45xf32>, tensor<45xf32>) -> tensor<3x45xi1>
      return %0 : tensor<3x45xi1>
    })", {{"p", predicate}}));
  everywhere(R"((%x: tensor<3x45xf32> {t.special}, %y: tensor<3x45xf32>, %m: tensor<3x45xi1>, %u: tensor<3x45xi16>,
                 %lo: tensor<f32> {t.value = -0.5}, %hi: tensor<f32> {t.value = 0.5})
      -> (tensor<3x45xf32>, tensor<3x45xf32>, tensor<3x45xi1>, tensor<3x45xi1>) {
    %0 = nn.mask %x, %m : (tensor<3x45xf32>, tensor<3x45xi1>) -> tensor<3x45xf32>
    %1 = nn.select %m, %x, %y : (tensor<3x45xi1>, tensor<3x45xf32>, tensor<3x45xf32>) -> tensor<3x45xf32>
    %2 = nn.inside %x, %lo, %hi : (tensor<3x45xf32>, tensor<f32>, tensor<f32>) -> tensor<3x45xi1>
    %3 = nn.keep_mask %u {ratio = 0.3 : f32} : (tensor<3x45xi16>) -> tensor<3x45xi1>
    return %0, %1, %2, %3 : tensor<3x45xf32>, tensor<3x45xf32>, tensor<3x45xi1>, tensor<3x45xi1>
  })");
}

// A vector repeats along leading dimensions, whatever its length: below, at and above a block, a multiple of it or not.
TEST(Elementwise, Periods) {
  for (std::string c : {"1", "3", "10", "16", "32", "33", "64", "100"})
    expectSameBits(with(R"((%x: tensor<7x$cxf32>, %v: tensor<1x$cxf32>, %w: tensor<$cxf32>) -> (tensor<7x$cxf32>, tensor<7x$cxf32>) {
      %0 = nn.fma %x, %v, %v : (tensor<7x$cxf32>, tensor<1x$cxf32>, tensor<1x$cxf32>) -> tensor<7x$cxf32>
      %1 = nn.sub %w, %0 : (tensor<$cxf32>, tensor<7x$cxf32>) -> tensor<7x$cxf32>
      return %0, %1 : tensor<7x$cxf32>, tensor<7x$cxf32>
    })", {{"c", c}}));
}

// Larger than a chunk, with a ragged end: the parallel loop covers everything once.
TEST(Elementwise, Chunks) {
  expectSameBits(R"((%x: tensor<5x9973xf32>, %v: tensor<9973xf32>) -> tensor<5x9973xf32> {
    %0 = nn.sub %x, %v : (tensor<5x9973xf32>, tensor<9973xf32>) -> tensor<5x9973xf32>
    return %0 : tensor<5x9973xf32>
  })");
}

// Groups of one element, ops of one element in larger groups, constants, reshapes, an argument handed back.
TEST(Elementwise, Scalars) {
  everywhere(R"((%a: tensor<f32>, %b: tensor<f32>) -> (tensor<f32>, tensor<i1>, tensor<f32>) {
    %c = arith.constant dense<2.5> : tensor<f32>
    %0 = nn.mul %a, %c : (tensor<f32>, tensor<f32>) -> tensor<f32>
    %1 = nn.compare %a, %b {predicate = #nn.cmp<lt>} : (tensor<f32>, tensor<f32>) -> tensor<i1>
    %2 = nn.max %0, %b : (tensor<f32>, tensor<f32>) -> tensor<f32>
    return %2, %1, %a : tensor<f32>, tensor<i1>, tensor<f32>
  })");
  everywhere(R"((%x: tensor<4x11xf32>, %a: tensor<f32>) -> (tensor<44xf32>, tensor<f32>, tensor<4x11xf32>) {
    %c = arith.constant dense<2.5> : tensor<f32>
    %ones = arith.constant dense<1.0> : tensor<4x11xf32>
    %0 = nn.mul %a, %c : (tensor<f32>, tensor<f32>) -> tensor<f32>
    %1 = nn.mul %x, %0 : (tensor<4x11xf32>, tensor<f32>) -> tensor<4x11xf32>
    %2 = nn.add %1, %ones : (tensor<4x11xf32>, tensor<4x11xf32>) -> tensor<4x11xf32>
    %3 = nn.reshape %2 : (tensor<4x11xf32>) -> tensor<44xf32>
    %4 = nn.neg %3 : tensor<44xf32>
    return %4, %0, %x : tensor<44xf32>, tensor<f32>, tensor<4x11xf32>
  })");
}

// Optimizers, in every form.
TEST(Elementwise, Optimizers) {
  for (std::string form : {"momentum = 0.9 : f32, decay = 1.0e-4 : f32", "momentum = 0.9 : f32, decay = 0.0 : f32, nesterov",
                           "momentum = 0.0 : f32, decay = 0.0 : f32"})
    expectSameBits(with(R"((%t: tensor<77xf32>, %g: tensor<77xf32>, %v: tensor<77xf32>, %r: tensor<f32>) -> (tensor<77xf32>, tensor<77xf32>) {
      %0, %1 = train.sgd %t, %g, %v, %r {$form} : (tensor<77xf32>, tensor<77xf32>, tensor<77xf32>, tensor<f32>) -> (tensor<77xf32>, tensor<77xf32>)
      return %0, %1 : tensor<77xf32>, tensor<77xf32>
    })", {{"form", form}}));
  for (std::string decay : {"0.0", "0.01"})
    expectSameBits(with(R"((%t: tensor<77xf32>, %g: tensor<77xf32>, %m: tensor<77xf32>, %v: tensor<77xf32> {t.lo = 0.0, t.hi = 1.0},
        %r: tensor<f32> {t.value = 0.01}) -> (tensor<77xf32>, tensor<77xf32>, tensor<77xf32>) {
      %0, %1, %2 = train.adam %t, %g, %m, %v, %r {beta1 = 0.9 : f64, beta2 = 0.999 : f64, epsilon = 1.0e-8 : f32, decay = $decay : f32}
        : (tensor<77xf32>, tensor<77xf32>, tensor<77xf32>, tensor<77xf32>, tensor<f32>) -> (tensor<77xf32>, tensor<77xf32>, tensor<77xf32>)
      return %0, %1, %2 : tensor<77xf32>, tensor<77xf32>, tensor<77xf32>
    })", {{"decay", decay}}));
  expectSameBits(R"((%t: tensor<77xf32>, %g: tensor<77xf32>, %m: tensor<77xf32>, %v: tensor<77xf32> {t.lo = 0.0, t.hi = 1.0},
        %r: tensor<f32> {t.value = 0.01}, %d: tensor<f32> {t.value = 0.001}) -> (tensor<77xf32>, tensor<77xf32>, tensor<77xf32>) {
      %0, %1, %2 = train.adam %t, %g, %m, %v, %r, %d {beta1 = 0.9 : f64, beta2 = 0.999 : f64, epsilon = 1.0e-8 : f32, decay = 0.0 : f32}
        : (tensor<77xf32>, tensor<77xf32>, tensor<77xf32>, tensor<77xf32>, tensor<f32>, tensor<f32>) -> (tensor<77xf32>, tensor<77xf32>, tensor<77xf32>)
      return %0, %1, %2 : tensor<77xf32>, tensor<77xf32>, tensor<77xf32>
    })");
}

// Quantizers of every level set and radix, nearest and with noise; NaN and infinities have their code.
TEST(Elementwise, Quantize) {
  struct Set { std::string type, qmin, qmax, zero; };
  for (Set set : {Set{"int4", "-8", "7", "-8"}, Set{"int4", "-7", "7", "0"}, Set{"int4", "-8", "7", "3"}}) {
    std::string text = R"((%x: tensor<3x37xf32> {t.special}, %s: tensor<f32> {t.value = 0.13}, %z: tensor<i32> {t.value = $zero}, %u: tensor<3x37xi16>)
        -> (tensor<3x37x!q4.$type>, tensor<3x37x!q4.$type>, tensor<3x37xf32>) {
      %0 = q4.quantize %x, %s zero_point(%z) {qmin = $qmin : i32, qmax = $qmax : i32} : (tensor<3x37xf32>, tensor<f32>, tensor<i32>) -> tensor<3x37x!q4.$type>
      %1 = q4.quantize %x, %s zero_point(%z) noise(%u) {qmin = $qmin : i32, qmax = $qmax : i32} : (tensor<3x37xf32>, tensor<f32>, tensor<i32>, tensor<3x37xi16>) -> tensor<3x37x!q4.$type>
      %2 = q4.dequantize %0, %s, %z : (tensor<3x37x!q4.$type>, tensor<f32>, tensor<i32>) -> tensor<3x37xf32>
      return %0, %1, %2 : tensor<3x37x!q4.$type>, tensor<3x37x!q4.$type>, tensor<3x37xf32>
    })";
    for (const char *cpu : kProcessors)
      expectSameBits(with(text, {{"type", set.type}, {"qmin", set.qmin}, {"qmax", set.qmax}, {"zero", set.zero}}), cpu);
  }
  everywhere(R"((%x: tensor<3x37xf32> {t.special}, %s: tensor<f32> {t.value = 0.25}, %c: tensor<3x37x!q4.int8>, %u: tensor<3x37xi16>)
      -> (tensor<3x37x!q4.int4>, tensor<3x37x!q4.int8>, tensor<3x37x!q4.int8>, tensor<3x37xf32>) {
    %0 = q4.quantize %x, %s {qmin = -7 : i32, qmax = 7 : i32} : (tensor<3x37xf32>, tensor<f32>) -> tensor<3x37x!q4.int4>
    %1 = q4.quantize %x, %s {qmin = -127 : i32, qmax = 127 : i32} : (tensor<3x37xf32>, tensor<f32>) -> tensor<3x37x!q4.int8>
    %2 = q4.quantize %x, %s noise(%u) {qmin = -127 : i32, qmax = 127 : i32} : (tensor<3x37xf32>, tensor<f32>, tensor<3x37xi16>) -> tensor<3x37x!q4.int8>
    %3 = q4.dequantize %c, %s : (tensor<3x37x!q4.int8>, tensor<f32>) -> tensor<3x37xf32>
    return %0, %1, %2, %3 : tensor<3x37x!q4.int4>, tensor<3x37x!q4.int8>, tensor<3x37x!q4.int8>, tensor<3x37xf32>
  })");
  everywhere(R"((%x: tensor<3x37xf32> {t.special}, %s: tensor<f32> {t.value = 0.0078125}, %u: tensor<3x37xi16>)
      -> (tensor<3x37x!q4.log<4>>, tensor<3x37x!q4.log<2>>, tensor<3x37xf32>, tensor<3x37xf32>) {
    %0 = q4.quantize_log %x, %s : (tensor<3x37xf32>, tensor<f32>) -> tensor<3x37x!q4.log<4>>
    %1 = q4.quantize_log %x, %s, %u : (tensor<3x37xf32>, tensor<f32>, tensor<3x37xi16>) -> tensor<3x37x!q4.log<2>>
    %2 = q4.dequantize %0, %s : (tensor<3x37x!q4.log<4>>, tensor<f32>) -> tensor<3x37xf32>
    %3 = q4.dequantize %1, %s : (tensor<3x37x!q4.log<2>>, tensor<f32>) -> tensor<3x37xf32>
    return %0, %1, %2, %3 : tensor<3x37x!q4.log<4>>, tensor<3x37x!q4.log<2>>, tensor<3x37xf32>, tensor<3x37xf32>
  })");
}

// Codes and masks that come in and go out again, and the gradient of the squared error.
// Folds in the loop of a group give what they give alone: padding is no element, chunks meet in the end, and a value that is
// changed in the same loop is folded as it was made.
TEST(Elementwise, FoldsRideAlong) {
  for (const char *cpu : kProcessors)
    for (const char *n : {"33", "64", "100", "70001"})
      expectSameBits(with(R"(
(%x: tensor<$nxf32> {t.special}, %s: tensor<f32> {t.value = 0.25}) -> (tensor<$nxf32>, tensor<f32>, tensor<i1>, tensor<i1>, tensor<$nx!q4.int4>, tensor<2xi32>) {
  %y = nn.relu %x : tensor<$nxf32>
  %m = q4.absmax %y : (tensor<$nxf32>) -> tensor<f32>
  %f = q4.non_finite %y {infinities} : (tensor<$nxf32>) -> tensor<i1>
  %g = q4.non_finite %x : (tensor<$nxf32>) -> tensor<i1>
  %q = q4.quantize %y, %s {qmin = -7 : i32, qmax = 7 : i32} : (tensor<$nxf32>, tensor<f32>) -> tensor<$nx!q4.int4>
  %c = q4.code_counts %q : (tensor<$nx!q4.int4>) -> tensor<2xi32>
  return %y, %m, %f, %g, %q, %c : tensor<$nxf32>, tensor<f32>, tensor<i1>, tensor<i1>, tensor<$nx!q4.int4>, tensor<2xi32>
})",
                          {{"n", n}}),
                     cpu);
}

TEST(Elementwise, CopiesAndMse) {
  everywhere(R"((%a: tensor<90x!q4.int4>, %b: tensor<90x!q4.log<4>>, %c: tensor<90xi1>, %d: tensor<90xi16>)
      -> (tensor<9x10x!q4.int4>, tensor<90x!q4.log<4>>, tensor<90xi1>, tensor<90xi16>) {
    %0 = nn.reshape %a : (tensor<90x!q4.int4>) -> tensor<9x10x!q4.int4>
    return %0, %b, %c, %d : tensor<9x10x!q4.int4>, tensor<90x!q4.log<4>>, tensor<90xi1>, tensor<90xi16>
  })");
  everywhere(R"((%y: tensor<9x10xf32>, %t: tensor<9x10xf32>, %d: tensor<f32>) -> tensor<9x10xf32> {
    %0 = nn.mse_grad %y, %t, %d : (tensor<9x10xf32>, tensor<9x10xf32>, tensor<f32>) -> tensor<9x10xf32>
    return %0 : tensor<9x10xf32>
  })");
}

// bf16 copies: every kind of number narrows as Numerics says, and what was narrowed is read back as it is.
TEST(Elementwise, Narrow) {
  everywhere(R"((%x: tensor<5x67xf32> {t.special}, %n: tensor<5x67xbf16> {t.special})
      -> (tensor<5x67xbf16>, tensor<5x67xf32>) {
    %0 = q4.narrow %x : (tensor<5x67xf32>) -> tensor<5x67xbf16>
    %1 = q4.widen %0 : (tensor<5x67xbf16>) -> tensor<5x67xf32>
    %2 = q4.widen %n : (tensor<5x67xbf16>) -> tensor<5x67xf32>
    %4 = nn.mul %1, %2 : (tensor<5x67xf32>, tensor<5x67xf32>) -> tensor<5x67xf32>
    return %0, %4 : tensor<5x67xbf16>, tensor<5x67xf32>
  })");
}

// Bits that only the group reads are made in its registers: before its end, past whole vectors of counters and past a chunk; with
// folds and without; a mask and codes from two streams.
TEST(Elementwise, RandomBitsInRegisters) {
  for (std::string n : {"5", "32", "96", "127", "128", "129", "517", "16384", "16401", "40000"}) {
    everywhere(with(R"((%x: tensor<$nxf32> {t.special}, %s: tensor<f32> {t.value = 0.01}, %rng: tensor<2xi64>)
        -> (tensor<$nx!q4.log<2>>, tensor<2xi32>) {
      %u = train.random_bits %rng {stream = -559038737 : i32} : (tensor<2xi64>) -> tensor<$nxi16>
      %q = q4.quantize_log %x, %s, %u : (tensor<$nxf32>, tensor<f32>, tensor<$nxi16>) -> tensor<$nx!q4.log<2>>
      %c = q4.code_counts %q : (tensor<$nx!q4.log<2>>) -> tensor<2xi32>
      return %q, %c : tensor<$nx!q4.log<2>>, tensor<2xi32>
    })", {{"n", n}}));
    everywhere(with(R"((%x: tensor<$nxf32>, %s: tensor<f32> {t.value = 0.3}, %rng: tensor<2xi64>)
        -> (tensor<$nx!q4.int4>, tensor<$nxi1>) {
      %u = train.random_bits %rng {stream = 7 : i32} : (tensor<2xi64>) -> tensor<$nxi16>
      %v = train.random_bits %rng {stream = 8 : i32} : (tensor<2xi64>) -> tensor<$nxi16>
      %m = nn.keep_mask %v {ratio = 0.4 : f32} : (tensor<$nxi16>) -> tensor<$nxi1>
      %q = q4.quantize %x, %s noise(%u) {qmin = -7 : i32, qmax = 7 : i32}
        : (tensor<$nxf32>, tensor<f32>, tensor<$nxi16>) -> tensor<$nx!q4.int4>
      return %q, %m : tensor<$nx!q4.int4>, tensor<$nxi1>
    })", {{"n", n}}));
  }
}

// Ops that move whole blocks are read where their elements lie, alone and in chains, whatever reads them.
TEST(Elementwise, Moves) {
  everywhere(R"((%x: tensor<2x5x3x32xf32>, %w: tensor<2x5x192xf32> {t.special}, %r: tensor<2x3x5x1xf32>, %s: tensor<f32> {t.value = 0.25})
      -> (tensor<2x3x5x32xf32>, tensor<2x3x5x32xf32>, tensor<30x32x!q4.int4>, tensor<2xi32>, tensor<f32>) {
    %t = nn.transpose %x {perm = array<i64: 0, 2, 1, 3>} : (tensor<2x5x3x32xf32>) -> tensor<2x3x5x32xf32>
    %b = nn.broadcast %r : (tensor<2x3x5x1xf32>) -> tensor<2x3x5x32xf32>
    %0 = nn.sub %t, %b : (tensor<2x3x5x32xf32>, tensor<2x3x5x32xf32>) -> tensor<2x3x5x32xf32>
    %c = nn.slice %w {starts = array<i64: 0, 0, 96>, steps = array<i64: 1, 1, 1>} : (tensor<2x5x192xf32>) -> tensor<2x5x96xf32>
    %d = nn.reshape %c : (tensor<2x5x96xf32>) -> tensor<2x5x3x32xf32>
    %e = nn.transpose %d {perm = array<i64: 0, 2, 1, 3>} : (tensor<2x5x3x32xf32>) -> tensor<2x3x5x32xf32>
    %1 = nn.relu %e : tensor<2x3x5x32xf32>
    %f = nn.reshape %t : (tensor<2x3x5x32xf32>) -> tensor<30x32xf32>
    %2 = q4.quantize %f, %s {qmin = -7 : i32, qmax = 7 : i32} : (tensor<30x32xf32>, tensor<f32>) -> tensor<30x32x!q4.int4>
    %3 = q4.code_counts %2 : (tensor<30x32x!q4.int4>) -> tensor<2xi32>
    %4 = q4.absmax %f : (tensor<30x32xf32>) -> tensor<f32>
    return %0, %1, %2, %3, %4 : tensor<2x3x5x32xf32>, tensor<2x3x5x32xf32>, tensor<30x32x!q4.int4>, tensor<2xi32>, tensor<f32>
  })");
}

// Sums per channel walk moved elements too: the order is that of the result.
TEST(Elementwise, MovesUnderChannelSums) {
  everywhere(R"((%x: tensor<3x110x64xf32>) -> (tensor<64xf32>) {
    %t = nn.transpose %x {perm = array<i64: 1, 0, 2>} : (tensor<3x110x64xf32>) -> tensor<110x3x64xf32>
    %0 = nn.channel_sum %t : (tensor<110x3x64xf32>) -> tensor<64xf32>
    return %0 : tensor<64xf32>
  })");
}

// Parts side by side, each moved before; the parts' rows are whole blocks of different lengths.
TEST(Elementwise, Joined) {
  everywhere(R"((%x: tensor<2x5x3x32xf32>, %y: tensor<2x5x32xf32>, %z: tensor<2x5x192xf32>) -> (tensor<10x192xf32>, tensor<f32>) {
    %t = nn.transpose %x {perm = array<i64: 0, 1, 2, 3>} : (tensor<2x5x3x32xf32>) -> tensor<2x5x3x32xf32>
    %a = nn.reshape %t : (tensor<2x5x3x32xf32>) -> tensor<2x5x96xf32>
    %b = nn.slice %z {starts = array<i64: 0, 0, 128>, steps = array<i64: 1, 1, 1>} : (tensor<2x5x192xf32>) -> tensor<2x5x64xf32>
    %c = nn.concat %a, %y, %b {axis = 2 : i64} : (tensor<2x5x96xf32>, tensor<2x5x32xf32>, tensor<2x5x64xf32>) -> tensor<2x5x192xf32>
    %r = nn.reshape %c : (tensor<2x5x192xf32>) -> tensor<10x192xf32>
    %0 = nn.neg %r : tensor<10x192xf32>
    %1 = q4.absmax %r : (tensor<10x192xf32>) -> tensor<f32>
    return %0, %1 : tensor<10x192xf32>, tensor<f32>
  })");
}

// Random bits beside sums per channel: the rows are whole fours of blocks, or pairs, or single ones.
TEST(Elementwise, RandomBitsBesideChannelSums) {
  for (std::string c : {"128", "256", "64", "96"})
    everywhere(with(R"((%x: tensor<101x$cxf32>, %s: tensor<f32> {t.value = 0.25}, %rng: tensor<2xi64> {t.max = 1000})
        -> (tensor<$cxf32>, tensor<101x$cx!q4.int4>, tensor<2xi32>) {
      %u = train.random_bits %rng {stream = 77 : i32} : (tensor<2xi64>) -> tensor<101x$cxi16>
      %0 = nn.channel_sum %x : (tensor<101x$cxf32>) -> tensor<$cxf32>
      %1 = q4.quantize %x, %s noise(%u) {qmin = -7 : i32, qmax = 7 : i32}
        : (tensor<101x$cxf32>, tensor<f32>, tensor<101x$cxi16>) -> tensor<101x$cx!q4.int4>
      %2 = q4.code_counts %1 : (tensor<101x$cx!q4.int4>) -> tensor<2xi32>
      return %0, %1, %2 : tensor<$cxf32>, tensor<101x$cx!q4.int4>, tensor<2xi32>
    })", {{"c", c}}));
}

//===- ProductChainTest.cpp - products and the loops that read them -----------===//
//
// Law: a loop behind a product, whichever way the product is made and however many passes that
// takes, gives the bits that product and loop give one after the other.
//
//===----------------------------------------------------------------------===//
#include "GroupHarness.h"

#include <gtest/gtest.h>

using namespace nibble::test;

namespace {

void onBoth(const std::string &function) {
  for (const char *cpu : kProcessors)
    expectSameBits(function, cpu);
}

struct Convolution {
  const char *in, *out, *channels, *results, *kernel, *stride, *pad;
};

/// $X and $I: shape and channels of what goes in, $S and $C of the result, $K, $t, $p: taps,
/// stride, border.
std::string with(const std::string &text, const Convolution &c) {
  return nibble::test::with(
      text, {{"A", "{layer = \"c\", pads = array<i64: $p, $p, $p, $p>, strides = array<i64: $t, "
                   "$t>, dilations = array<i64: 1, 1>, groups = 1 : i64}"},
             {"X", std::string(c.in) + "x" + c.channels},
             {"S", std::string(c.out) + "x" + c.results},
             {"I", c.channels},
             {"C", c.results},
             {"K", c.kernel},
             {"t", c.stride},
             {"p", c.pad}});
}

} // namespace

// Forward, Winograd and direct, in several passes with a smaller last one; maps of odd sizes; a
// single image; what batch norm asks.
TEST(ProductChain, NarrowAndStatistics) {
  for (Convolution c : {Convolution{"19x16x16", "19x16x16", "64", "64", "3", "1", "1"},
                        {"3x7x9", "3x7x9", "64", "96", "3", "1", "1"},
                        {"21x16x16", "21x16x16", "32", "64", "3", "1", "1"},
                        {"37x17x15", "37x9x8", "32", "96", "3", "2", "1"},
                        {"9x32x32", "9x32x32", "32", "32", "1", "1", "0"},
                        {"1x6x6", "1x6x6", "3", "32", "3", "1", "1"}})
    onBoth(with(
        R"((%x: tensor<$Xx!q4.int4>, %w: tensor<$Cx$Kx$Kx$Ix!q4.int4>, %s: tensor<f32> {t.value = 0.25}, %g: tensor<$Cxf32>, %b: tensor<$Cxf32>,
        %m: tensor<$Cxf32>, %v: tensor<$Cxf32> {t.lo = 0.1, t.hi = 2.0}) -> (tensor<$Sxbf16>, tensor<$Cxf32>, tensor<$Cxf32>, tensor<f32>) {
      %z = q4.conv2d %x, %w scales(%s, %s) $A : (tensor<$Xx!q4.int4>, tensor<$Cx$Kx$Kx$Ix!q4.int4>, tensor<f32>, tensor<f32>) -> tensor<$Sxf32>
      %n = q4.narrow %z : (tensor<$Sxf32>) -> tensor<$Sxbf16>
      %y = q4.widen %n : (tensor<$Sxbf16>) -> tensor<$Sxf32>
      %0:6 = nn.batch_stats %y, %g, %b, %m, %v {epsilon = 1.0e-5 : f32, momentum = 0.9 : f32}
        : (tensor<$Sxf32>, tensor<$Cxf32>, tensor<$Cxf32>, tensor<$Cxf32>, tensor<$Cxf32>)
        -> (tensor<$Cxf32>, tensor<$Cxf32>, tensor<$Cxf32>, tensor<$Cxf32>, tensor<$Cxf32>, tensor<$Cxf32>)
      %a = q4.absmax %z : (tensor<$Sxf32>) -> tensor<f32>
      return %n, %0#0, %0#1, %a : tensor<$Sxbf16>, tensor<$Cxf32>, tensor<$Cxf32>, tensor<f32>
    })",
        c));
}

// An input gradient, in classes of pixels where the stride is two; the second branch, the masks,
// sums per channel; the result itself is stored too, or not.
TEST(ProductChain, GradientMaskAndSums) {
  for (Convolution c : {Convolution{"19x16x16", "19x16x16", "64", "64", "3", "1", "1"},
                        {"37x9x8", "37x17x15", "96", "32", "3", "2", "1"},
                        {"5x8x8", "5x15x15", "32", "64", "1", "2", "0"}})
    for (const char *more : {"%d", "%q"}) // what is stored beside
      onBoth(with(
          nibble::test::with(
              R"((%dy: tensor<$Xx!q4.log<2>>, %w: tensor<$Ix$Kx$Kx$Cx!q4.int4>, %s: tensor<f32> {t.value = 0.25}, %m: tensor<$Sxi1>,
          %h: tensor<$Sxf32>, %n: tensor<$Sxi1>, %k: tensor<$Sx!q4.int4>, %z: tensor<i32> {t.value = -8}) -> (tensor<$Sxf32>, tensor<f32>, tensor<$Cxf32>, tensor<$Sxf32>) {
        %d = q4.conv2d_input_grad %dy, %w scales(%s, %s) $A
          : (tensor<$Xx!q4.log<2>>, tensor<$Ix$Kx$Kx$Cx!q4.int4>, tensor<f32>, tensor<f32>) -> tensor<$Sxf32>
        %0 = nn.mask %d, %m : (tensor<$Sxf32>, tensor<$Sxi1>) -> tensor<$Sxf32>
        %q = nn.add %h, %0 : (tensor<$Sxf32>, tensor<$Sxf32>) -> tensor<$Sxf32>
        %1 = nn.mask %q, %n : (tensor<$Sxf32>, tensor<$Sxi1>) -> tensor<$Sxf32>
        %2 = nn.clip_alpha_grad %d, %m, %k, %z : (tensor<$Sxf32>, tensor<$Sxi1>, tensor<$Sx!q4.int4>, tensor<i32>) -> tensor<f32>
        %3 = nn.channel_sum %1 : (tensor<$Sxf32>) -> tensor<$Cxf32>
        return %1, %2, %3, $more : tensor<$Sxf32>, tensor<f32>, tensor<$Cxf32>, tensor<$Sxf32>
      })",
              {{"more", more}}),
          c));
}

// Rows of a matrix product: passes of blocks of 96; a vector and a bias that repeats; random bits,
// codes and their counts, maxima. The result may be of another shape to the loop.
TEST(ProductChain, RowsToCodes) {
  for (auto [rows, columns, shape] : {std::tuple("700", "512", "700x512"),
                                      {"5", "32", "5x32"},
                                      {"97", "96", "97x96"},
                                      {"600", "512", "6x100x512"}})
    for (const char *left : {"!q4.int4", "!q4.int8"})
      onBoth(nibble::test::with(
          R"((%x: tensor<$Rx64x$L>, %w: tensor<$Cx64x!q4.int4>, %s: tensor<f32> {t.value = 0.02}, %b: tensor<$Cxf32>, %rng: tensor<2xi64>)
          -> (tensor<$Sx!q4.int4>, tensor<2xi32>, tensor<f32>, tensor<i1>) {
        %z = q4.matmul %x, %w scales(%s, %s) {layer = "f", transpose_b} : (tensor<$Rx64x$L>, tensor<$Cx64x!q4.int4>, tensor<f32>, tensor<f32>) -> tensor<$Rx$Cxf32>
        %y = nn.reshape %z : (tensor<$Rx$Cxf32>) -> tensor<$Sxf32>
        %0 = nn.add %y, %b : (tensor<$Sxf32>, tensor<$Cxf32>) -> tensor<$Sxf32>
        %1 = nn.relu %0 : tensor<$Sxf32>
        %u = train.random_bits %rng {stream = 7 : i32} : (tensor<2xi64>) -> tensor<$Sxi16>
        %q = q4.quantize %1, %s noise(%u) {qmin = -7 : i32, qmax = 7 : i32} : (tensor<$Sxf32>, tensor<f32>, tensor<$Sxi16>) -> tensor<$Sx!q4.int4>
        %c = q4.code_counts %q : (tensor<$Sx!q4.int4>) -> tensor<2xi32>
        %a = q4.absmax %1 : (tensor<$Sxf32>) -> tensor<f32>
        %f = q4.non_finite %0 : (tensor<$Sxf32>) -> tensor<i1>
        return %q, %c, %a, %f : tensor<$Sx!q4.int4>, tensor<2xi32>, tensor<f32>, tensor<i1>
      })",
          {{"R", rows}, {"C", columns}, {"S", shape}, {"L", left}}));
}

// Maps whose units are no multiple of the four blocks that random bits are made for; sums over rows
// of another length than the product's.
TEST(ProductChain, OddUnits) {
  onBoth(
      R"((%x: tensor<9x7x7x16x!q4.int4>, %w: tensor<32x3x3x16x!q4.int4>, %s: tensor<f32> {t.value = 0.1}, %rng: tensor<2xi64>) -> (tensor<9x7x7x32x!q4.log<2>>, tensor<2xi32>) {
    %z = q4.conv2d %x, %w scales(%s, %s) {layer = "c", pads = array<i64: 1, 1, 1, 1>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, groups = 1 : i64}
      : (tensor<9x7x7x16x!q4.int4>, tensor<32x3x3x16x!q4.int4>, tensor<f32>, tensor<f32>) -> tensor<9x7x7x32xf32>
    %u = train.random_bits %rng {stream = 7 : i32} : (tensor<2xi64>) -> tensor<9x7x7x32xi16>
    %q = q4.quantize_log %z, %s, %u : (tensor<9x7x7x32xf32>, tensor<f32>, tensor<9x7x7x32xi16>) -> tensor<9x7x7x32x!q4.log<2>>
    %c = q4.code_counts %q : (tensor<9x7x7x32x!q4.log<2>>) -> tensor<2xi32>
    return %q, %c : tensor<9x7x7x32x!q4.log<2>>, tensor<2xi32>
  })");
  onBoth(
      R"((%x: tensor<300x32x!q4.int4>, %w: tensor<96x32x!q4.int4>, %s: tensor<f32> {t.value = 0.1}) -> (tensor<900x32xf32>, tensor<32xf32>) {
    %z = q4.matmul %x, %w scales(%s, %s) {layer = "f", transpose_b} : (tensor<300x32x!q4.int4>, tensor<96x32x!q4.int4>, tensor<f32>, tensor<f32>) -> tensor<300x96xf32>
    %r = nn.reshape %z : (tensor<300x96xf32>) -> tensor<900x32xf32>
    %y = nn.relu %r : tensor<900x32xf32>
    %c = nn.channel_sum %y : (tensor<900x32xf32>) -> tensor<32xf32>
    return %y, %c : tensor<900x32xf32>, tensor<32xf32>
  })");
}

// Products that do not come in passes: stacks, floats, the left operand stored column by column.
// The loop goes over all at the end.
TEST(ProductChain, WholeResults) {
  onBoth(
      R"((%x: tensor<6x40x64x!q4.int8>, %w: tensor<6x64x32x!q4.int8>, %s: tensor<f32> {t.value = 0.1}) -> (tensor<6x40x32xbf16>, tensor<f32>) {
    %z = q4.matmul %x, %w scales(%s, %s) {layer = "f"} : (tensor<6x40x64x!q4.int8>, tensor<6x64x32x!q4.int8>, tensor<f32>, tensor<f32>) -> tensor<6x40x32xf32>
    %n = q4.narrow %z : (tensor<6x40x32xf32>) -> tensor<6x40x32xbf16>
    %a = q4.absmax %z : (tensor<6x40x32xf32>) -> tensor<f32>
    return %n, %a : tensor<6x40x32xbf16>, tensor<f32>
  })");
  onBoth(
      R"((%x: tensor<200x40xf32>, %w: tensor<40x64xf32>, %b: tensor<64xf32>) -> (tensor<200x64xf32>, tensor<64xf32>) {
    %z = nn.matmul %x, %w {layer = "f"} : (tensor<200x40xf32>, tensor<40x64xf32>) -> tensor<200x64xf32>
    %y = nn.add %z, %b : (tensor<200x64xf32>, tensor<64xf32>) -> tensor<200x64xf32>
    %c = nn.channel_sum %y : (tensor<200x64xf32>) -> tensor<64xf32>
    return %y, %c : tensor<200x64xf32>, tensor<64xf32>
  })");
  onBoth(
      R"((%x: tensor<96x200x!q4.int4>, %w: tensor<96x64x!q4.log<2>>, %s: tensor<f32> {t.value = 0.1}) -> (tensor<200x64xf32>, tensor<i1>) {
    %z = q4.matmul %x, %w scales(%s, %s) {layer = "f", transpose_a} : (tensor<96x200x!q4.int4>, tensor<96x64x!q4.log<2>>, tensor<f32>, tensor<f32>) -> tensor<200x64xf32>
    %f = q4.non_finite %z : (tensor<200x64xf32>) -> tensor<i1>
    return %z, %f : tensor<200x64xf32>, tensor<i1>
  })");
}

// Results of 32 MB go past the caches, and are all there.
TEST(ProductChain, StreamedResults) {
  expectSameBits(
      R"((%x: tensor<16384x4x!q4.int8>, %w: tensor<512x4x!q4.int8>, %s: tensor<f32> {t.value = 0.1}) -> tensor<16384x512xf32> {
    %z = q4.matmul %x, %w scales(%s, %s) {layer = "f", transpose_b} : (tensor<16384x4x!q4.int8>, tensor<512x4x!q4.int8>, tensor<f32>, tensor<f32>) -> tensor<16384x512xf32>
    %y = nn.relu %z : tensor<16384x512xf32>
    return %y : tensor<16384x512xf32>
  })");
}

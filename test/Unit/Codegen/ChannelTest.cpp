//===- ChannelTest.cpp - per-channel reductions against the interpreter -------===//
//
// Law: block sums in f32 with rows ascending, blocks and channels ascending in f64: the interpreter's bits, for packed operands
// whose rows begin anywhere too.
//
//===----------------------------------------------------------------------===//
#include "GroupHarness.h"

#include <gtest/gtest.h>

using namespace nibble::test;

namespace {
/// Images, and rows that are several blocks of 96 with a ragged end.
const char *const kLeading[] = {"3x5x4x", "201x", "2x50x", ""};
const char *const kChannels[] = {"1", "3", "10", "16", "33", "64", "100"};

void atEveryShape(const std::string &text) {
  for (const char *leading : kLeading)
    for (const char *channels : kChannels)
      expectSameBits(with(text, {{"S", std::string(leading) + channels}, {"C", channels}}));
  expectSameBits(with(text, {{"S", "3x5x4x10"}, {"C", "10"}}), "generic");
}
} // namespace

// Bias gradients.
TEST(Channel, Sum) {
  atEveryShape(R"((%x: tensor<$Sxf32>) -> tensor<$Cxf32> {
    %0 = nn.channel_sum %x : (tensor<$Sxf32>) -> tensor<$Cxf32>
    return %0 : tensor<$Cxf32>
  })");
}

// The gradient of a learned clip from the clipped value or from its codes.
TEST(Channel, ClipAlphaGrad) {
  atEveryShape(R"((%dy: tensor<$Sxf32>, %m: tensor<$Sxi1>, %y: tensor<$Sxf32> {t.special}) -> tensor<f32> {
    %0 = nn.clip_alpha_grad %dy, %m, %y : (tensor<$Sxf32>, tensor<$Sxi1>, tensor<$Sxf32>) -> tensor<f32>
    return %0 : tensor<f32>
  })");
  atEveryShape(R"((%dy: tensor<$Sxf32>, %m: tensor<$Sxi1>, %y: tensor<$Sx!q4.int4>, %z: tensor<i32> {t.value = -8}) -> tensor<f32> {
    %0 = nn.clip_alpha_grad %dy, %m, %y, %z : (tensor<$Sxf32>, tensor<$Sxi1>, tensor<$Sx!q4.int4>, tensor<i32>) -> tensor<f32>
    return %0 : tensor<f32>
  })");
}

// The gain of a quantized gradient.
TEST(Channel, Gain) {
  for (std::string type : {"!q4.log<4>", "!q4.int4"})
    atEveryShape(with(R"((%g: tensor<$Sxf32> {t.lo = -1.0, t.hi = 1.0}, %q: tensor<$Sx$T>, %s: tensor<f32> {t.value = 0.03}) -> tensor<f32> {
      %0 = q4.gain %g, %q, %s : (tensor<$Sxf32>, tensor<$Sx$T>, tensor<f32>) -> tensor<f32>
      return %0 : tensor<f32>
    })", {{"T", type}}));
}

// How well codes stand for a tensor, with and without a zero point.
TEST(Channel, Fidelity) {
  for (std::string type : {"!q4.log<4>", "!q4.log<2>", "!q4.int4", "!q4.int8"})
    atEveryShape(with(R"((%x: tensor<$Sxf32> {t.lo = -1.0, t.hi = 1.0}, %q: tensor<$Sx$T>, %s: tensor<f32> {t.value = 0.03}) -> (tensor<f32>, tensor<f32>) {
      %0, %1 = q4.fidelity %x, %q, %s : (tensor<$Sxf32>, tensor<$Sx$T>, tensor<f32>) -> (tensor<f32>, tensor<f32>)
      return %0, %1 : tensor<f32>, tensor<f32>
    })", {{"T", type}}));
  atEveryShape(R"((%x: tensor<$Sxf32> {t.lo = 0.0, t.hi = 1.0}, %q: tensor<$Sx!q4.int4>, %s: tensor<f32> {t.value = 0.07}, %z: tensor<i32> {t.value = -8}) -> (tensor<f32>, tensor<f32>) {
    %0, %1 = q4.fidelity %x, %q, %s, %z : (tensor<$Sxf32>, tensor<$Sx!q4.int4>, tensor<f32>, tensor<i32>) -> (tensor<f32>, tensor<f32>)
    return %0, %1 : tensor<f32>, tensor<f32>
  })");
}

// Batch normalization: statistics, the map of running ones, and the gradient's coefficients.
TEST(Channel, BatchNorm) {
  for (std::string leading : {"3x5x4x", "201x"})
    for (std::string channels : kChannels) {
      std::string shape = leading + channels;
      expectSameBits(with(R"((%x: tensor<$Sxf32> {t.lo = -2.0, t.hi = 3.0}, %g: tensor<$Cxf32>, %b: tensor<$Cxf32>, %m: tensor<$Cxf32> {t.lo = -1.0, t.hi = 1.0},
          %v: tensor<$Cxf32> {t.lo = 0.1, t.hi = 2.0}) -> (tensor<$Cxf32>, tensor<$Cxf32>, tensor<$Cxf32>, tensor<$Cxf32>, tensor<$Cxf32>, tensor<$Cxf32>) {
        %0:6 = nn.batch_stats %x, %g, %b, %m, %v {epsilon = 1.0e-5 : f32, momentum = 0.9 : f32}
          : (tensor<$Sxf32>, tensor<$Cxf32>, tensor<$Cxf32>, tensor<$Cxf32>, tensor<$Cxf32>)
          -> (tensor<$Cxf32>, tensor<$Cxf32>, tensor<$Cxf32>, tensor<$Cxf32>, tensor<$Cxf32>, tensor<$Cxf32>)
        return %0#0, %0#1, %0#2, %0#3, %0#4, %0#5 : tensor<$Cxf32>, tensor<$Cxf32>, tensor<$Cxf32>, tensor<$Cxf32>, tensor<$Cxf32>, tensor<$Cxf32>
      })", {{"S", shape}, {"C", channels}}));
      expectSameBits(with(R"((%dy: tensor<$Sxf32>, %x: tensor<$Sxf32> {t.lo = -2.0, t.hi = 3.0}, %g: tensor<$Cxf32>, %m: tensor<$Cxf32> {t.lo = -1.0, t.hi = 1.0},
          %r: tensor<$Cxf32> {t.lo = 0.5, t.hi = 2.0}) -> (tensor<$Cxf32>, tensor<$Cxf32>, tensor<$Cxf32>, tensor<$Cxf32>, tensor<$Cxf32>) {
        %0:5 = nn.batch_norm_grad %dy, %x, %g, %m, %r
          : (tensor<$Sxf32>, tensor<$Sxf32>, tensor<$Cxf32>, tensor<$Cxf32>, tensor<$Cxf32>)
          -> (tensor<$Cxf32>, tensor<$Cxf32>, tensor<$Cxf32>, tensor<$Cxf32>, tensor<$Cxf32>)
        return %0#0, %0#1, %0#2, %0#3, %0#4 : tensor<$Cxf32>, tensor<$Cxf32>, tensor<$Cxf32>, tensor<$Cxf32>, tensor<$Cxf32>
      })", {{"S", shape}, {"C", channels}}));
      expectSameBits(with(R"((%g: tensor<$Cxf32>, %b: tensor<$Cxf32>, %m: tensor<$Cxf32>, %v: tensor<$Cxf32> {t.lo = 0.0, t.hi = 2.0})
          -> (tensor<$Cxf32>, tensor<$Cxf32>, tensor<$Cxf32>) {
        %0:3 = nn.batch_norm_fold %g, %b, %m, %v {epsilon = 1.0e-5 : f32}
          : (tensor<$Cxf32>, tensor<$Cxf32>, tensor<$Cxf32>, tensor<$Cxf32>) -> (tensor<$Cxf32>, tensor<$Cxf32>, tensor<$Cxf32>)
        return %0#0, %0#1, %0#2 : tensor<$Cxf32>, tensor<$Cxf32>, tensor<$Cxf32>
      })", {{"C", channels}}));
    }
}

// Batch norm that reads bf16: a decoder in the group is how its operand is read.
TEST(Channel, BatchNormOfNarrowedValues) {
  for (std::string leading : {"3x5x4x", "201x"})
    for (std::string channels : kChannels) {
      std::string shape = leading + channels;
      expectSameBits(with(R"((%x: tensor<$Sxbf16> {t.lo = -2.0, t.hi = 3.0}, %g: tensor<$Cxf32>, %b: tensor<$Cxf32>, %m: tensor<$Cxf32> {t.lo = -1.0, t.hi = 1.0},
          %v: tensor<$Cxf32> {t.lo = 0.1, t.hi = 2.0}) -> (tensor<$Cxf32>, tensor<$Cxf32>, tensor<$Cxf32>, tensor<$Cxf32>) {
        %w = q4.widen %x : (tensor<$Sxbf16>) -> tensor<$Sxf32>
        %0:6 = nn.batch_stats %w, %g, %b, %m, %v {epsilon = 1.0e-5 : f32, momentum = 0.9 : f32}
          : (tensor<$Sxf32>, tensor<$Cxf32>, tensor<$Cxf32>, tensor<$Cxf32>, tensor<$Cxf32>)
          -> (tensor<$Cxf32>, tensor<$Cxf32>, tensor<$Cxf32>, tensor<$Cxf32>, tensor<$Cxf32>, tensor<$Cxf32>)
        return %0#0, %0#1, %0#2, %0#3 : tensor<$Cxf32>, tensor<$Cxf32>, tensor<$Cxf32>, tensor<$Cxf32>
      })", {{"S", shape}, {"C", channels}}));
      expectSameBits(with(R"((%dy: tensor<$Sxf32>, %x: tensor<$Sxbf16> {t.lo = -2.0, t.hi = 3.0}, %g: tensor<$Cxf32>, %m: tensor<$Cxf32> {t.lo = -1.0, t.hi = 1.0},
          %r: tensor<$Cxf32> {t.lo = 0.5, t.hi = 2.0}) -> (tensor<$Cxf32>, tensor<$Cxf32>, tensor<$Cxf32>) {
        %w = q4.widen %x : (tensor<$Sxbf16>) -> tensor<$Sxf32>
        %0:5 = nn.batch_norm_grad %dy, %w, %g, %m, %r
          : (tensor<$Sxf32>, tensor<$Sxf32>, tensor<$Cxf32>, tensor<$Cxf32>, tensor<$Cxf32>)
          -> (tensor<$Cxf32>, tensor<$Cxf32>, tensor<$Cxf32>, tensor<$Cxf32>, tensor<$Cxf32>)
        return %0#1, %0#2, %0#3 : tensor<$Cxf32>, tensor<$Cxf32>, tensor<$Cxf32>
      })", {{"S", shape}, {"C", channels}}));
    }
}

// The gradient from normalized values: reals, bf16, and codes of both widths.
TEST(Channel, NormalizedGrad) {
  const std::pair<const char *, const char *> kKept[] = {
      {"f32", ""},
      {"bf16", "%x = q4.widen %k : (tensor<$Sxbf16>) -> tensor<$Sxf32>"},
      {"!q4.int8", "%x = q4.dequantize %k, %s : (tensor<$Sx!q4.int8>, tensor<f32>) -> tensor<$Sxf32>"},
      {"!q4.int4", "%x = q4.dequantize %k, %s : (tensor<$Sx!q4.int4>, tensor<f32>) -> tensor<$Sxf32>"}};
  for (auto [element, decode] : kKept) {
    std::string text = with(R"((%dy: tensor<$Sxf32>, %k: tensor<$Sx$E>, %a: tensor<$Cxf32>, %s: tensor<f32> {t.value = 0.0625})
        -> (tensor<$Cxf32>, tensor<$Cxf32>, tensor<$Cxf32>, tensor<$Cxf32>) {
      $D
      %0:4 = nn.batch_norm_grad_normalized %dy, $X, %a : (tensor<$Sxf32>, tensor<$Sxf32>, tensor<$Cxf32>)
          -> (tensor<$Cxf32>, tensor<$Cxf32>, tensor<$Cxf32>, tensor<$Cxf32>)
      return %0#0, %0#1, %0#2, %0#3 : tensor<$Cxf32>, tensor<$Cxf32>, tensor<$Cxf32>, tensor<$Cxf32>
    })", {{"E", element}, {"D", decode}, {"X", *decode ? "%x" : "%k"}});
    for (std::string leading : {"3x5x4x", "201x"})
      for (std::string channels : kChannels)
        expectSameBits(with(text, {{"S", leading + channels}, {"C", channels}}));
    expectSameBits(with(text, {{"S", "3x5x4x10"}, {"C", "10"}}), "generic");
  }
}

// The gradient from codes rides, too: what masks the gradient and what decodes the codes is in the same loop.
TEST(Channel, NormalizedSumsRideAlong) {
  for (std::string element : {"!q4.int8", "!q4.int4"})
    for (std::string leading : {"3x5x4x", "201x"})
      for (std::string channels : {"32", "96"})
        for (const char *cpu : kProcessors)
          expectSameBits(with(R"((%g: tensor<$Sxf32>, %m: tensor<$Sxi1>, %k: tensor<$Sx$E>, %a: tensor<$Cxf32>, %s: tensor<f32> {t.value = 0.0625})
              -> (tensor<$Sxf32>, tensor<$Cxf32>, tensor<$Cxf32>, tensor<$Cxf32>, tensor<$Cxf32>) {
            %dy = nn.mask %g, %m : (tensor<$Sxf32>, tensor<$Sxi1>) -> tensor<$Sxf32>
            %x = q4.dequantize %k, %s : (tensor<$Sx$E>, tensor<f32>) -> tensor<$Sxf32>
            %0:4 = nn.batch_norm_grad_normalized %dy, %x, %a : (tensor<$Sxf32>, tensor<$Sxf32>, tensor<$Cxf32>)
                -> (tensor<$Cxf32>, tensor<$Cxf32>, tensor<$Cxf32>, tensor<$Cxf32>)
            return %dy, %0#0, %0#1, %0#2, %0#3 : tensor<$Sxf32>, tensor<$Cxf32>, tensor<$Cxf32>, tensor<$Cxf32>, tensor<$Cxf32>
          })", {{"S", leading + channels}, {"C", channels}, {"E", element}}), cpu);
}

// Sums ride in the loop that makes what they sum, beside maxima and counts: masks, a clip's gradient and batch norm's sums of a
// gradient, over images and over blocks of 96 rows, one block too; tiles of one and of two blocks of channels.
TEST(Channel, SumsRideAlong) {
  for (std::string leading : {"3x5x4x", "201x", "2x50x", "1x3x2x", "96x", "40x11x10x"})
    for (std::string channels : {"32", "64", "96"})
      for (const char *cpu : kProcessors) {
        std::string shape = leading + channels;
        expectSameBits(with(R"((%g: tensor<$Sxf32> {t.special}, %m: tensor<$Sxi1>, %h: tensor<$Sxf32>, %n: tensor<$Sxi1>, %x: tensor<$Sxf32> {t.lo = -2.0, t.hi = 3.0},
            %q: tensor<$Sx!q4.int4>, %z: tensor<i32> {t.value = -8}, %s: tensor<$Cxf32>, %mean: tensor<$Cxf32> {t.lo = -1.0, t.hi = 1.0},
            %r: tensor<$Cxf32> {t.lo = 0.5, t.hi = 2.0})
            -> (tensor<$Sxf32>, tensor<f32>, tensor<f32>, tensor<$Cxf32>, tensor<$Cxf32>) {
          %0 = nn.mask %g, %m : (tensor<$Sxf32>, tensor<$Sxi1>) -> tensor<$Sxf32>
          %1 = nn.add %h, %0 : (tensor<$Sxf32>, tensor<$Sxf32>) -> tensor<$Sxf32>
          %2 = nn.mask %1, %n : (tensor<$Sxf32>, tensor<$Sxi1>) -> tensor<$Sxf32>
          %3 = nn.clip_alpha_grad %1, %m, %q, %z : (tensor<$Sxf32>, tensor<$Sxi1>, tensor<$Sx!q4.int4>, tensor<i32>) -> tensor<f32>
          %4:5 = nn.batch_norm_grad %2, %x, %s, %mean, %r
            : (tensor<$Sxf32>, tensor<$Sxf32>, tensor<$Cxf32>, tensor<$Cxf32>, tensor<$Cxf32>)
            -> (tensor<$Cxf32>, tensor<$Cxf32>, tensor<$Cxf32>, tensor<$Cxf32>, tensor<$Cxf32>)
          %5 = q4.absmax %2 : (tensor<$Sxf32>) -> tensor<f32>
          return %2, %3, %5, %4#2, %4#3 : tensor<$Sxf32>, tensor<f32>, tensor<f32>, tensor<$Cxf32>, tensor<$Cxf32>
        })", {{"S", shape}, {"C", channels}}), cpu);
        expectSameBits(with(R"((%x: tensor<$Sxf32> {t.lo = -1.0, t.hi = 1.0}, %s: tensor<f32> {t.value = 0.03}, %b: tensor<$Cxf32>)
            -> (tensor<$Sx!q4.int4>, tensor<2xi32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<$Cxf32>) {
          %0 = nn.add %x, %b : (tensor<$Sxf32>, tensor<$Cxf32>) -> tensor<$Sxf32>
          %q = q4.quantize %0, %s {qmin = -7 : i32, qmax = 7 : i32} : (tensor<$Sxf32>, tensor<f32>) -> tensor<$Sx!q4.int4>
          %c = q4.code_counts %q : (tensor<$Sx!q4.int4>) -> tensor<2xi32>
          %1 = q4.gain %0, %q, %s : (tensor<$Sxf32>, tensor<$Sx!q4.int4>, tensor<f32>) -> tensor<f32>
          %2, %3 = q4.fidelity %0, %q, %s : (tensor<$Sxf32>, tensor<$Sx!q4.int4>, tensor<f32>) -> (tensor<f32>, tensor<f32>)
          %4 = nn.channel_sum %0 : (tensor<$Sxf32>) -> tensor<$Cxf32>
          return %q, %c, %1, %2, %3, %4 : tensor<$Sx!q4.int4>, tensor<2xi32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<$Cxf32>
        })", {{"S", shape}, {"C", channels}}), cpu);
      }
}

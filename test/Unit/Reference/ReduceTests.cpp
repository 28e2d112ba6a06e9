//===- ReduceTests.cpp - The order of sums ------------------------------------===//
#include "TestSupport.h"

#include "nibble/Numerics/Reduce.h"

using namespace nibble;
using namespace nibble::reference;
using namespace nibble::reference::test;

static TensorF f(const std::string &body, llvm::ArrayRef<int64_t> result, const TensorF &x) {
  std::string from = realType(x.shape), to = realType(result);
  auto y = run<float>(oneOp("%x: " + from, body + " : (" + from + ") -> " + to, to), {x});
  return y.empty() ? TensorF() : y[0];
}

// Sums and means over axes, kept as dimensions of 1; a mean divides once.
TEST(Reduce, SumAndMean) {
  TensorF x = TensorF::real({2, 2, 2}, {1, 2, 3, 4, 5, 6, 7, 9});
  expectBits(f("nn.reduce_sum %x {axes = array<i64: 1>}", {2, 1, 2}, x), {4, 6, 12, 15});
  expectBits(f("nn.reduce_sum %x {axes = array<i64: 0, 2>}", {1, 2, 1}, x), {14, 23});
  expectBits(f("nn.reduce_mean %x {axes = array<i64: 0, 1, 2>}", {1, 1, 1}, x), {37.0f / 8});
}

// One f32 accumulator in ascending order: 2²⁴ + 1 + 1 stays 2²⁴, 1 + 1 + 2²⁴ does not.
TEST(Reduce, SumAscends) {
  float big = 0x1p24f;
  expectBits(f("nn.reduce_sum %x {axes = array<i64: 0>}", {1}, vec({big, 1, 1})), {big});
  expectBits(f("nn.reduce_sum %x {axes = array<i64: 0>}", {1}, vec({1, 1, big})), {big + 2});
}

// A channel's sum is made in blocks of one image, f32 within and f64 across: the ones beside 2²⁴
// are lost in its own image, those of the other image are not. Matrices have blocks of 96 rows.
TEST(Reduce, ChannelBlocks) {
  float big = 0x1p24f;
  TensorF images = TensorF::real({2, 1, 4, 1}, {big, 1, 1, 0, 1, 1, 1, 0});
  expectBits(f("nn.channel_sum %x", {1}, images), {static_cast<float>(double(big) + 3)});
  // 99 rows: the last three are a block of their own, so their ones are not lost in f32; those of
  // row 93 to 95 are.
  TensorF rows = TensorF::real({99, 1});
  rows.reals[0] = big;
  rows.reals[96] = rows.reals[97] = rows.reals[98] = 1;
  expectBits(f("nn.channel_sum %x", {1}, rows), {static_cast<float>(double(big) + 3)});
  std::swap(rows.reals[93], rows.reals[96]);
  std::swap(rows.reals[94], rows.reals[97]);
  std::swap(rows.reals[95], rows.reals[98]);
  expectBits(f("nn.channel_sum %x", {1}, rows), {big});
}

// Channels are the last dimension.
TEST(Reduce, ChannelSumOfMatrix) {
  expectBits(f("nn.channel_sum %x", {2}, TensorF::real({3, 2}, {1, 10, 2, 20, 3, 30})), {6, 60});
}

// dα = Σ_{clipped above} dy − Σ_{clipped below} dy, told from the clipped value's sign or from its
// codes.
TEST(Reduce, ClipAlphaGrad) {
  TensorF dy = vec({1, 2, 4, 8, 16}),
          inside = TensorF::integer(ElementKind::Mask, {5}, {0, 1, 0, 0, 1});
  auto real = run<float>(oneOp("%d: tensor<5xf32>, %b: tensor<5xi1>, %y: tensor<5xf32>",
                               "nn.clip_alpha_grad %d, %b, %y : (tensor<5xf32>, tensor<5xi1>, "
                               "tensor<5xf32>) -> tensor<f32>",
                               "tensor<f32>"),
                         {dy, inside, vec({-3, 1, 3, 0, 2})});
  expectBits(real[0], {-1 + 4});
  auto coded = run<float>(
      oneOp("%d: tensor<5xf32>, %b: tensor<5xi1>, %y: tensor<5x!q4.int4>, %z: tensor<i32>",
            "nn.clip_alpha_grad %d, %b, %y, %z : (tensor<5xf32>, tensor<5xi1>, tensor<5x!q4.int4>, "
            "tensor<i32>) -> tensor<f32>",
            "tensor<f32>"),
      {dy, inside, TensorF::integer(ElementKind::Int4, {5}, {-8, -3, 7, -8, 2}),
       TensorF::label(-8)});
  expectBits(coded[0], {4});
}

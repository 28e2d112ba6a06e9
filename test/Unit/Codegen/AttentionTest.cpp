//===- AttentionTest.cpp - what transformers add, against the interpreter -----===//
//
// Law: each matrix of a stack has the bits of a product of its own; rows are normalized by the
// formulas of Numerics/LayerNorm.h.
//
//===----------------------------------------------------------------------===//
#include "GroupHarness.h"

#include <gtest/gtest.h>

using namespace nibble::test;

namespace {
struct Stack {
  int64_t matrices, m, k, n;
};
std::string shape(int64_t b, int64_t rows, int64_t columns, bool transposed,
                  const std::string &element) {
  if (transposed)
    std::swap(rows, columns);
  return "tensor<" + std::to_string(b) + "x" + std::to_string(rows) + "x" +
         std::to_string(columns) + "x" + element + ">";
}

void expectStack(const Stack &s, const std::string &left, const std::string &right, bool ta,
                 bool tb, const char *cpu) {
  std::string a = shape(s.matrices, s.m, s.k, ta, left), b = shape(s.matrices, s.k, s.n, tb, right);
  std::string flags = std::string("{") + (ta ? "transpose_a" : "") + (ta && tb ? ", " : "") +
                      (tb ? "transpose_b" : "") + "}";
  bool isFloat = left == "f32";
  std::string scales =
      isFloat ? "" : ", %s: tensor<f32> {t.value = 0.03}, %t: tensor<f32> {t.value = 0.5}";
  std::string op =
      isFloat ? "nn.matmul %a, %b $f : ($a, $b) -> $y"
              : "q4.matmul %a, %b scales(%s, %t) $f : ($a, $b, tensor<f32>, tensor<f32>) -> $y";
  expectSameBits(
      with("(%a: $a, %b: $b" + scales + ") -> $y {\n  %0 = " + op + "\n  return %0 : $y\n}",
           {{"a", a}, {"b", b}, {"f", flags}, {"y", shape(s.matrices, s.m, s.n, false, "f32")}}),
      cpu);
}
} // namespace

// Stacks of float and int8 matrices, ragged, of one thread's size and of several threads'; more
// matrices than tasks, the last task with fewer, of whole tiles and without; 4-bit codes in whole
// blocks.
TEST(Attention, StackedProducts) {
  const Stack ragged[] = {{1, 5, 7, 3},    {3, 5, 7, 3},     {4, 16, 9, 16},
                          {6, 40, 33, 24}, {17, 32, 39, 64}, {49, 24, 6, 18}},
              whole[] = {{3, 8, 16, 12}, {5, 32, 40, 24}};
  for (const char *cpu : kProcessors)
    for (bool ta : {false, true})
      for (bool tb : {false, true}) {
        for (const Stack &stack : ragged) {
          expectStack(stack, "f32", "f32", ta, tb, cpu);
          expectStack(stack, "!q4.int8", "!q4.int8", ta, tb, cpu);
        }
        for (const Stack &stack : whole) {
          expectStack(stack, "!q4.int4", "!q4.int4", ta, tb, cpu);
          expectStack(stack, "!q4.log<4>", "!q4.int4", ta, tb, cpu);
        }
      }
}

namespace {
const char *const kLeading[] = {"3x5x4x", "201x", "2x50x", ""};
const char *const kLengths[] = {"1", "3", "16", "33", "100", "4100"};

void atEveryRow(const std::string &text) {
  for (std::string leading : kLeading)
    for (std::string length : kLengths) {
      if (length == "4100" && leading == "201x")
        continue;
      int64_t rows = leading == "3x5x4x"  ? 60
                     : leading == "201x"  ? 201
                     : leading == "2x50x" ? 100
                                          : 1;
      for (const char *cpu : kProcessors)
        expectSameBits(
            with(text, {{"S", leading + length}, {"C", length}, {"R", std::to_string(rows)}}), cpu);
    }
}
} // namespace

// With and without a shift, and without a mean; NaN and infinities in the rows.
TEST(Attention, LayerNorm) {
  for (std::string special : {"", "{t.special}"})
    for (std::string rms : {"", ", rms"}) {
      atEveryRow(with(
          R"((%x: tensor<$Sxf32> $V, %g: tensor<$Cxf32>, %b: tensor<$Cxf32>) -> (tensor<$Sxf32>, tensor<$Rxf32>, tensor<$Rxf32>) {
        %0, %1, %2 = nn.layer_norm %x, %g, %b {epsilon = 0.001 : f32$M} : (tensor<$Sxf32>, tensor<$Cxf32>, tensor<$Cxf32>) -> (tensor<$Sxf32>, tensor<$Rxf32>, tensor<$Rxf32>)
        return %0, %1, %2 : tensor<$Sxf32>, tensor<$Rxf32>, tensor<$Rxf32>
      })",
          {{"V", special}, {"M", rms}}));
      atEveryRow(with(R"((%x: tensor<$Sxf32> $V, %g: tensor<$Cxf32>) -> tensor<$Sxf32> {
        %0, %1, %2 = nn.layer_norm %x, %g {epsilon = 0.001 : f32$M} : (tensor<$Sxf32>, tensor<$Cxf32>) -> (tensor<$Sxf32>, tensor<$Rxf32>, tensor<$Rxf32>)
        return %0 : tensor<$Sxf32>
      })",
                      {{"V", special}, {"M", rms}}));
    }
}

TEST(Attention, LayerNormGrad) {
  for (std::string rms : {"", "{rms}"}) {
    atEveryRow(with(
        R"((%d: tensor<$Sxf32>, %x: tensor<$Sxf32>, %g: tensor<$Cxf32>, %m: tensor<$Rxf32> {t.lo = -1.0, t.hi = 1.0}, %r: tensor<$Rxf32> {t.lo = 0.1, t.hi = 2.0}) -> (tensor<$Sxf32>, tensor<$Cxf32>, tensor<$Cxf32>) {
      %0, %1, %2 = nn.layer_norm_grad %d, %x, %g, %m, %r $M : (tensor<$Sxf32>, tensor<$Sxf32>, tensor<$Cxf32>, tensor<$Rxf32>, tensor<$Rxf32>) -> (tensor<$Sxf32>, tensor<$Cxf32>, tensor<$Cxf32>)
      return %0, %1, %2 : tensor<$Sxf32>, tensor<$Cxf32>, tensor<$Cxf32>
    })",
        {{"M", rms}}));
  }
}

// Rows of a table by tokens of any shape, and the sums of their gradients; numbers beyond the table
// are read as its ends.
TEST(Attention, Embedding) {
  for (std::string width : {"1", "7", "16", "64", "100", "130"})
    for (std::string tokens : {"1", "3x5", "2x3x40", "700"})
      for (const char *cpu : kProcessors) {
        expectSameBits(
            with(R"((%t: tensor<9x$Wxf32>, %i: tensor<$Txi32> {t.max = 9}) -> tensor<$Tx$Wxf32> {
          %0 = nn.embedding %t, %i : (tensor<9x$Wxf32>, tensor<$Txi32>) -> tensor<$Tx$Wxf32>
          return %0 : tensor<$Tx$Wxf32>
        })",
                 {{"W", width}, {"T", tokens}}),
            cpu);
        expectSameBits(
            with(
                R"((%d: tensor<$Tx$Wxf32> {t.special}, %i: tensor<$Txi32> {t.max = 9}) -> tensor<11x$Wxf32> {
          %0 = nn.embedding_grad %d, %i : (tensor<$Tx$Wxf32>, tensor<$Txi32>) -> tensor<11x$Wxf32>
          return %0 : tensor<11x$Wxf32>
        })",
                {{"W", width}, {"T", tokens}}),
            cpu);
      }
}

// A label for each element of a sequence; of the first `valid` samples the sum of their means.
TEST(Attention, CrossEntropyOfSequences) {
  for (std::string valid : {"0", "1", "3", "5"})
    expectSameBits(with(
        R"((%x: tensor<5x7x33xf32>, %y: tensor<5x7xi32> {t.max = 33}, %v: tensor<i32> {t.value = $v}) -> (tensor<f32>, tensor<i32>) {
      %0, %1 = nn.softmax_cross_entropy %x, %y, %v : (tensor<5x7x33xf32>, tensor<5x7xi32>, tensor<i32>) -> (tensor<f32>, tensor<i32>)
      return %0, %1 : tensor<f32>, tensor<i32>
    })",
        {{"v", valid}}));
  expectSameBits(
      R"((%x: tensor<5x7x33xf32>, %y: tensor<5x7xi32> {t.max = 33}, %d: tensor<f32>) -> tensor<5x7x33xf32> {
    %2 = nn.softmax_cross_entropy_grad %x, %y, %d : (tensor<5x7x33xf32>, tensor<5x7xi32>, tensor<f32>) -> tensor<5x7x33xf32>
    return %2 : tensor<5x7x33xf32>
  })");
}

// A mask that repeats over batch and heads, as Where is imported.
TEST(Attention, ConstantMask) {
  for (std::string n : {"5", "32"})
    expectSameBits(with(
        R"((%x: tensor<2x3x$Nx$Nxf32>, %m: tensor<$Nx$Nxf32> {t.max = 2}) -> tensor<2x3x$Nx$Nxf32> {
      %half = arith.constant dense<0.5> : tensor<2x3x$Nx$Nxf32>
      %never = arith.constant dense<0xFF800000> : tensor<1xf32>
      %0 = nn.compare %m, %half {predicate = #nn.cmp<gt>} : (tensor<$Nx$Nxf32>, tensor<2x3x$Nx$Nxf32>) -> tensor<2x3x$Nx$Nxi1>
      %1 = nn.select %0, %x, %never : (tensor<2x3x$Nx$Nxi1>, tensor<2x3x$Nx$Nxf32>, tensor<1xf32>) -> tensor<2x3x$Nx$Nxf32>
      return %1 : tensor<2x3x$Nx$Nxf32>
    })",
        {{"N", n}}));
}

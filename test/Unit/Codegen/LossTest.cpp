//===- LossTest.cpp - softmax and losses against the interpreter --------------===//
//
// Law: rows are reduced in the flat order from their start, losses as a vector of rows: the interpreter's bits.
//
//===----------------------------------------------------------------------===//
#include "GroupHarness.h"

#include <gtest/gtest.h>

using namespace nibble::test;

namespace {
/// rows, classes: below, at and above a vector; a row of more than one flat block.
const std::pair<const char *, const char *> kShapes[] = {{"1", "2"}, {"5", "10"}, {"3", "16"}, {"130", "33"}, {"2", "4100"}};
const char *const kLogits[] = {"", "{t.special}", "{t.value = 0.25}", "{t.lo = -80.0, t.hi = 80.0}"};
} // namespace

// Softmax, its logarithm and the gradient of cross-entropy.
TEST(Loss, Softmax) {
  for (auto [rows, classes] : kShapes)
    for (std::string logits : kLogits) {
      std::string text = R"((%x: tensor<$rx$cxf32> $l, %y: tensor<$rxi32> {t.max = $c}, %d: tensor<f32> {t.value = 1.0})
          -> tensor<$rx$cxf32> {
        %0 = $op : $t -> tensor<$rx$cxf32>
        return %0 : tensor<$rx$cxf32>
      })";
      std::initializer_list<std::pair<const char *, std::string>> names = {{"r", rows}, {"c", classes}, {"l", logits}};
      expectSameBits(with(with(text, {{"op : $t -> tensor<$rx$cxf32>", "nn.softmax_cross_entropy_grad %x, %y, %d : (tensor<$rx$cxf32>, tensor<$rxi32>, tensor<f32>) -> tensor<$rx$cxf32>"}}), names));
      for (std::string op : {"nn.softmax", "nn.log_softmax"})
        expectSameBits(with(with(text, {{"op : $t -> tensor<$rx$cxf32>", op + " %x : tensor<$rx$cxf32>"}}), names));
    }
  expectSameBits(R"((%x: tensor<5x10xf32>) -> tensor<5x10xf32> {
    %0 = nn.softmax %x : tensor<5x10xf32>
    return %0 : tensor<5x10xf32>
  })", "generic");
}

// The mean loss and the count of right answers; equal logits: the first counts.
TEST(Loss, CrossEntropy) {
  for (auto [rows, classes] : kShapes)
    for (std::string logits : kLogits)
      expectSameBits(with(R"((%x: tensor<$rx$cxf32> $l, %y: tensor<$rxi32> {t.max = $c}) -> (tensor<f32>, tensor<i32>) {
        %0, %1 = nn.softmax_cross_entropy %x, %y : (tensor<$rx$cxf32>, tensor<$rxi32>) -> (tensor<f32>, tensor<i32>)
        return %0, %1 : tensor<f32>, tensor<i32>
      })", {{"r", rows}, {"c", classes}, {"l", logits}}));
  // A row that begins with NaN has its first maximum there: nothing is larger than NaN.
  expectSameBits(R"((%x: tensor<3x10xf32> {t.value = 0x7FC00000 : f32}, %y: tensor<3xi32> {t.max = 1}) -> (tensor<f32>, tensor<i32>) {
    %0, %1 = nn.softmax_cross_entropy %x, %y : (tensor<3x10xf32>, tensor<3xi32>) -> (tensor<f32>, tensor<i32>)
    return %0, %1 : tensor<f32>, tensor<i32>
  })");
}

// With `valid` only the first rows count, as a sum: none, some, all.
TEST(Loss, Valid) {
  for (std::string valid : {"0", "1", "17", "129", "130"}) {
    expectSameBits(with(R"((%x: tensor<130x10xf32>, %y: tensor<130xi32>, %v: tensor<i32> {t.value = $v}) -> (tensor<f32>, tensor<i32>) {
      %0, %1 = nn.softmax_cross_entropy %x, %y, %v : (tensor<130x10xf32>, tensor<130xi32>, tensor<i32>) -> (tensor<f32>, tensor<i32>)
      return %0, %1 : tensor<f32>, tensor<i32>
    })", {{"v", valid}}));
    expectSameBits(with(R"((%x: tensor<130x33xf32>, %y: tensor<130x33xf32>, %v: tensor<i32> {t.value = $v}) -> tensor<f32> {
      %0 = nn.mse %x, %y, %v : (tensor<130x33xf32>, tensor<130x33xf32>, tensor<i32>) -> tensor<f32>
      return %0 : tensor<f32>
    })", {{"v", valid}}));
  }
}

// Binary cross-entropy, the rows with all answers right, and its gradient.
TEST(Loss, BinaryCrossEntropy) {
  for (auto [rows, classes] : kShapes)
    for (std::string logits : kLogits) {
      std::initializer_list<std::pair<const char *, std::string>> names = {{"r", rows}, {"c", classes}, {"l", logits}};
      expectSameBits(with(R"((%x: tensor<$rx$cxf32> $l, %t: tensor<$rx$cxf32> {t.lo = 0.0, t.hi = 1.0}) -> (tensor<f32>, tensor<i32>) {
        %0, %1 = nn.binary_cross_entropy %x, %t : (tensor<$rx$cxf32>, tensor<$rx$cxf32>) -> (tensor<f32>, tensor<i32>)
        return %0, %1 : tensor<f32>, tensor<i32>
      })", names));
      expectSameBits(with(R"((%x: tensor<$rx$cxf32> $l, %t: tensor<$rx$cxf32> {t.lo = 0.0, t.hi = 1.0}, %d: tensor<f32>) -> tensor<$rx$cxf32> {
        %0 = nn.binary_cross_entropy_grad %x, %t, %d : (tensor<$rx$cxf32>, tensor<$rx$cxf32>, tensor<f32>) -> tensor<$rx$cxf32>
        return %0 : tensor<$rx$cxf32>
      })", names));
    }
  for (std::string valid : {"0", "1", "17", "130"})
    expectSameBits(with(R"((%x: tensor<130x1xf32>, %t: tensor<130x1xf32> {t.lo = 0.0, t.hi = 1.0}, %v: tensor<i32> {t.value = $v}) -> (tensor<f32>, tensor<i32>) {
      %0, %1 = nn.binary_cross_entropy %x, %t, %v : (tensor<130x1xf32>, tensor<130x1xf32>, tensor<i32>) -> (tensor<f32>, tensor<i32>)
      return %0, %1 : tensor<f32>, tensor<i32>
    })", {{"v", valid}}));
}

// The mean squared error over all elements.
TEST(Loss, Mse) {
  for (auto [rows, classes] : kShapes)
    expectSameBits(with(R"((%x: tensor<$rx$cxf32>, %y: tensor<$rx$cxf32>) -> tensor<f32> {
      %0 = nn.mse %x, %y : (tensor<$rx$cxf32>, tensor<$rx$cxf32>) -> tensor<f32>
      return %0 : tensor<f32>
    })", {{"r", rows}, {"c", classes}}));
}

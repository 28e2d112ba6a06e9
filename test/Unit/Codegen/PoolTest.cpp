//===- PoolTest.cpp - pooling and its gradients against the interpreter -------===//
//
// Law: the first maximum in tap order wins, gradients add windows in ascending order, taps outside the image are none.
//
//===----------------------------------------------------------------------===//
#include "GroupHarness.h"

#include <gtest/gtest.h>

using namespace nibble::test;

namespace {

/// Sizes are those of an image h × w and of its windows oh × ow.
struct Window {
  std::string h, w, oh, ow, kernel, strides, pads, dilations;
};
const Window kWindows[] = {
    {"8", "6", "4", "3", "2, 2", "2, 2", "0, 0, 0, 0", "1, 1"},  // side by side
    {"7", "7", "4", "4", "3, 3", "2, 2", "1, 1, 1, 1", "1, 1"},  // overlapping, padded
    {"7", "5", "4", "3", "2, 2", "2, 2", "0, 0, 0, 0", "1, 1"},  // ceil mode: the last windows reach beyond
    {"9", "8", "5", "6", "3, 2", "1, 1", "0, 0, 0, 0", "2, 2"},  // dilated
    {"6", "6", "4", "4", "3, 3", "2, 2", "2, 2, 2, 2", "2, 1"},  // dilated, padded, strided
    {"5", "5", "1", "1", "5, 5", "1, 1", "0, 0, 0, 0", "1, 1"},  // global
};

void atEveryWindow(const std::string &text) {
  for (const Window &v : kWindows)
    for (std::string c : {"3", "33"}) {
      std::string filled = with(text, {{"OUT", "3x" + v.oh + "x" + v.ow + "x" + c}, {"WINDOW", "kernel = array<i64: " + v.kernel + ">, strides = array<i64: " + v.strides + ">, pads = array<i64: " + v.pads +
                                                      ">, dilations = array<i64: " + v.dilations + ">"}});
      expectSameBits(with(filled, {{"IMAGE", "3x" + v.h + "x" + v.w + "x" + c}}));
    }
}

} // namespace

// Values and indices; equal values and NaN among them.
TEST(Pool, Max) {
  for (std::string values : {"", "{t.value = 1.0}", "{t.special}"})
    atEveryWindow(with(R"((%x: tensor<$IMAGExf32> $v) -> (tensor<$OUTxf32>, tensor<$OUTxi8>) {
      %0, %1 = nn.max_pool %x {$WINDOW} : (tensor<$IMAGExf32>) -> (tensor<$OUTxf32>, tensor<$OUTxi8>)
      return %0, %1 : tensor<$OUTxf32>, tensor<$OUTxi8>
    })", {{"v", values}}));
  // More taps than a byte counts.
  expectSameBits(R"((%x: tensor<1x19x18x5xf32>) -> (tensor<1x3x2x5xf32>, tensor<1x3x2x5xi32>) {
    %0, %1 = nn.max_pool %x {kernel = array<i64: 17, 17>, strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>,
                             dilations = array<i64: 1, 1>} : (tensor<1x19x18x5xf32>) -> (tensor<1x3x2x5xf32>, tensor<1x3x2x5xi32>)
    return %0, %1 : tensor<1x3x2x5xf32>, tensor<1x3x2x5xi32>
  })");
}

// The gradient goes to the pixel that an index names.
TEST(Pool, MaxGrad) {
  atEveryWindow(with(R"((%dy: tensor<$OUTxf32>, %i: tensor<$OUTxi8> {t.max = 9}) -> tensor<$IMAGExf32> {
    %0 = nn.max_pool_grad %dy, %i {$WINDOW} : (tensor<$OUTxf32>, tensor<$OUTxi8>) -> tensor<$IMAGExf32>
    return %0 : tensor<$IMAGExf32>
  })", {}));
}

// Means with both divisors, and their gradients.
TEST(Pool, Average) {
  for (std::string count : {"", ", count_include_pad"}) {
    atEveryWindow(with(R"((%x: tensor<$IMAGExf32>) -> tensor<$OUTxf32> {
      %0 = nn.avg_pool %x {$WINDOW$count} : (tensor<$IMAGExf32>) -> tensor<$OUTxf32>
      return %0 : tensor<$OUTxf32>
    })", {{"count", count}}));
    atEveryWindow(with(R"((%dy: tensor<$OUTxf32>) -> tensor<$IMAGExf32> {
      %0 = nn.avg_pool_grad %dy {$WINDOW$count} : (tensor<$OUTxf32>) -> tensor<$IMAGExf32>
      return %0 : tensor<$IMAGExf32>
    })", {{"count", count}}));
  }
}

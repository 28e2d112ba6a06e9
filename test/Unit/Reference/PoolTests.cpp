//===- PoolTests.cpp - Pooling and its gradients ------------------------------===//
#include "TestSupport.h"

#include "nibble/Reference/FiniteDifference.h"

using namespace nibble;
using namespace nibble::reference;
using namespace nibble::reference::test;

namespace {

const std::string kWindow22 =
    "kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, pads = array<i64: 0, 0, 0, 0>, "
    "dilations = array<i64: 1, 1>";

llvm::SmallVector<TensorF> maxPool(const TensorF &x, const std::string &window,
                                   llvm::ArrayRef<int64_t> out) {
  std::string y = realType(out), index = "tensor<" + shapeText(out) + "i8>";
  return run<float>("func.func @f(%x: " + realType(x.shape) + ") -> (" + y + ", " + index +
                        ") {\n  %y, %i = nn.max_pool %x {" + window + "} : (" + realType(x.shape) +
                        ") -> (" + y + ", " + index + ")\n  return %y, %i : " + y + ", " + index +
                        "\n}",
                    {x});
}

TensorF maxPoolGrad(const TensorF &dy, const TensorF &index, const std::string &window,
                    llvm::ArrayRef<int64_t> in) {
  std::string d = realType(dy.shape), i = "tensor<" + shapeText(dy.shape) + "i8>", x = realType(in);
  return run<float>(
      oneOp("%d: " + d + ", %i: " + i,
            "nn.max_pool_grad %d, %i {" + window + "} : (" + d + ", " + i + ") -> " + x, x),
      {dy, index})[0];
}

TensorF avgPool(const std::string &op, const TensorF &x, const std::string &window,
                llvm::ArrayRef<int64_t> out) {
  std::string from = realType(x.shape), to = realType(out);
  return run<float>(oneOp("%x: " + from, op + " %x {" + window + "} : (" + from + ") -> " + to, to),
                    {x})[0];
}

TensorF image(int64_t h, int64_t w, std::vector<float> values) {
  return TensorF::real({1, h, w, 1}, std::move(values));
}

} // namespace

// The largest of each window, and the number kh·KW + kw of its first maximum (equal values: the
// first).
TEST(Pool, MaxAndIndex) {
  auto y = maxPool(image(2, 4, {1, 5, 3, 3, 5, 2, 3, 1}), kWindow22, {1, 1, 2, 1});
  expectBits(y[0], {5, 3});
  EXPECT_EQ(y[1].ints, (std::vector<int32_t>{1, 0}));
}

// A NaN at the first tap stays (nothing is larger than NaN); elsewhere it is never larger and is
// passed over.
TEST(Pool, MaxOfNan) {
  auto y = maxPool(image(2, 4, {kNan, 5, 3, kNan, 5, 2, 4, 1}), kWindow22, {1, 1, 2, 1});
  expectBits(y[0], {kNan, 4});
  EXPECT_EQ(y[1].ints, (std::vector<int32_t>{0, 2}));
}

// Taps outside are no candidates: with negative values padding does not win. Index counts the taps
// outside too.
TEST(Pool, MaxWithPadsAndCeil) {
  std::string window =
      "kernel = array<i64: 3, 3>, strides = array<i64: 2, 2>, pads = array<i64: 1, 1, 0, 0>, "
      "dilations = array<i64: 1, 1>";
  // 3×3 image; floor gives 1 window a dimension ((3 + 1 − 3)/2 + 1), ceil mode 2: the result's
  // shape decides.
  auto y = maxPool(image(3, 3, {-1, -2, -3, -4, -5, -6, -7, -8, -9}), window, {1, 2, 2, 1});
  expectBits(y[0], {-1, -2, -4, -5});
  EXPECT_EQ(y[1].ints, (std::vector<int32_t>{4, 3, 1, 0}));
}

// Dilated taps are `dilation` apart.
TEST(Pool, MaxDilated) {
  std::string window =
      "kernel = array<i64: 2, 2>, strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, "
      "dilations = array<i64: 2, 2>";
  auto y = maxPool(image(3, 3, {1, 9, 2, 9, 9, 9, 3, 9, 4}), window, {1, 1, 1, 1});
  expectBits(y[0], {4});
  EXPECT_EQ(y[1].ints, (std::vector<int32_t>{3}));
}

// The gradient goes to the tap that won; overlapping windows add up, ascending.
TEST(Pool, MaxGradient) {
  std::string window =
      "kernel = array<i64: 1, 2>, strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, "
      "dilations = array<i64: 1, 1>";
  TensorF x = image(1, 4, {1, 7, 2, 3});
  auto y = maxPool(x, window, {1, 1, 3, 1});
  expectBits(maxPoolGrad(image(1, 3, {10, 20, 40}), y[1], window, {1, 1, 4, 1}), {0, 30, 0, 40});
}

// Mean of the taps inside, or of all taps of the kernel.
TEST(Pool, Average) {
  std::string window =
      "kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, pads = array<i64: 1, 1, 1, 1>, "
      "dilations = array<i64: 1, 1>";
  TensorF x = image(2, 2, {4, 8, 12, 16});
  expectBits(avgPool("nn.avg_pool", x, window, {1, 2, 2, 1}), {4, 8, 12, 16});
  expectBits(avgPool("nn.avg_pool", x, window + ", count_include_pad", {1, 2, 2, 1}), {1, 2, 3, 4});
  expectBits(avgPool("nn.avg_pool", x, kWindow22, {1, 1, 1, 1}), {10});
}

// avg_pool_grad is the adjoint of avg_pool: ⟨pool x, dy⟩ = ⟨x, grad dy⟩ (sizes whose divisors are
// powers of two: exact).
TEST(Pool, AverageGradientIsTheAdjoint) {
  std::string window =
      "kernel = array<i64: 2, 2>, strides = array<i64: 1, 2>, pads = array<i64: 0, 0, 1, 1>, "
      "dilations = array<i64: 1, 1>";
  for (std::string pad : {"", ", count_include_pad"}) {
    TensorF x = TensorF::real({2, 3, 5, 2}), dy = TensorF::real({2, 3, 3, 2});
    for (size_t i = 0; i < x.reals.size(); ++i)
      x.reals[i] = static_cast<float>((i * 7) % 11) - 5;
    for (size_t i = 0; i < dy.reals.size(); ++i)
      dy.reals[i] = static_cast<float>((i * 5) % 9) - 4;
    TensorF y = avgPool("nn.avg_pool", x, window + pad, {2, 3, 3, 2});
    TensorF dx = avgPool("nn.avg_pool_grad", dy, window + pad, {2, 3, 5, 2});
    double left = 0, right = 0;
    for (size_t i = 0; i < y.reals.size(); ++i)
      left += double(y.reals[i]) * dy.reals[i];
    for (size_t i = 0; i < x.reals.size(); ++i)
      right += double(x.reals[i]) * dx.reals[i];
    EXPECT_EQ(left, right);
  }
}

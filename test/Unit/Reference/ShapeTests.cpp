//===- ShapeTests.cpp - Ops that move elements --------------------------------===//
#include "TestSupport.h"

using namespace nibble;
using namespace nibble::reference;
using namespace nibble::reference::test;

static const char *kSlice = "{starts = array<i64: 1, 3>, steps = array<i64: 1, -2>}";

static TensorF f(const std::string &body, llvm::ArrayRef<int64_t> result, const TensorF &x) {
  std::string from = realType(x.shape), to = realType(result);
  auto y = run<float>(oneOp("%x: " + from, body + " : (" + from + ") -> " + to, to), {x});
  return y.empty() ? TensorF() : y[0];
}

static TensorF iota(llvm::ArrayRef<int64_t> shape) {
  TensorF x = TensorF::real(shape);
  for (size_t i = 0; i < x.reals.size(); ++i)
    x.reals[i] = static_cast<float>(i);
  return x;
}

// reshape keeps the flat order; transpose sends result dimension i to operand dimension perm[i].
TEST(Shape, ReshapeAndTranspose) {
  expectBits(f("nn.reshape %x", {3, 2}, iota({2, 3})), {0, 1, 2, 3, 4, 5});
  expectBits(f("nn.transpose %x {perm = array<i64: 1, 0>}", {3, 2}, iota({2, 3})),
             {0, 3, 1, 4, 2, 5});
  TensorF x = iota({2, 3, 4});
  TensorF y = f("nn.transpose %x {perm = array<i64: 2, 0, 1>}", {4, 2, 3}, x);
  for (int i = 0; i < 4; ++i)
    for (int j = 0; j < 2; ++j)
      for (int k = 0; k < 3; ++k)
        EXPECT_EQ(y.reals[(i * 2 + j) * 3 + k], x.reals[(j * 3 + k) * 4 + i]);
}

// reshape moves any element type: masks stay masks.
TEST(Shape, ReshapeOfMask) {
  auto y = run<float>(oneOp("%x: tensor<2x2xi1>",
                            "nn.reshape %x : (tensor<2x2xi1>) -> tensor<4xi1>", "tensor<4xi1>"),
                      {TensorF::integer(ElementKind::Mask, {2, 2}, {1, 0, 0, 1})});
  EXPECT_EQ(y[0].kind, ElementKind::Mask);
  EXPECT_EQ(y[0].ints, (std::vector<int32_t>{1, 0, 0, 1}));
}

// broadcast repeats dimensions of 1.
TEST(Shape, Broadcast) {
  expectBits(f("nn.broadcast %x", {2, 2, 3}, iota({2, 1})), {0, 0, 0, 1, 1, 1, 0, 0, 0, 1, 1, 1});
}

// concat joins along the axis: parts alternate where outer dimensions remain.
TEST(Shape, Concat) {
  auto y = run<float>(oneOp("%a: tensor<2x1xf32>, %b: tensor<2x2xf32>",
                            "nn.concat %a, %b {axis = 1 : i64} : (tensor<2x1xf32>, "
                            "tensor<2x2xf32>) -> tensor<2x3xf32>",
                            "tensor<2x3xf32>"),
                      {TensorF::real({2, 1}, {10, 20}), iota({2, 2})});
  expectBits(y[0], {10, 0, 1, 20, 2, 3});
}

// slice walks from starts in steps, backwards too; unslice puts the elements back and is its
// adjoint: ⟨slice x, y⟩ = ⟨x, unslice y⟩.
TEST(Shape, SliceAndUnslice) {
  TensorF x = iota({3, 4}), y = TensorF::real({2, 2}, {1, 2, 3, 4});
  TensorF part = f(std::string("nn.slice %x ") + kSlice, {2, 2}, x);
  expectBits(part, {7, 5, 11, 9});
  TensorF whole = f(std::string("nn.unslice %x ") + kSlice, {3, 4}, y);
  expectBits(whole, {0, 0, 0, 0, 0, 2, 0, 1, 0, 4, 0, 3});
  float left = 0, right = 0;
  for (int i = 0; i < 4; ++i)
    left += part.reals[i] * y.reals[i];
  for (int i = 0; i < 12; ++i)
    right += x.reals[i] * whole.reals[i];
  EXPECT_EQ(left, right);
}

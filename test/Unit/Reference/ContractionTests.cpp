//===- ContractionTests.cpp - Products of reals and of codes ------------------===//
#include "TestSupport.h"

#include "nibble/Numerics/Log4.h"
#include "nibble/Reference/FiniteDifference.h"

using namespace nibble;
using namespace nibble::reference;
using namespace nibble::reference::test;

namespace {

/// Sizes of a convolution, its attributes and its types.
struct Conv {
  int64_t n, h, w, c, o, kh, kw, sh, sw, pt, pl, pb, pr, dh, dw, g;
  int64_t oh() const { return (h + pt + pb - dh * (kh - 1) - 1) / sh + 1; }
  int64_t ow() const { return (w + pl + pr - dw * (kw - 1) - 1) / sw + 1; }
  llvm::SmallVector<int64_t> x() const { return {n, h, w, c}; }
  llvm::SmallVector<int64_t> weights() const { return {o, kh, kw, c / g}; }
  llvm::SmallVector<int64_t> y() const { return {n, oh(), ow(), o}; }
  std::string attributes() const {
    auto list = [](std::initializer_list<int64_t> values) {
      std::string text;
      for (int64_t v : values)
        text += (text.empty() ? "" : ", ") + std::to_string(v);
      return "array<i64: " + text + ">";
    };
    return "strides = " + list({sh, sw}) + ", pads = " + list({pt, pl, pb, pr}) +
           ", dilations = " + list({dh, dw}) + ", groups = " + std::to_string(g) + " : i64";
  }
};

// Strides, unequal pads, dilations, groups, depthwise, 1×1, kernels larger than the image.
const Conv kConvs[] = {
    {2, 5, 6, 3, 4, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1},
    {1, 7, 7, 4, 6, 3, 2, 2, 3, 0, 1, 1, 0, 1, 2, 2},
    {2, 6, 5, 4, 4, 3, 3, 1, 2, 1, 1, 1, 1, 1, 1, 4},
    {3, 4, 4, 5, 40, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1},
    {1, 2, 3, 2, 2, 5, 5, 1, 1, 2, 2, 2, 2, 1, 1, 1},
    {2, 9, 8, 2, 4, 3, 3, 2, 2, 2, 1, 2, 1, 2, 3, 1},
};

std::string product(const std::string &op, const Conv &s, llvm::ArrayRef<int64_t> a,
                    llvm::ArrayRef<int64_t> b, llvm::ArrayRef<int64_t> y) {
  return oneOp("%a: " + realType(a) + ", %b: " + realType(b),
               op + " %a, %b {" + s.attributes() + "} : (" + realType(a) + ", " + realType(b) +
                   ") -> " + realType(y),
               realType(y));
}

template <typename T>
Tensor<T> runProduct(const std::string &op, const Conv &s, const Tensor<T> &a, const Tensor<T> &b,
                     llvm::ArrayRef<int64_t> y) {
  auto result = run<T>(product(op, s, a.shape, b.shape, y), {a, b});
  return result.empty() ? Tensor<T>() : result[0];
}

/// Whole numbers −9 … 9: sums of products are exact in float.
TensorF integers(llvm::ArrayRef<int64_t> shape, uint32_t stream) {
  TensorD d = randomReals(shape, -9.5, 9.5, 7, stream);
  TensorF x = TensorF::real(shape);
  for (size_t i = 0; i < x.reals.size(); ++i)
    x.reals[i] = static_cast<float>(std::lround(d.reals[i]));
  return x;
}

double dot(const TensorF &a, const TensorF &b) {
  double sum = 0;
  EXPECT_EQ(a.reals.size(), b.reals.size());
  for (size_t i = 0; i < a.reals.size(); ++i)
    sum += double(a.reals[i]) * b.reals[i];
  return sum;
}

/// The convolution once more, as a scatter: every input pixel adds to the outputs it reaches.
std::vector<double> scatterConv(const Conv &s, const std::vector<float> &x,
                                const std::vector<float> &w) {
  std::vector<double> y(s.n * s.oh() * s.ow() * s.o);
  for (int64_t o = 0; o < s.o; ++o)
    for (int64_t n = 0; n < s.n; ++n)
      for (int64_t h = 0; h < s.h; ++h)
        for (int64_t v = 0; v < s.w; ++v)
          for (int64_t kh = 0; kh < s.kh; ++kh)
            for (int64_t kw = 0; kw < s.kw; ++kw) {
              int64_t up = h + s.pt - kh * s.dh, left = v + s.pl - kw * s.dw;
              if (up < 0 || left < 0 || up % s.sh || left % s.sw || up / s.sh >= s.oh() ||
                  left / s.sw >= s.ow())
                continue;
              for (int64_t i = 0; i < s.c / s.g; ++i)
                y[((n * s.oh() + up / s.sh) * s.ow() + left / s.sw) * s.o + o] +=
                    double(x[((n * s.h + h) * s.w + v) * s.c + o / (s.o / s.g) * (s.c / s.g) + i]) *
                    w[((o * s.kh + kh) * s.kw + kw) * (s.c / s.g) + i];
            }
  return y;
}

} // namespace

// All four storage orders give the same product.
TEST(Contraction, MatMulTransposes) {
  std::vector<float> a{1, 2, 3, 4, 5, 6}, at{1, 4, 2, 5, 3, 6}, b{7, 8, 9, 10, 11, 12},
      bt{7, 9, 11, 8, 10, 12};
  for (bool ta : {false, true})
    for (bool tb : {false, true}) {
      std::string types = ta ? "(tensor<3x2xf32>, " : "(tensor<2x3xf32>, ";
      types += tb ? "tensor<2x3xf32>)" : "tensor<3x2xf32>)";
      std::string attributes = ta && tb ? "{transpose_a, transpose_b}"
                               : ta     ? "{transpose_a}"
                               : tb     ? "{transpose_b}"
                                        : "";
      TensorF left = TensorF::real({ta ? 3 : 2, ta ? 2 : 3}, ta ? at : a),
              right = TensorF::real({tb ? 2 : 3, tb ? 3 : 2}, tb ? bt : b);
      auto y =
          run<float>(oneOp("%a: " + realType(left.shape) + ", %b: " + realType(right.shape),
                           "nn.matmul %a, %b " + attributes + " : " + types + " -> tensor<2x2xf32>",
                           "tensor<2x2xf32>"),
                     {left, right});
      expectBits(y[0], {58, 64, 139, 154});
    }
}

// Terms are added with k ascending, each an fma from +0: what a chain of std::fma gives, bit for
// bit; 50 columns take every path of the row loop, and the order is visible (the reverse order
// differs somewhere).
TEST(Contraction, MatMulIsAChainOfFma) {
  TensorD a = randomReals({3, 67}, -1, 1, 1, 1), b = randomReals({67, 50}, -1, 1, 1, 2);
  TensorF fa = TensorF::real(a.shape, {a.reals.begin(), a.reals.end()}),
          fb = TensorF::real(b.shape, {b.reals.begin(), b.reals.end()});
  auto y = run<float>(
      oneOp("%a: tensor<3x67xf32>, %b: tensor<67x50xf32>",
            "nn.matmul %a, %b : (tensor<3x67xf32>, tensor<67x50xf32>) -> tensor<3x50xf32>",
            "tensor<3x50xf32>"),
      {fa, fb})[0];
  std::vector<float> expected, reversed;
  for (int m = 0; m < 3; ++m)
    for (int n = 0; n < 50; ++n) {
      float up = 0, down = 0;
      for (int k = 0; k < 67; ++k) {
        up = std::fma(fa.reals[m * 67 + k], fb.reals[k * 50 + n], up);
        down = std::fma(fa.reals[m * 67 + 66 - k], fb.reals[(66 - k) * 50 + n], down);
      }
      expected.push_back(up);
      reversed.push_back(down);
    }
  expectBits(y, expected);
  EXPECT_NE(expected, reversed);
}

// The forward convolution is the naive one (scattered, in double) within float's rounding; exactly
// so on whole numbers.
TEST(Contraction, ConvIsTheNaiveOne) {
  for (const Conv &s : kConvs) {
    TensorD x = randomReals(s.x(), -1, 1, 3, 1), w = randomReals(s.weights(), -1, 1, 3, 2);
    TensorF fx = TensorF::real(x.shape, {x.reals.begin(), x.reals.end()}),
            fw = TensorF::real(w.shape, {w.reals.begin(), w.reals.end()});
    TensorF y = runProduct("nn.conv2d", s, fx, fw, s.y());
    std::vector<double> naive = scatterConv(s, fx.reals, fw.reals);
    for (size_t i = 0; i < naive.size(); ++i)
      ASSERT_NEAR(y.reals[i], naive[i], 1e-4);
    TensorF ix = integers(s.x(), 4), iw = integers(s.weights(), 5),
            iy = runProduct("nn.conv2d", s, ix, iw, s.y());
    naive = scatterConv(s, ix.reals, iw.reals);
    for (size_t i = 0; i < naive.size(); ++i)
      ASSERT_EQ(iy.reals[i], naive[i]);
  }
}

// Terms of a convolution in the order kh, kw, channel; of its gradients kh, kw, output channel and
// image, row, column.
TEST(Contraction, ConvOrder) {
  // One output that sees 2×2×2 terms of which the order matters: (2²⁴, 1, 1, −2²⁴, 1, …).
  float big = 0x1p24f;
  Conv s{1, 2, 2, 2, 1, 2, 2, 1, 1, 0, 0, 0, 0, 1, 1, 1};
  TensorF x = TensorF::real(s.x(), {big, 1, 1, -big, 1, 0, 0, 3}),
          ones = TensorF::real(s.weights(), std::vector<float>(8, 1));
  expectBits(runProduct("nn.conv2d", s, x, ones, s.y()), {4});
  // Weight gradient of a 1×1 kernel over 2 images of 1×2: image 0 (big, 1), image 1 (1, −big).
  Conv g{2, 1, 2, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1};
  TensorF gx = TensorF::real(g.x(), {big, 1, 1, -big}), gd = TensorF::real(g.y(), {1, 1, 1, 1});
  expectBits(runProduct("nn.conv2d_weight_grad", g, gx, gd, g.weights()), {0});
  // Input gradient of a 1×1 kernel with 4 output channels.
  Conv h{1, 1, 1, 1, 4, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1};
  TensorF hd = TensorF::real(h.y(), {big, 1, 1, -big}),
          hw = TensorF::real(h.weights(), {1, 1, 1, 1});
  expectBits(runProduct("nn.conv2d_input_grad", h, hd, hw, h.x()), {0});
}

// Both gradients are adjoints of the convolution: ⟨conv(x, w), dy⟩ = ⟨x, input_grad(dy, w)⟩ = ⟨w,
// weight_grad(x, dy)⟩, exactly on whole numbers.
TEST(Contraction, ConvGradientsAreAdjoints) {
  for (const Conv &s : kConvs) {
    TensorF x = integers(s.x(), 1), w = integers(s.weights(), 2), dy = integers(s.y(), 3);
    double forward = dot(runProduct("nn.conv2d", s, x, w, s.y()), dy);
    EXPECT_EQ(forward, dot(x, runProduct("nn.conv2d_input_grad", s, dy, w, s.x())));
    EXPECT_EQ(forward, dot(w, runProduct("nn.conv2d_weight_grad", s, x, dy, s.weights())));
    EXPECT_NE(forward, 0);
  }
}

// A NaN or an infinity reaches the outputs that use it, and no others.
TEST(Contraction, NonFiniteTravels) {
  auto y =
      run<float>(oneOp("%a: tensor<2x2xf32>, %b: tensor<2x1xf32>",
                       "nn.matmul %a, %b : (tensor<2x2xf32>, tensor<2x1xf32>) -> tensor<2x1xf32>",
                       "tensor<2x1xf32>"),
                 {TensorF::real({2, 2}, {1, kNan, 1, 2}), TensorF::real({2, 1}, {1, 1})});
  expectBits(y[0], {kNan, 3});
}

//===----------------------------------------------------------------------===//
// Codes
//===----------------------------------------------------------------------===//

namespace {

/// Codes of `kind` between lo and hi.
TensorF codes(ElementKind kind, llvm::ArrayRef<int64_t> shape, int lo, int hi, uint32_t stream) {
  TensorD d = randomReals(shape, lo, hi + 1, 11, stream);
  TensorF x(kind, shape);
  for (size_t i = 0; i < x.ints.size(); ++i)
    x.ints[i] = static_cast<int32_t>(std::floor(d.reals[i]));
  return x;
}

/// What the codes stand for, as whole numbers.
TensorF decoded(const TensorF &x, int zeroPoint) {
  TensorF y = TensorF::real(x.shape);
  for (size_t i = 0; i < x.ints.size(); ++i)
    y.reals[i] = static_cast<float>(
        isLog(x.kind) ? numerics::decodeLog(x.ints[i], x.kind == ElementKind::Log4 ? 4 : 2)
                      : x.ints[i] - zeroPoint);
  return y;
}

std::string codeType(llvm::ArrayRef<int64_t> shape, const std::string &element) {
  return "tensor<" + shapeText(shape) + element + ">";
}

/// A q4 product with scales and, where `zero` is set, a zero point of the left operand.
TensorF codedProduct(const std::string &op, const std::string &attributes, const TensorF &a,
                     const std::string &aElement, const TensorF &b, const std::string &bElement,
                     bool zero, bool gain, llvm::ArrayRef<int64_t> y) {
  std::string types = codeType(a.shape, aElement) + ", " + codeType(b.shape, bElement) +
                      ", tensor<f32>, tensor<f32>";
  std::string parameters = "%a: " + codeType(a.shape, aElement) +
                           ", %b: " + codeType(b.shape, bElement) +
                           ", %s: tensor<f32>, %t: tensor<f32>";
  std::string operands = "%a, %b scales(%s, %t)";
  llvm::SmallVector<TensorF> arguments{a, b, TensorF::scalar(0.3f), TensorF::scalar(0.7f)};
  if (zero)
    types += ", tensor<i32>", parameters += ", %z: tensor<i32>", operands += " left_zero_point(%z)",
        arguments.push_back(TensorF::label(-8));
  if (gain)
    types += ", tensor<f32>", parameters += ", %g: tensor<f32>", operands += " gain(%g)",
        arguments.push_back(TensorF::scalar(1.1f));
  std::string text = oneOp(
      parameters, op + " " + operands + " {" + attributes + "} : (" + types + ") -> " + realType(y),
      realType(y));
  auto result = run<float>(text, arguments);
  return result.empty() ? TensorF() : result[0];
}

/// Whole-number results scaled as the law says: float(Σ)·((s·t)·gain).
std::vector<float> scaled(const TensorF &exact, float gain) {
  float scale = 0.3f * 0.7f * gain;
  std::vector<float> y;
  for (float v : exact.reals)
    y.push_back(v * scale);
  return y;
}

} // namespace

// A product of codes is the float product of the integers they stand for (exact here), scaled once:
// every element type, zero point, gain, transposes.
TEST(Contraction, CodedMatMul) {
  struct Case {
    ElementKind left, right;
    const char *leftName, *rightName;
    int lo, hi;
  } cases[] = {{ElementKind::Int4, ElementKind::Int4, "!q4.int4", "!q4.int4", -8, 7},
               {ElementKind::Int8, ElementKind::Int8, "!q4.int8", "!q4.int8", -127, 127},
               {ElementKind::Int4, ElementKind::Log4, "!q4.int4", "!q4.log<4>", 0, 7},
               {ElementKind::Int4, ElementKind::Log2, "!q4.int4", "!q4.log<2>", 0, 15}};
  for (const Case &c : cases)
    for (bool zero : {false, true}) {
      if (zero && c.left != ElementKind::Int4)
        continue;
      bool rightIsLog = isLog(c.right);
      TensorF a = codes(c.left, {3, 20}, rightIsLog ? -8 : c.lo, rightIsLog ? 7 : c.hi, 1);
      TensorF b = codes(c.right, {20, 4}, c.lo, c.hi, 2);
      TensorF y = codedProduct("q4.matmul", "", a, c.leftName, b, c.rightName, zero, true, {3, 4});
      auto exact = run<float>(
          oneOp("%a: tensor<3x20xf32>, %b: tensor<20x4xf32>",
                "nn.matmul %a, %b : (tensor<3x20xf32>, tensor<20x4xf32>) -> tensor<3x4xf32>",
                "tensor<3x4xf32>"),
          {decoded(a, zero ? -8 : 0), decoded(b, 0)})[0];
      expectBits(y, scaled(exact, 1.1f));
    }
}

// The exact sum is converted once: 2²⁴ + 1 terms of 1 (as 127·127 a term: 16129·1041 > 2²⁴) is
// rounded as a whole, not on the way.
TEST(Contraction, CodedSumIsExact) {
  int64_t k = 4097;
  TensorF a(ElementKind::Int8, {1, k}), b(ElementKind::Int8, {k, 1});
  for (int64_t i = 0; i < k; ++i)
    a.ints[i] = 127, b.ints[i] = i % 2 ? 127 : 126;
  int64_t sum = 127 * (127 * (k / 2) + 126 * (k - k / 2));
  ASSERT_GT(sum, int64_t(1) << 24);
  TensorF y = codedProduct("q4.matmul", "", a, "!q4.int8", b, "!q4.int8", false, false, {1, 1});
  expectBits(y, {static_cast<float>(sum) * (0.3f * 0.7f)});
}

// The three coded convolutions are the float ones on the integers, padding being zero's code.
TEST(Contraction, CodedConvs) {
  for (const Conv &s : kConvs)
    for (bool zero : {false, true}) {
      TensorF x = codes(ElementKind::Int4, s.x(), -8, 7, 1),
              w = codes(ElementKind::Int4, s.weights(), -7, 7, 2),
              dy = codes(ElementKind::Log2, s.y(), 0, 7, 3);
      int z = zero ? -8 : 0;
      TensorF fx = decoded(x, z), fw = decoded(w, 0), fd = decoded(dy, 0);
      expectBits(codedProduct("q4.conv2d", s.attributes(), x, "!q4.int4", w, "!q4.int4", zero,
                              false, s.y()),
                 scaled(runProduct("nn.conv2d", s, fx, fw, s.y()), 1));
      expectBits(codedProduct("q4.conv2d_weight_grad", s.attributes(), x, "!q4.int4", dy,
                              "!q4.log<2>", zero, true, s.weights()),
                 scaled(runProduct("nn.conv2d_weight_grad", s, fx, fd, s.weights()), 1.1f));
      expectBits(codedProduct("q4.conv2d_input_grad", s.attributes(), dy, "!q4.log<2>", w,
                              "!q4.int4", false, true, s.x()),
                 scaled(runProduct("nn.conv2d_input_grad", s, fd, fw, s.x()), 1.1f));
    }
}

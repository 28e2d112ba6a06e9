//===- QuantizeTests.cpp - From reals to codes and back -----------------------===//
#include "TestSupport.h"

#include "nibble/Numerics/Int4.h"
#include "nibble/Numerics/Log4.h"
#include "nibble/Reference/FiniteDifference.h"

using namespace nibble;
using namespace nibble::reference;
using namespace nibble::reference::test;

namespace {

using Ints = std::vector<int32_t>;

/// q4.quantize with scale and, if given, zero point and noise.
Ints quantize(const TensorF &x, float scale, const char *element, int qmin, int qmax,
              const int *zero = nullptr, const TensorF *noise = nullptr) {
  std::string n = shapeText(x.shape), operands = "%x, %s",
              types = realType(x.shape) + ", tensor<f32>",
              parameters = "%x: " + realType(x.shape) + ", %s: tensor<f32>";
  llvm::SmallVector<TensorF> arguments{x, TensorF::scalar(scale)};
  if (zero)
    operands += " zero_point(%z)", types += ", tensor<i32>", parameters += ", %z: tensor<i32>",
        arguments.push_back(TensorF::label(*zero));
  if (noise)
    operands += " noise(%n)", types += ", tensor<" + n + "i16>",
        parameters += ", %n: tensor<" + n + "i16>", arguments.push_back(*noise);
  std::string result = "tensor<" + n + element + ">";
  auto y = run<float>(oneOp(parameters,
                            "q4.quantize " + operands + " {qmin = " + std::to_string(qmin) +
                                " : i32, qmax = " + std::to_string(qmax) + " : i32} : (" + types +
                                ") -> " + result,
                            result),
                      arguments);
  return y.empty() ? Ints() : y[0].ints;
}

Ints quantizeLog(const TensorF &x, float scale, int radix, const TensorF *noise = nullptr) {
  std::string n = shapeText(x.shape), operands = "%x, %s",
              types = realType(x.shape) + ", tensor<f32>",
              parameters = "%x: " + realType(x.shape) + ", %s: tensor<f32>";
  llvm::SmallVector<TensorF> arguments{x, TensorF::scalar(scale)};
  if (noise)
    operands += ", %n", types += ", tensor<" + n + "i16>",
        parameters += ", %n: tensor<" + n + "i16>", arguments.push_back(*noise);
  std::string result = "tensor<" + n + "!q4.log<" + std::to_string(radix) + ">>";
  auto y = run<float>(
      oneOp(parameters, "q4.quantize_log " + operands + " : (" + types + ") -> " + result, result),
      arguments);
  return y.empty() ? Ints() : y[0].ints;
}

/// Random bits of a stream, by train.random_bits.
TensorF noiseOf(int64_t n, uint64_t seed, int32_t stream) {
  std::string type = "tensor<" + std::to_string(n) + "xi16>";
  return run<float>(oneOp("%r: tensor<2xi64>",
                          "train.random_bits %r {stream = " + std::to_string(stream) +
                              " : i32} : (tensor<2xi64>) -> " + type,
                          type),
                    {TensorF::randomState(seed, 0)})[0];
}

} // namespace

// The three level sets by hand: nearest even, saturating; zero's code is the zero point; NaN gets
// zero's code.
TEST(Quantize, Int4LevelSets) {
  int oneSided = -8, middle = 2;
  TensorF x = vec({0, 0.5f, 1.5f, 2.5f, 7, 15, 100, -3, kInf, -kInf, kNan});
  EXPECT_EQ(quantize(x, 1, "!q4.int4", -8, 7, &oneSided),
            (Ints{-8, -8, -6, -6, -1, 7, 7, -8, 7, -8, -8}));
  EXPECT_EQ(quantize(x, 1, "!q4.int4", -7, 7), (Ints{0, 0, 2, 2, 7, 7, 7, -3, 7, -7, 0}));
  EXPECT_EQ(quantize(x, 1, "!q4.int4", -8, 7, &middle), (Ints{2, 2, 4, 4, 7, 7, 7, -1, 7, -8, 2}));
}

// The scale is divided out by its rounded reciprocal: codes are RNE(x·(1/s)).
TEST(Quantize, Int8AndReciprocal) {
  TensorF x = vec({0.1f, -0.35f, 12.7f, -13});
  float s = 0.1f, r = 1 / s;
  Ints expected;
  for (float v : x.reals)
    expected.push_back(std::clamp(static_cast<int>(std::nearbyint(v * r)), -127, 127));
  EXPECT_EQ(quantize(x, s, "!q4.int8", -127, 127), expected);
}

// Stochastic rounding: l + [u < RNE((t − l)·65536)], so u = 0 rounds every fraction up and u =
// 65535 (almost) none.
TEST(Quantize, StochasticEnds) {
  TensorF x = vec({0.25f, 0.25f, -0.25f, -0.25f, 3, 9});
  TensorF noise = TensorF::integer(ElementKind::Bits, {6}, {16383, 16384, 49151, 49152, 0, 0});
  EXPECT_EQ(quantize(x, 1, "!q4.int4", -7, 7, nullptr, &noise), (Ints{1, 0, 0, -1, 3, 7}));
}

// |mean of n draws − x| ≤ 5·√((x − l)(u − x)/n), for int4 and for luq's radix 2, with bits from
// train.random_bits.
TEST(Quantize, StochasticIsUnbiased) {
  constexpr int64_t n = 8192;
  TensorF noise = noiseOf(n, 42, 7);
  for (float x : {0.3f, 2.71f, -1.01f, 5.5f, -0.002f}) {
    TensorF xs = TensorF::real({n}, std::vector<float>(n, x));
    double sum = 0, log = 0, low = std::floor(x), high = low + 1;
    for (int32_t q : quantize(xs, 1, "!q4.int4", -7, 7, nullptr, &noise))
      sum += q;
    EXPECT_LE(std::fabs(sum / n - x), 5 * std::sqrt((x - low) * (high - x) / n)) << x;
    for (int32_t q : quantizeLog(xs, 1, 2, &noise))
      log += numerics::decodeLog(q, 2);
    double a = std::fabs(x), below = a < 1 ? 0 : std::exp2(std::floor(std::log2(a))),
           above = a < 1 ? 1 : 2 * below;
    EXPECT_LE(std::fabs(log / n - x), 5 * std::sqrt((a - below) * (above - a) / n)) << x;
  }
}

// Radix 4: level 4^k owns [4^k/1.6, 4^(k+1)/1.6) of x/scale; signs, zero, saturation, NaN.
TEST(Quantize, Radix4) {
  TensorF x = vec({0, 0.62f, 0.626f, 1, 2.49f, 2.51f, 4096, 1e9f, -1, -kInf, kNan});
  Ints codes = quantizeLog(x, 1, 4);
  EXPECT_EQ(codes, (Ints{0, 0, 1, 1, 1, 2, 7, 7, 9, 15, 0}));
  // Scales that are powers of two shift the grid exactly.
  TensorF shifted = x;
  for (float &v : shifted.reals)
    v *= 0x1p-20f;
  EXPECT_EQ(quantizeLog(shifted, 0x1p-20f, 4), codes);
}

// Every code comes back as (q − Z)·s rounded, or ±radix^(e−1)·s.
TEST(Quantize, Dequantize) {
  auto dequantize = [](const TensorF &codes, const std::string &element, const TensorF *zero) {
    std::string from = "tensor<" + shapeText(codes.shape) + element + ">",
                to = realType(codes.shape);
    llvm::SmallVector<TensorF> arguments{codes, TensorF::scalar(0.3f)};
    if (zero)
      arguments.push_back(*zero);
    return run<float>(oneOp("%q: " + from + ", %s: tensor<f32>" + (zero ? ", %z: tensor<i32>" : ""),
                            std::string("q4.dequantize %q, %s") + (zero ? ", %z" : "") + " : (" +
                                from + ", tensor<f32>" + (zero ? ", tensor<i32>" : "") + ") -> " +
                                to,
                            to),
                      arguments)[0];
  };
  TensorF zero = TensorF::label(-8);
  expectBits(dequantize(TensorF::integer(ElementKind::Int4, {3}, {-8, 0, 7}), "!q4.int4", &zero),
             {0, 8 * 0.3f, 15 * 0.3f});
  expectBits(dequantize(TensorF::integer(ElementKind::Int8, {2}, {-127, 3}), "!q4.int8", nullptr),
             {-127 * 0.3f, 3 * 0.3f});
  expectBits(
      dequantize(TensorF::integer(ElementKind::Log4, {3}, {0, 3, 15}), "!q4.log<4>", nullptr),
      {0, 16 * 0.3f, -4096 * 0.3f});
  expectBits(dequantize(TensorF::integer(ElementKind::Log2, {2}, {7, 9}), "!q4.log<2>", nullptr),
             {64 * 0.3f, -1 * 0.3f});
}

// Codes are a fixed point: quantizing what the codes stand for gives the codes again.
TEST(Quantize, Idempotent) {
  TensorF x = TensorF::real({15});
  Ints all;
  for (int q = -7; q <= 7; ++q)
    x.reals[q + 7] = q * 0.37f, all.push_back(q);
  EXPECT_EQ(quantize(x, 0.37f, "!q4.int4", -7, 7), all);
}

// ⟨g, g⟩/⟨g, Q(g)⟩: 1 for a gradient on the grid, above 1 where rounding shrinks, 1 where nothing
// is left.
TEST(Quantize, Gain) {
  auto gain = [](std::vector<float> g, Ints codes) {
    int64_t n = static_cast<int64_t>(g.size());
    std::string type = realType({n}), coded = "tensor<" + std::to_string(n) + "x!q4.log<4>>";
    return run<float>(
               oneOp("%g: " + type + ", %q: " + coded + ", %s: tensor<f32>",
                     "q4.gain %g, %q, %s : (" + type + ", " + coded +
                         ", tensor<f32>) -> tensor<f32>",
                     "tensor<f32>"),
               {vec(g), TensorF::integer(ElementKind::Log4, {n}, codes), TensorF::scalar(1)})[0]
        .reals[0];
  };
  EXPECT_EQ(gain({1, 4, -16}, {1, 2, 11}), 1);
  EXPECT_EQ(gain({2, 2}, {1, 1}), 2);
  EXPECT_EQ(gain({0.5f, 0.25f}, {0, 0}), 1);
}

// Gain and noise: 1 and 0 on the grid; of two elements of which one is lost, half the energy is noise; zero has both trivial.
TEST(Quantize, Fidelity) {
  auto fidelity = [](std::vector<float> x, Ints codes) {
    int64_t n = static_cast<int64_t>(x.size());
    std::string type = realType({n}), coded = "tensor<" + std::to_string(n) + "x!q4.int4>";
    auto r = run<float>("func.func @f(%x: " + type + ", %q: " + coded + ", %s: tensor<f32>, %z: tensor<i32>) -> (tensor<f32>, tensor<f32>) {\n"
                        "%0, %1 = q4.fidelity %x, %q, %s, %z : (" + type + ", " + coded + ", tensor<f32>, tensor<i32>) -> (tensor<f32>, tensor<f32>)\n"
                        "return %0, %1 : tensor<f32>, tensor<f32>\n}",
                        {vec(x), TensorF::integer(ElementKind::Int4, {n}, codes), TensorF::scalar(0.5f), TensorF::label(-8)});
    return std::pair(r[0].reals[0], r[1].reals[0]);
  };
  EXPECT_EQ(fidelity({0.5f, 1, 7.5f}, {-7, -6, 7}), std::pair(1.0f, 0.0f));
  EXPECT_EQ(fidelity({2, 2}, {-4, -8}), std::pair(0.5f, 0.5f));
  EXPECT_EQ(fidelity({1, 1}, {-7, -5}), std::pair(1.0f, 0.25f)); // 0.5 and 1.5
  EXPECT_EQ(fidelity({0, 0}, {-8, -8}), std::pair(1.0f, 0.0f));
}

// Ends and zeros of a coded tensor; the lower end counts only where it is not zero's code.
TEST(Quantize, CodeCounts) {
  auto counts = [](const TensorF &codes, const std::string &element, const std::string &attributes,
                   const TensorF *zero) {
    std::string type = "tensor<" + shapeText(codes.shape) + element + ">";
    llvm::SmallVector<TensorF> arguments{codes};
    if (zero)
      arguments.push_back(*zero);
    return run<float>(oneOp("%q: " + type + (zero ? ", %z: tensor<i32>" : ""),
                            std::string("q4.code_counts %q") + (zero ? ", %z" : "") + " " +
                                attributes + " : (" + type + (zero ? ", tensor<i32>" : "") +
                                ") -> tensor<2xi32>",
                            "tensor<2xi32>"),
                      arguments)[0]
        .ints;
  };
  TensorF zero = TensorF::label(-8);
  EXPECT_EQ(
      counts(TensorF::integer(ElementKind::Int4, {5}, {-7, 7, 0, 0, 3}), "!q4.int4", "", nullptr),
      (Ints{2, 2}));
  EXPECT_EQ(counts(TensorF::integer(ElementKind::Int4, {4}, {-8, -8, 7, 0}), "!q4.int4",
                   "{qmin = -8 : i32}", &zero),
            (Ints{1, 2}));
  EXPECT_EQ(
      counts(TensorF::integer(ElementKind::Log4, {5}, {7, 15, 0, 1, 6}), "!q4.log<4>", "", nullptr),
      (Ints{2, 1}));
}

// In double, making codes is an error that says so, not a silent float.
TEST(Quantize, DoubleHasNoCodes) {
  Program program(
      oneOp("%x: tensor<2xf32>, %s: tensor<f32>",
            "q4.quantize_log %x, %s : (tensor<2xf32>, tensor<f32>) -> tensor<2x!q4.log<4>>",
            "tensor<2x!q4.log<4>>"));
  auto r =
      Interpreter<double>().run(program.function("f"), {TensorD::real({2}), TensorD::scalar(1)});
  EXPECT_TRUE(mlir::failed(r));
  EXPECT_NE(program.errors.find("no meaning in double"), std::string::npos) << program.errors;
}

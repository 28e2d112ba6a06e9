//===- TrainTests.cpp - State, random bits, optimizers ------------------------===//
#include "TestSupport.h"

#include "nibble/Numerics/Random.h"

using namespace nibble;
using namespace nibble::reference;
using namespace nibble::reference::test;

// Element i of stream k takes half-word i mod 8 of the Philox block ⌊i/8⌋ of (seed, update,
// stream): the definition written out.
TEST(Train, RandomBitsArePhilox) {
  auto bits = run<float>(
      oneOp("%r: tensor<2xi64>",
            "train.random_bits %r {stream = -5 : i32} : (tensor<2xi64>) -> tensor<3x7xi16>",
            "tensor<3x7xi16>"),
      {TensorF::randomState(0x123456789ABCDEFull, 3)})[0];
  for (uint32_t i = 0; i < 21; ++i) {
    auto block =
        numerics::philox4x32({i / 8, 0, 3, static_cast<uint32_t>(-5)}, {0x89ABCDEFu, 0x01234567u});
    EXPECT_EQ(bits.ints[i], static_cast<int32_t>((block[i % 8 / 2] >> (16 * (i % 2))) & 0xFFFF));
  }
}

// Another stream, update or seed gives other bits.
TEST(Train, RandomBitsDiffer) {
  auto bits = [](uint64_t seed, int64_t update, const std::string &stream) {
    return run<float>(oneOp("%r: tensor<2xi64>",
                            "train.random_bits %r {stream = " + stream +
                                " : i32} : (tensor<2xi64>) -> tensor<8xi16>",
                            "tensor<8xi16>"),
                      {TensorF::randomState(seed, update)})[0]
        .ints;
  };
  auto base = bits(1, 0, "1");
  EXPECT_EQ(base, bits(1, 0, "1"));
  EXPECT_NE(base, bits(2, 0, "1"));
  EXPECT_NE(base, bits(1, 1, "1"));
  EXPECT_NE(base, bits(1, 0, "2"));
}

// Of five calls an update, the first and the last; alone, a call is both.
TEST(Train, MicroBatch) {
  for (int64_t count : {1, 2, 5})
    for (int64_t call = 0; call < 12; ++call) {
      auto flags = run<float>("func.func @f(%r: tensor<2xi64>) -> (tensor<i1>, tensor<i1>) {\n"
                              "  %first, %last = train.micro_batch %r {count = " +
                                  std::to_string(count) +
                                  "} : (tensor<2xi64>) -> (tensor<i1>, tensor<i1>)\n"
                                  "  return %first, %last : tensor<i1>, tensor<i1>\n}\n",
                              {TensorF::randomState(7, call)});
      EXPECT_EQ(flags[0].ints[0] != 0, call % count == 0);
      EXPECT_EQ(flags[1].ints[0] != 0, call % count == count - 1);
    }
}

// lr·factor in f64, rounded once; Adam's correction √(1 − β₂ᵗ)/(1 − β₁ᵗ) with t from 1.
TEST(Train, Rate) {
  auto rate = [](double lr, int64_t t, const std::string &attributes) {
    return run<float>(oneOp("%l: tensor<f64>, %s: tensor<i64>",
                            "train.rate %l, %s " + attributes +
                                " : (tensor<f64>, tensor<i64>) -> tensor<f32>",
                            "tensor<f32>"),
                      {TensorF::learningRate(lr), TensorF::step(t)})[0]
        .reals[0];
  };
  EXPECT_EQ(rate(0.1, 1, ""), 0.1f);
  EXPECT_EQ(rate(0.1, 1, "{factor = 1.0e-4 : f64}"), static_cast<float>(0.1 * 1e-4));
  EXPECT_EQ(rate(0.5, 2, "{adam, beta1 = 0.5 : f64, beta2 = 0.75 : f64}"),
            static_cast<float>(0.5 * std::sqrt(1 - 0.75 * 0.75) / (1 - 0.25)));
}

// One element by hand: g += λθ; v = μv + g; θ −= lr·v, Nesterov lr·(g + μv).
TEST(Train, Sgd) {
  auto sgd = [](const std::string &attributes) {
    std::string one = "tensor<1xf32>";
    return run<float>("func.func @f(%t: " + one + ", %g: " + one + ", %v: " + one +
                          ", %r: tensor<f32>) -> (" + one + ", " + one +
                          ") {\n  %a, %b = train.sgd %t, %g, %v, %r {" + attributes + "} : (" +
                          one + ", " + one + ", " + one + ", tensor<f32>) -> (" + one + ", " + one +
                          ")\n  return %a, %b : " + one + ", " + one + "\n}",
                      {vec({8}), vec({2}), vec({8}), TensorF::scalar(0.5f)});
  };
  auto plain = sgd("momentum = 0.0 : f32, decay = 0.0 : f32");
  expectBits(plain[0], {7});
  expectBits(plain[1], {8}); // no momentum: the velocity is left alone
  auto momentum = sgd("momentum = 0.25 : f32, decay = 0.125 : f32"); // g = 3, v = 5
  expectBits(momentum[0], {5.5f});
  expectBits(momentum[1], {5});
  auto nesterov = sgd("momentum = 0.25 : f32, decay = 0.125 : f32, nesterov"); // 3 + 1.25
  expectBits(nesterov[0], {5.875f});
}

// One element of Adam by hand, then AdamW, whose decay acts on θ first.
TEST(Train, Adam) {
  std::string one = "tensor<1xf32>",
              types = one + ", " + one + ", " + one + ", " + one + ", tensor<f32>";
  auto adam = [&](const std::string &extra, const std::string &decay, bool decoupled) {
    llvm::SmallVector<TensorF> arguments{vec({8}), vec({2}), vec({4}), vec({16}),
                                         TensorF::scalar(0.5f)};
    if (decoupled)
      arguments.push_back(TensorF::scalar(0.25f));
    return run<float>(
        "func.func @f(%t: " + one + ", %g: " + one + ", %m: " + one + ", %v: " + one +
            ", %r: tensor<f32>" + (decoupled ? ", %d: tensor<f32>" : "") + ") -> (" + one + ", " +
            one + ", " + one + ") {\n  %a, %b, %c = train.adam %t, %g, %m, %v, %r" + extra +
            " {beta1 = 0.5 : f64, beta2 = 0.75 : f64, epsilon = 1.0 : f32, decay = " + decay +
            " : f32} : (" + types + (decoupled ? ", tensor<f32>" : "") + ") -> (" + one + ", " +
            one + ", " + one + ")\n  return %a, %b, %c : " + one + ", " + one + ", " + one + "\n}",
        arguments);
  };
  float v = 0.75f * 16 + 0.25f * 4;
  auto r = adam("", "0.0", false);
  expectBits(r[1], {3});
  expectBits(r[2], {v});
  expectBits(r[0], {8 - (0.5f * 3) / (std::sqrt(v) + 1)});
  auto l2 = adam("", "0.5", false); // g = 2 + 4 = 6
  expectBits(l2[1], {5});
  auto w = adam(", %d", "0.0", true);
  expectBits(w[1], {3});
  expectBits(w[0], {6 - (0.5f * 3) / (std::sqrt(v) + 1)});
}

//===- ContractionTest.cpp - emitted products are the naive loops, bit for bit -===//
//
// Law: on every target that the host can run, emitted code gives the bits of the naive loops of
// ContractionEmitter.h, for any shape, and writes nowhere else.
//
//===----------------------------------------------------------------------===//
#include "ContractionHarness.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include <cmath>
#include <cstring>
#include <gtest/gtest.h>
#include <map>
#include <sstream>

using namespace nibble;
using namespace nibble::test;

static Case matmul(Kind left, Kind right, int64_t m, int64_t n, int64_t k, bool ta = false,
                   bool tb = false) {
  Case c;
  c.left = left, c.right = right;
  c.m = m, c.n = n, c.k = k;
  c.transposeA = ta, c.transposeB = tb;
  return c;
}

static Case conv(Case::Op op, Kind left, Kind right, std::vector<int64_t> nhwc, int64_t o,
                 std::vector<int64_t> kernel, std::vector<int64_t> strides = {1, 1},
                 std::vector<int64_t> pads = {0, 0, 0, 0}, std::vector<int64_t> dilations = {1, 1},
                 int64_t groups = 1) {
  Case c;
  c.op = op, c.left = left, c.right = right;
  c.batch = nhwc[0], c.height = nhwc[1], c.width = nhwc[2], c.channels = nhwc[3];
  c.outChannels = o, c.kernelH = kernel[0], c.kernelW = kernel[1];
  c.strides = strides, c.pads = pads, c.dilations = dilations, c.groups = groups;
  return c;
}

/// The same bits; which NaN it is is left open.
static bool same(float x, float y) {
  return memcmp(&x, &y, 4) == 0 || (std::isnan(x) && std::isnan(y));
}

/// The naive loops' results, made once for all targets.
static const std::vector<float> &expectedOf(const Case &c, const Inputs &in) {
  static std::map<std::string, std::vector<float>> known;
  std::ostringstream key;
  key << c.text() << c.gain << std::hexfloat << ' ' << in.leftScale << ' ' << in.rightScale << ' '
      << in.gain << ' ' << in.leftZero << ' ' << in.rightZero;
  for (const Tensor *t : {&in.left, &in.right})
    key << ' ' << std::string(t->bytes.begin(), t->bytes.end());
  std::string digest = std::to_string(std::hash<std::string>()(key.str())) + c.text();
  auto [place, isNew] = known.try_emplace(digest);
  if (isNew)
    place->second = naive(c, in);
  return place->second;
}

static void checkRun(Compiled &compiled, size_t number, const Case &c, Inputs &in,
                     const std::string &name) {
  const std::vector<float> &expected = expectedOf(c, in);
  std::vector<float> actual = compiled.run(number, c, in);
  size_t wrong = 0, first = 0;
  for (size_t j = 0; j < expected.size(); ++j)
    if (!same(expected[j], actual[j]) && wrong++ == 0)
      first = j;
  EXPECT_EQ(wrong, 0u) << name << ": " << c.text() << ": " << wrong << " of " << expected.size()
                       << " differ, first at " << first << ": " << actual[first] << " instead of "
                       << expected[first];
}

/// `extremes`: each case with random codes of these kinds, instead of its own.
static void checkCases(std::vector<Case> cases, const std::string &name, bool threads = false,
                       std::vector<Case::Extreme> extremes = {}) {
  CpuTarget target = *CpuTarget::parse(name);
  if (!target.runsOnHost())
    GTEST_SKIP() << "this processor has no " << name;
  auto compiled = Compiled::make(cases, target, threads);
  ASSERT_TRUE(compiled);
  std::mt19937 random(7);
  for (size_t i = 0; i < cases.size(); ++i) {
    Case &c = cases[i];
    size_t runs = extremes.empty() ? 1 : extremes.size();
    for (size_t run = 0; run < runs; ++run) {
      if (!extremes.empty())
        c.extreme = extremes[run];
      Inputs in = makeInputs(c, random);
      checkRun(*compiled, i, c, in, name);
    }
  }
}

class Contraction : public testing::TestWithParam<const char *> {};

TEST_P(Contraction, MatrixProductsOfCodes) {
  std::vector<Case> cases;
  const int64_t sizes[][3] = {{1, 1, 1},    {3, 10, 5}, {128, 10, 84}, {17, 33, 31},
                              {40, 48, 64}, {9, 70, 2}, {130, 16, 40}};
  for (auto [m, n, k] : sizes)
    for (int transposes = 0; transposes < 4; ++transposes) {
      cases.push_back(matmul(Kind::Int4Zero, Kind::Int4, m, n, k, transposes & 1, transposes & 2));
      cases.push_back(matmul(Kind::Log4, Kind::Int4, m, n, k, transposes & 1, transposes & 2));
    }
  for (int transposes = 0; transposes < 4; ++transposes)
    cases.push_back(matmul(Kind::Log2, Kind::Int4, 37, 35, 67, transposes & 1, transposes & 2));
  cases.push_back(matmul(Kind::Int8, Kind::Int8, 33, 10, 123, false, true));
  cases.push_back(matmul(Kind::Log2, Kind::Int8, 20, 21, 1025, true, false));
  for (size_t i = 0; i < cases.size(); i += 3)
    cases[i].gain = true;
  checkCases(cases, GetParam());
}

/// Every number of rows, hence every height of a register tile and every rest.
TEST_P(Contraction, FewRows) {
  std::vector<Case> cases;
  for (int64_t rows = 1; rows <= 24; ++rows) {
    cases.push_back(matmul(Kind::Int4Zero, Kind::Int4, rows, 70, 37, false, true));
    cases.push_back(matmul(Kind::Log2, Kind::Int4Zero, rows, 37, 70));
    cases.push_back(matmul(Kind::Log4, Kind::Int4, rows, 20, 41));
  }
  checkCases(cases, GetParam());
}

/// Products that read weights which were packed before, as the steps of a sequence do.
TEST_P(Contraction, SharedPanels) {
  std::vector<Case> cases;
  const int64_t sizes[][3] = {{1, 1, 1},    {3, 10, 5},   {20, 65, 130},
                              {33, 96, 64}, {7, 128, 33}, {5, 33, 9000}};
  const std::pair<Kind, Kind> kinds[] = {{Kind::Int4Zero, Kind::Int4}, {Kind::Int4, Kind::Int4Zero},
                                         {Kind::Log2, Kind::Int4},     {Kind::Log4, Kind::Int4Zero},
                                         {Kind::Int8, Kind::Int8},     {Kind::Int4Zero, Kind::Log2},
                                         {Kind::Log4, Kind::Log4}};
  for (auto [m, n, k] : sizes)
    for (auto [left, right] : kinds)
      for (bool transposed : {false, true})
        cases.push_back(matmul(left, right, m, n, k, false, transposed));
  using V = std::vector<int64_t>;
  cases.push_back(conv(Case::Forward, Kind::Int4Zero, Kind::Int4, V{2, 6, 5, 16}, 33, V{3, 3},
                       V{1, 1}, V{1, 1, 1, 1}));
  cases.push_back(conv(Case::Forward, Kind::Int8, Kind::Int8, V{2, 9, 9, 5}, 20, V{3, 3}, V{2, 2},
                       V{1, 1, 1, 1}));
  cases.push_back(conv(Case::InputGrad, Kind::Log2, Kind::Int4, V{2, 6, 6, 33}, 17, V{3, 3},
                       V{1, 1}, V{1, 1, 1, 1}));
  cases.push_back(conv(Case::Forward, Kind::Int4Zero, Kind::Int4, V{2, 6, 5, 6}, 9, V{3, 3},
                       V{1, 1}, V{1, 1, 1, 1}, V{1, 1}, 3));
  for (size_t i = 0; i < cases.size(); ++i)
    cases[i].panel = true, cases[i].gain = i % 3 == 0;
  checkCases(cases, GetParam());
}

/// Convolutions of many windows, as all three products.
static std::vector<Case> windows(std::initializer_list<std::pair<Kind, Kind>> kinds) {
  std::vector<Case> cases;
  for (auto op : {Case::Forward, Case::InputGrad, Case::WeightGrad})
    for (auto [left, right] : kinds) {
      auto add = [&](auto... rest) { cases.push_back(conv(op, left, right, rest...)); };
      using V = std::vector<int64_t>;
      add(V{2, 8, 8, 4}, 6, V{3, 3}, V{1, 1}, V{1, 1, 1, 1});
      add(V{3, 12, 10, 1}, 6, V{5, 5}, V{1, 1}, V{2, 2, 2, 2});
      add(V{1, 7, 9, 3}, 17, V{3, 2}, V{2, 1}, V{0, 1, 1, 0});
      add(V{2, 9, 9, 5}, 20, V{3, 3}, V{2, 2}, V{1, 1, 1, 1});
      add(V{2, 11, 7, 2}, 3, V{3, 3}, V{3, 2}, V{0, 2, 1, 3});
      add(V{2, 6, 6, 16}, 33, V{1, 1});
      add(V{2, 7, 7, 6}, 5, V{1, 1}, V{2, 2});
      add(V{1, 10, 11, 4}, 4, V{3, 3}, V{1, 1}, V{2, 2, 2, 2}, V{2, 2});
      add(V{1, 13, 12, 2}, 3, V{3, 3}, V{2, 2}, V{3, 0, 3, 1}, V{2, 3});
      add(V{2, 6, 5, 6}, 9, V{3, 3}, V{1, 1}, V{1, 1, 1, 1}, V{1, 1}, int64_t(3));
      add(V{2, 6, 5, 6}, 6, V{3, 3}, V{2, 2}, V{1, 1, 1, 1}, V{1, 1}, int64_t(6));
      add(V{9, 6, 7, 37}, 37, V{3, 3}, V{2, 1}, V{1, 1, 1, 1}, V{1, 1}, int64_t(37));
      add(V{2, 6, 5, 4}, 8, V{3, 3}, V{1, 1}, V{1, 1, 1, 1}, V{1, 1}, int64_t(4));
      add(V{1, 9, 9, 8}, 8, V{3, 3}, V{2, 1}, V{1, 1, 0, 0}, V{1, 2}, int64_t(2));
      add(V{2, 4, 4, 40}, 36, V{4, 4});
      add(V{1, 1, 5, 3}, 2, V{1, 3});
      add(V{5, 5, 1, 3}, 2, V{3, 1}, V{1, 1}, V{1, 0, 1, 0});
    }
  return cases;
}

TEST_P(Contraction, ConvolutionsOfCodes) {
  checkCases(windows({{Kind::Int4Zero, Kind::Log4}, {Kind::Log2, Kind::Int8}}), GetParam());
}

/// Formats that fit bytes, on a unit of quads.
TEST(ContractionQuads, Convolutions) {
  checkCases(windows({{Kind::Int8, Kind::Int4Zero}, {Kind::Int4Zero, Kind::Log2}}), "avx512vnni");
}

/// Sizes of whole blocks of codes and whole tiles, which are packed without a decoded copy.
TEST_P(Contraction, WholeBlocks) {
  using V = std::vector<int64_t>;
  std::vector<Case> cases;
  const std::pair<Kind, Kind> kinds[] = {
      {Kind::Int4Zero, Kind::Int4}, {Kind::Log2, Kind::Int4Zero}, {Kind::Int4Zero, Kind::Log4}};
  for (auto [left, right] : kinds) {
    for (int transposes = 0; transposes < 4; ++transposes)
      cases.push_back(matmul(left, right, 35, 96, 64, transposes & 1, transposes & 2));
    for (auto op : {Case::Forward, Case::InputGrad, Case::WeightGrad}) {
      cases.push_back(conv(op, left, right, V{6, 5, 6, 32}, 64, V{3, 3}, V{1, 1}, V{1, 1, 1, 1}));
      cases.push_back(conv(op, left, right, V{3, 7, 6, 64}, 32, V{3, 2}, V{2, 1}, V{1, 0, 1, 1}));
      cases.push_back(conv(op, left, right, V{2, 8, 4, 64}, 64, V{3, 3}, V{1, 2}, V{1, 2, 0, 1},
                           V{1, 2}, int64_t(2)));
    }
  }
  checkCases(cases, GetParam());
}

/// 3x3 windows at stride 1 by exact Winograd, in bytes or 16 bits, with even and odd sizes and any
/// border, also at the largest transformed numbers: the bits of the naive loops.
TEST_P(Contraction, Winograd) {
  using V = std::vector<int64_t>;
  std::vector<Case> cases;
  auto add = [&](auto op, Kind left, Kind right, bool all) {
    cases.push_back(conv(op, left, right, V{5, 7, 8, 128}, 64, V{3, 3}, V{1, 1}, V{2, 0, 1, 3}));
    if (!all)
      return;
    cases.push_back(conv(op, left, right, V{3, 10, 9, 96}, 128, V{3, 3}, V{1, 1}, V{1, 1, 1, 1}));
    cases.push_back(conv(op, left, right, V{2, 14, 15, 64}, 96, V{3, 3}));
  };
  add(Case::Forward, Kind::Int4Zero, Kind::Int4, true);
  add(Case::InputGrad, Kind::Int4, Kind::Int4, true);
  add(Case::InputGrad, Kind::Log4, Kind::Int4, true);
  add(Case::Forward, Kind::Log4, Kind::Int4Zero, false);
  add(Case::InputGrad, Kind::Log2, Kind::Int8, false);
  checkCases(cases, GetParam());
  checkCases(cases, GetParam(), /*threads=*/false, {Case::Largest, Case::Smallest, Case::Either});
}

/// Sums that are four times too large must fit 32 bits: 36·1792·4096·8 does (codes without a zero
/// point are taken to reach 8). 36·2112·4096·7 does not, and goes the direct way.
TEST_P(Contraction, LargestWinograd) {
  using V = std::vector<int64_t>;
  std::vector<Case> cases;
  for (int64_t channels : {1792, 2112})
    cases.push_back(conv(Case::InputGrad, Kind::Log4, Kind::Int4, V{4, 8, 8, 64}, channels, V{3, 3},
                         V{1, 1}, V{1, 1, 1, 1}));
  checkCases(cases, GetParam(), /*threads=*/false, {Case::Largest});
}

/// Weight gradients of 3x3 windows at stride 1 by exact Winograd: even and odd sizes, any border,
/// batches that leave places of the last tuple empty, also at the largest transformed numbers.
TEST_P(Contraction, WinogradWeightGradients) {
  using V = std::vector<int64_t>;
  std::vector<Case> cases;
  const std::pair<Kind, Kind> kinds[] = {{Kind::Int4Zero, Kind::Int4},
                                         {Kind::Int4Zero, Kind::Int4Zero},
                                         {Kind::Int4Zero, Kind::Log4},
                                         {Kind::Int4, Kind::Log2}};
  for (auto [left, right] : kinds) {
    auto add = [&](auto... rest) { cases.push_back(conv(Case::WeightGrad, left, right, rest...)); };
    add(V{6, 7, 8, 96}, 64, V{3, 3}, V{1, 1}, V{2, 0, 1, 3});
    add(V{5, 10, 9, 64}, 128, V{3, 3}, V{1, 1}, V{1, 1, 1, 1});
    add(V{7, 12, 11, 64}, 96, V{3, 3});
    add(V{21, 4, 3, 64}, 64, V{3, 3}, V{1, 1}, V{1, 1, 1, 1});
  }
  checkCases(cases, GetParam(), /*threads=*/false,
             {Case::None, Case::Largest, Case::Smallest, Case::Either});
}

/// Four times the sum of a part must fit 32 bits: of codes of radix 4, 8,738 pixels do. Parts are
/// added in 32 bits, or in 64, at the largest codes. And the products of many channels, a few tiles
/// of columns at a time.
TEST_P(Contraction, LargestWinogradWeightGradients) {
  using V = std::vector<int64_t>;
  std::vector<Case> cases;
  auto add = [&](Kind left, Kind right, V nhwc, int64_t o) {
    cases.push_back(conv(Case::WeightGrad, left, right, nhwc, o, V{3, 3}, V{1, 1}, V{1, 1, 1, 1}));
  };
  for (int64_t batch : {8, 9, 35}) // of 1,024 pixels
    add(Kind::Int4Zero, Kind::Log4, V{batch, 32, 32, 64}, 64);
  add(Kind::Int4Zero, Kind::Log4, V{2, 67, 66, 64}, 64); // not even two images fit
  add(Kind::Int4Zero, Kind::Int4, V{9, 4, 4, 512}, 480);
  add(Kind::Int4Zero, Kind::Log4, V{9, 4, 4, 480}, 512);
  checkCases(cases, GetParam(), /*threads=*/false, {Case::Largest});
}

/// Results of 32 MB and more are stored past the caches: the same image 128 times gives the naive
/// loops' result of one.
TEST_P(Contraction, ResultsLargerThanCaches) {
  CpuTarget target = *CpuTarget::parse(GetParam());
  if (!target.runsOnHost())
    GTEST_SKIP() << "this processor has no " << GetParam();
  using V = std::vector<int64_t>;
  const Case ones[] = {
      conv(Case::Forward, Kind::Int4Zero, Kind::Int4, V{1, 32, 32, 64}, 64, V{3, 3}, V{1, 1},
           V{1, 1, 1, 1}), // Winograd
      conv(Case::Forward, Kind::Int8, Kind::Int8, V{1, 32, 32, 3}, 64, V{3, 3}, V{1, 1},
           V{1, 1, 1, 1}),
      conv(Case::InputGrad, Kind::Log4, Kind::Int4, V{1, 32, 32, 80}, 32, V{1, 1}, V{2, 2})};
  std::mt19937 random(5);
  for (const Case &one : ones) {
    Case many = one;
    many.batch = 128;
    auto compiled = Compiled::make({many}, target);
    ASSERT_TRUE(compiled);
    Inputs in = makeInputs(one, random);
    const std::vector<float> &expected = expectedOf(one, in);
    std::vector<uint8_t> image = in.left.bytes, &images = in.left.bytes; // whole lines
    for (int64_t n = 1; n < many.batch; ++n)
      images.insert(images.end(), image.begin(), image.end());
    std::vector<float> actual = compiled->run(0, many, in);
    ASSERT_EQ(actual.size(), expected.size() * many.batch);
    size_t wrong = 0;
    for (size_t i = 0; i < actual.size(); ++i)
      wrong += !same(expected[i % expected.size()], actual[i]);
    EXPECT_EQ(wrong, 0u) << GetParam() << ": " << many.text();
  }
}

/// Formats at their largest sums, and bytes around the last length that 32 bits hold. (With one
/// operand unsigned the sums of quads pass 2^31 on the way: they are right modulo 2^32, and so at
/// the end. Where bytes are added in 16 bits first, no codes reach 2^15 there.)
TEST_P(Contraction, LargestSums) {
  using V = std::vector<int64_t>;
  std::vector<Case> cases;
  const std::pair<Kind, Kind> kinds[] = {
      {Kind::Int4, Kind::Int4Zero}, {Kind::Int4Zero, Kind::Int4}, {Kind::Int8, Kind::Int8},
      {Kind::Log2, Kind::Int4Zero}, {Kind::Int4Zero, Kind::Log2}, {Kind::Log2, Kind::Int8},
      {Kind::Int8, Kind::Int4},     {Kind::Int4Zero, Kind::Int8}};
  for (auto [left, right] : kinds) {
    cases.push_back(matmul(left, right, 9, 7, 1003, false, true));
    cases.push_back(matmul(left, right, 9, 7, 1003, true, false));
    for (auto op : {Case::Forward, Case::InputGrad, Case::WeightGrad})
      cases.push_back(conv(op, left, right, V{5, 6, 5, 3}, 5, V{3, 3}, V{1, 1}, V{1, 1, 1, 1}));
  }
  for (int64_t k : {133144, 133145, 133147})
    for (bool transposed : {false, true})
      cases.push_back(matmul(Kind::Int8, Kind::Int8, 2, 3, k, transposed, !transposed));
  checkCases(cases, GetParam(), /*threads=*/false, {Case::Largest, Case::Smallest, Case::Either});
}

/// Contractions longer than 32-bit sums hold, with every code at its largest: split sums meet the
/// exact integer. And batches that take several passes.
TEST_P(Contraction, LongSumsAndSeveralPasses) {
  std::vector<Case> cases;
  using V = std::vector<int64_t>;
  cases.push_back(matmul(Kind::Log4, Kind::Int4Zero, 5, 3, 40001, false, true));
  cases.push_back(matmul(Kind::Log4, Kind::Int4Zero, 5, 18, 80001, false, false));
  cases.push_back(matmul(Kind::Log4, Kind::Int4Zero, 5, 18, 40001, true, false));
  cases.push_back(matmul(Kind::Log4, Kind::Int4Zero, 3, 2, 36001, true, true));
  cases.push_back(conv(Case::InputGrad, Kind::Log4, Kind::Int4Zero, V{2, 3, 4, 2}, 4001, V{3, 3},
                       V{1, 1}, V{1, 1, 1, 1}));
  cases.push_back(conv(Case::WeightGrad, Kind::Int4Zero, Kind::Log4, V{40, 32, 32, 4}, 3, V{3, 3},
                       V{1, 1}, V{1, 1, 1, 1}));
  cases.push_back(conv(Case::WeightGrad, Kind::Int8, Kind::Int8, V{67, 64, 33, 3}, 3, V{3, 3},
                       V{1, 1}, V{1, 1, 1, 1}));
  for (Case &c : cases)
    c.extreme = Case::Largest;
  size_t extreme = cases.size();
  cases.push_back(conv(Case::WeightGrad, Kind::Int4Zero, Kind::Int4, V{37, 24, 24, 17}, 19, V{3, 3},
                       V{1, 1}, V{1, 1, 1, 1}));
  cases.push_back(
      conv(Case::WeightGrad, Kind::Int4Zero, Kind::Int4, V{301, 16, 15, 19}, 3, V{1, 1}));
  cases.push_back(conv(Case::Forward, Kind::Int4Zero, Kind::Int4, V{67, 24, 25, 17}, 3, V{3, 3},
                       V{1, 1}, V{1, 1, 1, 1}));
  cases.push_back(conv(Case::InputGrad, Kind::Log2, Kind::Int4, V{67, 25, 24, 3}, 17, V{3, 3},
                       V{2, 2}, V{1, 1, 1, 1}));
  cases.push_back(matmul(Kind::Int4Zero, Kind::Int4, 3001, 3, 700, false, true));
  cases.push_back(matmul(Kind::Int4Zero, Kind::Int4, 30, 40, 20000, true, false));
  cases.push_back(matmul(Kind::Int4Zero, Kind::Int4, 2, 3, 900001, true, false));
  for (size_t i = extreme; i < cases.size(); ++i)
    cases[i].gain = true;
  checkCases(cases, GetParam());
}

TEST_P(Contraction, MatrixProductsOfFloats) {
  std::vector<Case> cases;
  const int64_t sizes[][3] = {{1, 1, 1},    {3, 10, 5},  {128, 10, 84}, {17, 33, 31},
                              {70, 48, 64}, {9, 100, 2}, {131, 16, 40}};
  for (auto [m, n, k] : sizes)
    for (int transposes = 0; transposes < 4; ++transposes)
      cases.push_back(matmul(Kind::F32, Kind::F32, m, n, k, transposes & 1, transposes & 2));
  checkCases(cases, GetParam());
}

TEST_P(Contraction, ConvolutionsOfFloats) {
  checkCases(windows({{Kind::F32, Kind::F32}}), GetParam());
}

/// A tap outside the image is no term, not a term of zero: that would turn a sum of -0 into +0, and
/// infinite weights into NaN.
TEST_P(Contraction, PaddingOfFloatsIsNoTerm) {
  std::vector<Case> cases = windows({{Kind::F32, Kind::F32}});
  for (Case &c : cases)
    c.special = true;
  checkCases(cases, GetParam());
}

INSTANTIATE_TEST_SUITE_P(Targets, Contraction,
                         testing::Values("avx512vnni", "avx512", "avxvnni", "avx2", "dotprod",
                                         "generic"));

/// Law: an element type without a product rule is an error that names it, not wrong code.
TEST(ContractionErrors, NoProductOfE2M1) {
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  registerDialects(context);
  std::string message;
  context.getDiagEngine().registerHandler([&](mlir::Diagnostic &d) { message += d.str(); });
  EXPECT_TRUE(emissionFails(context, matmul(Kind::E2M1, Kind::Int4, 4, 4, 4)));
  EXPECT_NE(message.find("e2m1"), std::string::npos) << message;
}

//===----------------------------------------------------------------------===//
// Threads
//===----------------------------------------------------------------------===//

/// Law: the bits do not depend on the number of threads: tasks of a parallel loop write disjoint
/// results.
TEST(ContractionThreads, FourThreadsGiveTheSameBits) {
  if (!loadOpenMP(4))
    GTEST_SKIP() << "no OpenMP run time (libomp.so.5)";
  std::vector<Case> cases;
  for (const Case &c : windows({{Kind::Int4Zero, Kind::Log4}, {Kind::F32, Kind::F32}}))
    if (c.batch > 1)
      cases.push_back(c);
  using V = std::vector<int64_t>;
  cases.push_back(conv(Case::WeightGrad, Kind::Int4Zero, Kind::Int4, V{37, 24, 24, 17}, 19, V{3, 3},
                       V{1, 1}, V{1, 1, 1, 1}));
  cases.push_back(conv(Case::Forward, Kind::Int4Zero, Kind::Int4, V{67, 24, 25, 17}, 3, V{3, 3},
                       V{1, 1}, V{1, 1, 1, 1}));
  for (Kind gradient : {Kind::Int4, Kind::Log4}) { // Winograd
    cases.push_back(conv(Case::WeightGrad, Kind::Int4Zero, gradient, V{19, 15, 16, 64}, 64, V{3, 3},
                         V{1, 1}, V{1, 1, 1, 1}));
    cases.push_back(conv(Case::WeightGrad, Kind::Int4Zero, gradient, V{9, 4, 4, 512}, 480, V{3, 3},
                         V{1, 1}, V{1, 1, 1, 1}));
  }
  cases.push_back(matmul(Kind::Int4Zero, Kind::Int4, 301, 133, 70, false, true));
  cases.push_back(matmul(Kind::F32, Kind::F32, 301, 133, 70, true, false));
  checkCases(cases, CpuTarget::native().name, /*threads=*/true);
}

//===----------------------------------------------------------------------===//
// The code itself
//===----------------------------------------------------------------------===//

/// Products that use every kernel of codes: quads and pairs, wide and narrow, from columns and
/// rows.
static const std::vector<Case> &kernelCases() {
  static const std::vector<Case> cases{matmul(Kind::Int4, Kind::Int4, 64, 64, 64, false, true),
                                       matmul(Kind::Int4, Kind::Int4, 64, 8, 64, false, true),
                                       matmul(Kind::Int4, Kind::Int4, 20, 64, 64, false, true),
                                       matmul(Kind::Int4, Kind::Int4, 7, 64, 64, false, true),
                                       matmul(Kind::Log2, Kind::Int4Zero, 64, 64, 64, true, false),
                                       matmul(Kind::Log4, Kind::Int4, 64, 64, 64, false, true),
                                       matmul(Kind::Log4, Kind::Int4, 64, 8, 64, false, true),
                                       matmul(Kind::Log4, Kind::Int4Zero, 64, 64, 64, true, false),
                                       conv(Case::WeightGrad, Kind::Int4Zero, Kind::Int4,
                                            {8, 8, 8, 64}, 64, {3, 3}, {1, 1}, {1, 1, 1, 1})};
  return cases;
}

/// Law: a product of codes multiplies no floats but once an output, after its loops (the scale).
TEST_P(Contraction, NoFloatArithmeticInProductsOfCodes) {
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  registerDialects(context);
  std::vector<CaseBytes> bytes;
  auto module = emitModule(context, kernelCases(), *CpuTarget::parse(GetParam()), bytes);
  int kernels = 0, scales = 0;
  module->walk([&](mlir::func::FuncOp function) {
    if (!function.getName().starts_with("nibble_pairs") &&
        !function.getName().starts_with("nibble_quads"))
      return;
    ++kernels;
    function.walk([&](mlir::Operation *op) {
      if (!mlir::isa<mlir::arith::MulFOp, mlir::arith::AddFOp, mlir::math::FmaOp>(op))
        return;
      ++scales;
      int loops = 0;
      for (auto loop = op->getParentOfType<mlir::scf::ForOp>(); loop;
           loop = loop->getParentOfType<mlir::scf::ForOp>())
        ++loops;
      EXPECT_EQ(loops, 1) << "a float operation inside the contraction of "
                          << function.getName().str();
    });
  });
  EXPECT_GE(kernels, 1);
  EXPECT_GT(scales, 0);
}

/// The instructions of the innermost loop that holds `mnemonic`, in the function whose label begins
/// with `prefix`.
static std::vector<std::string> innerLoop(const std::string &assembly, const std::string &prefix,
                                          const std::string &mnemonic) {
  std::vector<std::string> block;
  std::istringstream lines(assembly);
  bool inFunction = false, holds = false;
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind(prefix, 0) == 0)
      inFunction = true;
    if (!inFunction)
      continue;
    if (line.rfind(".LBB", 0) == 0) {
      block.clear();
      holds = false;
    }
    block.push_back(line);
    holds |= line.find("\t" + mnemonic) != std::string::npos;
    bool branch =
        line.rfind("\tj", 0) == 0 || line.rfind("\tb.", 0) == 0 || line.rfind("\tcbnz", 0) == 0;
    if (holds && branch)
      return block;
  }
  return {};
}

/// Law: the register tile of a kernel of codes stays in registers: no stack traffic in its
/// innermost loop, and one instruction a step and vector of the tile. Needs a compiler for the
/// target, not a processor with these instructions.
TEST(ContractionAssembly, KernelsOfCodesDoNotSpill) {
  struct Expected {
    const char *target, *kernel, *mnemonic;
    long instructions; // a step
  };
  // (Six rows of one vector of 256 bits, for eight columns and fewer, keep row addresses on the
  // stack.)
  const Expected expected[] = {
      {"avx512vnni", "nibble_quads_vnni512_8x2_columns_store:", "vpdpbusd", 16},
      {"avx512vnni", "nibble_quads_vnni512_8x1_columns_store:", "vpdpbusd", 8},
      {"avx512vnni", "nibble_quads_vnni512_10x2_columns_store:", "vpdpbusd", 20},
      {"avx512vnni", "nibble_quads_vnni512_7x2_columns_store:", "vpdpbusd", 14},
      {"avx512vnni", "nibble_quads_vnni512_8x2_rows_store:", "vpdpbusd", 16},
      {"avx512vnni", "nibble_quads_vnni512_8x2_rows_store32:", "vpdpbusd", 16},
      {"avx512vnni", "nibble_quads_vnni512_8x2_rows_add32:", "vpdpbusd", 16},
      {"avx512vnni", "nibble_pairs_vnni512_8x2_store:", "vpdpwssd", 16},
      {"avx512vnni", "nibble_pairs_vnni512_8x1_store:", "vpdpwssd", 8},
      {"avx512", "nibble_quads_ubs512_8x2_columns_store:", "vpmaddubsw", 16},
      {"avx512", "nibble_quads_ubs512_8x1_columns_store:", "vpmaddubsw", 8},
      {"avx512", "nibble_quads_ubs512_8x2_rows_store:", "vpmaddubsw", 16},
      {"avx512", "nibble_pairs_madd512_8x2_store:", "vpmaddwd", 16},
      {"avxvnni", "nibble_quads_vnni256_6x2_columns_store:", "{vex}\tvpdpbusd", 12},
      {"avxvnni", "nibble_quads_vnni256_6x2_rows_store:", "{vex}\tvpdpbusd", 12},
      {"avxvnni", "nibble_pairs_vnni256_6x2_store:", "{vex}\tvpdpwssd", 12},
      {"avx2", "nibble_quads_ubs256_4x2_columns_store:", "vpmaddubsw", 8},
      {"avx2", "nibble_quads_ubs256_4x1_columns_store:", "vpmaddubsw", 4},
      {"avx2", "nibble_quads_ubs256_4x2_rows_store:", "vpmaddubsw", 8},
      {"avx2", "nibble_pairs_madd256_4x2_store:", "vpmaddwd", 8},
      {"dotprod", "nibble_quads_neon_6x4_store:", "sdot", 24},
      {"dotprod", "nibble_quads_neon_6x2_store:", "sdot", 12}};
  for (auto [target, kernel, mnemonic, instructions] : expected) {
    std::string text = assembly(kernelCases(), *CpuTarget::parse(target));
    std::vector<std::string> loop = innerLoop(text, kernel, mnemonic);
    EXPECT_FALSE(loop.empty()) << kernel;
    long found = 0;
    for (const std::string &line : loop) {
      EXPECT_EQ(line.find("%rsp"), std::string::npos) << kernel << line;
      EXPECT_EQ(line.find("[sp"), std::string::npos) << kernel << line;
      found += line.find("\t" + std::string(mnemonic)) != std::string::npos;
    }
    // LLVM may unroll the smallest loops.
    EXPECT_GT(found, 0) << kernel;
    EXPECT_EQ(found % instructions, 0) << kernel << found;
  }
}

//===----------------------------------------------------------------------===//
// The interpreter
//===----------------------------------------------------------------------===//

/// Law: the interpreter means the same naive loops, so generated code and interpreter agree.
TEST(ContractionReference, InterpreterIsTheNaiveLoops) {
  std::vector<Case> cases =
      windows({{Kind::Int4Zero, Kind::Log4}, {Kind::Int8, Kind::Int4}, {Kind::F32, Kind::F32}});
  for (int transposes = 0; transposes < 4; ++transposes) {
    cases.push_back(matmul(Kind::Log2, Kind::Int4Zero, 9, 11, 13, transposes & 1, transposes & 2));
    cases.push_back(matmul(Kind::F32, Kind::F32, 9, 11, 13, transposes & 1, transposes & 2));
    cases[cases.size() - 2].gain = true;
  }
  std::mt19937 random(11);
  for (const Case &c : cases) {
    Inputs in = makeInputs(c, random);
    EXPECT_TRUE(interpreterAgrees(c, in)) << c.text();
  }
}

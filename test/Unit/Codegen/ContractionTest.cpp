//===- ContractionTest.cpp - emitted products are the naive loops, bit for bit -===//
//
// Law: on every target that the host can run, emitted code gives the bits of the naive loops of ContractionEmitter.h, for
// any shape, and writes nowhere else.
//
//===----------------------------------------------------------------------===//
#include "ContractionHarness.h"

#include <cstring>
#include <gtest/gtest.h>

using namespace nibble;
using namespace nibble::test;

static Case matmul(Kind left, Kind right, int64_t m, int64_t n, int64_t k, bool ta = false, bool tb = false) {
  Case c;
  c.left = left, c.right = right;
  c.m = m, c.n = n, c.k = k;
  c.transposeA = ta, c.transposeB = tb;
  return c;
}

static Case conv(Case::Op op, Kind left, Kind right, std::vector<int64_t> nhwc, int64_t o, std::vector<int64_t> kernel,
                 std::vector<int64_t> strides = {1, 1}, std::vector<int64_t> pads = {0, 0, 0, 0},
                 std::vector<int64_t> dilations = {1, 1}, int64_t groups = 1) {
  Case c;
  c.op = op, c.left = left, c.right = right;
  c.batch = nhwc[0], c.height = nhwc[1], c.width = nhwc[2], c.channels = nhwc[3];
  c.outChannels = o, c.kernelH = kernel[0], c.kernelW = kernel[1];
  c.strides = strides, c.pads = pads, c.dilations = dilations, c.groups = groups;
  return c;
}

static void checkCases(const std::vector<Case> &cases, const std::string &name) {
  CpuTarget target = *CpuTarget::parse(name);
  if (!target.runsOnHost())
    GTEST_SKIP() << "this processor has no " << name;
  auto compiled = Compiled::make(cases, target);
  ASSERT_TRUE(compiled);
  std::mt19937 random(7);
  for (size_t i = 0; i < cases.size(); ++i) {
    const Case &c = cases[i];
    Inputs in = makeInputs(c, random);
    std::vector<float> expected = naive(c, in), actual = compiled->run(i, c, in);
    size_t wrong = 0, first = 0;
    for (size_t j = 0; j < expected.size(); ++j)
      if (memcmp(&expected[j], &actual[j], 4) != 0 && wrong++ == 0)
        first = j;
    EXPECT_EQ(wrong, 0u) << name << ": " << c.text() << ": " << wrong << " of " << expected.size() << " differ, first at " << first
                         << ": " << actual[first] << " instead of " << expected[first];
  }
}

class Contraction : public testing::TestWithParam<const char *> {};

TEST_P(Contraction, MatrixProductsOfCodes) {
  std::vector<Case> cases;
  const int64_t sizes[][3] = {{1, 1, 1}, {3, 10, 5}, {128, 10, 84}, {17, 33, 31}, {40, 48, 64}, {9, 70, 2}, {130, 16, 40}};
  for (auto [m, n, k] : sizes)
    for (int transposes = 0; transposes < 4; ++transposes) {
      cases.push_back(matmul(Kind::Int4Zero, Kind::Int4, m, n, k, transposes & 1, transposes & 2));
      cases.push_back(matmul(Kind::Log4, Kind::Int4, m, n, k, transposes & 1, transposes & 2));
    }
  cases.push_back(matmul(Kind::Int8, Kind::Int8, 33, 10, 123, false, true));
  cases.push_back(matmul(Kind::Log2, Kind::Int8, 20, 21, 1025, true, false));
  for (size_t i = 0; i < cases.size(); i += 3)
    cases[i].gain = true;
  checkCases(cases, GetParam());
}

INSTANTIATE_TEST_SUITE_P(Targets, Contraction, testing::Values("avx512vnni", "avx512", "avx2", "generic"));

//===- ShapeTest.cpp - moves, sums over axes, random bits against the interpreter -===//
//
// Law: every element goes where the interpreter puts it; sums over axes add in ascending flat order; random bits depend on the
// counter alone.
//
//===----------------------------------------------------------------------===//
#include "GroupHarness.h"

#include <gtest/gtest.h>

using namespace nibble::test;

// All kinds of permutations, with dimensions of 1 and inner dimensions of any length.
TEST(Shape, Transpose) {
  struct Permutation { std::string from, perm, to; }; // the last ones are walked in tiles
  for (const Permutation &p : {Permutation{"3x5", "1, 0", "5x3"}, {"2x3x8x7", "0, 2, 3, 1", "2x8x7x3"}, {"2x8x7x3", "0, 3, 1, 2", "2x3x8x7"},
                               {"4x1x6x6", "0, 2, 3, 1", "4x6x6x1"}, {"3x4x65", "1, 0, 2", "4x3x65"}, {"2x3x4x5", "3, 2, 1, 0", "5x4x3x2"},
                               {"50x20x20", "0, 2, 1", "50x20x20"}, {"33x48", "1, 0", "48x33"}, {"2x17x3x19", "0, 2, 3, 1", "2x3x19x17"}, {"16x5x16", "2, 1, 0", "16x5x16"}})
    expectSameBits(with(R"((%x: tensor<$fromxf32>) -> tensor<$toxf32> {
      %0 = nn.transpose %x {perm = array<i64: $perm>} : (tensor<$fromxf32>) -> tensor<$toxf32>
      return %0 : tensor<$toxf32>
    })", {{"from", p.from}, {"to", p.to}, {"perm", p.perm}}));
}

TEST(Shape, Broadcast) {
  for (auto [from, to] : {std::pair("3x1", "3x40"), {"7", "2x5x7"}, {"1", "33"}, {"2x1x5", "2x6x5"}, {"1x4x1", "3x4x2"}})
    expectSameBits(with(R"((%x: tensor<$fromxf32>) -> tensor<$toxf32> {
      %0 = nn.broadcast %x : (tensor<$fromxf32>) -> tensor<$toxf32>
      return %0 : tensor<$toxf32>
    })", {{"from", from}, {"to", to}}));
}

// Concatenation, slices (backwards too) and their adjoint.
TEST(Shape, Parts) {
  expectSameBits(R"((%a: tensor<2x3x5xf32>, %b: tensor<2x1x5xf32>, %c: tensor<2x40x5xf32>) -> tensor<2x44x5xf32> {
    %0 = nn.concat %a, %b, %c {axis = 1 : i64} : (tensor<2x3x5xf32>, tensor<2x1x5xf32>, tensor<2x40x5xf32>) -> tensor<2x44x5xf32>
    return %0 : tensor<2x44x5xf32>
  })");
  expectSameBits(R"((%a: tensor<6x3xf32>, %b: tensor<6x34xf32>) -> tensor<6x37xf32> {
    %0 = nn.concat %a, %b {axis = 1 : i64} : (tensor<6x3xf32>, tensor<6x34xf32>) -> tensor<6x37xf32>
    return %0 : tensor<6x37xf32>
  })");
  expectSameBits(R"((%a: tensor<20000xf32>, %b: tensor<20001xf32>) -> tensor<40001xf32> {
    %0 = nn.concat %a, %b {axis = 0 : i64} : (tensor<20000xf32>, tensor<20001xf32>) -> tensor<40001xf32>
    return %0 : tensor<40001xf32>
  })");
  struct Slice { std::string whole, part, starts, steps; };
  for (const Slice &s : {Slice{"9x50", "4x35", "1, 3", "2, 1"}, {"9x50", "3x10", "8, 49", "-3, -5"}, {"40", "40", "0", "1"}, {"2x3x4", "1x1x1", "1, 2, 3", "1, 1, 1"}}) {
    expectSameBits(with(R"((%x: tensor<$wholexf32>) -> tensor<$partxf32> {
      %0 = nn.slice %x {starts = array<i64: $starts>, steps = array<i64: $steps>} : (tensor<$wholexf32>) -> tensor<$partxf32>
      return %0 : tensor<$partxf32>
    })", {{"whole", s.whole}, {"part", s.part}, {"starts", s.starts}, {"steps", s.steps}}));
    expectSameBits(with(R"((%x: tensor<$partxf32>) -> tensor<$wholexf32> {
      %0 = nn.unslice %x {starts = array<i64: $starts>, steps = array<i64: $steps>} : (tensor<$partxf32>) -> tensor<$wholexf32>
      return %0 : tensor<$wholexf32>
    })", {{"whole", s.whole}, {"part", s.part}, {"starts", s.starts}, {"steps", s.steps}}));
  }
}

// Sums and means over any axes: outputs along the last dimension or not, nothing or everything reduced.
TEST(Shape, Reduce) {
  struct Axes { std::string from, axes, to; };
  for (const Axes &a : {Axes{"7x33", "0", "1x33"}, {"7x33", "1", "7x1"}, {"2x5x4x10", "1, 2", "2x1x1x10"}, {"2x5x4x10", "0, 2", "1x5x1x10"},
                        {"2x5x4x10", "1, 3", "2x1x4x1"}, {"2x5x4x10", "0, 1, 2, 3", "1x1x1x1"}, {"300x64x3", "1", "300x1x3"}, {"5x1", "1", "5x1"},
                        {"37x45", "1", "37x1"}, {"3x48x32", "2", "3x48x1"}, {"3x2x40x7x18", "1, 4", "3x1x40x7x1"}, {"2x35x3x16", "0, 3", "1x35x3x1"}})
    for (std::string op : {"sum", "mean"})
      expectSameBits(with(R"((%x: tensor<$fromxf32>) -> tensor<$toxf32> {
        %0 = nn.reduce_$op %x {axes = array<i64: $axes>} : (tensor<$fromxf32>) -> tensor<$toxf32>
        return %0 : tensor<$toxf32>
      })", {{"from", a.from}, {"to", a.to}, {"axes", a.axes}, {"op", op}}));
}

// Bits of any seed and update, at sizes below, at and above a vector's worth.
TEST(Shape, RandomBits) {
  for (std::string n : {"1", "8", "63", "64", "65", "128", "200", "5x13", "40001"})
    for (const char *cpu : kProcessors)
      expectSameBits(with(R"((%rng: tensor<2xi64>) -> tensor<$nxi16> {
        %0 = train.random_bits %rng {stream = -559038737 : i32} : (tensor<2xi64>) -> tensor<$nxi16>
        return %0 : tensor<$nxi16>
      })", {{"n", n}}), cpu);
  expectSameBits(R"((%rng: tensor<2xi64> {t.value = -81985529216486896}) -> tensor<70xi16> {
    %0 = train.random_bits %rng {stream = 7 : i32} : (tensor<2xi64>) -> tensor<70xi16>
    return %0 : tensor<70xi16>
  })");
}

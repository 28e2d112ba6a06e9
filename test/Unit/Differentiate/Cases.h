//===- Cases.h - one function for each op that has a gradient -------*- C++ -*-===//
#pragma once

#include <cstdint>
#include <ostream>
#include <random>
#include <string>
#include <vector>

namespace nibble::test {

/// An input of a case: shape, kind and range of random elements.
struct Input {
  std::vector<int64_t> shape;
  /// 'r' reals in [lo, hi), 'c' the same without a gradient; 'm' random bits (i1); 'l' labels in [lo, hi) (i32).
  char kind = 'r';
  double lo = -2, hi = 2;
  bool differentiable() const { return kind == 'r'; }
};

/// A function @f of these inputs, in MLIR; reals are differentiable.
struct Program {
  std::vector<Input> inputs;
  std::string text;
};

/// Makes a program on random shapes.
struct Case {
  std::string name;
  Program (*make)(std::mt19937 &random);
};

inline void PrintTo(const Case &test, std::ostream *to) { *to << test.name; }

const std::vector<Case> &cases();

} // namespace nibble::test

//===- ContractionUnits.h - instructions that add up products ------*- C++ -*-===//
//
// A unit adds products of integers to 32-bit sums, a *tuple* of terms at a time: two terms of 16
// bits (a pair) or four of 8 bits (a quad), 4 bytes either way. Sums are taken modulo 2^32, so only
// the final sum has to fit 32 bits.
//
// To add a unit: a row in the table in ContractionUnits.cpp.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "ContractionOperands.h"

namespace nibble::contraction {

struct DotUnit {
  StringRef name;
  int tuple; // terms: 2 or 4
  int vectorBits;
  int rows;    // of the register tile
  int vectors; // at most, of the register tile
  bool (*available)(const CpuTarget &);
  /// acc + the sums of the tuples of products. Pairs: both signed. Quads: `left` is unsigned,
  /// `right` signed. All vectors of vectorBits.
  Value (*dot)(Emit &, Value acc, Value left, Value right);

  int lanes() const { return vectorBits / 32; }
  int elementBytes() const { return 4 / tuple; }
  Type element(OpBuilder &b) const { return b.getIntegerType(8 * elementBytes()); }
};

/// The target's best unit for tuples of that many terms; null where it has none. There are always
/// pairs.
const DotUnit *dotUnit(const CpuTarget &target, int tuple);
/// The best unit that holds the values of both formats.
const DotUnit &dotUnit(const CpuTarget &target, const CodeFormat &left, const CodeFormat &right);

} // namespace nibble::contraction

//===- ContractionUnits.h - instructions that add up products ------*- C++ -*-===//
//
// A unit adds products of integers to 32-bit sums, a *tuple* of terms at a time: two terms of 16
// bits (a pair) or four of 8 bits (a quad), 4 bytes either way. Sums are taken modulo 2^32, so only
// the final sum has to fit 32 bits.
//
// Quads come in three kinds. `vpdpbusd` multiplies unsigned by signed bytes: one operand holds
// value + offset. `sdot` multiplies signed bytes: no offset. `pmaddubsw` (unsigned by signed) adds
// two products to 16 bits and no more: it saturates, so only as many tuples are added there as
// cannot reach 2^15, by the formats alone (stepsIn16), and their sums then to 32 bits.
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
  /// acc + the sums of the tuples of products. `left` is of the form leftForm(), `right` signed.
  /// All vectors of vectorBits.
  Value (*dot)(Emit &, Value acc, Value left, Value right);
  bool signedBytes = false; // of quads: is `left` signed too?
  /// Of units that add in 16 bits first: acc + the sums of two products, and acc + the sums of two
  /// such sums, in 32 bits.
  Value (*dot16)(Emit &, Value acc, Value left, Value right) = nullptr;
  Value (*widen)(Emit &, Value acc, Value sums) = nullptr;
  int fewRows = 0; // the most rows that registers hold, where that is more than `rows`

  int mostRows() const { return std::max(rows, fewRows); }
  int lanes() const { return vectorBits / 32; }
  int elementBytes() const { return 4 / tuple; }
  Type element(OpBuilder &b) const { return b.getIntegerType(8 * elementBytes()); }
  Form leftForm() const { return tuple == 2 ? Form::S16 : signedBytes ? Form::S8 : Form::U8; }
  Form rightForm() const { return tuple == 2 ? Form::S16 : Form::S8; }
  /// Does the left operand hold value + offset, so that the sums have to begin at a number?
  bool hasOffset() const { return leftForm() == Form::U8; }
};

/// Tuples whose sums of two products each fit 16 bits together, whatever the codes are.
int64_t stepsIn16(const CodeFormat &left, const CodeFormat &right);

/// The target's best unit for tuples of that many terms; null where it has none. There are always
/// pairs.
const DotUnit *dotUnit(const CpuTarget &target, int tuple);
/// The best unit that holds the values of both formats, `left` in the unit's left operand.
const DotUnit &dotUnit(const CpuTarget &target, const CodeFormat &left, const CodeFormat &right);

} // namespace nibble::contraction

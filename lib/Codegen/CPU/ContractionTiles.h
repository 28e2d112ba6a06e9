//===- ContractionTiles.h - the loops around the kernel of codes ----*- C++ -*-===//
#pragma once

#include "ContractionKernel.h"

namespace nibble::contraction {

/// A product of codes as the kernel sees it. Offsets into `a` and `b` count elements of the unit,
/// into the output elements.
struct CodeProduct {
  const DotUnit *unit = nullptr;
  Start start = Start::Zero;
  IndexMap rows;     // row -> (a, out)
  IndexMap segments; // segment -> (a, b)
  IndexMap columns;  // tile of columns -> (a, b, out, first column within its block, start)
  int64_t tuples = 0, aStep = 0, bStep = 0;
  int64_t tileRows = 0; // of the register tile; 0: the unit's
  int64_t vectors = 1, tileColumns = 0, blockColumns = 0;
  int64_t rowElements = 0;            // of `a` that a row reads and the rows before it did not
  int64_t termsASegment = 0;          // true terms (zero padding excluded) of a segment, at most
  int64_t maxSegments = 0;            // whose sums fit 32 bits
  bool streams = false;               // results are whole vectors, and stored past the caches
  int64_t stepsIn16 = 0;              // of units that add in 16 bits first: tuples added there
  int64_t rowTable = 0, segTable = 0; // scratch offsets
  int64_t starts = 0;                 // scratch offset of the sums' starts, where they have any

  int64_t terms() const { return termsASegment * segments.count(); }
  int64_t registerRows() const { return tileRows ? tileRows : unit->rows; }
  int64_t tupleElements() const { return tileColumns * unit->tuple; } // of a panel
};

/// Largest number of terms whose sum fits 32 bits, for operands of these magnitudes.
int64_t exactTerms(int64_t leftMagnitude, int64_t rightMagnitude);
/// Sets `vectors` and `tileColumns` for blocks of `columns` columns.
void chooseTile(CodeProduct &p, int64_t columns);
/// Sets `tileRows` so that few rows fill whole register tiles.
void chooseRows(CodeProduct &p);
/// Reserves the tables, and room for `starts` numbers.
void reserveTables(CodeProduct &p, ScratchLayout &scratch, int64_t starts);
/// Fills the tables; once a call, before the tiles.
void emitTables(Emit &e, const CodeProduct &p);
/// All tiles of `rowCount` rows over `segmentCount` segments (index values). `out` points at
/// elements of the epilogue's type. Beyond maxSegments the sum is added in several parts, which
/// needs the AddI64 epilogue.
void emitTiles(Emit &e, const CodeProduct &p, Value a, Value b, Value out, Value rowCount,
               Value segmentCount, Epilogue epilogue, Value scale);
/// target[targetBase + i] = f32(sums[i]) · scale for i in [0, count) and up to the end of a vector.
/// Sums are i64, or i32 that lie in an f32 memref, which may then be the target itself.
void emitScale(Emit &e, Value sums, Value target, Value targetBase, Value count, Value scale);

} // namespace nibble::contraction

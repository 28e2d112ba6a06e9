//===- ContractionPanels.h - operands laid out for vectors ---------*- C++ -*-===//
//
// In a panel the terms of a tuple lie side by side for a vector of columns (or, for the row operand
// of a weight gradient, rows).
//
//===----------------------------------------------------------------------===//
#pragma once

#include "ContractionUnits.h"

namespace nibble::contraction {

/// A panel of tuples, [tile][segment][tuple][tileColumns][terms]: for column j of a tile and tuple
/// t of a segment, the elements k = terms·t ... (counted from the segment's kStart) of the source,
/// zero where k is not below `length`. Columns beyond the last are unspecified; the source must be
/// readable as if they were there.
struct PackSpec {
  IndexMap tiles;    // tile -> (source offset, first column within its block)
  IndexMap segments; // segment -> (source offset, kStart)
  IndexMap terms;    // k -> (source offset)
  int64_t tuple, tuples, columnStride, tileColumns, blockColumns;
  int64_t elements() const { return tiles.count() * tileElements(); }
  int64_t segmentElements() const { return tuples * tileColumns * tuple; }
  int64_t tileElements() const { return segments.count() * segmentElements(); }
  /// Do tiles hold no columns beyond the last, so that nothing is read but elements of the source?
  bool wholeTiles() const { return blockColumns % tileColumns == 0; }
  /// Elements behind the source that packing may read.
  int64_t slack() const { return tileColumns * columnStride; }
  bool contiguousTerms() const {
    return terms.levels.size() == 1 && terms.levels[0].strides[0] == 1;
  }
};
/// `segmentCount` of the static number of segments are packed; `sourceBase` is added to every
/// source offset.
void pack(Emit &e, const PackSpec &spec, Value source, Value sourceBase, Value segmentCount,
          Value length, Value target);

/// starts[tile·tileColumns + j] = -offset · (sum of column j of a packed panel of signed bytes), in
/// 32 bits; `offset` gives an i32 for a tile.
void packStarts(Emit &e, const PackSpec &spec, const DotUnit &unit, Value panel, Value segmentCount,
                Value starts, function_ref<Value(Value)> offset);

/// The same panel and starts straight from four-bit codes, without a decoded copy, for int4 where
/// everything lies on whole blocks of codes and `length` terms fill the tuples.
bool packsCodes(const PackSpec &spec, const CodeFormat &format, int64_t length,
                const DotUnit &unit);
void packCodes(Emit &e, const PackSpec &spec, const CodeFormat &format, const DotUnit &unit,
               Value source, Value zeroPoint, Value panel, Value offset, Value starts);

/// The terms of tuples, one vector each, side by side.
Value interleaveTerms(Emit &e, ArrayRef<Value> terms);
/// 16 bytes (four tuples) each of a number of columns, to four vectors: a tuple of every column.
SmallVector<Value> transposeTuples(Emit &e, ArrayRef<Value> columns);

/// target[u][f] = the elements source[base + u·unit + f + i·distance], i in [0, tuple), side by
/// side, for u in [0, units) (an index value) and f in [0, count), a static number.
void zip(Emit &e, int64_t tuple, Value source, Value base, int64_t unit, int64_t distance,
         Value units, int64_t count, Value target);

/// Panels of feature maps whose border stands already, blocks of `width` channels apart:
/// target[block][unit][h + top][w + left][width][tuple] = the elements (n, h, w, c) of the images
/// n = tuple·unit ... of the source, which begin at `base`.
void zipBlocks(Emit &e, int64_t tuple, const PadSpec &maps, int64_t width, int64_t unitsInTarget,
               Value source, Value base, Value units, Value target);

} // namespace nibble::contraction

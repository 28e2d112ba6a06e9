//===- ContractionOperands.h - operands as 16-bit integers ---------*- C++ -*-===//
//
// Between codes in memory and the pair kernel: decoding to 16-bit integers (code - zero point, or
// ±radix^(e-1)), zero padding of feature maps, and panels in which two terms of the contraction lie
// side by side for a vector of columns.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "ContractionBuilder.h"

namespace nibble::contraction {

/// How an operand's codes lie in memory and what they are worth.
struct CodeFormat {
  enum Kind { Int4, Int8, Log } kind = Int4;
  unsigned radix = 4; // of Log
  bool hasZeroPoint = false;
  int64_t elements = 0;  // of the whole tensor
  int64_t magnitude = 0; // largest |value|
};

/// i16 elements of a buffer into which `decode` writes n codes that begin anywhere in a block.
inline int64_t decodedElements(int64_t n) { return (n + 31 + 31) / 32 * 32; }

/// Decodes the codes [begin, begin + count) of `source` (index values). Element `begin` goes to
/// target[begin mod 32]. `zeroPoint` is an i16 or null.
void decode(Emit &e, const CodeFormat &format, Value source, Value zeroPoint, Value begin,
            Value count, Value target);

/// Copies feature maps into zero-padded ones whose border is zero already:
/// target[(n, h·dilation + top, w·dilation + left, c)] = source[begin + (n, h, w, c)].
struct PadSpec {
  int64_t height, width, channels;              // of the source
  int64_t paddedHeight, paddedWidth, top, left; // of the target
  int64_t dilationH = 1, dilationW = 1;
};
void pad(Emit &e, const PadSpec &spec, Value source, Value begin, Value images, Value target);

/// Sets n elements (a static number) of an i16, i32 or i64 memref to zero.
void fillZero(Emit &e, Value memref, int64_t n);

/// A panel of pairs, [tile][segment][pair][tileColumns][2]: for column j of a tile and pair p of a
/// segment, the elements k = 2p and 2p + 1 (counted from the segment's kStart) of the source, zero
/// where k is not below `length`. Columns beyond the last are unspecified.
struct PackSpec {
  IndexMap tiles;    // tile -> (source offset, first column within its block)
  IndexMap segments; // segment -> (source offset, kStart)
  IndexMap terms;    // k -> (source offset)
  int64_t pairs, columnStride, tileColumns, blockColumns;
  int64_t elements() const { return tiles.count() * segments.count() * pairs * tileColumns * 2; }
  int64_t segmentElements() const { return pairs * tileColumns * 2; }
  int64_t tileElements() const { return segments.count() * segmentElements(); }
};
/// `segmentCount` of the static number of segments are packed; `sourceBase` is added to every
/// source offset.
void pack(Emit &e, const PackSpec &spec, Value source, Value sourceBase, Value segmentCount,
          Value length, Value target);

/// target[u][f] = (source[base + u·unit + f], source[base + u·unit + f + distance]) for u in [0,
/// units) (an index value) and f in [0, count), a static number.
void zip(Emit &e, Value source, Value base, int64_t unit, int64_t distance, Value units,
         int64_t count, Value target);

} // namespace nibble::contraction

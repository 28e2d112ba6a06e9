//===- ContractionOperands.h - operands as small integers ----------*- C++ -*-===//
//
// From codes in memory to integers that a unit multiplies: decoding (code - zero point, or
// ±radix^(e-1)) and padding of feature maps.
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

/// Codes of a block in memory (Numerics/Packing.h): 16 bytes of nibbles.
inline constexpr int64_t kBlockCodes = 32;

/// What decoded integers look like. U8 holds value + offset, where the offset makes every code of
/// the format a number from 0 on.
enum class Form { S16, S8, U8 };
Type formType(OpBuilder &b, Form form);

/// Elements of a buffer into which `decode` writes n codes that begin anywhere in a block.
inline int64_t decodedElements(int64_t n) { return (n + 31 + 31) / 32 * 32; }

/// Decodes the codes [begin, begin + count) of `source` (index values). Element `begin` goes to
/// target[begin mod 32]. `zeroPoint` is an i16 or null.
void decode(Emit &e, const CodeFormat &format, Form form, Value source, Value zeroPoint,
            Value begin, Value count, Value target);
/// Are the codes of that format decoded as they are?
inline bool isDecoded(const CodeFormat &format, Form form) {
  return format.kind == CodeFormat::Int8 && form == Form::S8;
}
/// What U8 adds to a value, an i32: U8 of int4 is the nibble, 8 + zero point more than the value.
Value decodedOffset(Emit &e, const CodeFormat &format, Value zeroPoint);
/// The largest U8 of the format.
int64_t largestUnsigned(const CodeFormat &format);
/// The value zero, decoded.
Value zeroElement(Emit &e, const CodeFormat &format, Form form, Value zeroPoint);

/// Copies feature maps into larger ones whose border stands already:
/// target[(n, h·dilation + top, w·dilation + left, c)] = source[begin + (n, h, w, c)].
struct PadSpec {
  int64_t height, width, channels;              // of the source
  int64_t paddedHeight, paddedWidth, top, left; // of the target
  int64_t dilationH = 1, dilationW = 1;
};
void pad(Emit &e, const PadSpec &spec, Value source, Value begin, Value images, Value target);

/// Decoding and padding in one, for maps whose rows are whole blocks of codes: the images from
/// `first` on.
bool decodesMaps(const PadSpec &spec);
void decodeMaps(Emit &e, const CodeFormat &format, Form form, const PadSpec &spec, Value source,
                Value zeroPoint, Value first, Value images, Value target);

/// Sets n elements (a static number) of an integer memref to `value` (of its type), or to zero, and
/// up to the end of a vector of 512 bits.
void fill(Emit &e, Value memref, int64_t n, Value value);
void fillZero(Emit &e, Value memref, int64_t n);

/// The type of a vector of n elements of a memref; loads and stores of vectors at an index.
VectorType vectorOf(Value memref, int64_t n);
Value loadVector(Emit &e, VectorType type, Value memref, Value at);
void storeVector(Emit &e, Value value, Value memref, Value at);

} // namespace nibble::contraction

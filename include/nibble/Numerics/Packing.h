//===- Packing.h - Two codes to a byte, eight bits to a byte ------*- C++ -*-===//
//
// Nibbles (kernels.md, "GEMM: Storage"): the contiguous dimension in blocks of 32 elements = 16
// bytes; byte b of a block holds element b in its low nibble and element 16 + b in its high nibble.
// INT4 codes are stored as code + 8 (0 ... 15), logarithmic codes as they are. Each row (contiguous
// dimension) begins a block of its own and is padded with the nibble of zero.
//
// Masks (one bit an element: pass bits of clips, ReLU, dropout): bit i mod 8 of byte floor(i/8).
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_NUMERICS_PACKING_H
#define NIBBLE_NUMERICS_PACKING_H

#include <cstddef>
#include <cstdint>

namespace nibble::numerics {

/// Elements and bytes of a packed block.
inline constexpr size_t kPackBlock = 32;
inline constexpr size_t kPackBlockBytes = 16;

/// The stored nibble of an INT4 code -8 ... 7, and back.
constexpr unsigned nibbleOfCode(int code) { return static_cast<unsigned>(code + 8) & 15u; }
constexpr int codeOfNibble(unsigned nibble) { return static_cast<int>(nibble & 15u) - 8; }

/// Bytes of n packed elements (one row).
constexpr size_t packedBytes(size_t n) {
  return (n + kPackBlock - 1) / kPackBlock * kPackBlockBytes;
}
/// Bytes of `rows` packed rows of `cols` elements.
constexpr size_t packedBytes(size_t rows, size_t cols) { return rows * packedBytes(cols); }

/// The byte of element i of a row, and the shift of its nibble (0 or 4).
constexpr size_t packedByte(size_t i) { return i / kPackBlock * kPackBlockBytes + i % 16; }
constexpr unsigned packedShift(size_t i) { return i % kPackBlock < 16 ? 0 : 4; }

/// The nibble of element i of a packed row.
constexpr unsigned packedNibble(const uint8_t *bytes, size_t i) {
  return (bytes[packedByte(i)] >> packedShift(i)) & 15u;
}

/// Sets the nibble of element i of a packed row; leaves its neighbour.
constexpr void setPackedNibble(uint8_t *bytes, size_t i, unsigned nibble) {
  uint8_t &byte = bytes[packedByte(i)];
  unsigned shift = packedShift(i);
  byte = static_cast<uint8_t>((byte & ~(15u << shift)) | ((nibble & 15u) << shift));
}

/// Packs one row of n nibbles (0 ... 15); bytes[0 ... packedBytes(n)) are written, padding
/// included.
template <typename Nibble>
void packNibbles(const Nibble *nibbles, size_t n, uint8_t *bytes, unsigned zeroNibble = 0) {
  for (size_t i = 0; i < packedBytes(n) * 2; ++i)
    setPackedNibble(bytes, i, i < n ? static_cast<unsigned>(nibbles[i]) : zeroNibble);
}

/// Unpacks one row of n nibbles.
template <typename Nibble> void unpackNibbles(const uint8_t *bytes, size_t n, Nibble *nibbles) {
  for (size_t i = 0; i < n; ++i)
    nibbles[i] = static_cast<Nibble>(packedNibble(bytes, i));
}

/// Packs one row of INT4 codes -8 ... 7; padding is the code of zero, the zero point.
template <typename Code>
void packCodes(const Code *codes, size_t n, uint8_t *bytes, int zeroPoint = 0) {
  for (size_t i = 0; i < packedBytes(n) * 2; ++i)
    setPackedNibble(bytes, i, nibbleOfCode(i < n ? static_cast<int>(codes[i]) : zeroPoint));
}

/// Unpacks one row of INT4 codes.
template <typename Code> void unpackCodes(const uint8_t *bytes, size_t n, Code *codes) {
  for (size_t i = 0; i < n; ++i)
    codes[i] = static_cast<Code>(codeOfNibble(packedNibble(bytes, i)));
}

/// Bytes of a mask of n bits.
constexpr size_t maskBytes(size_t n) { return (n + 7) / 8; }

constexpr bool maskBit(const uint8_t *bytes, size_t i) { return (bytes[i / 8] >> (i % 8)) & 1; }

constexpr void setMaskBit(uint8_t *bytes, size_t i, bool value) {
  auto bit = static_cast<uint8_t>(1u << (i % 8));
  bytes[i / 8] = static_cast<uint8_t>(value ? bytes[i / 8] | bit : bytes[i / 8] & ~bit);
}

/// Packs n truth values; the unused bits of the last byte are 0.
template <typename Bool> void packMask(const Bool *values, size_t n, uint8_t *bytes) {
  for (size_t b = 0; b < maskBytes(n); ++b)
    bytes[b] = 0;
  for (size_t i = 0; i < n; ++i)
    setMaskBit(bytes, i, static_cast<bool>(values[i]));
}

} // namespace nibble::numerics

#endif // NIBBLE_NUMERICS_PACKING_H

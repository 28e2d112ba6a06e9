//===- PackingTest.cpp - Two codes to a byte --------------------------------===//

#include "Laws.h"
#include <gtest/gtest.h>

using namespace nibble::numerics;

// All 256 bytes survive unpack and pack, as nibbles and as INT4 codes.
TEST(Packing, RoundTripsForAllBytes) {
  std::vector<uint8_t> bytes(256), back(256);
  for (int i = 0; i < 256; ++i)
    bytes[i] = static_cast<uint8_t>(i);
  std::vector<uint8_t> nibbles(512);
  std::vector<int8_t> codes(512);
  unpackNibbles(bytes.data(), 512, nibbles.data());
  packNibbles(nibbles.data(), 512, back.data());
  EXPECT_EQ(bytes, back);
  unpackCodes(bytes.data(), 512, codes.data());
  packCodes(codes.data(), 512, back.data());
  EXPECT_EQ(bytes, back);
  for (int i = 0; i < 512; ++i)
    EXPECT_EQ(codes[i], int(nibbles[i]) - 8);
}

// Byte b of a block of 32 holds element b below and element 16 + b above, as code + 8.
TEST(Packing, Layout) {
  std::vector<int8_t> codes(64);
  for (int i = 0; i < 64; ++i)
    codes[i] = static_cast<int8_t>((i * 7 + i / 16) % 16 - 8);
  std::vector<uint8_t> bytes(packedBytes(64));
  packCodes(codes.data(), 64, bytes.data());
  for (int block = 0; block < 2; ++block)
    for (int b = 0; b < 16; ++b)
      EXPECT_EQ(bytes[block * 16 + b],
                (codes[block * 32 + b] + 8) | (codes[block * 32 + 16 + b] + 8) << 4);
}

// A row is padded to a whole block with zero's code, and reading n elements gives them back.
TEST(Packing, Padding) {
  EXPECT_EQ(packedBytes(0), 0u);
  EXPECT_EQ(packedBytes(1), 16u);
  EXPECT_EQ(packedBytes(32), 16u);
  EXPECT_EQ(packedBytes(33), 32u);
  EXPECT_EQ(packedBytes(3, 33), 96u);
  for (size_t n = 1; n <= 70; ++n) {
    std::vector<int8_t> codes(n), back(n);
    for (size_t i = 0; i < n; ++i)
      codes[i] = static_cast<int8_t>((i * 5) % 16) - 8;
    std::vector<uint8_t> bytes(packedBytes(n), 0xCC);
    packCodes(codes.data(), n, bytes.data(), -8);
    unpackCodes(bytes.data(), n, back.data());
    EXPECT_EQ(codes, back);
    for (size_t i = n; i < packedBytes(n) * 2; ++i)
      EXPECT_EQ(codeOfNibble(packedNibble(bytes.data(), i)), -8);
  }
}

// Bit i of a mask is bit i mod 8 of byte floor(i/8); unused bits are 0.
TEST(Packing, Masks) {
  std::vector<uint8_t> values = {1, 0, 0, 1, 1, 0, 1, 0, 0, 1, 1};
  std::vector<uint8_t> bytes(maskBytes(values.size()), 0xFF);
  ASSERT_EQ(bytes.size(), 2u);
  packMask(values.data(), values.size(), bytes.data());
  EXPECT_EQ(bytes[0], 0x59);
  EXPECT_EQ(bytes[1], 0x06);
  for (size_t i = 0; i < values.size(); ++i)
    EXPECT_EQ(maskBit(bytes.data(), i), values[i] != 0);
  setMaskBit(bytes.data(), 9, false);
  EXPECT_EQ(bytes[1], 0x04);
}

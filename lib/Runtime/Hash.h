//===- Hash.h - 64 bits of a run of bytes, private to the runtime -*- C++ -*-===//
//
// Finds damage and mix-ups, not malice. Words of eight little-endian bytes (the last one filled
// with zeros), each step
//   h = (rotl(h, 23) xor word) · 0x9E3779B97F4A7C15,  h = h xor (h >> 32)
// is a bijection of h, so two inputs of one length that differ in one word never have one hash. The
// length of each piece goes in before it.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_RUNTIME_HASH_H
#define NIBBLE_LIB_RUNTIME_HASH_H

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

namespace nibble::runtime {

class Hash {
public:
  void add(uint64_t word) {
    value = (std::rotl(value, 23) ^ word) * 0x9E3779B97F4A7C15u;
    value ^= value >> 32;
  }
  void add(std::span<const std::byte> bytes) {
    add(bytes.size());
    size_t whole = bytes.size() / 8 * 8;
    for (size_t at = 0; at < bytes.size(); at += 8) {
      uint64_t word = 0;
      std::memcpy(&word, bytes.data() + at, at < whole ? 8 : bytes.size() - whole);
      add(word);
    }
  }
  void add(std::string_view text) { add(std::as_bytes(std::span(text.data(), text.size()))); }

  /// 16 hexadecimal digits.
  std::string text() const {
    std::string digits(16, '0');
    for (size_t i = 0; i < 16; ++i)
      digits[i] = "0123456789abcdef"[value >> (60 - 4 * i) & 15];
    return digits;
  }

private:
  uint64_t value = 0x6E6962626C650A01u;
};

} // namespace nibble::runtime

#endif // NIBBLE_LIB_RUNTIME_HASH_H

//===- Peaks.h - what the processor can multiply -----------------------*- C++ -*-===//
#pragma once

#include <algorithm>

namespace nibble::test {

/// Billions of operations a second (a multiplication and an addition are two) of one core, in
/// registers: u8·s8, s16·s16 and f32. 0 where the processor has no such instruction, or is no x86.
struct Peaks {
  double bytes = 0, words = 0, floats = 0;
  Peaks atLeast(const Peaks &other) const {
    return {std::max(bytes, other.bytes), std::max(words, other.words),
            std::max(floats, other.floats)};
  }
};
Peaks measurePeaks();

} // namespace nibble::test

//===- Random.h - Random bits by counter: Philox 4x32-10 ----------*- C++ -*-===//
//
// numerics.md section 6. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
// Key: low, high word of the 64-bit seed. Counter: low, high word of floor(i/8) (i the flat index
// of the element in the IR tensor), step = update * micro-batches + micro-batch, stream. Element i
// takes half-word j = i mod 8: bits from 16*(j mod 2) of word floor(j/2). So the four words of a
// block, stored little-endian one after the other, are the half-words of eight elements in order.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_NUMERICS_RANDOM_H
#define NIBBLE_NUMERICS_RANDOM_H

#include "nibble/Numerics/Ops.h"
#include <array>
#include <cstddef>
#include <set>
#include <string_view>
#include <utility>

namespace nibble::numerics {

namespace generic {

inline constexpr int32_t kPhiloxM0 = static_cast<int32_t>(0xD2511F53u);
inline constexpr int32_t kPhiloxM1 = static_cast<int32_t>(0xCD9E8D57u);
inline constexpr int32_t kPhiloxW0 = static_cast<int32_t>(0x9E3779B9u);
inline constexpr int32_t kPhiloxW1 = static_cast<int32_t>(0xBB67AE85u);

/// Ten rounds; the counter's words are replaced by the block's.
template <typename Ops>
void philox4x32(Ops &o, std::array<typename Ops::I, 4> &c, typename Ops::I key0,
                typename Ops::I key1) {
  auto m0 = o.constI(kPhiloxM0), m1 = o.constI(kPhiloxM1);
  for (int round = 0; round < 10; ++round) {
    if (round > 0) {
      key0 = o.iadd(key0, o.constI(kPhiloxW0));
      key1 = o.iadd(key1, o.constI(kPhiloxW1));
    }
    auto high0 = o.umulHigh(m0, c[0]), low0 = o.imul(m0, c[0]);
    auto high1 = o.umulHigh(m1, c[2]), low1 = o.imul(m1, c[2]);
    c = {o.ixor(o.ixor(high1, c[1]), key0), low1, o.ixor(o.ixor(high0, c[3]), key1), low0};
  }
}

/// Half-word j (0 ... 7, a C++ constant) of a block, as 0 ... 65535.
template <typename Ops>
typename Ops::I halfWord(Ops &o, const std::array<typename Ops::I, 4> &block, int j) {
  auto word = block[j / 2];
  return j % 2 ? o.lshr(word, 16) : o.iand(word, o.constI(0xFFFF));
}

} // namespace generic

/// One Philox block of four words.
inline std::array<uint32_t, 4> philox4x32(std::array<uint32_t, 4> counter,
                                          std::array<uint32_t, 2> key) {
  FloatOps o;
  std::array<int32_t, 4> c;
  for (int i = 0; i < 4; ++i)
    c[i] = static_cast<int32_t>(counter[i]);
  generic::philox4x32(o, c, static_cast<int32_t>(key[0]), static_cast<int32_t>(key[1]));
  return {uint32_t(c[0]), uint32_t(c[1]), uint32_t(c[2]), uint32_t(c[3])};
}

/// The random half-words of one tensor in one step. Not shared between threads: `at` remembers its
/// last block.
class RandomBits {
public:
  RandomBits(uint64_t seed, uint32_t step, uint32_t stream)
      : seed(seed), step(step), stream(stream) {}

  /// The four words of block b = floor(i/8).
  std::array<uint32_t, 4> block(uint64_t b) const {
    return philox4x32({uint32_t(b), uint32_t(b >> 32), step, stream},
                      {uint32_t(seed), uint32_t(seed >> 32)});
  }

  /// The 16 bits of element i.
  uint16_t at(uint64_t i) {
    if (i / 8 != cachedBlock || !cached) {
      words = block(i / 8);
      cachedBlock = i / 8;
      cached = true;
    }
    return static_cast<uint16_t>(words[(i % 8) / 2] >> (16 * (i % 2)));
  }

private:
  uint64_t seed;
  uint32_t step, stream;
  uint64_t cachedBlock = 0;
  bool cached = false;
  std::array<uint32_t, 4> words = {};
};

/// update * micro-batches + micro-batch, modulo 2^32.
inline uint32_t randomStep(uint64_t update, uint32_t microBatches = 1, uint32_t microBatch = 0) {
  return static_cast<uint32_t>(update * microBatches + microBatch);
}

/// FNV-1a, 32 bits.
constexpr uint32_t fnv1a32(std::string_view text) {
  uint32_t hash = 0x811C9DC5u;
  for (char c : text)
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x01000193u;
  return hash;
}

/// Gives streams out in program order: FNV-1a-32 of "first output name/product/operand", plus 1
/// until free. Streams of dropout ("name/dropout/mask") and shuffling ("shuffle") come from here
/// too.
class StreamAllocator {
public:
  uint32_t take(std::string_view name) {
    uint32_t stream = fnv1a32(name);
    while (!taken.insert(stream).second)
      ++stream;
    return stream;
  }

private:
  std::set<uint32_t> taken;
};

/// The stream of the data order.
inline constexpr uint32_t kShuffleStream = fnv1a32("shuffle");

/// Dropout drops element i iff its 16 bits are below this: RNE(65536*ratio), 0 <= ratio <= 1.
inline uint32_t dropThreshold(double ratio) {
  double scaled = 65536.0 * ratio;
  auto below = static_cast<uint32_t>(scaled);
  double rest = scaled - below;
  return below + (rest > 0.5 || (rest == 0.5 && (below & 1)));
}

/// Shuffles n items in place: Fisher-Yates from the end; the place of item i is the upper word of
/// (i + 1) * word, word i mod 4 of block floor(i/4), counter {block, epoch, kShuffleStream}.
template <typename T> void shuffle(T *items, size_t n, uint64_t seed, uint32_t epoch) {
  RandomBits bits(seed, epoch, kShuffleStream);
  for (size_t i = n; i-- > 1;) {
    uint64_t word = bits.block(i / 4)[i % 4];
    auto place = static_cast<size_t>(((static_cast<uint64_t>(i) + 1) * word) >> 32);
    std::swap(items[i], items[place]);
  }
}

} // namespace nibble::numerics

#endif // NIBBLE_NUMERICS_RANDOM_H

//===- Reduce.h - The order of every sum --------------------------*- C++ -*-===//
//
// numerics.md section 5. A sum over f32 terms is defined by its order, so that threads and vector
// width cannot change it. Terms are given by a function of the index and are f32 values of their
// own (each operation in them rounded, no fma unless section 5 says fma).
//
// Flat (parameters, loss vectors, rows): blocks of 4,096 terms from the start; term i goes to lane
// i mod 16, each lane ascending from +0; lanes are combined at distance 8, 4, 2, 1 (lane j += lane
// j + d); block sums are added ascending in f64 from +0.
//
// Per channel (activations and their gradients): a block is one image (rank 4) or 96 rows; within a
// block one f32 accumulator from +0, row-major; block sums are added ascending in f64 from +0.
//
// With terms of type double (finite differences) the order is the same and the lanes are double.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_NUMERICS_REDUCE_H
#define NIBBLE_NUMERICS_REDUCE_H

#include <cstddef>
#include <type_traits>

namespace nibble::numerics {

inline constexpr size_t kFlatBlock = 4096;
inline constexpr size_t kFlatLanes = 16;
inline constexpr size_t kChannelBlockRows = 96;

/// The sum of one flat block: term(begin) ... term(end - 1), lane 0 first.
template <typename Fn> auto flatBlockSum(size_t begin, size_t end, Fn &&term) {
  using T = std::decay_t<decltype(term(size_t(0)))>;
  T lanes[kFlatLanes] = {};
  for (size_t i = begin; i < end; ++i)
    lanes[(i - begin) % kFlatLanes] += term(i);
  for (size_t distance = kFlatLanes / 2; distance > 0; distance /= 2)
    for (size_t j = 0; j < distance; ++j)
      lanes[j] += lanes[j + distance];
  return lanes[0];
}

/// The flat reduction of term(0) ... term(n - 1), unrounded.
template <typename Fn> double flatSum(size_t n, Fn &&term) {
  double sum = 0.0;
  for (size_t begin = 0; begin < n; begin += kFlatBlock) {
    size_t end = n - begin < kFlatBlock ? n : begin + kFlatBlock;
    sum += static_cast<double>(flatBlockSum(begin, end, term));
  }
  return sum;
}

/// Rows of a per-channel block: height*width of an image for rank 4 (N, H, W, C), else 96.
constexpr size_t channelBlockRows(int rank, size_t height, size_t width) {
  return rank == 4 ? height * width : kChannelBlockRows;
}

/// The per-channel reduction of term(row), row = 0 ... rows - 1 (all leading dimensions flattened),
/// in blocks of blockRows, unrounded. One call makes one channel.
template <typename Fn> double channelSum(size_t rows, size_t blockRows, Fn &&term) {
  using T = std::decay_t<decltype(term(size_t(0)))>;
  double sum = 0.0;
  for (size_t begin = 0; begin < rows; begin += blockRows) {
    size_t end = rows - begin < blockRows ? rows : begin + blockRows;
    T block = 0;
    for (size_t row = begin; row < end; ++row)
      block += term(row);
    sum += static_cast<double>(block);
  }
  return sum;
}

/// A whole-tensor sum over per-channel reductions (gain, gradient of a clip): the channels' f64
/// sums added ascending from +0. term(row, channel).
template <typename Fn> double tensorSum(size_t rows, size_t channels, size_t blockRows, Fn &&term) {
  double sum = 0.0;
  for (size_t c = 0; c < channels; ++c)
    sum += channelSum(rows, blockRows, [&](size_t row) { return term(row, c); });
  return sum;
}

/// Every other sum (ReduceSum, pooling): one accumulator from +0, ascending.
template <typename Fn> auto plainSum(size_t n, Fn &&term) {
  using T = std::decay_t<decltype(term(size_t(0)))>;
  T sum = 0;
  for (size_t i = 0; i < n; ++i)
    sum += term(i);
  return sum;
}

} // namespace nibble::numerics

#endif // NIBBLE_NUMERICS_REDUCE_H

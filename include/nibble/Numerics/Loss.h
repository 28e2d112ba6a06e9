//===- Loss.h - Softmax, cross-entropy, squared error -------------*- C++ -*-===//
//
// numerics.md section 5. A row x of n logits, each step rounded:
//
//   max = the largest x_i;  e_i = exp(x_i - max);  sum = flat reduction of e (rounded once)
//   p_i = e_i * (1/sum)
//   loss = log(sum) - (x_label - max)
//
// The loss of a batch is the flat reduction of its rows' losses divided by the number of rows, in
// f64, rounded once; its gradient is (p_i - [i = label]) * (1/rows), 1/rows formed in f64 and
// rounded once. Binary cross-entropy (logits x, targets t): the mean over all elements of
// (max(x, 0) - x*t) + log(1 + exp(-|x|)), summed as the squared error is. Templates over T = float or double (finite differences).
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_NUMERICS_LOSS_H
#define NIBBLE_NUMERICS_LOSS_H

#include "nibble/Numerics/Math.h"
#include "nibble/Numerics/Reduce.h"

namespace nibble::numerics {

/// What the rows of softmax and cross-entropy share.
template <typename T> struct SoftmaxRow {
  T max, sum, reciprocal;
};

/// max, sum of exp(x - max) and its reciprocal, of a row given by x(i). A NaN logit makes the sum
/// NaN.
template <typename T, typename Fn> SoftmaxRow<T> softmaxRow(size_t n, Fn &&x) {
  T max = x(size_t(0));
  for (size_t i = 1; i < n; ++i) {
    T v = x(i);
    max = max < v ? v : max;
  }
  T sum = static_cast<T>(flatSum(n, [&](size_t i) -> T { return exp(T(x(i) - max)); }));
  return {max, sum, T(1) / sum};
}

/// p_i of the row.
template <typename T> T softmax(const SoftmaxRow<T> &row, T x) {
  return exp(T(x - row.max)) * row.reciprocal;
}

/// log p_i = (x - max) - log(sum).
template <typename T> T logSoftmax(const SoftmaxRow<T> &row, T x) {
  return (x - row.max) - log(row.sum);
}

/// -log p_label = log(sum) - (x_label - max).
template <typename T> T crossEntropy(const SoftmaxRow<T> &row, T labelLogit) {
  return log(row.sum) - (labelLogit - row.max);
}

/// d loss/d x_i for p = softmax(...), weight = 1/rows.
template <typename T> T crossEntropyGradient(T p, bool isLabel, T weight) {
  return (isLabel ? p - T(1) : p) * weight;
}

/// 1/count in f64, rounded once: the weight of one row in a mean.
template <typename T> T meanWeight(int64_t count) {
  return static_cast<T>(1.0 / static_cast<double>(count));
}

/// A mean from an unrounded sum: divided in f64, rounded once.
template <typename T> T meanOf(double sum, int64_t count) {
  return static_cast<T>(sum / static_cast<double>(count));
}

/// One term of the mean squared error: d*d, d = x - y.
template <typename T> T squaredError(T x, T y) {
  T d = x - y;
  return d * d;
}

/// d MSE/d x = (x - y) * (2/count), 2/count formed in f64 and rounded once.
template <typename T> T squaredErrorGradient(T x, T y, int64_t count) {
  return (x - y) * static_cast<T>(2.0 / static_cast<double>(count));
}

/// What binary cross-entropy of the logit x and the target t in [0, 1] adds, each step rounded:
/// (max(x, 0) - x*t) + log(1 + exp(-|x|)), which never overflows.
template <typename T> T binaryCrossEntropy(T x, T t) {
  T positive = T(0) < x ? x : T(0), size = x < T(0) ? -x : x;
  return (positive - x * t) + log(T(1) + exp(T(-size)));
}

/// d/dx of the mean over count elements: (sigmoid(x) - t) * weight, weight = dloss * (1/count).
template <typename T> T binaryCrossEntropyGradient(T x, T t, T weight) {
  return (sigmoid(x) - t) * weight;
}

/// Is the answer right: the logit above 0 exactly where the target is above 1/2?
template <typename T> bool binaryAnswerIsRight(T x, T t) { return (T(0) < x) == (T(0.5) < t); }

} // namespace nibble::numerics

#endif // NIBBLE_NUMERICS_LOSS_H

//===- Loss.cpp - Softmax, cross-entropy, squared error -----------------------===//
//
// numerics.md, section 5; the formulas of a row are Numerics/Loss.h.
//
//===----------------------------------------------------------------------===//
#include "Support.h"

#include "nibble/Numerics/Loss.h"

namespace nibble::reference {

/// The rows of a tensor along its last dimension.
template <typename T> struct Rows {
  explicit Rows(const Tensor<T> &x)
      : data(x.reals.data()), width(x.shape.empty() ? 1 : x.shape.back()), count(x.size() / width) {
  }
  const T *operator[](int64_t row) const { return data + row * width; }
  numerics::SoftmaxRow<T> softmax(int64_t row) const {
    const T *x = (*this)[row];
    return numerics::softmaxRow<T>(width, [x](size_t i) { return x[i]; });
  }
  const T *data;
  int64_t width, count;
};

/// result = f(row, x_i).
template <typename T, typename Fn>
static void softmaxLike(mlir::Value x, mlir::Value result, Frame<T> &frame, Fn f) {
  Tensor<T> y = frame.make(result);
  Rows<T> rows(frame[x]);
  for (int64_t r = 0; r < rows.count; ++r) {
    auto row = rows.softmax(r);
    for (int64_t i = 0; i < rows.width; ++i)
      y.reals[r * rows.width + i] = f(row, rows[r][i]);
  }
  frame.set(result, std::move(y));
}

/// Labels of the first `rows` rows must name a class.
static mlir::LogicalResult checkLabels(mlir::Operation *op, llvm::ArrayRef<int32_t> labels,
                                       int64_t classes) {
  for (auto [row, label] : llvm::enumerate(labels))
    if (label < 0 || label >= classes)
      return op->emitOpError() << "row " << row << " has label " << label << ", there are "
                               << classes << " classes";
  return mlir::success();
}

/// How many rows count: all, or `valid`.
template <typename T>
static mlir::FailureOr<int64_t> validRows(mlir::Operation *op, mlir::Value valid, int64_t rows,
                                          Frame<T> &frame) {
  if (!valid)
    return rows;
  int32_t count = intScalar(frame[valid]);
  if (count < 0 || count > rows)
    return op->emitOpError() << count << " rows are said to be valid, there are " << rows;
  return static_cast<int64_t>(count);
}

/// The first largest of a row.
template <typename T> static int32_t firstMaximum(const T *row, int64_t n) {
  int64_t best = 0;
  for (int64_t i = 1; i < n; ++i)
    if (row[i] > row[best])
      best = i;
  return static_cast<int32_t>(best);
}

/// Row loss = log(sum) − (x_label − max); mean over rows, or with `valid` the sum over the first
/// rows.
template <typename T>
static mlir::LogicalResult crossEntropy(nn::SoftmaxCrossEntropyOp op, Frame<T> &frame) {
  Rows<T> rows(frame[op.getLogits()]);
  int64_t samples = op.getLogits().getType().getDimSize(0), labelsEach = rows.count / samples;
  mlir::FailureOr<int64_t> count = validRows<T>(op, op.getValid(), samples, frame);
  if (failed(count))
    return mlir::failure();
  *count *= labelsEach;
  llvm::ArrayRef<int32_t> labels = llvm::ArrayRef(frame[op.getLabels()].ints).take_front(*count);
  if (failed(checkLabels(op, labels, rows.width)))
    return mlir::failure();
  int32_t correct = 0;
  for (auto [r, label] : llvm::enumerate(labels))
    correct += firstMaximum(rows[r], rows.width) == label;
  double sum = numerics::flatSum(*count, [&](size_t r) -> T {
    return numerics::crossEntropy(rows.softmax(r), rows[r][labels[r]]);
  });
  // meanOf of one is the sum, rounded.
  int64_t divisor = op.getValid() ? labelsEach : rows.count;
  frame.set(op.getLoss(), Tensor<T>::scalar(numerics::meanOf<T>(sum, divisor)));
  frame.set(op.getCorrect(), Tensor<T>::label(correct));
  return mlir::success();
}

/// (p − onehot)·(dloss·(1/rows)).
template <typename T>
static mlir::LogicalResult crossEntropyGrad(nn::SoftmaxCrossEntropyGradOp op, Frame<T> &frame) {
  Tensor<T> y = frame.make(op.getResult());
  Rows<T> rows(frame[op.getLogits()]);
  const std::vector<int32_t> &labels = frame[op.getLabels()].ints;
  if (failed(checkLabels(op, labels, rows.width)))
    return mlir::failure();
  T weight = realScalar(frame[op.getDloss()]) * numerics::meanWeight<T>(rows.count);
  for (int64_t r = 0; r < rows.count; ++r) {
    auto row = rows.softmax(r);
    for (int64_t i = 0; i < rows.width; ++i)
      y.reals[r * rows.width + i] = numerics::crossEntropyGradient<T>(
          numerics::softmax(row, rows[r][i]), labels[r] == i, weight);
  }
  frame.set(op.getResult(), std::move(y));
  return mlir::success();
}

/// Mean of the terms of all elements; with `valid` the sum over the first rows of their means, each
/// rounded, summed as a loss vector.
template <typename T, typename Op, typename Term>
static mlir::FailureOr<T> elementLoss(Op op, const Tensor<T> &y, Frame<T> &frame, Term term) {
  if (!op.getValid())
    return numerics::meanOf<T>(numerics::flatSum(y.size(), term), y.size());
  int64_t rows = y.shape.empty() ? 1 : y.shape[0], width = y.size() / rows;
  mlir::FailureOr<int64_t> count = validRows<T>(op, op.getValid(), rows, frame);
  if (failed(count))
    return mlir::failure();
  return static_cast<T>(numerics::flatSum(*count, [&](size_t r) -> T {
    return numerics::meanOf<T>(
        numerics::flatSum(width, [&](size_t i) { return term(r * width + i); }), width);
  }));
}

/// Σ(y − t)²/count.
template <typename T> static mlir::LogicalResult mse(nn::MseOp op, Frame<T> &frame) {
  const Tensor<T> &y = frame[op.getY()], &target = frame[op.getTarget()];
  mlir::FailureOr<T> loss = elementLoss(
      op, y, frame, [&](size_t i) { return numerics::squaredError(y.reals[i], target.reals[i]); });
  if (failed(loss))
    return mlir::failure();
  frame.set(op.getLoss(), Tensor<T>::scalar(*loss));
  return mlir::success();
}

/// Σ(max(x, 0) − x·t + log(1 + e^−|x|))/count, and the rows in which all answers are right.
template <typename T>
static mlir::LogicalResult binaryCrossEntropy(nn::BinaryCrossEntropyOp op, Frame<T> &frame) {
  const Tensor<T> &x = frame[op.getLogits()], &target = frame[op.getTarget()];
  mlir::FailureOr<T> loss = elementLoss(op, x, frame, [&](size_t i) {
    return numerics::binaryCrossEntropy(x.reals[i], target.reals[i]);
  });
  if (failed(loss))
    return mlir::failure();
  int64_t rows = x.shape.empty() ? 1 : x.shape[0], width = x.size() / rows;
  mlir::FailureOr<int64_t> count = validRows<T>(op, op.getValid(), rows, frame);
  if (failed(count))
    return mlir::failure();
  int32_t correct = 0;
  for (int64_t r = 0; r < *count; ++r) {
    bool right = true;
    for (int64_t i = r * width; i < (r + 1) * width; ++i)
      right = right && numerics::binaryAnswerIsRight(x.reals[i], target.reals[i]);
    correct += right;
  }
  frame.set(op.getLoss(), Tensor<T>::scalar(*loss));
  frame.set(op.getCorrect(), Tensor<T>::label(correct));
  return mlir::success();
}

/// (σ(x) − t)·(dloss·(1/count)).
template <typename T>
static void binaryCrossEntropyGrad(nn::BinaryCrossEntropyGradOp op, Frame<T> &frame) {
  Tensor<T> dx = frame.make(op.getResult());
  const Tensor<T> &x = frame[op.getLogits()], &target = frame[op.getTarget()];
  T weight = realScalar(frame[op.getDloss()]) * numerics::meanWeight<T>(x.size());
  for (size_t i = 0; i < dx.reals.size(); ++i)
    dx.reals[i] = numerics::binaryCrossEntropyGradient(x.reals[i], target.reals[i], weight);
  frame.set(op.getResult(), std::move(dx));
}

/// (y − t)·(dloss·(2/count)).
template <typename T> static void mseGrad(nn::MseGradOp op, Frame<T> &frame) {
  Tensor<T> dy = frame.make(op.getResult());
  const Tensor<T> &y = frame[op.getY()], &target = frame[op.getTarget()];
  T weight = realScalar(frame[op.getDloss()]) * static_cast<T>(2.0 / static_cast<double>(y.size()));
  for (size_t i = 0; i < dy.reals.size(); ++i)
    dy.reals[i] = (y.reals[i] - target.reals[i]) * weight;
  frame.set(op.getResult(), std::move(dy));
}

template <typename T> void addLoss(OpTable<T> &table) {
  table.template add<nn::SoftmaxOp>([](nn::SoftmaxOp op, Frame<T> &frame) {
    softmaxLike(op.getX(), op.getResult(), frame,
                [](const auto &row, T x) { return numerics::softmax(row, x); });
  });
  table.template add<nn::LogSoftmaxOp>([](nn::LogSoftmaxOp op, Frame<T> &frame) {
    softmaxLike(op.getX(), op.getResult(), frame,
                [](const auto &row, T x) { return numerics::logSoftmax(row, x); });
  });
  table.template add<nn::SoftmaxCrossEntropyOp>(crossEntropy<T>);
  table.template add<nn::SoftmaxCrossEntropyGradOp>(crossEntropyGrad<T>);
  table.template add<nn::BinaryCrossEntropyOp>(binaryCrossEntropy<T>);
  table.template add<nn::BinaryCrossEntropyGradOp>(binaryCrossEntropyGrad<T>);
  table.template add<nn::MseOp>(mse<T>);
  table.template add<nn::MseGradOp>(mseGrad<T>);
}

NIBBLE_INSTANTIATE_FAMILY(addLoss)

} // namespace nibble::reference

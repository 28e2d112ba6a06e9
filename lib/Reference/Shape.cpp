//===- Shape.cpp - nn ops that move elements ----------------------------------===//
#include "Support.h"

namespace nibble::reference {

/// Calls fn(offset + Σ i_d·strides_d) for every index i of `shape`, in row-major order.
template <typename Fn>
static void forEachAt(llvm::ArrayRef<int64_t> shape, llvm::ArrayRef<int64_t> strides,
                      int64_t offset, Fn &fn) {
  if (shape.empty())
    return fn(offset);
  for (int64_t i = 0; i < shape.front(); ++i)
    forEachAt(shape.drop_front(), strides.drop_front(), offset + i * strides.front(), fn);
}

/// The elements starts + i·steps of a tensor of shape `whole`, i ascending over `part`: calls
/// fn(flat index).
template <typename Fn>
static void forEachSliced(llvm::ArrayRef<int64_t> part, llvm::ArrayRef<int64_t> whole,
                          llvm::ArrayRef<int64_t> starts, llvm::ArrayRef<int64_t> steps, Fn fn) {
  llvm::SmallVector<int64_t, 4> strides = rowMajorStrides(whole);
  int64_t offset = 0;
  for (size_t d = 0; d < strides.size(); ++d) {
    offset += starts[d] * strides[d];
    strides[d] *= steps[d];
  }
  forEachAt(part, strides, offset, fn);
}

template <typename T> static void addMoves(OpTable<T> &table) {
  // The same elements in flat order.
  table.template add<nn::ReshapeOp>([](nn::ReshapeOp op, Frame<T> &frame) {
    Tensor<T> y = frame[op.getX()];
    auto shape = mlir::cast<mlir::RankedTensorType>(op.getResult().getType()).getShape();
    y.shape.assign(shape.begin(), shape.end());
    frame.set(op.getResult(), std::move(y));
  });
  // Result dimension i is operand dimension perm[i].
  table.template add<nn::TransposeOp>([](nn::TransposeOp op, Frame<T> &frame) {
    Tensor<T> y = frame.make(op.getResult());
    const Tensor<T> &x = frame[op.getX()];
    llvm::SmallVector<int64_t, 4> from = rowMajorStrides(x.shape), strides;
    for (int64_t source : op.getPerm())
      strides.push_back(from[source]);
    T *to = y.reals.data();
    auto copy = [&](int64_t index) { *to++ = x.reals[index]; };
    forEachAt(y.shape, strides, 0, copy);
    frame.set(op.getResult(), std::move(y));
  });
  table.template add<nn::BroadcastOp>([](nn::BroadcastOp op, Frame<T> &frame) {
    Tensor<T> y = frame.make(op.getResult());
    const Tensor<T> &x = frame[op.getX()];
    Broadcast at(x.shape, y.shape);
    for (int64_t i = 0, n = y.size(); i < n; ++i)
      y.reals[i] = x.reals[at(i)];
    frame.set(op.getResult(), std::move(y));
  });
}

/// Rows of a table by their numbers, and the sums of gradients of these rows.
template <typename T> static void addEmbedding(OpTable<T> &table) {
  auto check = [](mlir::Operation *op, const std::vector<int32_t> &tokens, int64_t rows) {
    for (auto [i, token] : llvm::enumerate(tokens))
      if (token < 0 || token >= rows)
        return (void)(op->emitOpError() << "token " << token << " at place " << i
                                        << " names no row of the table of " << rows),
               false;
    return true;
  };
  table.template add<nn::EmbeddingOp>(
      [check](nn::EmbeddingOp op, Frame<T> &frame) -> mlir::LogicalResult {
        Tensor<T> y = frame.make(op.getResult());
        const std::vector<T> &rows = frame[op.getTable()].reals;
        const std::vector<int32_t> &tokens = frame[op.getTokens()].ints;
        int64_t width = op.getTable().getType().getDimSize(1);
        if (!check(op, tokens, op.getTable().getType().getDimSize(0)))
          return mlir::failure();
        for (auto [i, token] : llvm::enumerate(tokens))
          std::copy_n(rows.begin() + token * width, width, y.reals.begin() + i * width);
        frame.set(op.getResult(), std::move(y));
        return mlir::success();
      });
  table.template add<nn::EmbeddingGradOp>(
      [check](nn::EmbeddingGradOp op, Frame<T> &frame) -> mlir::LogicalResult {
        Tensor<T> sums = frame.make(op.getResult());
        const std::vector<T> &dy = frame[op.getDy()].reals;
        const std::vector<int32_t> &tokens = frame[op.getTokens()].ints;
        int64_t width = op.getResult().getType().getDimSize(1);
        if (!check(op, tokens, op.getResult().getType().getDimSize(0)))
          return mlir::failure();
        for (auto [i, token] : llvm::enumerate(tokens))
          for (int64_t c = 0; c < width; ++c)
            sums.reals[token * width + c] += dy[i * width + c];
        frame.set(op.getResult(), std::move(sums));
        return mlir::success();
      });
}

template <typename T> static void addParts(OpTable<T> &table) {
  // Parts one after the other along the axis: every outer index takes a run of each part in turn.
  table.template add<nn::ConcatOp>([](nn::ConcatOp op, Frame<T> &frame) {
    Tensor<T> y = frame.make(op.getResult());
    int64_t axis = op.getAxis(),
            outer = elementCount(llvm::ArrayRef<int64_t>(y.shape).take_front(axis));
    auto to = y.reals.begin();
    for (int64_t i = 0; i < outer; ++i)
      for (mlir::Value part : op.getParts()) {
        const std::vector<T> &x = frame[part].reals;
        int64_t run = static_cast<int64_t>(x.size()) / outer;
        to = std::copy(x.begin() + i * run, x.begin() + (i + 1) * run, to);
      }
    frame.set(op.getResult(), std::move(y));
  });
  // result[i] = x[starts + i·steps]
  table.template add<nn::SliceOp>([](nn::SliceOp op, Frame<T> &frame) {
    Tensor<T> y = frame.make(op.getResult());
    const Tensor<T> &x = frame[op.getX()];
    T *to = y.reals.data();
    forEachSliced(y.shape, x.shape, op.getStarts(), op.getSteps(),
                  [&](int64_t index) { *to++ = x.reals[index]; });
    frame.set(op.getResult(), std::move(y));
  });
  // result[starts + i·steps] = x[i], zero elsewhere
  table.template add<nn::UnsliceOp>([](nn::UnsliceOp op, Frame<T> &frame) {
    Tensor<T> y = frame.make(op.getResult());
    const Tensor<T> &x = frame[op.getX()];
    const T *from = x.reals.data();
    forEachSliced(x.shape, y.shape, op.getStarts(), op.getSteps(),
                  [&](int64_t index) { y.reals[index] = *from++; });
    frame.set(op.getResult(), std::move(y));
  });
}

template <typename T> void addShape(OpTable<T> &table) {
  addMoves(table);
  addEmbedding(table);
  addParts(table);
}

NIBBLE_INSTANTIATE_FAMILY(addShape)

} // namespace nibble::reference

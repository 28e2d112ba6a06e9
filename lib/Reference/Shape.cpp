//===- Shape.cpp - nn ops that move elements ----------------------------------===//
#include "Support.h"

namespace nibble::reference {

/// Flat index of `part` → flat index of `whole` for element starts + i·steps.
static int64_t sliced(int64_t i, llvm::ArrayRef<int64_t> part, llvm::ArrayRef<int64_t> wholeStrides,
                      llvm::ArrayRef<int64_t> starts, llvm::ArrayRef<int64_t> steps) {
  int64_t index = 0;
  for (size_t d = part.size(); d-- > 0;) {
    index += (starts[d] + i % part[d] * steps[d]) * wholeStrides[d];
    i /= part[d];
  }
  return index;
}

template <typename T>
static void addMoves(OpTable<T> &table) {
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
    llvm::SmallVector<int64_t, 4> from = rowMajorStrides(x.shape), strides, zero(x.shape.size(), 0);
    for (int64_t source : op.getPerm())
      strides.push_back(from[source]);
    llvm::SmallVector<int64_t, 4> one(x.shape.size(), 1);
    for (int64_t i = 0, n = y.size(); i < n; ++i)
      y.reals[i] = x.reals[sliced(i, y.shape, strides, zero, one)];
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

template <typename T>
static void addParts(OpTable<T> &table) {
  // Parts one after the other along the axis: every outer index takes a run of each part in turn.
  table.template add<nn::ConcatOp>([](nn::ConcatOp op, Frame<T> &frame) {
    Tensor<T> y = frame.make(op.getResult());
    int64_t axis = op.getAxis(), outer = elementCount(llvm::ArrayRef<int64_t>(y.shape).take_front(axis));
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
    auto strides = rowMajorStrides(x.shape);
    for (int64_t i = 0, n = y.size(); i < n; ++i)
      y.reals[i] = x.reals[sliced(i, y.shape, strides, op.getStarts(), op.getSteps())];
    frame.set(op.getResult(), std::move(y));
  });
  // result[starts + i·steps] = x[i], zero elsewhere
  table.template add<nn::UnsliceOp>([](nn::UnsliceOp op, Frame<T> &frame) {
    Tensor<T> y = frame.make(op.getResult());
    const Tensor<T> &x = frame[op.getX()];
    auto strides = rowMajorStrides(y.shape);
    for (int64_t i = 0, n = x.size(); i < n; ++i)
      y.reals[sliced(i, x.shape, strides, op.getStarts(), op.getSteps())] = x.reals[i];
    frame.set(op.getResult(), std::move(y));
  });
}

template <typename T>
void addShape(OpTable<T> &table) {
  addMoves(table);
  addParts(table);
}

NIBBLE_INSTANTIATE_FAMILY(addShape)

} // namespace nibble::reference

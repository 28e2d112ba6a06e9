//===- Reduce.cpp - nn ops that sum -------------------------------------------===//
//
// The order of every sum is numerics.md, section 5, as code in Numerics/Reduce.h.
//
//===----------------------------------------------------------------------===//
#include "Support.h"

namespace nibble::reference {

/// Sums over axes: one accumulator of T an output, operand elements in ascending flat order.
template <typename T> static void reduceSum(const Tensor<T> &x, Tensor<T> &y) {
  Broadcast at(y.shape,
               x.shape); // the result broadcast to the operand says which output an element goes to
  for (int64_t i = 0, n = x.size(); i < n; ++i)
    y.reals[at(i)] += x.reals[i];
}

/// One term of dα: bit ? +0 : y > 0 ? +dy : y < 0 ? −dy : +0.
template <typename T, typename Y> static T clipTerm(T dy, bool inside, Y y) {
  return inside ? T(0) : y > 0 ? dy : y < 0 ? -dy : T(0);
}

template <typename T> void addReduce(OpTable<T> &table) {
  table.template add<nn::ReduceSumOp>([](nn::ReduceSumOp op, Frame<T> &frame) {
    Tensor<T> y = frame.make(op.getResult());
    reduceSum(frame[op.getX()], y);
    frame.set(op.getResult(), std::move(y));
  });
  // Sum, then one division by the count.
  table.template add<nn::ReduceMeanOp>([](nn::ReduceMeanOp op, Frame<T> &frame) {
    Tensor<T> y = frame.make(op.getResult());
    const Tensor<T> &x = frame[op.getX()];
    reduceSum(x, y);
    T count = static_cast<T>(x.size() / y.size());
    for (T &v : y.reals)
      v = v / count;
    frame.set(op.getResult(), std::move(y));
  });
  // Per channel, rounded once.
  table.template add<nn::ChannelSumOp>([](nn::ChannelSumOp op, Frame<T> &frame) {
    Tensor<T> y = frame.make(op.getResult());
    const Tensor<T> &x = frame[op.getX()];
    ChannelView view(x.shape);
    for (int64_t c = 0; c < view.channels; ++c)
      y.reals[c] = static_cast<T>(view.channelSum(c, [&](int64_t i) { return x.reals[i]; }));
    frame.set(op.getResult(), std::move(y));
  });
  // The tensor's sum of clipTerm; y is the clipped value or its codes.
  table.template add<nn::ClipAlphaGradOp>([](nn::ClipAlphaGradOp op, Frame<T> &frame) {
    const Tensor<T> &dy = frame[op.getDy()], &inside = frame[op.getInside()], &y = frame[op.getY()];
    int32_t zero = op.getZeroPoint() ? intScalar(frame[op.getZeroPoint()]) : 0;
    ChannelView view(dy.shape);
    double sum = view.tensorSum([&](int64_t i) -> T {
      if (y.kind == ElementKind::Real)
        return clipTerm(dy.reals[i], inside.ints[i], y.reals[i]);
      return clipTerm(dy.reals[i], inside.ints[i], y.ints[i] - zero);
    });
    frame.set(op.getResult(), Tensor<T>::scalar(static_cast<T>(sum)));
  });
}

NIBBLE_INSTANTIATE_FAMILY(addReduce)

} // namespace nibble::reference

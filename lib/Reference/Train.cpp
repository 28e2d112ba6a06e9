//===- Train.cpp - Variables, guards, random bits, optimizers -----------------===//
#include "Support.h"

#include "nibble/Numerics/Optimizer.h"
#include "nibble/Numerics/Random.h"
#include "nibble/Numerics/Reduce.h"

namespace nibble::reference {

/// One number for each key: the elements of the value, i32 ones divided by `count` where it is set.
template <typename T> static mlir::LogicalResult report(train::ReportOp op, Frame<T> &frame) {
  const Tensor<T> &value = frame[op.getValue()];
  auto keys = op.getKeys().getAsValueRange<mlir::StringAttr>();
  if (std::distance(keys.begin(), keys.end()) != value.size())
    return op.emitOpError() << "has " << value.size() << " numbers for " << op.getKeys().size()
                            << " keys";
  for (auto [i, key] : llvm::enumerate(keys)) {
    float number = value.kind == ElementKind::Real ? static_cast<float>(value.reals[i])
                                                   : static_cast<float>(value.ints[i]);
    if (int64_t count = op.getCount())
      number = number / static_cast<float>(count);
    frame.result.report[key.str()] = number;
  }
  return mlir::success();
}

template <typename T> static void addState(OpTable<T> &table) {
  // Declares; VariableStore::fromModule reads it.
  table.template add<train::VariableOp>([](train::VariableOp, Frame<T> &) {});
  table.template add<train::ReadOp>([](train::ReadOp op, Frame<T> &frame) -> mlir::LogicalResult {
    TensorPtr<T> value = frame.store.find(op.getVariable());
    if (!value || !value->hasType(op.getResult().getType()))
      return op.emitOpError() << "finds no variable @" << op.getVariable() << " of type "
                              << op.getResult().getType();
    frame.set(op.getResult(), std::move(value));
    return mlir::success();
  });
  table.template add<train::WriteOp>([](train::WriteOp op, Frame<T> &frame) -> mlir::LogicalResult {
    if (!frame.store.find(op.getVariable()))
      return op.emitOpError() << "finds no variable @" << op.getVariable();
    if (!frame.writes.emplace(op.getVariable().str(), frame.share(op.getValue())).second)
      return op.emitOpError() << "writes @" << op.getVariable() << " a second time in one step";
    return mlir::success();
  });
  table.template add<train::GuardOp>([](train::GuardOp op, Frame<T> &frame) {
    frame.stopped = intScalar(frame[op.getFlag()]) != 0;
  });
  table.template add<train::ReportOp>(report<T>);
  table.template add<train::SaveOp>([](train::SaveOp op, Frame<T> &frame) {
    frame.set(op.getSaved(), frame.share(op.getValue()));
  });
}

/// Philox of (seed, ⌊i/8⌋, update, stream), half-word i mod 8.
template <typename T> static void randomBits(train::RandomBitsOp op, Frame<T> &frame) {
  Tensor<T> bits = frame.make(op.getResult());
  const std::vector<int64_t> &rng = frame[op.getRng()].wides;
  numerics::RandomBits random(static_cast<uint64_t>(rng[0]),
                              numerics::randomStep(static_cast<uint64_t>(rng[1])),
                              static_cast<uint32_t>(op.getStream()));
  for (size_t i = 0; i < bits.ints.size(); ++i)
    bits.ints[i] = random.at(i);
  frame.set(op.getResult(), std::move(bits));
}

/// The remainder of the counter by `count` is 0, count − 1.
template <typename T> static void microBatch(train::MicroBatchOp op, Frame<T> &frame) {
  int64_t count = static_cast<int64_t>(op.getCount());
  int64_t place = frame[op.getRng()].wides[1] % count;
  frame.set(op.getFirst(), Tensor<T>::flag(place == 0));
  frame.set(op.getLast(), Tensor<T>::flag(place == count - 1));
}

/// lr·factor, and with `adam` ·√(1 − β₂ᵗ)/(1 − β₁ᵗ), in f64, rounded once.
template <typename T> static void rate(train::RateOp op, Frame<T> &frame) {
  double lr = frame[op.getLr()].doubles[0] * op.getFactor().convertToDouble();
  if (op.getAdam())
    lr = numerics::adamRate64(lr, frame[op.getStep()].wides[0], op.getBeta1().convertToDouble(),
                              op.getBeta2().convertToDouble());
  frame.set(op.getResult(), Tensor<T>::scalar(static_cast<T>(lr)));
}

/// √(Σ flat sums of g², in f64), min(1, limit/norm).
template <typename T> static void clipFactor(train::ClipFactorOp op, Frame<T> &frame) {
  std::vector<double> sums;
  for (mlir::Value gradient : op.getGradients()) {
    const std::vector<T> &g = frame[gradient].reals;
    sums.push_back(numerics::flatSum(g.size(), [&](size_t i) -> T { return g[i] * g[i]; }));
  }
  double norm = numerics::gradientNorm(sums.data(), sums.size());
  double factor = numerics::clipFactor(norm, op.getLimit().convertToDouble());
  frame.set(op.getFactor(), Tensor<T>::scalar(static_cast<T>(factor)));
  frame.set(op.getNorm(), Tensor<T>::scalar(static_cast<T>(norm)));
}

/// g += λθ; v = μv + g; θ −= lr·v (Nesterov: lr·(g + μv)). A decay or momentum of 0 is no term at
/// all.
template <typename T> static void sgd(train::SgdOp op, Frame<T> &frame) {
  Tensor<T> theta = frame[op.getTheta()], velocity = frame[op.getVelocity()];
  const Tensor<T> &grad = frame[op.getGrad()];
  T lr = realScalar(frame[op.getRate()]), mu = real<T>(op.getMomentum()),
    lambda = real<T>(op.getDecay());
  numerics::SgdForm form{
      .decay = lambda != T(0), .momentum = mu != T(0), .nesterov = op.getNesterov()};
  for (size_t i = 0; i < grad.reals.size(); ++i)
    numerics::sgd<T>(form, theta.reals[i], velocity.reals[i], grad.reals[i], lr, mu, lambda);
  frame.set(op.getNewTheta(), std::move(theta));
  frame.set(op.getNewVelocity(), std::move(velocity));
}

/// m = β₁m + (1 − β₁)g; v = β₂v + (1 − β₂)g²; θ −= (rate·m)/(√v + ε). Decay λ: g += λθ, or
/// decoupled θ −= decay_rate·θ first.
template <typename T> static mlir::LogicalResult adam(train::AdamOp op, Frame<T> &frame) {
  Tensor<T> theta = frame[op.getTheta()], m = frame[op.getM()], v = frame[op.getV()];
  const Tensor<T> &grad = frame[op.getGrad()];
  numerics::AdamConstants<T> constants(op.getBeta1().convertToDouble(),
                                       op.getBeta2().convertToDouble(),
                                       op.getEpsilon().convertToFloat());
  T lambda = real<T>(op.getDecay());
  if (op.getDecayRate() && lambda != T(0))
    return op.emitOpError("has both kinds of decay");
  T decay = op.getDecayRate() ? realScalar(frame[op.getDecayRate()]) : lambda;
  numerics::AdamForm form{.decay = op.getDecayRate() || lambda != T(0),
                          .decoupled = static_cast<bool>(op.getDecayRate())};
  T rate = realScalar(frame[op.getRate()]);
  for (size_t i = 0; i < grad.reals.size(); ++i)
    numerics::adam<T>(form, theta.reals[i], m.reals[i], v.reals[i], grad.reals[i], rate, decay,
                      constants);
  frame.set(op.getNewTheta(), std::move(theta));
  frame.set(op.getNewM(), std::move(m));
  frame.set(op.getNewV(), std::move(v));
  return mlir::success();
}

template <typename T> void addTrain(OpTable<T> &table) {
  addState(table);
  table.template add<train::RandomBitsOp>(randomBits<T>);
  table.template add<train::MicroBatchOp>(microBatch<T>);
  table.template add<train::RateOp>(rate<T>);
  table.template add<train::ClipFactorOp>(clipFactor<T>);
  table.template add<train::SgdOp>(sgd<T>);
  table.template add<train::AdamOp>(adam<T>);
}

NIBBLE_INSTANTIATE_FAMILY(addTrain)

} // namespace nibble::reference

//===- Optimizers.cpp - from a gradient to the new parameter ------------------------===//
#include "Optimizers.h"

#include "nibble/Analysis/Names.h"

using namespace mlir;
using namespace nibble;

Value OptimizerBuilder::rate() {
  if (!sharedRate) {
    OpBuilder &b = step.builder;
    bool adam = options.optimizer != Optimizer::Sgd;
    sharedRate = train::RateOp::create(
        b, b.getUnknownLoc(), RankedTensorType::get({}, b.getF32Type()), lr, stepNumber,
        b.getF64FloatAttr(1.0), adam ? b.getUnitAttr() : UnitAttr(),
        b.getF64FloatAttr(adam ? options.beta1 : 0), b.getF64FloatAttr(adam ? options.beta2 : 0));
  }
  return sharedRate;
}

/// lr·λ, rounded once.
Value OptimizerBuilder::decayRate() {
  if (!sharedDecayRate) {
    OpBuilder &b = step.builder;
    sharedDecayRate =
        train::RateOp::create(b, b.getUnknownLoc(), RankedTensorType::get({}, b.getF32Type()), lr,
                              stepNumber, b.getF64FloatAttr(options.weightDecay), UnitAttr(),
                              b.getF64FloatAttr(0), b.getF64FloatAttr(0));
  }
  return sharedDecayRate;
}

std::pair<StringAttr, Value> OptimizerBuilder::moment(train::VariableOp variable,
                                                      StringRef suffix) {
  Operation *module = variable->getParentOp();
  OpBuilder top(module->getContext());
  if (lastMoment)
    top.setInsertionPointAfter(lastMoment);
  else
    top.setInsertionPoint(&*llvm::find_if(module->getRegion(0).front(),
                                          [](Operation &op) { return isa<func::FuncOp>(op); }));
  std::string name = freeSymbol(module, (variable.getSymName() + "." + suffix).str());
  auto created = train::VariableOp::create(
      top, variable.getLoc(), name, variable.getType(), train::Role::Moment,
      /*trainable=*/false, /*decay=*/false, /*onnx_name=*/"", /*layout=*/"",
      /*value=*/ElementsAttr());
  lastMoment = created;
  Value read = train::ReadOp::create(step.builder, variable.getLoc(), variable.getType(),
                                     created.getSymName());
  return {created.getSymNameAttr(), read};
}

Value OptimizerBuilder::update(train::VariableOp variable, Value theta, Value gradient, double l2,
                               bool decays) {
  OpBuilder &b = step.builder;
  Location loc = variable.getLoc();
  Type type = theta.getType();
  bool adamw = options.optimizer == Optimizer::AdamW;
  double decay = l2 + (decays && !adamw ? options.weightDecay : 0);
  auto f32 = [&](double value) { return b.getF32FloatAttr(static_cast<float>(value)); };
  if (options.optimizer == Optimizer::Sgd) {
    auto [velocity, old] = moment(variable, "velocity");
    auto sgd = train::SgdOp::create(b, loc, type, type, theta, gradient, old, rate(),
                                    f32(options.momentum), f32(decay),
                                    options.nesterov ? b.getUnitAttr() : UnitAttr());
    newMoments.emplace_back(velocity, sgd.getNewVelocity());
    return sgd.getNewTheta();
  }
  auto [first, m] = moment(variable, "m");
  auto [second, v] = moment(variable, "v");
  Value shared = rate(),
        decayed = adamw && decays && options.weightDecay != 0 ? decayRate() : Value();
  auto adam =
      train::AdamOp::create(b, loc, type, type, type, theta, gradient, m, v, shared, decayed,
                            b.getF64FloatAttr(options.beta1), b.getF64FloatAttr(options.beta2),
                            f32(options.epsilon), f32(decay));
  newMoments.emplace_back(first, adam.getNewM());
  newMoments.emplace_back(second, adam.getNewV());
  return adam.getNewTheta();
}

//===- NonNegative.cpp - values that cannot be below zero ----------------------===//
#include "nibble/Analysis/NonNegative.h"

#include "nibble/Dialect/NN/IR/NN.h"
#include "nibble/Dialect/Train/IR/Train.h"

#include "mlir/IR/Matchers.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace nibble;

namespace {

/// Answers by value, so that a graph whose paths branch and join is walked once.
class Walk {
public:
  bool check(Value value) {
    auto [entry, isNew] = known.try_emplace(value, false);
    if (!isNew)
      return entry->second;
    bool answer = depth < maxDepth && compute(value);
    return known[value] = answer;
  }

private:
  bool all(OperandRange values) {
    ++depth;
    bool answer = llvm::all_of(values, [&](Value value) { return check(value); });
    --depth;
    return answer;
  }
  bool any(OperandRange values) {
    ++depth;
    bool answer = llvm::any_of(values, [&](Value value) { return check(value); });
    --depth;
    return answer;
  }

  bool compute(Value value) {
    DenseElementsAttr constant;
    if (matchPattern(value, m_Constant(&constant)))
      return isa<FloatType>(constant.getElementType()) &&
             llvm::all_of(constant.getValues<APFloat>(),
                          [](const APFloat &x) { return x.isZero() || !x.isNegative(); });
    Operation *op = value.getDefiningOp();
    if (!op)
      return false;
    return TypeSwitch<Operation *, bool>(op)
        // Ranges of the functions themselves. √ of a negative number is NaN.
        .Case<nn::ReluOp, nn::SigmoidOp, nn::SoftmaxOp, nn::ExpOp, nn::AbsOp, nn::SqrtOp>(
            [](auto) { return true; })
        .Case<nn::ClipOp>([&](nn::ClipOp clip) {
          // With hi < lo and x > hi the result is hi (x < lo is asked first).
          bool bounded = !clip.getLo().isNegative() && !clip.getHi().isNegative();
          return bounded || (!clip.getHi().isNegative() && all(op->getOperands()));
        })
        .Case<nn::ClipLearnedOp>(
            [&](nn::ClipLearnedOp clip) { return clip.getOneSided() || check(clip.getX()); })
        .Case<nn::MaxOp>([&](auto) { return any(op->getOperands()); })
        .Case<nn::AddOp, nn::MulOp, nn::DivOp, nn::MinOp, nn::FmaOp, nn::ConcatOp>(
            [&](auto) { return all(op->getOperands()); })
        .Case<nn::ReshapeOp, nn::TransposeOp, nn::BroadcastOp, nn::SliceOp, nn::UnsliceOp,
              nn::ReduceSumOp, nn::ReduceMeanOp, nn::ChannelSumOp, nn::MaxPoolOp, nn::AvgPoolOp,
              nn::DropoutOp, nn::LeakyReluOp, nn::TanhOp, nn::ErfOp, train::SaveOp>(
            [&](auto) { return check(op->getOperand(0)); })
        .Case<nn::MaskOp>([&](nn::MaskOp mask) { return check(mask.getX()); })
        .Case<nn::SelectOp>(
            [&](nn::SelectOp select) { return check(select.getA()) && check(select.getB()); })
        .Default(false);
  }

  static constexpr int maxDepth = 500;
  int depth = 0;
  llvm::DenseMap<Value, bool> known;
};

} // namespace

bool nibble::isNonNegative(Value value) { return Walk().check(value); }

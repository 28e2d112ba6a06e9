//===- WorkEstimate.cpp - how long a loop runs, roughly ------------------------===//
#include "WorkEstimate.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include <algorithm>

using namespace mlir;

namespace {

/// Trips of a loop whose bounds are not known.
constexpr int64_t kAssumedTrips = 8;
constexpr int64_t kMost = int64_t(1) << 40;

/// Bytes of a vector that count as one operation: of arithmetic, and of what goes to or comes from
/// memory, which takes longer.
constexpr int64_t kArithmeticBytes = 32, kMemoryBytes = 16;

int64_t product(int64_t a, int64_t b) {
  return a == 0 || b == 0 ? 0 : a > kMost / b ? kMost : a * b;
}

class Estimate {
public:
  int64_t of(Operation *op) {
    if (auto loop = dyn_cast<scf::ForOp>(op))
      return product(trips(loop.getLowerBound(), loop.getUpperBound(), loop.getStep()),
                     of(loop.getRegion()) + 2);
    if (auto loop = dyn_cast<scf::ParallelOp>(op)) {
      int64_t count = 1;
      for (auto [low, high, step] :
           llvm::zip(loop.getLowerBound(), loop.getUpperBound(), loop.getStep()))
        count = product(count, trips(low, high, step));
      return product(count, of(loop.getRegion()) + 2);
    }
    if (auto call = dyn_cast<func::CallOp>(op))
      return of(call);
    if (isa<arith::ConstantOp>(op))
      return 0;
    int64_t most = 0;
    for (Region &region : op->getRegions())
      most = std::max(most, of(region));
    return most + width(op);
  }

private:
  /// Operations that one on vectors counts for: those of its widest one.
  static int64_t width(Operation *op) {
    int64_t bits = 0;
    auto widen = [&](Type type) {
      if (auto vector = dyn_cast<VectorType>(type);
          vector && vector.getElementType().isIntOrFloat())
        bits = std::max<int64_t>(bits, vector.getNumElements() * vector.getElementTypeBitWidth());
    };
    llvm::for_each(op->getOperandTypes(), widen);
    llvm::for_each(op->getResultTypes(), widen);
    bool isMemory = isa<vector::LoadOp, vector::StoreOp, vector::MaskedLoadOp,
                        vector::MaskedStoreOp, LLVM::LoadOp, LLVM::StoreOp>(op);
    return std::max<int64_t>(1, bits / 8 / (isMemory ? kMemoryBytes : kArithmeticBytes));
  }

  int64_t of(Region &region) {
    int64_t sum = 0;
    for (Block &block : region)
      for (Operation &op : block)
        sum = std::min(kMost, sum + of(&op));
    return sum;
  }

  /// The called function with those of the arguments that are constants here.
  int64_t of(func::CallOp call) {
    auto function = SymbolTable::lookupNearestSymbolFrom<func::FuncOp>(call, call.getCalleeAttr());
    if (!function || function.isExternal() || depth == 4)
      return 1;
    for (auto [argument, operand] : llvm::zip(function.getArguments(), call.getOperands())) {
      known.erase(argument);
      if (std::optional<int64_t> value = constant(operand))
        known[argument] = *value;
    }
    ++depth;
    int64_t work = of(function.getBody());
    --depth;
    return work;
  }

  std::optional<int64_t> constant(Value value) {
    if (std::optional<int64_t> number = getConstantIntValue(value))
      return number;
    if (auto found = known.find(value); found != known.end())
      return found->second;
    if (auto cast = value.getDefiningOp<arith::IndexCastOp>())
      return constant(cast.getIn());
    return std::nullopt;
  }

  int64_t trips(Value low, Value high, Value step) {
    std::optional<int64_t> length = distance(low, high), by = constant(step);
    if (!length || !by || *by <= 0)
      return kAssumedTrips;
    return std::max<int64_t>(0, (*length + *by - 1) / *by);
  }

  /// The most that `high` − `low` can be. Emitters' loops end at low + chunk, or at the end of all
  /// if that comes first.
  std::optional<int64_t> distance(Value low, Value high) {
    if (low == high)
      return 0;
    if (auto sum = high.getDefiningOp<arith::AddIOp>())
      for (auto [one, other] :
           {std::pair(sum.getLhs(), sum.getRhs()), std::pair(sum.getRhs(), sum.getLhs())})
        if (one == low)
          return most(other);
    if (auto least = high.getDefiningOp<arith::MinSIOp>())
      return smaller(distance(low, least.getLhs()), distance(low, least.getRhs()));
    std::optional<int64_t> to = most(high), from = constant(low);
    return to ? std::optional(*to - from.value_or(0)) : std::nullopt;
  }

  static std::optional<int64_t> smaller(std::optional<int64_t> a, std::optional<int64_t> b) {
    return a && b ? std::min(*a, *b) : a ? a : b;
  }

  /// The most that a number can be; none of those that bounds are made of is negative.
  std::optional<int64_t> most(Value value) {
    if (std::optional<int64_t> number = constant(value))
      return number;
    if (auto argument = dyn_cast<BlockArgument>(value))
      return mostOf(argument);
    Operation *op = value.getDefiningOp();
    if (auto difference = dyn_cast<arith::SubIOp>(op))
      return distance(difference.getRhs(), difference.getLhs());
    if (!isa<arith::AddIOp, arith::MulIOp, arith::DivUIOp, arith::RemUIOp, arith::MinSIOp>(op))
      return std::nullopt;
    std::optional<int64_t> left = most(op->getOperand(0)), right = most(op->getOperand(1));
    if (isa<arith::MinSIOp>(op))
      return smaller(left, right);
    if (isa<arith::RemUIOp>(op))
      return right ? std::optional(*right - 1) : std::nullopt;
    if (!left || !right || *left < 0 || *right <= 0)
      return std::nullopt;
    if (isa<arith::AddIOp>(op))
      return std::min(kMost, *left + *right);
    return isa<arith::MulIOp>(op) ? product(*left, *right)
                                  : *left / constant(op->getOperand(1)).value_or(1);
  }

  /// The last value of a loop's variable.
  std::optional<int64_t> mostOf(BlockArgument variable) {
    Value end;
    Operation *parent = variable.getOwner()->getParentOp();
    if (auto loop = dyn_cast<scf::ForOp>(parent); loop && loop.getInductionVar() == variable)
      end = loop.getUpperBound();
    if (auto loop = dyn_cast<scf::ParallelOp>(parent))
      end = loop.getUpperBound()[variable.getArgNumber()];
    std::optional<int64_t> bound = end ? most(end) : std::nullopt;
    return bound ? std::optional(*bound - 1) : std::nullopt;
  }

  llvm::DenseMap<Value, int64_t> known;
  int depth = 0;
};

} // namespace

int64_t nibble::estimateWork(Operation *op) { return Estimate().of(op); }

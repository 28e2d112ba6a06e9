//===- WorkEstimate.cpp - how long a loop runs, roughly ------------------------===//
#include "WorkEstimate.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

#include <algorithm>

using namespace mlir;

namespace {

/// Trips of a loop whose bounds are not known.
constexpr int64_t kAssumedTrips = 8;
constexpr int64_t kMost = int64_t(1) << 40;

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
    return 1 + most;
  }

private:
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
    std::optional<int64_t> from = constant(low), to = constant(high), by = constant(step);
    if (!from || !to || !by || *by <= 0)
      return kAssumedTrips;
    return std::max<int64_t>(0, (*to - *from + *by - 1) / *by);
  }

  llvm::DenseMap<Value, int64_t> known;
  int depth = 0;
};

} // namespace

int64_t nibble::estimateWork(Operation *op) { return Estimate().of(op); }

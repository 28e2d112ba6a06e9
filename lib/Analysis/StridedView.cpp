//===- StridedView.cpp - elements of a tensor in another order -----------------===//
#include "nibble/Analysis/StridedView.h"

#include "nibble/Dialect/NN/IR/NN.h"
#include "nibble/Numerics/Packing.h"

#include "mlir/Dialect/Utils/IndexingUtils.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace nibble;

using Levels = SmallVector<StridedView::Level>;

static ArrayRef<int64_t> shapeOf(Value v) { return cast<RankedTensorType>(v.getType()).getShape(); }

/// Takes sizes of 1 out and joins neighbours that are walked as one.
static Levels simplified(ArrayRef<StridedView::Level> levels) {
  Levels result;
  for (StridedView::Level level : levels) {
    if (level.size == 1)
      continue;
    if (!result.empty() && result.back().stride == level.size * level.stride) {
      result.back().size *= level.size;
      result.back().stride = level.stride;
    } else {
      result.push_back(level);
    }
  }
  return result;
}

/// The op's result over the flat index of its operand.
static std::optional<StridedView> ownView(Operation *op) {
  StridedView view;
  view.memory = op->getOperand(0);
  ArrayRef<int64_t> from = shapeOf(view.memory), to = shapeOf(op->getResult(0));
  SmallVector<int64_t> strides = computeSuffixProduct(from);
  bool known = TypeSwitch<Operation *, bool>(op)
                   .Case<nn::TransposeOp>([&](auto transpose) {
                     for (auto [size, d] : llvm::zip(to, transpose.getPerm()))
                       view.levels.push_back({size, strides[d]});
                     return true;
                   })
                   .Case<nn::SliceOp>([&](auto slice) {
                     for (auto [d, size] : llvm::enumerate(to)) {
                       view.levels.push_back({size, strides[d] * slice.getSteps()[d]});
                       view.offset += slice.getStarts()[d] * strides[d];
                     }
                     return llvm::all_of(slice.getSteps(), [](int64_t step) { return step > 0; });
                   })
                   .Case<nn::BroadcastOp>([&](auto) {
                     size_t missing = to.size() - from.size();
                     for (auto [d, size] : llvm::enumerate(to)) {
                       bool repeats = d < missing || from[d - missing] == 1;
                       view.levels.push_back({size, repeats ? 0 : strides[d - missing]});
                     }
                     return true;
                   })
                   .Default([](Operation *) { return false; });
  if (!known)
    return std::nullopt;
  view.levels = simplified(view.levels);
  return view;
}

namespace {

/// A view over the flat index of another view, as a view over that one's memory.
class Composer {
public:
  explicit Composer(const StridedView &inner) : inner(inner) {
    for (const StridedView::Level &level : inner.levels)
      total *= level.size;
    int64_t weight = total;
    for (const StridedView::Level &level : inner.levels)
      weights.push_back(weight /= level.size);
    reached.resize(weights.size(), 0);
  }

  std::optional<StridedView> compose(const StridedView &outer) {
    StridedView view;
    view.memory = inner.memory;
    view.offset = inner.offset;
    for (size_t j = 0; j < weights.size(); ++j) {
      int64_t digit = outer.offset / weights[j] % inner.levels[j].size;
      reached[j] = digit;
      view.offset += digit * inner.levels[j].stride;
    }
    for (const StridedView::Level &level : outer.levels)
      if (!add(level, view.levels))
        return std::nullopt;
    for (size_t j = 0; j < weights.size(); ++j)
      if (reached[j] >= inner.levels[j].size) // digits of different levels carry
        return std::nullopt;
    view.levels = simplified(view.levels);
    return view;
  }

private:
  bool add(StridedView::Level level, Levels &levels) {
    if (level.stride == 0) {
      levels.push_back(level);
      return true;
    }
    for (size_t j = 0; j < weights.size(); ++j) {
      int64_t steps = level.stride / weights[j], size = inner.levels[j].size;
      if (level.stride % weights[j] != 0 || steps >= size)
        continue;
      int64_t here = std::min(level.size, size / steps);
      if (level.size % here != 0 || (here < level.size && here * steps != size) ||
          (here < level.size && !add({level.size / here, level.stride * here}, levels)))
        return false;
      levels.push_back({here, steps * inner.levels[j].stride});
      reached[j] += (here - 1) * steps;
      return true;
    }
    return false;
  }

  const StridedView &inner;
  int64_t total = 1;
  SmallVector<int64_t> weights; // of a level's digit in the flat index
  SmallVector<int64_t> reached; // the largest digit
};

} // namespace

bool StridedView::isWholeBlocks() const {
  constexpr auto block = static_cast<int64_t>(numerics::kPackBlock);
  return !levels.empty() && levels.back().size % block == 0 && levels.back().stride <= 1;
}

std::optional<JoinedView> nibble::joinedView(Operation *op) {
  auto concat = dyn_cast_or_null<nn::ConcatOp>(op);
  auto type = concat ? cast<RankedTensorType>(concat.getType()) : RankedTensorType();
  if (!concat || !type.getElementType().isF32())
    return std::nullopt;
  JoinedView view;
  for (Value part : concat.getParts()) {
    ArrayRef<int64_t> shape = shapeOf(part).drop_front(concat.getAxis());
    view.lengths.push_back(llvm::product_of(shape));
    if (view.lengths.back() % static_cast<int64_t>(numerics::kPackBlock) != 0)
      return std::nullopt;
  }
  return view;
}

bool nibble::movesElements(Operation *op) {
  return isa_and_nonnull<nn::TransposeOp, nn::SliceOp, nn::BroadcastOp, nn::ConcatOp>(op);
}

std::optional<StridedView> nibble::stridedView(Operation *op,
                                               llvm::function_ref<bool(Operation *)> follow) {
  if (!movesElements(op) ||
      !cast<RankedTensorType>(op->getResult(0).getType()).getElementType().isF32())
    return std::nullopt;
  std::optional<StridedView> view = ownView(op);
  if (!view)
    return std::nullopt;
  Value behind = view->memory;
  while (auto reshape = behind.getDefiningOp<nn::ReshapeOp>())
    behind = reshape.getX();
  view->memory = behind;
  Operation *further = behind.getDefiningOp();
  if (!movesElements(further) || !follow(further))
    return view;
  std::optional<StridedView> inner = stridedView(further, follow);
  return inner ? Composer(*inner).compose(*view) : std::nullopt;
}

//===- VerifyPlanned.cpp - the door of room 4 --------------------------------===//
#include "nibble/Schedule/Passes.h"

#include <map>

namespace nibble {
#define GEN_PASS_DEF_VERIFYPLANNED
#include "nibble/Schedule/Passes.h.inc"
} // namespace nibble

using namespace mlir;
using namespace nibble;

namespace {

/// Bytes [begin, end) of one of the function's buffers.
struct Range {
  Value base;
  int64_t begin, end;
};

FailureOr<Range> rangeOf(Value buffer) {
  auto view = buffer.getDefiningOp<memref::ViewOp>();
  if (!view)
    return failure();
  auto shift = view.getByteShift().getDefiningOp<arith::ConstantIndexOp>();
  auto type = cast<MemRefType>(buffer.getType());
  auto base = dyn_cast<MemRefType>(view.getSource().getType());
  if (!shift || !type.hasStaticShape() || !base || !base.hasStaticShape())
    return failure();
  int64_t bytes = type.getNumElements() * type.getElementTypeBitWidth() / 8;
  Range range{view.getSource(), shift.value(), shift.value() + bytes};
  if (range.begin < 0 || range.end > base.getNumElements())
    return failure();
  return range;
}

bool overlap(const Range &a, const Range &b) { return a.base == b.base && a.begin < b.end && b.begin < a.end; }

/// Who wrote each byte of a buffer last: disjoint intervals, begin -> (end, value).
class LastWriters {
public:
  void write(const Range &range, int64_t value) {
    auto &map = maps[range.base.getAsOpaquePointer()];
    cut(map, range.begin);
    cut(map, range.end);
    map.erase(map.lower_bound(range.begin), map.lower_bound(range.end));
    map[range.begin] = {range.end, value};
  }
  /// The first byte of the range that `value` did not write last, or −1.
  int64_t firstForeign(const Range &range, int64_t value) {
    auto &map = maps[range.base.getAsOpaquePointer()];
    cut(map, range.begin);
    cut(map, range.end);
    int64_t at = range.begin;
    for (auto it = map.lower_bound(range.begin); it != map.end() && it->first < range.end; ++it) {
      if (it->first != at || it->second.second != value)
        return at;
      at = it->second.first;
    }
    return at >= range.end ? -1 : at;
  }

private:
  using Map = std::map<int64_t, std::pair<int64_t, int64_t>>;
  static void cut(Map &map, int64_t at) {
    auto it = map.lower_bound(at);
    if (it == map.begin())
      return;
    auto [begin, rest] = *std::prev(it);
    if (begin < at && rest.first > at) {
      map[begin].first = at;
      map[at] = rest;
    }
  }
  std::map<void *, Map> maps;
};

struct VerifyPlannedPass : nibble::impl::VerifyPlannedBase<VerifyPlannedPass> {
  void runOnOperation() override {
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (!function.isDeclaration() && failed(verify(function)))
        return signalPassFailure();
  }

  LogicalResult verify(func::FuncOp function) {
    Value arena = function.getNumArguments() > 1 ? Value(function.getArgument(1)) : Value();
    LastWriters writers;
    for (Operation &op : function.getBody().front()) {
      if (auto store = dyn_cast<memref::StoreOp>(op); store && store->hasAttr("writes")) {
        auto range = rangeOf(store.getMemRef());
        if (succeeded(range))
          writers.write(*range, store->getAttrOfType<IntegerAttr>("writes").getInt());
      }
      if (auto group = dyn_cast<plan::GroupOp>(op); group && failed(verify(group, arena, writers)))
        return failure();
    }
    return success();
  }

  LogicalResult verify(plan::GroupOp group, Value arena, LastWriters &writers) {
    if (group.getReads().size() != group.getInputs().size() || group.getWrites().size() != group.getOutputs().size())
      return group.emitError("verify-planned: the group does not number the values it reads and writes");
    std::optional<Range> scratch;
    auto fail = [&](Value buffer, StringRef what) {
      return group.emitError("verify-planned: ") << what << " (" << buffer.getType() << ")";
    };
    if (Value buffer = group.getScratch()) {
      auto range = rangeOf(buffer);
      if (failed(range))
        return fail(buffer, "scratch is no constant view inside its buffer");
      scratch = *range;
    }
    for (auto [buffer, value] : llvm::zip(group.getInputs(), group.getReads())) {
      auto range = rangeOf(buffer);
      if (failed(range))
        return fail(buffer, "an input is no constant view inside its buffer");
      if (scratch && overlap(*range, *scratch))
        return fail(buffer, "scratch overlaps an input");
      if (range->base != arena)
        continue;
      if (int64_t at = writers.firstForeign(*range, value); at >= 0)
        return fail(buffer, "an input's bytes were overwritten, or never written, before they are read")
               << ": byte " << at << " of the arena, value " << value;
    }
    for (auto [buffer, value] : llvm::zip(group.getOutputs(), group.getWrites())) {
      auto range = rangeOf(buffer);
      if (failed(range))
        return fail(buffer, "an output is no constant view inside its buffer");
      if (scratch && overlap(*range, *scratch))
        return fail(buffer, "scratch overlaps an output");
      writers.write(*range, value);
    }
    if (scratch)
      writers.write(*scratch, -1);
    return success();
  }
};
} // namespace

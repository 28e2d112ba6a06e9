//===- ContractionPanelBuffer.cpp - packed weights that several products read ---===//
//
// A panel as a buffer of its own: the packed weights of a window product of one class, and behind
// them, where the unit's sums begin at a number, the sum of each column. What a product adds to
// these is its own: the offset, which follows from the left operand's format and zero point.
//
//===----------------------------------------------------------------------------===//
#include "ContractionPlans.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "nibble/Codegen/CPU/ContractionEmitter.h"
#include "nibble/Dialect/Plan/IR/Plan.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::contraction;

namespace {
/// Offsets in the buffer, and its size.
struct PanelLayout {
  int64_t panel, sums, bytes;
};
} // namespace

static PanelLayout panelLayout(const WindowCodesPlan &plan) {
  const auto &k = plan.classes.front();
  ScratchLayout layout;
  int64_t panel = layout.reserve(plan.unit->elementBytes() * k.weights.elements());
  int64_t sums = plan.unit->hasOffset() ? layout.reserve(4 * k.starts()) : 0;
  return {panel, sums, layout.bytes};
}

/// The plan of a product that could read a panel, as if it made its own.
static std::optional<WindowCodesPlan> planSharing(Operation *op, const CpuTarget &target) {
  // With more rows, packing is a twentieth of the product, and the panel would be memory for long.
  constexpr int64_t kMostRows = 512;
  FailureOr<Contraction> c = readContraction(op);
  if (failed(c) || c->isFloat() || !c->isWindow || c->matrices > 1 || planWinograd(*c, target))
    return std::nullopt;
  c->hasPanel = false;
  WindowCodesPlan plan = planWindowCodes(*c, target);
  if (plan.classes.size() != 1 || plan.classes[0].weights.segments.count() == 0)
    return std::nullopt;
  const WindowAxis &h = plan.w.classes[0].h, &w = plan.w.classes[0].w;
  return plan.w.images * h.pixels * w.pixels <= kMostRows ? std::optional(plan) : std::nullopt;
}

int64_t nibble::panelBytes(Operation *op, const CpuTarget &target) {
  auto plan = planSharing(op, target);
  return plan ? panelLayout(*plan).bytes : 0;
}

static void print(llvm::raw_ostream &os, const IndexMap &map) {
  llvm::interleave(map.base, os << " [", ",");
  for (const auto &level : map.levels)
    llvm::interleave(level.strides, os << " " << level.size << "x", ",");
  os << "]";
}

std::string nibble::panelForm(Operation *op, const CpuTarget &target) {
  auto plan = planSharing(op, target);
  if (!plan)
    return {};
  std::string text;
  llvm::raw_string_ostream os(text);
  const auto &k = plan->classes.front();
  const PackSpec &spec = k.weights;
  os << plan->unit->name << " " << spec.tuple << "x" << spec.tuples << " of " << k.length
     << ", columns " << spec.tileColumns << " of " << spec.blockColumns << " by "
     << spec.columnStride;
  for (const IndexMap *map : {&spec.tiles, &spec.segments, &spec.terms})
    print(os, *map);
  return text;
}

int64_t nibble::packScratchBytes(Operation *pack, const CpuTarget &target) {
  auto plan = planSharing(cast<plan::PackOp>(pack).getProduct(), target);
  if (!plan || plan->weightsFlatElements == 0)
    return 0;
  ScratchLayout layout;
  layout.reserve(plan->unit->elementBytes() * plan->weightsFlatElements);
  return layout.bytes;
}

LogicalResult nibble::emitPack(Operation *op, Value right, Value zeroPoint, Value panel,
                               Value scratch, OpBuilder &builder, const CpuTarget &target) {
  Operation *product = cast<plan::PackOp>(op).getProduct();
  auto plan = planSharing(product, target);
  if (!plan)
    return op->emitOpError(
        "room Codegen: packs for a product that makes no panel others could read");
  Contraction c = *readContraction(product);
  Emit e{builder, op->getLoc(), target, scratch}, result{builder, op->getLoc(), target, panel};
  plan->weightsFlat = 0; // alone in this scratch
  Buffers buffers;
  buffers.right = right;
  if (zeroPoint) {
    Value number = memref::LoadOp::create(e.b, e.loc, zeroPoint, ValueRange());
    buffers.rightZero = arith::TruncIOp::create(e.b, e.loc, e.b.getI16Type(), number);
  }
  PanelLayout layout = panelLayout(*plan);
  packWeights(e, c, *plan, buffers, [&](const WindowCodesPlan::Class &k) {
    PackTarget where;
    where.panel =
        result.view(layout.panel, k.weights.elements(), formType(e.b, plan->weightForm()));
    if (plan->unit->hasOffset()) {
      where.starts = result.view(layout.sums, k.starts(), e.b.getI32Type());
      where.offset =
          arith::ConstantIntOp::create(e.b, e.loc, e.b.getI32Type(), -1); // the sums as they are
    }
    return where;
  });
  return success();
}

void contraction::emitStartsFromPanel(Emit &e, const Contraction &c, const WindowCodesPlan &plan,
                                      const Buffers &buffers) {
  if (!plan.unit->hasOffset())
    return;
  const auto &k = plan.classes.front();
  Emit panel{e.b, e.loc, e.target, buffers.right};
  Value sums = panel.view(panelLayout(plan).sums, k.starts(), e.b.getI32Type());
  Value starts = e.view(k.product.starts, k.starts(), e.b.getI32Type());
  Value zero = arith::ConstantIntOp::create(e.b, e.loc, e.b.getI32Type(), 0);
  Value factor = e.sub(zero, decodedOffset(e, c.left.format, buffers.leftZero));
  auto type = VectorType::get({plan.unit->lanes()}, e.b.getI32Type());
  Value spread = vector::BroadcastOp::create(e.b, e.loc, type, factor);
  e.loop(e.index(0), e.index(k.starts()), plan.unit->lanes(), [&](Value at) {
    Value sum = loadVector(e, type, sums, at);
    storeVector(e, arith::MulIOp::create(e.b, e.loc, sum, spread), starts, at);
  });
}

//===- SharePanels.cpp - products of one operand lay it out once --------------===//
#include "nibble/Schedule/Passes.h"

#include "nibble/Dialect/Q4/IR/Q4.h"
#include "nibble/Interfaces/Interfaces.h"
#include "nibble/Interfaces/Panel.h"
#include "nibble/Schedule/Storage.h"

#include "mlir/IR/IRMapping.h"

#include <map>

namespace nibble {
#define GEN_PASS_DEF_SHAREPANELS
#include "nibble/Schedule/Passes.h.inc"
} // namespace nibble

using namespace mlir;
using namespace nibble;

namespace {

/// Products that could read one panel, in program order.
struct Sharers {
  SmallVector<ContractionOpInterface> products;
  Value zeroPoint; ///< of the right operand, or null
  int64_t bytes = 0;
};

Value rightZeroPoint(Operation *product) {
  if (auto matmul = dyn_cast<q4::MatMulOp>(product))
    return matmul.getRightZeroPoint();
  if (auto forward = dyn_cast<q4::Conv2DOp>(product))
    return forward.getRightZeroPoint();
  auto gradient = dyn_cast<q4::Conv2DInputGradOp>(product);
  return gradient ? gradient.getRightZeroPoint() : Value();
}

/// All that make the same panel, the first product's first.
SmallVector<Sharers> findSharers(func::FuncOp function) {
  using Key = std::tuple<void *, void *, std::string>; // right operand, its zero point, form
  std::map<Key, size_t> known;
  SmallVector<Sharers> all;
  for (auto product : function.getOps<ContractionOpInterface>()) {
    auto panel = dyn_cast<PanelOpInterface>(product.getOperation());
    int64_t bytes = panel ? panel.getPanelBytes() : 0;
    if (bytes == 0)
      continue;
    Value zeroPoint = rightZeroPoint(product);
    Key key{viewRoot(product.getRight()).getAsOpaquePointer(), zeroPoint.getAsOpaquePointer(),
            panel.getPanelForm()};
    auto [place, isNew] = known.try_emplace(key, all.size());
    if (isNew)
      all.push_back({{}, zeroPoint, bytes});
    all[place->second].products.push_back(product);
  }
  return all;
}

/// The panel, before the first of the products.
Value makePanel(const Sharers &sharers) {
  ContractionOpInterface first = sharers.products.front();
  OpBuilder builder(first);
  auto type = RankedTensorType::get({sharers.bytes}, builder.getI8Type());
  auto pack = plan::PackOp::create(builder, first.getLoc(), type, first.getRight(),
                                   sharers.zeroPoint, first.getLayerName());
  Block &block = pack.getBody().emplaceBlock();
  IRMapping arguments;
  OpBuilder inner = OpBuilder::atBlockEnd(&block);
  for (OpOperand &operand : first->getOpOperands())
    if (!arguments.contains(operand.get()))
      arguments.map(operand.get(), block.addArgument(operand.get().getType(), first.getLoc()));
  inner.clone(*first, arguments);
  return pack.getPanel();
}

struct SharePanelsPass : nibble::impl::SharePanelsBase<SharePanelsPass> {
  void runOnOperation() override {
    for (const Sharers &sharers : findSharers(getOperation())) {
      if (sharers.products.size() < 2)
        continue;
      Value panel = makePanel(sharers);
      for (ContractionOpInterface product : sharers.products) {
        OpBuilder builder(product);
        product->setOperand(1, plan::PackedOp::create(builder, product.getLoc(),
                                                      product.getRight().getType(), panel));
      }
    }
  }
};
} // namespace

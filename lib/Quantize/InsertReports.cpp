//===- InsertReports.cpp - saturation, underflow and scale for the log ---------===//
#include "nibble/Quantize/Passes.h"

#include "Operands.h"

#include "llvm/ADT/StringSet.h"

namespace nibble {
#define GEN_PASS_DEF_INSERTREPORTS
#include "nibble/Quantize/Passes.h.inc"
} // namespace nibble

using namespace mlir;
using namespace nibble;

/// q4.code_counts of codes, with the ends of the set that they were made on.
static Value countCodes(OpBuilder &builder, Operation *quantizer) {
  Value codes = quantizer->getResult(0), zero;
  int32_t low = -7, high = 7;
  if (auto quantize = dyn_cast<q4::QuantizeOp>(quantizer)) {
    zero = quantize.getZeroPoint();
    low = quantize.getQmin(), high = quantize.getQmax();
  }
  auto type = RankedTensorType::get({2}, builder.getI32Type());
  return q4::CodeCountsOp::create(builder, quantizer->getLoc(), type, codes, zero, low, high);
}

static bool isQuantizer(Operation *op) {
  return isa_and_nonnull<q4::QuantizeOp, q4::QuantizeLogOp>(op);
}

namespace {

struct InsertReportsPass : nibble::impl::InsertReportsBase<InsertReportsPass> {
  using InsertReportsBase::InsertReportsBase;

  void runOnOperation() override {
    func::FuncOp function = getOperation();
    if (function.isExternal() || function.getName() != "train_step")
      return;
    llvm::DenseMap<Operation *, OperandRoles> roles = operandRoles(function);
    llvm::StringSet<> reported;
    // Forward products report X and W; then the weight gradients report dY, and at last the input
    // gradients of layers that have no other.
    for (Product product : {Product::Forward, Product::WeightGradient, Product::InputGradient})
      function.walk([&](ContractionOpInterface op) {
        if (op.getProductKind() == product && isa<q4::Q4Dialect>(op->getDialect()))
          for (unsigned i : {0u, 1u})
            report(op, op->getOperand(i), roles.lookup(op)[i], reported);
      });
  }

private:
  void report(ContractionOpInterface op, Value codes, OperandRole role,
              llvm::StringSet<> &reported) {
    Operation *quantizer = throughSaves(codes).getDefiningOp();
    std::string prefix = (op.getLayerName() + "/" + roleName(role)).str();
    if (!isQuantizer(quantizer) || !reported.insert(prefix).second)
      return;
    OpBuilder builder(op.getContext());
    builder.setInsertionPointAfter(quantizer);
    Value counts = countCodes(builder, quantizer);
    int64_t elements = cast<ShapedType>(codes.getType()).getNumElements();
    train::ReportOp::create(
        builder, op.getLoc(), counts,
        builder.getStrArrayAttr({prefix + "/saturation", prefix + "/underflow"}), elements);
    train::ReportOp::create(builder, op.getLoc(), quantizer->getOperand(1),
                            builder.getStrArrayAttr({prefix + "/scale"}), 0);
    if (!fidelity)
      return;
    auto real = RankedTensorType::get({}, builder.getF32Type());
    auto quantize = dyn_cast<q4::QuantizeOp>(quantizer);
    auto measured = q4::FidelityOp::create(builder, op.getLoc(), real, real, quantizer->getOperand(0),
                                           quantizer->getResult(0), quantizer->getOperand(1),
                                           quantize ? quantize.getZeroPoint() : Value());
    for (auto [value, name] : {std::pair(measured.getGain(), "/gain"), {measured.getNoise(), "/noise"}})
      train::ReportOp::create(builder, op.getLoc(), value, builder.getStrArrayAttr({prefix + name}), 0);
  }
};

} // namespace

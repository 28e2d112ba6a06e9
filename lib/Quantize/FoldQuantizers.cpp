//===- FoldQuantizers.cpp - what does nothing goes -----------------------------===//
#include "nibble/Quantize/Passes.h"

#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace nibble {
#define GEN_PASS_DEF_FOLDQUANTIZERS
#include "nibble/Quantize/Passes.h.inc"
} // namespace nibble

using namespace mlir;
using namespace nibble;

namespace {

/// quantize(dequantize(q, s, Z), s, Z), to nearest → q. (q − Z)·s·(1/s), three roundings, is within
/// 2⁻¹⁶ of q − Z for |q − Z| ≤ 127.
struct FoldRoundTrip : OpRewritePattern<q4::QuantizeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(q4::QuantizeOp op, PatternRewriter &rewriter) const override {
    auto decode = op.getX().getDefiningOp<q4::DequantizeOp>();
    if (!decode || op.getNoise() || decode.getScale() != op.getScale() ||
        decode.getZeroPoint() != op.getZeroPoint() ||
        decode.getCodes().getType() != op.getCodes().getType())
      return failure();
    // The codes must lie on the set that is asked for.
    auto first = decode.getCodes().getDefiningOp<q4::QuantizeOp>();
    if (!first || first.getQmin() < op.getQmin() || first.getQmax() > op.getQmax())
      return failure();
    rewriter.replaceOp(op, decode.getCodes());
    return success();
  }
};

/// save(save(x)) → save(x).
struct FoldSaveOfSave : OpRewritePattern<train::SaveOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(train::SaveOp op, PatternRewriter &rewriter) const override {
    auto inner = op.getValue().getDefiningOp<train::SaveOp>();
    if (!inner)
      return failure();
    rewriter.replaceOp(op, inner.getSaved());
    return success();
  }
};

struct FoldQuantizersPass : nibble::impl::FoldQuantizersBase<FoldQuantizersPass> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<FoldRoundTrip, FoldSaveOfSave>(&getContext());
    // The driver drops pure ops that nobody uses: idle quantizers, dead saves.
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace

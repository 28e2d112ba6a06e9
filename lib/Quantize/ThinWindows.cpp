//===- ThinWindows.cpp - 1×1 windows read only the pixels they use -------------===//
#include "nibble/Quantize/Passes.h"

#include "Operands.h"

namespace nibble {
#define GEN_PASS_DEF_THINWINDOWS
#include "nibble/Quantize/Passes.h.inc"
} // namespace nibble

using namespace mlir;
using namespace nibble;

/// Does the window see one pixel, and step over others?
template <typename Conv> static bool skipsPixels(Conv op, RankedTensorType window) {
  auto isOne = [](int64_t v) { return v == 1; };
  return llvm::all_of(window.getShape().slice(1, 2), isOne) &&
         !llvm::all_of(op.getStrides(), isOne) &&
         llvm::all_of(op.getPads(), [](int64_t v) { return v == 0; });
}

namespace {

struct ThinWindowsPass : nibble::impl::ThinWindowsBase<ThinWindowsPass> {
  void runOnOperation() override {
    func::FuncOp function = getOperation();
    if (function.isExternal())
      return;
    SmallVector<q4::Conv2DOp> convolutions(function.getOps<q4::Conv2DOp>());
    for (q4::Conv2DOp op : convolutions)
      if (skipsPixels(op, op.getRight().getType()))
        thin(function, op);
  }

private:
  static void thin(func::FuncOp function, q4::Conv2DOp op) {
    auto quantize = op.getLeft().getDefiningOp<q4::QuantizeOp>();
    if (!quantize || quantize.getNoise())
      return;
    SmallVector<q4::Conv2DWeightGradOp> gradients;
    for (auto gradient : function.getOps<q4::Conv2DWeightGradOp>())
      if (gradient.getLayer() == op.getLayer() &&
          throughSaves(gradient.getLeft()) == op.getLeft() &&
          skipsPixels(gradient, cast<RankedTensorType>(gradient.getResult().getType())))
        gradients.push_back(gradient);
    if (hasOtherReaders(op, gradients))
      return;
    OpBuilder builder(op);
    Value codes = codesOfRead(builder, op, quantize);
    op.getLeftMutable().assign(codes);
    op.setStrides({1, 1});
    if (gradients.empty())
      return;
    Value kept = train::SaveOp::create(builder, op.getLoc(), codes);
    for (q4::Conv2DWeightGradOp gradient : gradients) {
      gradient.getLeftMutable().assign(kept);
      gradient.setStrides({1, 1});
    }
  }

  /// Are all pixels' codes made and kept anyway?
  static bool hasOtherReaders(q4::Conv2DOp op, ArrayRef<q4::Conv2DWeightGradOp> gradients) {
    auto isOwn = [&](Operation *user) {
      return user == op || llvm::any_of(gradients, [&](q4::Conv2DWeightGradOp gradient) {
               return gradient == user;
             });
    };
    return !llvm::all_of(op.getLeft().getUsers(), [&](Operation *user) {
      auto save = dyn_cast<train::SaveOp>(user);
      return save ? llvm::all_of(save->getUsers(), isOwn) : isOwn(user);
    });
  }

  /// The codes of the pixels that the windows stand on: the same codes, since the scale is.
  static Value codesOfRead(OpBuilder &builder, q4::Conv2DOp op, q4::QuantizeOp quantize) {
    ArrayRef<int64_t> out = cast<RankedTensorType>(op.getResult().getType()).getShape(),
                      strides = op.getStrides();
    auto x = cast<RankedTensorType>(quantize.getX().getType());
    SmallVector<int64_t> shape{out[0], out[1], out[2], x.getDimSize(3)};
    Value read = nn::SliceOp::create(
        builder, op.getLoc(), RankedTensorType::get(shape, x.getElementType()), quantize.getX(),
        ArrayRef<int64_t>{0, 0, 0, 0}, ArrayRef<int64_t>{1, strides[0], strides[1], 1});
    auto type = RankedTensorType::get(shape, quantize.getCodes().getType().getElementType());
    return q4::QuantizeOp::create(builder, quantize.getLoc(), type, read, quantize.getScale(),
                                  quantize.getZeroPoint(), Value(), quantize.getQmin(),
                                  quantize.getQmax());
  }
};

} // namespace

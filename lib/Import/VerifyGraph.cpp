//===- VerifyGraph.cpp - the door of room 1 ----------------------------------===//
#include "nibble/Dialect/NN/IR/NN.h"
#include "nibble/Dialect/Train/IR/Train.h"
#include "nibble/Import/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/ADT/StringMap.h"

namespace nibble {
#define GEN_PASS_DEF_VERIFYGRAPH
#include "nibble/Import/Passes.h.inc"
} // namespace nibble

using namespace mlir;
using namespace nibble;

static InFlightDiagnostic report(Operation *op) { return op->emitError("room 1 (Import): "); }

static LogicalResult checkSignature(func::FuncOp forward) {
  bool good = true;
  auto fail = [&] { return good = false, report(forward); };
  if (!llvm::hasSingleElement(forward.getBody()))
    return fail() << "@forward has more than one block", failure();
  for (auto [i, type] : llvm::enumerate(forward.getArgumentTypes())) {
    auto tensor = dyn_cast<RankedTensorType>(type);
    bool known =
        tensor && (tensor.getElementType().isF32() || tensor.getElementType().isInteger(32));
    if (!known)
      fail() << "input " << i << " of @forward is " << type
             << ", expected a tensor of f32, or of i32 (tokens)";
    if (!forward.getArgAttrOfType<StringAttr>(i, "nn.name"))
      fail() << "input " << i << " of @forward has no name (nn.name)";
  }
  if (forward.getNumResults() != 1)
    fail() << "@forward has " << forward.getNumResults() << " outputs, expected one";
  else if (!forward.getResultAttrOfType<StringAttr>(0, "nn.name"))
    fail() << "the output of @forward has no name (nn.name)";
  return success(good);
}

static LogicalResult checkLoss(ModuleOp module, func::FuncOp forward) {
  auto loss = module->getAttrOfType<StringAttr>("nibble.loss");
  if (!loss || (loss != "softmax_cross_entropy" && loss != "mse" && loss != "bce"))
    return report(module) << "the module names no loss (nibble.loss = \"softmax_cross_entropy\", "
                             "\"mse\" or \"bce\")";
  if (loss != "softmax_cross_entropy" || forward.getNumResults() != 1)
    return success();
  auto classes = module->getAttrOfType<IntegerAttr>("nibble.classes");
  auto output = dyn_cast<RankedTensorType>(forward.getResultTypes()[0]);
  if (!classes || !output || output.getRank() < 2 || output.getRank() > 3 ||
      output.getShape().back() != classes.getInt())
    return report(forward) << "the output is " << forward.getResultTypes()[0]
                           << ", cross-entropy expects [batch, nibble.classes] or [batch, "
                              "sequence, nibble.classes]";
  return success();
}

/// Ops of nn that only gradients have.
static bool belongsToGradient(Operation *op) {
  StringRef name = op->getName().stripDialect();
  // A transposed convolution is another convolution's input gradient, as a forward product.
  if (auto product = dyn_cast<ContractionOpInterface>(op))
    return product.getProductKind() != Product::Forward;
  return name.ends_with("_grad") || name == "channel_sum" || name == "clip_learned" ||
         name == "batch_stats" || name == "batch_norm_fold" || name == "softmax_cross_entropy" ||
         name == "mse" || name == "binary_cross_entropy";
}

static LogicalResult checkOps(func::FuncOp forward) {
  bool good = true;
  llvm::StringMap<Operation *> layers;
  forward.getBody().walk([&](Operation *op) {
    bool known = isa<train::ReadOp, arith::ConstantOp, func::ReturnOp>(op) ||
                 (isa<nn::NNDialect>(op->getDialect()) && !belongsToGradient(op));
    if (!known) {
      report(op)
          << "'" << op->getName()
          << "' does not belong here: expected forward ops of nn, train.read and arith.constant";
      good = false;
    }
    if (isa<nn::NNDialect>(op->getDialect()) && isa<UnknownLoc>(op->getLoc())) {
      report(forward) << "the location of an '" << op->getName() << "' names no ONNX node";
      good = false;
    }
    if (!isa<ContractionOpInterface>(op))
      return;
    auto layer = op->getAttrOfType<StringAttr>("layer");
    if (!layer || layer.getValue().empty()) {
      report(op) << "a contraction without a layer's name";
      good = false;
    } else if (auto [place, fresh] = layers.try_emplace(layer.getValue(), op); !fresh) {
      auto diagnostic = report(op) << "the layer '" << layer.getValue() << "' exists already";
      diagnostic.attachNote(place->second->getLoc()) << "here";
      good = false;
    }
  });
  return success(good);
}

namespace {
struct VerifyGraph : nibble::impl::VerifyGraphBase<VerifyGraph> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    func::FuncOp forward;
    for (Operation &op : *module.getBody()) {
      if (isa<train::VariableOp>(op))
        continue;
      auto function = dyn_cast<func::FuncOp>(op);
      if (!function || function.getSymName() != "forward" || function.isExternal()) {
        report(&op) << "the module holds variables and @forward, not this";
        return signalPassFailure();
      }
      forward = function;
    }
    if (!forward) {
      report(module) << "there is no @forward";
      return signalPassFailure();
    }
    bool good = succeeded(checkSignature(forward));
    good &= succeeded(checkLoss(module, forward));
    good &= succeeded(checkOps(forward));
    if (!good)
      signalPassFailure();
  }
};
} // namespace

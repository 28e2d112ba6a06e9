//===- QuantizedOperands.cpp - what evaluation multiplies, for a file ----------------===//
//
// A scale is a function of variables alone once ranges are set: weights' maxima or SAWB, learned
// bounds, stored ranges. That part of @eval_step is copied into a function of its own, in which what
// would look at the data (to set a range) looks at a zero instead, and run by the interpreter.
//
//===----------------------------------------------------------------------===//
#include "nibble/Driver/QuantizedOperands.h"

#include "nibble/Analysis/NonNegative.h"
#include "nibble/Analysis/Slices.h"
#include "nibble/Dialect/NN/IR/NN.h"
#include "nibble/Dialect/Q4/IR/Q4.h"
#include "nibble/Numerics/Int4.h"
#include "nibble/Reference/Interpreter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace nibble;
using importer::QuantizedOperand;

namespace {

/// Copies the computation of scalars out of a function.
class ScaleFunction {
public:
  explicit ScaleFunction(ModuleOp module) : module(module), builder(module.getContext()) {
    builder.setInsertionPointToEnd(module.getBody());
    function = func::FuncOp::create(builder, module.getLoc(), "nibble.scales", builder.getFunctionType({}, {}));
    builder.setInsertionPointToStart(function.addEntryBlock());
    auto type = RankedTensorType::get({1}, builder.getF32Type());
    nothing = arith::ConstantOp::create(builder, module.getLoc(), DenseElementsAttr::get(type, 0.0f));
  }

  /// The place of the value among the results. Its stored ranges and bounds are added to `ranges`.
  size_t add(Value value, SmallVectorImpl<StringRef> &ranges) {
    results.push_back(copy(value, ranges));
    return results.size() - 1;
  }

  FailureOr<reference::RunResult<float>> run(const ReadVariable &read) {
    func::ReturnOp::create(builder, module.getLoc(), results);
    function.setFunctionType(builder.getFunctionType({}, llvm::to_vector(TypeRange(ValueRange(results)))));
    FailureOr<reference::VariableStore<float>> store = reference::VariableStore<float>::fromModule(module);
    if (failed(store))
      return failure();
    for (auto variable : module.getOps<train::VariableOp>()) {
      auto type = dyn_cast<RankedTensorType>(variable.getType());
      if (type && type.getElementType().isF32())
        store->set(variable.getSymName(), reference::Tensor<float>::real(type.getShape(), read(variable.getSymName())));
    }
    return reference::Interpreter<float>().run(function, {}, *store);
  }

private:
  Value copy(Value value, SmallVectorImpl<StringRef> &ranges) {
    Operation *op = value.getDefiningOp();
    if (auto read = dyn_cast<train::ReadOp>(op)) {
      auto variable = module.lookupSymbol<train::VariableOp>(read.getVariable());
      if (variable.getRole() == train::Role::Range || variable.getRole() == train::Role::Clip)
        ranges.push_back(variable.getSymName());
    }
    if (mapping.contains(value))
      return mapping.lookup(value);
    bool looksAtData = isa<q4::InitClipOp, q4::FrozenRangeOp, q4::RangeOp>(op);
    for (Value operand : op->getOperands())
      if (looksAtData && cast<RankedTensorType>(operand.getType()).getRank() > 0)
        mapping.map(operand, nothing);
      else
        copy(operand, ranges);
    builder.clone(*op, mapping);
    return mapping.lookup(value);
  }

  ModuleOp module;
  OpBuilder builder;
  func::FuncOp function;
  Value nothing;
  IRMapping mapping;
  SmallVector<Value> results;
};

/// One operand on the way to a file.
struct Site {
  QuantizedOperand operand;
  q4::QuantizeOp quantize;
  std::string layer;
  size_t scale = 0;
  std::optional<size_t> zeroPoint, bound;
  SmallVector<StringRef> ranges;
};

/// Type, codes and bounds from the level set.
void describeCodes(Site &site, float scale, int zeroPoint, std::optional<float> bound) {
  QuantizedOperand &o = site.operand;
  q4::QuantizeOp quantize = site.quantize;
  o.scale = scale;
  o.zeroPoint = zeroPoint, o.low = quantize.getQmin(), o.high = quantize.getQmax();
  bool wide = isa<q4::Int8Type>(getElementTypeOrSelf(quantize.getCodes().getType()));
  bool oneSided = !wide && zeroPoint == numerics::kOneSided.zeroPoint && o.low == numerics::kOneSided.qmin;
  o.codes = wide ? QuantizedOperand::Codes::Int8 : oneSided ? QuantizedOperand::Codes::UInt4 : QuantizedOperand::Codes::Int4;
  if (oneSided) // 0 … 15, as ONNX's type has it
    o.zeroPoint -= zeroPoint, o.low -= zeroPoint, o.high -= zeroPoint;
  bool symmetric = o.zeroPoint == 0 && o.low == -o.high;
  if (o.isWeight)
    return;
  if (bound)
    o.clip = {symmetric ? -*bound : 0.0f, *bound};
  else if (symmetric && !isNonNegative(quantize.getX())) // the type has one code more below
    o.clip = {scale * static_cast<float>(o.low), scale * static_cast<float>(o.high)};
}

class Reader {
public:
  Reader(ModuleOp module, const ReadVariable &read) : module(module), read(read), scales(module) {}

  Result<std::vector<QuantizedOperand>> run() {
    auto eval = module.lookupSymbol<func::FuncOp>("eval_step");
    auto nodes = module->getAttrOfType<DictionaryAttr>("nibble.onnx_nodes");
    if (!eval || !nodes)
      return Status::error("internal: no @eval_step, or no nibble.onnx_nodes, to read quantized layers off");
    for (auto op : eval.getOps<ContractionOpInterface>())
      if (isa<q4::Q4Dialect>(op->getDialect()))
        if (auto node = nodes.getAs<StringAttr>(op.getLayerName()))
          for (size_t i : {0, 1})
            add(op, i, node.str());
    auto outcome = scales.run(read);
    if (failed(outcome))
      return Status::error("internal: the scales of evaluation cannot be computed");
    std::vector<QuantizedOperand> operands;
    for (Site &site : sites) {
      if (Status status = finish(site, *outcome); !status)
        return status;
      operands.push_back(site.operand);
    }
    return operands;
  }

private:
  void add(ContractionOpInterface op, size_t input, const std::string &node) {
    auto quantize = op->getOperand(input).getDefiningOp<q4::QuantizeOp>();
    if (!quantize)
      return;
    Site site;
    site.quantize = quantize;
    site.layer = op.getLayerName().str();
    site.operand.node = node;
    site.operand.input = input;
    site.operand.isWeight = isWeight(quantize.getX());
    site.scale = scales.add(quantize.getScale(), site.ranges);
    if (quantize.getZeroPoint())
      site.zeroPoint = scales.add(quantize.getZeroPoint(), site.ranges);
    if (auto clip = quantize.getX().getDefiningOp<nn::ClipLearnedOp>())
      site.bound = scales.add(clip.getAlpha(), site.ranges);
    sites.push_back(std::move(site));
  }

  Status finish(Site &site, const reference::RunResult<float> &outcome) {
    bool set = site.ranges.empty() || llvm::any_of(site.ranges, [&](StringRef name) { return read(name).front() != 0; });
    if (!set)
      return Status::error("layer '" + site.layer +
                           "' has no range for its activations yet: train, or score data once (--data), before exporting codes");
    std::optional<float> bound;
    if (site.bound)
      bound = outcome.outputs[*site.bound].reals.front();
    describeCodes(site, outcome.outputs[site.scale].reals.front(),
                  site.zeroPoint ? outcome.outputs[*site.zeroPoint].ints.front() : 0, bound);
    return Status::success();
  }

  ModuleOp module;
  const ReadVariable &read;
  ScaleFunction scales;
  std::vector<Site> sites;
};

} // namespace

Result<std::vector<QuantizedOperand>> nibble::quantizedOperands(ModuleOp quantized, const ReadVariable &read) {
  OwningOpRef<ModuleOp> copy = quantized.clone();
  return Reader(*copy, read).run();
}

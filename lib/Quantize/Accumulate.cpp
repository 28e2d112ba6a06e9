//===- Accumulate.cpp - updates of several micro-batches ------------------------===//
#include "nibble/Quantize/Passes.h"

#include "Operands.h"

#include "nibble/Analysis/Names.h"
#include "nibble/Dialect/Train/IR/Train.h"
#include "nibble/Recipe/StepOptions.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

namespace nibble {
#define GEN_PASS_DEF_ACCUMULATEMICROBATCHES
#include "nibble/Quantize/Passes.h.inc"
} // namespace nibble

using namespace mlir;
using namespace nibble;

namespace {

class Accumulation {
public:
  Accumulation(ModuleOp module, func::FuncOp function, train::GuardOp guard, int64_t count)
      : module(module), block(function.getBody().front()), guard(guard), count(count),
        builder(module.getContext()) {}

  LogicalResult run() {
    Value rng = randomState();
    if (!rng)
      return guard.emitError("accumulate: @train_step has no random state of type tensor<2xi64>");
    builder.setInsertionPointToStart(&block);
    auto flag = RankedTensorType::get({}, builder.getI1Type());
    auto micro = train::MicroBatchOp::create(builder, guard.getLoc(), flag, flag, rng, count);
    first = micro.getFirst(), last = micro.getLast();
    SmallVector<train::WriteOp> writes(block.getOps<train::WriteOp>());
    for (Value gradient : gradients())
      average(gradient);
    for (q4::InitClipOp bound : llvm::to_vector(block.getOps<q4::InitClipOp>()))
      keepBound(bound);
    for (train::WriteOp write : writes)
      commit(write);
    return success();
  }

private:
  Value randomState() {
    for (BlockArgument argument : block.getArguments())
      if (auto type = dyn_cast<RankedTensorType>(argument.getType());
          type && type.getElementType().isInteger(64) && type.getShape() == ArrayRef<int64_t>{2})
        return argument;
    return {};
  }

  /// What the optimizers take, before it is clipped, and whose it is.
  SmallVector<Value> gradients() {
    llvm::SetVector<Value> found;
    auto add = [&](Value theta, Value gradient) {
      if (auto clipped = gradient.getDefiningOp<nn::MulOp>();
          clipped && clipped.getB().getDefiningOp<train::ClipFactorOp>())
        gradient = clipped.getA();
      if (found.insert(gradient))
        names[gradient] = nameOf(theta);
    };
    for (Operation &op : block) {
      if (auto sgd = dyn_cast<train::SgdOp>(op))
        add(sgd.getTheta(), sgd.getGrad());
      if (auto adam = dyn_cast<train::AdamOp>(op))
        add(adam.getTheta(), adam.getGrad());
    }
    return found.takeVector();
  }

  /// The variable behind a parameter's value (a bound goes through q4.init_clip).
  static std::string nameOf(Value theta) {
    theta = throughSaves(theta);
    if (auto bound = theta.getDefiningOp<q4::InitClipOp>())
      theta = throughSaves(bound.getAlpha());
    auto read = theta.getDefiningOp<train::ReadOp>();
    return read ? read.getVariable().str() : "parameter";
  }

  train::VariableOp newVariable(const std::string &name, Type type, train::Role role) {
    OpBuilder top(module.getContext());
    top.setInsertionPoint(*module.getOps<func::FuncOp>().begin());
    std::string symbol = freeSymbol(module, name);
    return train::VariableOp::create(top, guard.getLoc(), symbol, cast<RankedTensorType>(type),
                                     role,
                                     /*trainable=*/false, /*decay=*/false, /*onnx_name=*/"",
                                     /*layout=*/"", /*value=*/ElementsAttr());
  }

  void write(StringAttr variable, Value value) {
    OpBuilder end(block.getTerminator());
    train::WriteOp::create(end, value.getLoc(), FlatSymbolRefAttr::get(variable), value);
  }

  /// The variable's one read.
  Value read(FlatSymbolRefAttr variable, Type type) {
    for (auto op : block.getOps<train::ReadOp>())
      if (op.getVariableAttr() == variable) {
        if (&block.front() != op)
          op->moveBefore(&block.front());
        return op;
      }
    OpBuilder start = OpBuilder::atBlockBegin(&block);
    return train::ReadOp::create(start, guard.getLoc(), type, variable);
  }

  /// (first ? g : sum + g)·(1/N) in the place of g.
  void average(Value g) {
    builder.setInsertionPointAfterValue(g);
    Location loc = g.getLoc();
    train::VariableOp variable =
        newVariable(names[g] + ".gradient_sum", g.getType(), train::Role::Moment);
    Value before = read(FlatSymbolRefAttr::get(variable.getSymNameAttr()), g.getType());
    Value added = nn::AddOp::create(builder, loc, g.getType(), before, g);
    Value sum = nn::SelectOp::create(builder, loc, g.getType(), first, g, added);
    auto scalar = RankedTensorType::get({}, builder.getF32Type());
    Value share = arith::ConstantOp::create(
        builder, loc,
        DenseElementsAttr::get(scalar, static_cast<float>(1.0 / static_cast<double>(count))));
    Value mean = nn::MulOp::create(builder, loc, g.getType(), sum, share);
    // Only the update: a gradient may also be on its way to parameters before this one.
    g.replaceUsesWithIf(mean, [&](OpOperand &use) {
      Operation *user = use.getOwner();
      auto clip = dyn_cast<nn::MulOp>(user);
      return isa<train::SgdOp, train::AdamOp, train::ClipFactorOp, q4::NonFiniteOp>(user) ||
             (clip && clip.getB().getDefiningOp<train::ClipFactorOp>());
    });
    write(variable.getSymNameAttr(), sum);
  }

  /// last ? new : old. Running statistics go through their shadow.
  void commit(train::WriteOp op) {
    auto variable = module.lookupSymbol<train::VariableOp>(op.getVariable());
    builder.setInsertionPoint(op);
    Type type = op.getValue().getType();
    Value old = read(op.getVariableAttr(), type);
    if (variable.getRole() == train::Role::RunningStat)
      followInShadow(variable, old, op.getValue());
    builder.setInsertionPoint(op);
    Value value = nn::SelectOp::create(builder, op.getLoc(), type, last, op.getValue(), old);
    op.getValueMutable().assign(value);
  }

  /// A bound that no batch has set is set by the first micro-batch, and the others use it.
  void keepBound(q4::InitClipOp op) {
    if (auto alpha = op.getAlpha().getDefiningOp<train::ReadOp>())
      followInShadow(module.lookupSymbol<train::VariableOp>(alpha.getVariable()),
                     read(alpha.getVariableAttr(), alpha.getType()), op.getResult());
  }

  /// Within an update the variable is what the micro-batch before left.
  void followInShadow(train::VariableOp variable, Value old, Value next) {
    train::VariableOp shadow =
        newVariable((variable.getSymName() + ".shadow").str(), old.getType(), train::Role::Moment);
    Value before = read(FlatSymbolRefAttr::get(shadow.getSymNameAttr()), old.getType());
    OpBuilder::InsertionGuard restore(builder);
    builder.setInsertionPointAfter(first.getDefiningOp());
    Value now = nn::SelectOp::create(builder, variable.getLoc(), old.getType(), first, old, before);
    old.replaceUsesWithIf(now,
                          [&](OpOperand &use) { return use.getOwner() != now.getDefiningOp(); });
    write(shadow.getSymNameAttr(), next);
  }

  ModuleOp module;
  Block &block;
  train::GuardOp guard;
  int64_t count;
  OpBuilder builder;
  Value first, last;
  llvm::DenseMap<Value, std::string> names;
};

struct AccumulateMicroBatchesPass
    : nibble::impl::AccumulateMicroBatchesBase<AccumulateMicroBatchesPass> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    auto attribute = module->getAttrOfType<StringAttr>("nibble.step");
    std::string wrong;
    std::optional<StepOptions> options =
        attribute ? parseStepOptions(attribute.str(), &wrong) : StepOptions();
    if (!options) {
      module.emitError("accumulate: attribute 'nibble.step': ") << wrong;
      return signalPassFailure();
    }
    auto function = module.lookupSymbol<func::FuncOp>("train_step");
    if (options->accumulate == 1 || !function || function.isExternal())
      return;
    auto guards = function.getBody().front().getOps<train::GuardOp>();
    if (guards.empty()) {
      function.emitError("accumulate: @train_step has no guard");
      return signalPassFailure();
    }
    if (failed(Accumulation(module, function, *guards.begin(), options->accumulate).run()))
      signalPassFailure();
  }
};

} // namespace

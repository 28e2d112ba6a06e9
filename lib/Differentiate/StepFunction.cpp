//===- StepFunction.cpp - what train_step and eval_step share ----------------------===//
#include "StepFunction.h"

#include "nibble/Analysis/ModuleRecipe.h"
#include "nibble/Dialect/Q4/IR/Q4.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;
using namespace nibble;

FailureOr<func::FuncOp> nibble::findForward(ModuleOp module) {
  auto forward = module.lookupSymbol<func::FuncOp>("forward");
  if (!forward || forward.isExternal())
    return module.emitError("room Differentiate: there is no function @forward");
  FunctionType type = forward.getFunctionType();
  auto isReal = [](Type type) {
    auto tensor = dyn_cast<RankedTensorType>(type);
    return tensor && tensor.hasStaticShape() && tensor.getElementType().isF32();
  };
  auto isTokens = [](Type type) {
    auto tensor = dyn_cast<RankedTensorType>(type);
    return tensor && tensor.hasStaticShape() && tensor.getElementType().isInteger(32);
  };
  if (!forward.getBody().hasOneBlock() || type.getNumInputs() != 1 || type.getNumResults() != 1 ||
      (!isReal(type.getInput(0)) && !isTokens(type.getInput(0))) || !isReal(type.getResult(0)))
    return forward.emitError(
               "room Differentiate: @forward takes one f32 tensor (or tokens, i32) and "
               "returns one f32 tensor, in one block; found ")
           << type;
  return forward;
}

FailureOr<StepOptions> nibble::resolveStepOptions(ModuleOp module, const std::string &text) {
  std::string error;
  std::optional<StepOptions> options = parseStepOptions(text, &error);
  if (!options)
    return module.emitError() << error;
  if (options->loss != Loss::FromModel)
    return *options;
  auto name = module->getAttrOfType<StringAttr>("nibble.loss");
  if (!name)
    return module.emitError(
        "no loss: the module has no attribute 'nibble.loss', and option 'loss' is not set "
        "(softmax_cross_entropy, mse or bce)");
  if (error = setStepOption(*options, "loss", name.str());
      !error.empty() || options->loss == Loss::FromModel)
    return module.emitError() << "attribute 'nibble.loss' is '" << name.getValue()
                              << "': softmax_cross_entropy, mse or bce expected";
  return *options;
}

StepFunction nibble::copyForward(func::FuncOp forward, StringRef name,
                                 ArrayRef<std::pair<StringRef, Type>> arguments,
                                 TypeRange results) {
  OpBuilder builder(forward.getContext());
  Operation *last = forward;
  for (StringRef sibling : {"train_step", "eval_step"})
    if (auto function = forward->getParentOfType<ModuleOp>().lookupSymbol(sibling))
      last = function;
  builder.setInsertionPointAfter(last);
  SmallVector<Type> inputs = {forward.getFunctionType().getInput(0)};
  for (auto [argument, type] : arguments)
    inputs.push_back(type);
  auto function = func::FuncOp::create(builder, forward.getLoc(), name,
                                       builder.getFunctionType(inputs, results));
  Block *block = function.addEntryBlock();
  if (auto attribute = forward.getArgAttr(0, "nn.name"))
    function.setArgAttr(0, "nn.name", attribute);
  for (auto [i, argument] : llvm::enumerate(arguments))
    function.setArgAttr(i + 1, "nn.name", builder.getStringAttr(argument.first));

  StepFunction step{function, OpBuilder::atBlockEnd(block), block->getArgument(0), {}, {}};
  IRMapping mapping;
  mapping.map(forward.getArgument(0), step.input);
  for (Operation &op : forward.getBody().front().without_terminator()) {
    auto read = dyn_cast<train::ReadOp>(op);
    if (read && step.reads.contains(read.getVariableAttr().getAttr())) {
      mapping.map(read.getResult(), step.reads[read.getVariableAttr().getAttr()].getResult());
      continue;
    }
    Operation *copy = step.builder.clone(op, mapping);
    if (read)
      step.reads[read.getVariableAttr().getAttr()] = cast<train::ReadOp>(copy);
  }
  step.output = mapping.lookup(forward.getBody().front().getTerminator()->getOperand(0));
  return step;
}

/// [batch, sequence, classes] rather than [batch, classes, 1]?
static bool isSequence(RankedTensorType output) {
  return output.getRank() == 3 && output.getDimSize(2) > 1;
}

Type nibble::targetType(Loss loss, RankedTensorType output) {
  if (loss != Loss::SoftmaxCrossEntropy)
    return output;
  auto label = IntegerType::get(output.getContext(), 32);
  if (isSequence(output))
    return RankedTensorType::get(output.getShape().drop_back(), label);
  int64_t rows = output.getRank() == 0 ? 1 : output.getDimSize(0);
  return RankedTensorType::get({rows}, label);
}

/// (1 − ε)·loss + ε·mean(−log softmax): cross-entropy with the answers (1 − ε)·onehot + ε/classes.
static Value smoothLabels(OpBuilder &builder, Location loc, Value loss, Value logits,
                          double smoothing) {
  auto constant = [&](double value) -> Value {
    auto type = RankedTensorType::get({}, builder.getF32Type());
    return arith::ConstantOp::create(builder, loc,
                                     DenseElementsAttr::get(type, static_cast<float>(value)));
  };
  Value logs = nn::LogSoftmaxOp::create(builder, loc, logits.getType(), logits);
  auto axes =
      llvm::to_vector(llvm::seq<int64_t>(0, cast<RankedTensorType>(logits.getType()).getRank()));
  Value mean = nn::ReduceMeanOp::create(builder, loc, logs, axes);
  mean = nn::ReshapeOp::create(builder, loc, loss.getType(), mean);
  Value sharp = nn::MulOp::create(builder, loc, loss, constant(1 - smoothing));
  Value flat = nn::MulOp::create(builder, loc, mean, constant(smoothing));
  return nn::SubOp::create(builder, loc, sharp, flat);
}

FailureOr<LossValues> nibble::buildLoss(OpBuilder &builder, Location loc,
                                        const StepOptions &options, Value output, Value target,
                                        Value valid) {
  Loss loss = options.loss;
  auto type = cast<RankedTensorType>(output.getType());
  auto scalar = RankedTensorType::get({}, builder.getF32Type());
  auto count = RankedTensorType::get({}, builder.getI32Type());
  if (loss == Loss::Mse) {
    Value mse = nn::MseOp::create(builder, loc, scalar, output, target, valid);
    Value zero = arith::ConstantOp::create(builder, loc, DenseElementsAttr::get(count, int32_t(0)));
    return LossValues{mse, zero};
  }
  if (loss == Loss::BinaryCrossEntropy) {
    auto entropy =
        nn::BinaryCrossEntropyOp::create(builder, loc, scalar, count, output, target, valid);
    return LossValues{entropy.getLoss(), entropy.getCorrect()};
  }
  bool rows = type.getRank() >= 2 &&
              llvm::all_of(type.getShape().drop_front(2), [](int64_t size) { return size == 1; });
  if (!rows && !isSequence(type))
    return emitError(loc)
           << "cross-entropy takes an output of rows×classes (other dimensions 1) or "
              "of batch×sequence×classes, the network's output is "
           << type;
  if (rows && type.getRank() > 2)
    output = nn::ReshapeOp::create(builder, loc,
                                   type.clone({type.getDimSize(0), type.getDimSize(1)}), output);
  auto entropy =
      nn::SoftmaxCrossEntropyOp::create(builder, loc, scalar, count, output, target, valid);
  // Evaluation scores the answers as they are.
  Value value = entropy.getLoss();
  if (options.labelSmoothing > 0 && !valid)
    value = smoothLabels(builder, loc, value, output, options.labelSmoothing);
  return LossValues{value, entropy.getCorrect()};
}

FailureOr<ClipBounds> nibble::initializeClips(StepFunction &step) {
  auto clips = llvm::to_vector(step.block().getOps<nn::ClipLearnedOp>());
  ClipBounds bounds;
  if (clips.empty())
    return bounds;
  FailureOr<Recipe> recipe = moduleRecipe(step.function->getParentOfType<ModuleOp>());
  if (failed(recipe))
    return failure();
  for (nn::ClipLearnedOp clip : clips) {
    auto read = clip.getAlpha().getDefiningOp<train::ReadOp>();
    if (!read)
      return clip.emitError("the bound of a learned clip is the read of a variable");
    if (bounds.contains(read.getVariableAttr().getAttr()))
      return clip.emitError("two learned clips share the bound ") << read.getVariableAttr();
    OpBuilder builder(clip);
    Value bound = q4::InitClipOp::create(
        builder, clip.getLoc(), clip.getAlpha().getType(), clip.getAlpha(), clip.getX(),
        builder.getF32FloatAttr(recipe->pactInit), builder.getF32FloatAttr(recipe->pactFloor));
    clip.getAlphaMutable().assign(bound);
    bounds[read.getVariableAttr().getAttr()] = bound;
  }
  return bounds;
}

nn::BatchNormFoldOp nibble::foldBatchNorm(nn::BatchNormOp op) {
  OpBuilder builder(op);
  Type vector = op.getScale().getType();
  return nn::BatchNormFoldOp::create(builder, op.getLoc(), vector, vector, vector, op.getScale(),
                                     op.getBias(), op.getMean(), op.getVariance(),
                                     op.getEpsilonAttr());
}

void nibble::eraseUnused(Block &block) {
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
    if (op.use_empty() && (isa<train::ReadOp>(op) ||
                           (isMemoryEffectFree(&op) && !op.hasTrait<OpTrait::IsTerminator>())))
      op.erase();
}

//===- BuildTrainStep.cpp - forward, loss, backward, update -------------------------===//
#include "nibble/Differentiate/Passes.h"

#include "Expansion.h"
#include "Optimizers.h"
#include "StepFunction.h"

#include "nibble/Analysis/ModuleRecipe.h"
#include "nibble/Dialect/Q4/IR/Q4.h"
#include "nibble/Differentiate/Adjoint.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace nibble;

namespace nibble {
#define GEN_PASS_DEF_BUILDTRAINSTEP
#include "nibble/Differentiate/Passes.h.inc"
} // namespace nibble

namespace {

/// Arguments of @train_step.
enum Argument { X, Target, Rate, Number, Random };

/// One trained variable on its way through the step.
struct Parameter {
  train::VariableOp variable;
  /// The value that the gradient is of: the read, or a clip's bound.
  Value theta;
  Value gradient, clipped, updated;
};

class TrainStep {
public:
  TrainStep(ModuleOp module, const StepOptions &options, StepFunction step,
            const ClipBounds &bounds)
      : module(module), options(options), step(std::move(step)), bounds(bounds) {}

  LogicalResult build(Location lossLoc) {
    collectParameters();
    if (parameters.empty())
      return module.emitError("nothing is trainable: no variable that @forward reads is marked "
                              "trainable (--train=REGEX)");
    FailureOr<Expansion> expansion = Expansion::prepare(step, step.argument(Random));
    FailureOr<LossValues> loss =
        buildLoss(step.builder, lossLoc, options, step.output, step.argument(Target));
    if (failed(expansion) || failed(loss) || failed(differentiate(*expansion, loss->loss)))
      return failure();
    expansion->finish();
    update(loss->loss, *expansion);
    func::ReturnOp::create(step.builder, lossLoc, ValueRange{loss->loss, loss->correct});
    eraseUnused(step.block());
    return success();
  }

private:
  void collectParameters() {
    for (auto variable : module.getOps<train::VariableOp>()) {
      auto read = step.reads.find(variable.getSymNameAttr());
      if (!variable.getTrainable() || read == step.reads.end())
        continue;
      auto bound = bounds.find(variable.getSymNameAttr());
      parameters.push_back(
          {variable, bound == bounds.end() ? read->second.getResult() : bound->second, {}, {}, {}});
    }
  }

  LogicalResult differentiate(const Expansion &expansion, Value loss) {
    auto leaves =
        llvm::map_to_vector(parameters, [](const Parameter &parameter) { return parameter.theta; });
    ReverseMode mode(step.builder, step.block(), leaves, step.argument(X));
    for (auto [op, companion] : expansion.companions())
      mode.attachCompanion(op, companion);
    mode.seed(loss, mode.constant(1.0));
    if (failed(mode.run()))
      return failure();
    for (Parameter &parameter : parameters) {
      parameter.gradient = mode.gradientOf(parameter.theta);
      if (parameter.gradient)
        parameter.theta = mode.save(parameter.theta);
    }
    dropUntouched();
    if (parameters.empty())
      return module.emitError("nothing is trainable: no trainable variable influences the loss");
    if (!bounds.empty())
      floor = mode.constant(moduleRecipe(module)->pactFloor);
    return success();
  }

  /// A trainable variable that does not influence the loss stays what it is.
  void dropUntouched() {
    llvm::erase_if(parameters, [](Parameter &parameter) {
      if (parameter.gradient)
        return false;
      parameter.variable.emitWarning() << "variable @" << parameter.variable.getSymName()
                                       << " does not influence the loss: it is not trained";
      parameter.variable.setTrainable(false);
      return true;
    });
  }

  /// Clipping by global norm: all gradients times min(1, limit/norm).
  void clipGradients(Location loc) {
    if (options.clipNorm == 0)
      return;
    OpBuilder &b = step.builder;
    auto all = llvm::map_to_vector(parameters, [](const Parameter &p) { return p.gradient; });
    auto scalar = RankedTensorType::get({}, b.getF32Type());
    auto clip = train::ClipFactorOp::create(b, loc, scalar, scalar, all,
                                            b.getF64FloatAttr(options.clipNorm));
    for (Parameter &parameter : parameters)
      parameter.clipped =
          nn::MulOp::create(b, parameter.variable.getLoc(), parameter.gradient, clip.getFactor());
    norm = clip.getNorm();
  }

  void update(Value loss, const Expansion &expansion) {
    OpBuilder &b = step.builder;
    clipGradients(loss.getLoc());
    OptimizerBuilder optimizer(step, options, step.argument(Rate), step.argument(Number));
    for (Parameter &parameter : parameters) {
      bool isClip = bounds.contains(parameter.variable.getSymNameAttr());
      // The gradient of λ·α² is 2·λ·α.
      double l2 = isClip ? 2 * moduleRecipe(module)->pactDecay : 0;
      Value gradient = parameter.clipped ? parameter.clipped : parameter.gradient;
      parameter.updated = optimizer.update(parameter.variable, parameter.theta, gradient, l2,
 parameter.variable.getDecay());
      if (isClip)
        parameter.updated =
            nn::MaxOp::create(b, parameter.variable.getLoc(), parameter.updated, floor);
    }
    guard(loss);
    for (Parameter &parameter : parameters)
      write(parameter.variable.getSymNameAttr(), parameter.updated);
    for (auto [name, value] : optimizer.moments())
      write(name, value);
    for (auto [name, value] : expansion.newStatistics())
      write(name, value);
  }

  /// Nothing is written where the loss or a parameter's gradient is NaN or ±Inf (numerics.md,
  /// section 7).
  void guard(Value loss) {
    OpBuilder &b = step.builder;
    auto flagType = RankedTensorType::get({}, b.getI1Type());
    SmallVector<Value> flags = {q4::NonFiniteOp::create(b, loss.getLoc(), flagType, loss, true)};
    for (Parameter &parameter : parameters)
      flags.push_back(q4::NonFiniteOp::create(b, parameter.variable.getLoc(), flagType,
                                              parameter.gradient, true));
    if (norm) { // squares can exceed f32 where the gradients do not
      flags.push_back(q4::NonFiniteOp::create(b, loss.getLoc(), flagType, norm, true));
      train::ReportOp::create(b, loss.getLoc(), norm, b.getStrArrayAttr({"all/gradient/norm"}), 0);
    }
    Value flag = q4::OrOp::create(b, loss.getLoc(), flagType, flags);
    train::GuardOp::create(b, loss.getLoc(), flag);
  }

  void write(StringAttr name, Value value) {
    train::WriteOp::create(step.builder, value.getLoc(), FlatSymbolRefAttr::get(name), value);
  }

  ModuleOp module;
  const StepOptions &options;
  StepFunction step;
  const ClipBounds &bounds;
  SmallVector<Parameter> parameters;
  /// Of a learned clip; of all gradients, where it is limited.
  Value floor, norm;
};

struct BuildTrainStepPass : nibble::impl::BuildTrainStepBase<BuildTrainStepPass> {
  using BuildTrainStepBase::BuildTrainStepBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    FailureOr<func::FuncOp> forward = findForward(module);
    FailureOr<StepOptions> options = resolveStepOptions(module, step);
    if (failed(forward) || failed(options))
      return signalPassFailure();
    OpBuilder b(&getContext());
    auto output = cast<RankedTensorType>(forward->getFunctionType().getResult(0));
    auto scalar = [](Type type) { return RankedTensorType::get({}, type); };
    std::pair<StringRef, Type> arguments[] = {
        {options->loss != Loss::SoftmaxCrossEntropy ? "target" : "labels", targetType(options->loss, output)},
        {"lr", scalar(b.getF64Type())},
        {"step", scalar(b.getI64Type())},
        {"rng", RankedTensorType::get({2}, b.getI64Type())}};
    Type results[] = {scalar(b.getF32Type()), scalar(b.getI32Type())};
    StepFunction function = copyForward(*forward, "train_step", arguments, results);
    FailureOr<ClipBounds> bounds = initializeClips(function);
    Operation *terminator = forward->getBody().front().getTerminator();
    if (failed(bounds) ||
        failed(TrainStep(module, *options, function, *bounds).build(terminator->getLoc()))) {
      function.function.erase();
      return signalPassFailure();
    }
    module->setAttr("nibble.step", b.getStringAttr(toString(*options)));
  }
};
} // namespace

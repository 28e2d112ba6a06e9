//===- InterpretedStep.cpp - A step that the interpreter runs -----------------===//
#include "nibble/Driver/InterpretedStep.h"

#include "nibble/Dialect/Train/IR/Train.h"
#include "nibble/Recipe/StepOptions.h"

#include "mlir/IR/Diagnostics.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::reference;

/// Collects the errors that are emitted while it lives.
namespace {
class Errors {
public:
  explicit Errors(MLIRContext *context)
      : handler(context, [this](Diagnostic &diagnostic) {
          if (diagnostic.getSeverity() == DiagnosticSeverity::Error)
            text += (text.empty() ? "" : "\n") + diagnostic.str();
        }) {}
  Status status() const {
    return Status::error(text.empty() ? "the interpreter failed without a message" : text);
  }

private:
  std::string text;
  ScopedDiagnosticHandler handler;
};
} // namespace

Result<std::unique_ptr<InterpretedStep>> InterpretedStep::create(OwningOpRef<ModuleOp> module,
                                                                 uint64_t seed) {
  std::unique_ptr<InterpretedStep> step(new InterpretedStep(std::move(module), seed));
  if (Status status = step->bind(); !status)
    return status;
  return step;
}

/// Keys of the function's reports, in program order.
static std::vector<std::string> reportKeys(func::FuncOp function) {
  std::vector<std::string> keys;
  function.walk([&](train::ReportOp op) {
    for (StringRef key : op.getKeys().getAsValueRange<StringAttr>())
      keys.push_back(key.str());
  });
  return keys;
}

Status InterpretedStep::bind() {
  trainStep = module->lookupSymbol<func::FuncOp>("train_step");
  evalStep = module->lookupSymbol<func::FuncOp>("eval_step");
  if (!trainStep || !evalStep)
    return Status::error("the module has no @train_step or no @eval_step to interpret");
  if (trainStep.getNumArguments() != 5 || evalStep.getNumArguments() != 3 ||
      trainStep.getNumResults() < 1 || evalStep.getNumResults() < 1)
    return Status::error(
        "@train_step takes (x, labels, lr, step, rng) and @eval_step (x, labels, valid)");
  input = dyn_cast<RankedTensorType>(trainStep.getArgument(0).getType());
  answer = dyn_cast<RankedTensorType>(trainStep.getArgument(1).getType());
  bool readsTokens = input && input.getElementType().isInteger(32);
  if (!input || !(readsTokens || input.getElementType().isF32()) || input.getRank() < 1 || !answer)
    return Status::error("@train_step's input is not a tensor of f32, or of tokens (i32), with a batch dimension");
  if (readsTokens)
    if (auto count = module->getOperation()->getAttrOfType<IntegerAttr>("nibble.tokens"))
      tokens = count.getInt();
  if (answer.getElementType().isInteger(32)) {
    if (auto count = module->getOperation()->getAttrOfType<IntegerAttr>("nibble.classes"))
      classes = count.getInt();
    else if (auto output = dyn_cast<RankedTensorType>(evalStep.getResultTypes().back());
             output && output.getRank() > 0)
      classes = output.getShape().back();
  }
  auto loss = module->getOperation()->getAttrOfType<StringAttr>("nibble.loss");
  counts = classes > 0 || (loss && loss == "bce");
  if (auto step = module->getOperation()->getAttrOfType<StringAttr>("nibble.step"))
    if (std::optional<StepOptions> options = parseStepOptions(step.str()))
      micro = options->accumulate;
  Errors errors(module->getContext());
  FailureOr<VariableStore<float>> initial = VariableStore<float>::fromModule(*module);
  if (failed(initial))
    return errors.status();
  store = std::move(*initial);
  health = HealthReport(reportKeys(trainStep));
  return Status::success();
}

std::vector<int64_t> InterpretedStep::targetShape() const {
  return answer.getElementType().isF32() ? answer.getShape().vec() : std::vector<int64_t>();
}

Result<llvm::SmallVector<Tensor<float>>>
InterpretedStep::batchArguments(const runtime::Batch &batch) const {
  llvm::SmallVector<Tensor> arguments;
  if (!batch.x)
    return Status::error("a batch has no input");
  int64_t places = input.getNumElements(), n = answer.getNumElements();
  if (input.getElementType().isInteger(32))
    arguments.push_back(Tensor::integer(ElementKind::Label, input.getShape(),
                                        std::vector<int32_t>(batch.x, batch.x + places)));
  else
    arguments.push_back(
        Tensor::real(input.getShape(), std::vector<float>(batch.x, batch.x + places)));
  if (answer.getElementType().isF32()) {
    if (!batch.targets)
      return Status::error("the network's loss takes real targets, the data set has none");
    arguments.push_back(
        Tensor::real(answer.getShape(), std::vector<float>(batch.targets, batch.targets + n)));
    return arguments;
  }
  if (!batch.labels)
    return Status::error("the network's loss takes labels, the data set has none");
  arguments.push_back(Tensor::integer(ElementKind::Label, answer.getShape(),
                                      std::vector<int32_t>(batch.labels, batch.labels + n)));
  return arguments;
}

Result<RunResult<float>> InterpretedStep::run(func::FuncOp function,
                                              llvm::ArrayRef<Tensor> arguments) {
  Errors errors(module->getContext());
  FailureOr<Run> outcome = interpreter.run(function, arguments, store);
  if (failed(outcome))
    return errors.status();
  return std::move(*outcome);
}

/// A rank-0 label among a run's outputs (the count of right answers), or 0.
static int64_t countOf(const RunResult<float> &run) {
  for (const Tensor<float> &output : run.outputs)
    if (output.kind == ElementKind::Label && output.shape.empty())
      return output.ints[0];
  return 0;
}

Status InterpretedStep::train(const runtime::Batch &batch, double learningRate, int64_t step,
                              runtime::StepResult &result) {
  auto arguments = batchArguments(batch);
  if (!arguments)
    return arguments.status();
  arguments->push_back(Tensor::learningRate(learningRate));
  arguments->push_back(Tensor::step(step / micro + 1)); // Adam's t counts from 1
  arguments->push_back(Tensor::randomState(seed, step));
  Result<Run> outcome = run(trainStep, *arguments);
  if (!outcome)
    return outcome.status();
  result.code =
      outcome->status == RunStatus::Ok ? runtime::StepCode::Ok : runtime::StepCode::NonFinite;
  result.loss = outcome->outputs[0].reals.at(0);
  result.correct = countOf(*outcome);
  lastReport = std::move(outcome->report);
  std::vector<float> numbers;
  for (const std::string &key : reportKeys(trainStep))
    numbers.push_back(lastReport.lookup(key));
  result.layers = health.update(numbers);
  return Status::success();
}

Status InterpretedStep::evaluate(const runtime::Batch &batch, runtime::EvalResult &result) {
  auto arguments = batchArguments(batch);
  if (!arguments)
    return arguments.status();
  arguments->push_back(Tensor::label(static_cast<int32_t>(batch.validRows)));
  Result<Run> outcome = run(evalStep, *arguments);
  if (!outcome)
    return outcome.status();
  result.lossSum = outcome->outputs[0].reals.at(0);
  result.correct = countOf(*outcome);
  lastOutput = outcome->outputs.back();
  return Status::success();
}

/// The elements, as a checkpoint names and stores them; nothing for kinds that variables do not have.
static std::optional<std::pair<runtime::DType, std::span<std::byte>>> elementsOf(Tensor<float> &t) {
  switch (t.kind) {
  case ElementKind::Real:
    return std::pair(runtime::DType::F32, std::as_writable_bytes(std::span(t.reals)));
  case ElementKind::Double:
    return std::pair(runtime::DType::F64, std::as_writable_bytes(std::span(t.doubles)));
  case ElementKind::Wide:
    return std::pair(runtime::DType::I64, std::as_writable_bytes(std::span(t.wides)));
  case ElementKind::Label:
    return std::pair(runtime::DType::I32, std::as_writable_bytes(std::span(t.ints)));
  default:
    return std::nullopt;
  }
}

std::vector<runtime::StateView> InterpretedStep::state() {
  std::vector<runtime::StateView> views;
  for (auto variable : module->getOps<train::VariableOp>()) {
    if (variable.getRole() == train::Role::Constant)
      continue;
    // The store's values may be shared with those that a run handed out; what may be written through is the store's own.
    auto own = std::make_shared<Tensor>(store[variable.getSymName()]);
    store.set(variable.getSymName(), reference::TensorPtr<float>(own));
    auto elements = elementsOf(*own);
    if (!elements)
      return {};
    views.push_back({variable.getSymName().str(), train::stringifyRole(variable.getRole()).str(), elements->first,
                     std::vector<int64_t>(own->shape.begin(), own->shape.end()), elements->second});
  }
  return views;
}

//===- CompiledStep.cpp - compiled code behind the trainer's door ------------------===//
#include "nibble/Driver/CompiledStep.h"

#include "nibble/Schedule/Arena.h"
#include "nibble/Schedule/Storage.h"

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/DialectResourceBlobManager.h"

#include <cstring>
#include <sys/mman.h>

using namespace mlir;
using namespace nibble;

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

ZeroedBytes::ZeroedBytes(int64_t wanted) : bytes(alignedBytes(std::max<int64_t>(wanted, 1))) {
  void *pages = ::mmap(nullptr, static_cast<size_t>(bytes), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED)
    return;
  ::madvise(pages, static_cast<size_t>(bytes), MADV_HUGEPAGE); // fewer page faults; a hint
  memory = std::unique_ptr<std::byte[], Unmap>(static_cast<std::byte *>(pages), Unmap{bytes});
}

void ZeroedBytes::Unmap::operator()(std::byte *memory) const { ::munmap(memory, static_cast<size_t>(bytes)); }

Status CompiledStep::checkMemory() const {
  for (const ZeroedBytes *bytes : {&values, &arena, &x, &answers, &trainReport, &evalReport, &result})
    if (!bytes->data())
      return Status::error("there is not enough memory: a step needs " + std::to_string(layout.stateBytes) + " bytes of state and " +
                           std::to_string(layout.arenaBytes()) + " bytes of arena; a smaller --batch-size takes less");
  return Status::success();
}

//===----------------------------------------------------------------------===//
// Initial values
//===----------------------------------------------------------------------===//

/// Writes the elements of `value` to memory as the type stores them. False for attributes or types that no room makes.
static bool writeElements(ElementsAttr value, RankedTensorType type, std::byte *to) {
  size_t count = static_cast<size_t>(type.getNumElements());
  size_t width = type.getElementTypeBitWidth() / 8;
  if (type.getElementTypeBitWidth() % 8 != 0)
    return false;
  ArrayRef<char> raw;
  bool splat = false;
  if (auto dense = dyn_cast<DenseElementsAttr>(value)) {
    raw = dense.getRawData();
    splat = dense.isSplat();
  } else if (auto resource = dyn_cast<DenseResourceElementsAttr>(value)) {
    if (AsmResourceBlob *blob = resource.getRawHandle().getBlob())
      raw = blob->getData();
  }
  if (raw.size() != (splat ? width : count * width))
    return false;
  for (size_t i = 0; splat && i < count; ++i)
    std::memcpy(to + i * width, raw.data(), width);
  if (!splat)
    std::memcpy(to, raw.data(), raw.size());
  return true;
}

/// The type as checkpoints name it; bytes for what they have no name for.
static runtime::DType fileType(Type element) {
  if (element.isF32())
    return runtime::DType::F32;
  if (element.isF64())
    return runtime::DType::F64;
  if (element.isInteger(32))
    return runtime::DType::I32;
  return element.isInteger(64) ? runtime::DType::I64 : runtime::DType::U8;
}

static runtime::StateView viewOf(const Variable &variable, std::byte *at, int64_t bytes) {
  runtime::DType type = fileType(variable.type.getElementType());
  std::vector<int64_t> shape = variable.type.getShape().vec();
  if (type == runtime::DType::U8)
    shape = {bytes};
  return {variable.name, train::stringifyRole(variable.role).str(), type, std::move(shape), {at, static_cast<size_t>(bytes)}};
}

Status CompiledStep::initialize(const std::vector<Variable> &variables) {
  for (const Variable &variable : variables) {
    int64_t bytes = storageBytes(variable.type);
    places[variable.name] = {variable.offset, bytes};
    if (variable.role != train::Role::Constant)
      views.push_back(viewOf(variable, values.data() + variable.offset, bytes));
    if (variable.value && !writeElements(variable.value, variable.type, values.data() + variable.offset))
      return Status::error("internal: the initial value of '" + variable.name + "' cannot be read");
  }
  return Status::success();
}

//===----------------------------------------------------------------------===//
// Construction
//===----------------------------------------------------------------------===//

CompiledStep::CompiledStep(const CompiledModel &model, std::unique_ptr<Program> loaded, uint64_t seed)
    : layout(model.layout), program(std::move(loaded)), trainFunction(program->trainStep()), evalFunction(program->evalStep()),
      seed(seed), threads(static_cast<int32_t>(model.threads)), values(layout.stateBytes), arena(layout.arenaBytes()), x(storageBytes(layout.input)),
      answers(storageBytes(layout.answer)), trainReport(4 * static_cast<int64_t>(layout.trainKeys.size())),
      evalReport(4 * static_cast<int64_t>(layout.evalKeys.size())), result(storageBytes(layout.output)), health(layout.trainKeys) {}

Result<std::unique_ptr<CompiledStep>> CompiledStep::create(const CompiledModel &model, uint64_t seed) {
  if (model.object.empty())
    return Status::error("internal: the model was not compiled to an object");
  if (!model.machine.runsOnHost)
    return Status::error("this processor cannot run code for --mcpu=" + model.options.mcpu);
  llvm::Expected<std::unique_ptr<Program>> program = Program::load(model.object);
  if (!program)
    return Status::error(llvm::toString(program.takeError()));
  std::unique_ptr<CompiledStep> step(new CompiledStep(model, std::move(*program), seed));
  if (Status status = step->checkMemory(); !status)
    return status;
  if (!step->trainFunction || !step->evalFunction)
    return Status::error("internal: the object has no train_step or no eval_step");
  if (Status status = step->initialize(model.variables); !status)
    return status;
  return step;
}

//===----------------------------------------------------------------------===//
// Steps
//===----------------------------------------------------------------------===//

std::vector<int64_t> CompiledStep::targetShape() const {
  return layout.answer.getElementType().isF32() ? layout.answer.getShape().vec() : std::vector<int64_t>();
}

Status CompiledStep::load(const runtime::Batch &batch) {
  bool real = layout.answer.getElementType().isF32();
  const void *from = real ? static_cast<const void *>(batch.targets) : batch.labels;
  if (!batch.x)
    return Status::error("a batch has no input");
  if (!from)
    return Status::error(real ? "the network's loss takes real targets, the data set has none"
                              : "the network's loss takes labels, the data set has none");
  // A label beyond the classes would be read as an address.
  for (int64_t i = 0; !real && layout.classes > 0 && i < layout.answer.getNumElements(); ++i)
    if (batch.labels[i] < 0 || batch.labels[i] >= layout.classes)
      return Status::error("label " + std::to_string(batch.labels[i]) + " of row " + std::to_string(i / layout.answersPerRow()) +
                           " is not in 0 … " + std::to_string(layout.classes - 1));
  if (layout.tokens > 0) {
    auto *tokens = reinterpret_cast<int32_t *>(x.data());
    for (int64_t i = 0, n = layout.input.getNumElements(); i < n; ++i) {
      if (!(batch.x[i] >= 0 && batch.x[i] < static_cast<float>(layout.tokens)))
        return Status::error("token " + std::to_string(batch.x[i]) + " at place " + std::to_string(i) + " of a batch is not in 0 … " +
                             std::to_string(layout.tokens - 1));
      tokens[i] = static_cast<int32_t>(batch.x[i]);
    }
  } else {
    std::memcpy(x.data(), batch.x, storageBytes(layout.input));
  }
  std::memcpy(answers.data(), from, storageBytes(layout.answer));
  return Status::success();
}

Status CompiledStep::train(const runtime::Batch &batch, double learningRate, int64_t step, runtime::StepResult &result) {
  if (Status status = load(batch); !status)
    return status;
  auto *numbers = reinterpret_cast<float *>(trainReport.data());
  int32_t code = trainFunction(values.data(), arena.data(), x.data(), answers.data(), learningRate, step / layout.microBatches + 1 /* Adam's t */,
                               static_cast<int64_t>(seed), step, numbers, threads);
  result.code = code == 0 ? runtime::StepCode::Ok : runtime::StepCode::NonFinite;
  result.loss = numbers[0];
  result.correct = static_cast<int64_t>(numbers[1]);
  result.layers = code == 0 ? health.update(report()) : health.layers();
  return Status::success();
}

Status CompiledStep::evaluate(const runtime::Batch &batch, runtime::EvalResult &scores) {
  if (Status status = load(batch); !status)
    return status;
  auto *numbers = reinterpret_cast<float *>(evalReport.data());
  evalFunction(values.data(), arena.data(), x.data(), answers.data(), static_cast<int32_t>(batch.validRows), numbers, result.data(),
               threads);
  scores.lossSum = numbers[0];
  scores.correct = static_cast<int64_t>(numbers[1]);
  return Status::success();
}

std::span<const std::byte> CompiledStep::variable(llvm::StringRef name) const {
  auto place = places.find(name);
  if (place == places.end())
    return {};
  return {values.data() + place->second.first, static_cast<size_t>(place->second.second)};
}

std::span<std::byte> CompiledStep::variable(llvm::StringRef name) {
  std::span<const std::byte> bytes = std::as_const(*this).variable(name);
  return {const_cast<std::byte *>(bytes.data()), bytes.size()}; // the state is ours
}

std::span<const float> CompiledStep::report() const {
  return {reinterpret_cast<const float *>(trainReport.data()), layout.trainKeys.size()};
}

std::span<const float> CompiledStep::output() const {
  return {reinterpret_cast<const float *>(result.data()), static_cast<size_t>(layout.output.getNumElements())};
}

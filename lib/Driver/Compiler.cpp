//===- Compiler.cpp - from an ONNX file to object bytes ---------------------------===//
#include "nibble/Driver/Compiler.h"

#include "Diagnostics.h"
#include "nibble/Driver/CompileCache.h"
#include "nibble/Driver/Register.h"
#include "nibble/Driver/StepProfile.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/Support/Format.h"

#include <chrono>
#include <thread>

using namespace mlir;
using namespace nibble;

//===----------------------------------------------------------------------===//
// Names
//===----------------------------------------------------------------------===//

static constexpr llvm::StringRef kEmitNames[] = {"onnx", "graph", "gradient", "quantized", "planned", "loops", "llvm", "asm", "obj", "lib"};

llvm::StringRef nibble::name(Emit emit) { return kEmitNames[static_cast<size_t>(emit)]; }

std::optional<Emit> nibble::findEmit(llvm::StringRef name) {
  auto found = llvm::find(kEmitNames, name);
  return found == std::end(kEmitNames) ? std::nullopt : std::optional(static_cast<Emit>(found - kEmitNames));
}

std::string nibble::emitNames() { return llvm::join(llvm::ArrayRef(kEmitNames), ", "); }

/// The last room that has to run.
static Room lastRoom(Emit emit) {
  switch (emit) {
  case Emit::Onnx:
  case Emit::Graph:
    return Room::Import;
  case Emit::Gradient:
    return Room::Differentiate;
  case Emit::Quantized:
    return Room::Quantize;
  case Emit::Planned:
    return Room::Schedule;
  case Emit::Loops:
    return Room::Codegen;
  default:
    return Room::Target;
  }
}

//===----------------------------------------------------------------------===//
// What is read off the module on the way
//===----------------------------------------------------------------------===//

/// A step has one input. Said of the network before a later room says it of a function.
static Status checkInputs(ModuleOp module, const std::string &file) {
  auto forward = module.lookupSymbol<func::FuncOp>("forward");
  if (!forward || forward.getNumArguments() == 1)
    return Status::success();
  std::string names;
  for (unsigned i = 0; i < forward.getNumArguments(); ++i) {
    auto name = forward.getArgAttrOfType<StringAttr>(i, "nn.name");
    names += (i ? ", '" : "'") + (name ? name.str() : std::string()) + "'";
  }
  return Status::error(file + ": the output depends on " + std::to_string(forward.getNumArguments()) + " inputs (" + names +
                       "), and a network is trained with one; choose an output that needs one (--output), or store the others as initializers");
}

/// After Quantize: what the step takes and hands out.
static Status readSignature(ModuleOp module, StepLayout &layout) {
  auto train = module.lookupSymbol<func::FuncOp>("train_step"), eval = module.lookupSymbol<func::FuncOp>("eval_step");
  if (!train || !eval)
    return Status::error("internal: no @train_step or no @eval_step after room Quantize");
  if (train.getNumArguments() != 5 || eval.getNumArguments() != 3)
    return Status::error("the network has " + std::to_string(train.getNumArguments() - 4) +
                         " inputs and can be trained with one: choose it with --input, the others must be constants");
  layout.input = dyn_cast<RankedTensorType>(train.getArgument(0).getType());
  layout.answer = dyn_cast<RankedTensorType>(train.getArgument(1).getType());
  layout.output = dyn_cast<RankedTensorType>(eval.getResultTypes().back());
  if (!layout.input || !layout.answer || !layout.output || layout.input.getRank() < 1)
    return Status::error("internal: a step's input, labels or output is no tensor");
  auto name = [](DictionaryAttr attributes) {
    auto text = attributes ? attributes.getAs<StringAttr>("nn.name") : StringAttr();
    return text ? text.str() : std::string();
  };
  if (auto merged = module->getAttrOfType<StringAttr>("nibble.merged"))
    layout.merged = merged.str();
  layout.inputName = name(train.getArgAttrDict(0));
  layout.answerName = name(train.getArgAttrDict(1));
  layout.outputName = name(eval.getResultAttrDict(eval.getNumResults() - 1));
  if (layout.answer.getElementType().isInteger(32)) {
    auto classes = module->getAttrOfType<IntegerAttr>("nibble.classes");
    layout.classes = classes ? classes.getInt() : layout.output.getShape().back();
  }
  if (auto tokens = module->getAttrOfType<IntegerAttr>("nibble.tokens"); tokens && layout.input.getElementType().isInteger(32))
    layout.tokens = tokens.getInt();
  auto loss = module->getAttrOfType<StringAttr>("nibble.loss");
  layout.countsAnswers = layout.classes > 0 || (loss && loss == "bce");
  if (auto step = module->getAttrOfType<StringAttr>("nibble.step"))
    if (std::optional<StepOptions> options = parseStepOptions(step.str()))
      layout.microBatches = options->accumulate;
  return Status::success();
}

static std::vector<std::string> strings(Operation *op, StringRef attribute) {
  std::vector<std::string> result;
  if (auto array = op->getAttrOfType<ArrayAttr>(attribute))
    for (StringRef text : array.getAsValueRange<StringAttr>())
      result.push_back(text.str());
  return result;
}

static int64_t number(Operation *op, StringRef attribute) {
  auto value = op->getAttrOfType<IntegerAttr>(attribute);
  return value ? value.getInt() : 0;
}

/// After Schedule: sizes and offsets.
static Status readLayout(ModuleOp module, StepLayout &layout, std::vector<Variable> &variables) {
  auto train = module.lookupSymbol<func::FuncOp>("train_step"), eval = module.lookupSymbol<func::FuncOp>("eval_step");
  auto offsets = module->getAttrOfType<DictionaryAttr>("nibble.state_layout");
  if (!train || !eval || !offsets)
    return Status::error("internal: no steps or no nibble.state_layout after room Schedule");
  layout.stateBytes = number(module, "nibble.state_bytes");
  layout.trainArenaBytes = number(train, "nibble.arena_bytes");
  layout.evalArenaBytes = number(eval, "nibble.arena_bytes");
  layout.liveBytes = number(train, "nibble.live_bytes");
  layout.trainKeys = strings(train, "nibble.report_keys");
  layout.evalKeys = strings(eval, "nibble.report_keys");
  for (auto op : module.getOps<train::VariableOp>()) {
    auto offset = offsets.getAs<IntegerAttr>(op.getSymName());
    if (!offset)
      return Status::error("internal: no place in the state for '" + op.getSymName().str() + "'");
    variables.push_back({op.getSymName().str(), op.getRole(), op.getTrainable(), cast<RankedTensorType>(op.getType()), offset.getInt(),
                         op.getOnnxName().str(), op.getLayout().str(), op.getValueAttr()});
  }
  return Status::success();
}

//===----------------------------------------------------------------------===//
// The walk
//===----------------------------------------------------------------------===//

namespace {

using Clock = std::chrono::steady_clock;
double secondsSince(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

class Compilation {
public:
  Compilation(const CompileOptions &options, Emit until, const CompileHooks &hooks)
      : until(until), last(lastRoom(until)), hooks(hooks), model(std::make_unique<CompiledModel>()) {
    model->options = options;
  }

  Result<std::unique_ptr<CompiledModel>> run() {
    Clock::time_point start = Clock::now();
    if (Status status = prepare(); !status)
      return status;
    DiagnosticCollector diagnostics(model->context.get());
    for (const RoomInfo &room : rooms()) {
      if (room.room > last)
        break;
      if (Status status = enter(room, diagnostics); !status)
        return status;
    }
    for (const std::string &warning : diagnostics.warnings())
      model->notes.push_back(warning);
    model->seconds = secondsSince(start);
    return std::move(model);
  }

private:
  Status prepare() {
    llvm::Expected<Machine> machine = Machine::create(model->options.mcpu);
    if (!machine)
      return Status::error(llvm::toString(machine.takeError()));
    model->machine = *machine;
    model->threads = resolvedThreads(model->options);
    DialectRegistry registry;
    registerAllDialects(registry);
    model->context = std::make_unique<MLIRContext>(registry);
    return Status::success();
  }

  Status enter(const RoomInfo &room, DiagnosticCollector &diagnostics) {
    Clock::time_point start = Clock::now();
    Status status = room.room == Room::Import ? importModel(diagnostics) : Status::success();
    if (status)
      status = runPasses(room, diagnostics);
    if (status)
      status = look(room.room, diagnostics);
    if (status && hooks.progress) {
      *hooks.progress << "[" << static_cast<int>(room.room) + 1 << "/" << rooms().size() << "] " << room.title
                      << llvm::format(" (%.2f s)\n", secondsSince(start));
      hooks.progress->flush();
    }
    return status;
  }

  Status importModel(DiagnosticCollector &diagnostics) {
    ImportNotes notes;
    model->module = importOnnx(model->options.model, model->options.import, *model->context, &notes);
    model->notes = notes.notes;
    if (!model->module)
      return diagnostics.status(model->options.model + ": cannot be imported");
    llvm::raw_string_ostream os(model->weights);
    printWeights(*model->module, os);
    return last > Room::Import ? checkInputs(*model->module, model->options.model) : Status::success();
  }

  Status runPasses(const RoomInfo &room, DiagnosticCollector &diagnostics) {
    PassManager manager(model->context.get());
    if (hooks.configure && failed(hooks.configure(manager)))
      return Status::error("the command line's pass manager options do not fit together");
    addRoom(manager, room.room, {model->options.recipe, model->options.step, model->machine.target, model->threads,
                                 model->options.leastWork, model->options.health, model->options.profile});
    if (failed(manager.run(*model->module)))
      return diagnostics.status("room " + room.title.str() + " failed without a message");
    return Status::success();
  }

  /// Reads off the module what later rooms turn into plain numbers.
  Status look(Room room, DiagnosticCollector &diagnostics) {
    switch (room) {
    case Room::Quantize:
      model->quantized = model->module->clone();
      model->precision = precisionTable(*model->module);
      model->saved = savedBytes(*model->module);
      model->weightSize = weightBytes(*model->module);
      return readSignature(*model->module, model->layout);
    case Room::Schedule:
      model->groups = groupsOf(*model->module);
      return readLayout(*model->module, model->layout, model->variables);
    case Room::Target:
      return makeArtifact(diagnostics);
    default:
      return Status::success();
    }
  }

  Status makeArtifact(DiagnosticCollector &diagnostics) {
    unsigned level = model->options.optimization;
    model->llvmContext = std::make_unique<llvm::LLVMContext>();
    model->llvmModule = translateToLLVM(*model->module, model->machine, *model->llvmContext);
    if (!model->llvmModule)
      return diagnostics.status("room Target: the module cannot be translated to LLVM IR");
    if (llvm::Error error = optimize(*model->llvmModule, model->machine, level))
      return Status::error(llvm::toString(std::move(error)));
    if (until == Emit::Asm) {
      llvm::Expected<std::string> text = emitAssembly(*model->llvmModule, model->machine, level);
      if (!text)
        return Status::error(llvm::toString(text.takeError()));
      model->assembly = std::move(*text);
    } else if (until >= Emit::Obj) {
      llvm::Expected<ObjectBytes> object = emitObject(*model->llvmModule, model->machine, level);
      if (!object)
        return Status::error(llvm::toString(object.takeError()));
      model->object = std::move(*object);
    }
    return Status::success();
  }

  Emit until;
  Room last;
  const CompileHooks &hooks;
  std::unique_ptr<CompiledModel> model;
};

} // namespace

unsigned nibble::resolvedThreads(const CompileOptions &options) {
  return options.threads ? options.threads : std::max(1u, std::thread::hardware_concurrency());
}

Result<std::unique_ptr<CompiledModel>> nibble::compile(const CompileOptions &options, Emit until, const CompileHooks &hooks) {
  if (until < Emit::Obj || options.cacheFolder.empty() || options.profile)
    return Compilation(options, until, hooks).run();
  CompileCache cache(options.cacheFolder);
  if (std::unique_ptr<CompiledModel> found = cache.find(options))
    return found;
  auto compiled = Compilation(options, until, hooks).run();
  if (compiled)
    cache.store(**compiled);
  return compiled;
}

//===- NormStart.cpp - inserted normalizations that change nothing at first -----------===//
#include "nibble/Driver/NormStart.h"

#include "nibble/Driver/CompiledStep.h"
#include "nibble/Driver/InterpretedStep.h"

#include <cstring>

using namespace mlir;
using namespace nibble;

static DictionaryAttr insertedIn(ModuleOp module) {
  auto norms = module->getAttrOfType<DictionaryAttr>("nibble.inserted_norms");
  return norms ? norms : DictionaryAttr::get(module.getContext());
}

std::vector<importer::InsertedNorm> nibble::insertedNorms(ModuleOp module, const ReadVariable &read) {
  std::vector<importer::InsertedNorm> norms;
  auto nodes = module->getAttrOfType<DictionaryAttr>("nibble.onnx_nodes");
  for (NamedAttribute entry : insertedIn(module)) {
    importer::InsertedNorm norm;
    if (auto node = nodes ? nodes.getAs<StringAttr>(entry.getName()) : StringAttr())
      norm.node = node.str();
    norm.name = entry.getName().str() + ".norm";
    for (auto [i, symbol] : llvm::enumerate(cast<ArrayAttr>(entry.getValue()).getAsValueRange<StringAttr>()))
      if (i < 4)
        norm.values[i] = read(symbol);
    norms.push_back(std::move(norm));
  }
  return norms;
}

static Result<std::unique_ptr<runtime::Step>> makeStep(const CompiledModel &model, bool interpret) {
  if (interpret) {
    auto made = InterpretedStep::create(OwningOpRef<ModuleOp>(ModuleOp(*model.quantized).clone()), 0);
    return made ? Result<std::unique_ptr<runtime::Step>>(std::move(*made)) : made.status();
  }
  auto made = CompiledStep::create(model, 0);
  return made ? Result<std::unique_ptr<runtime::Step>>(std::move(*made)) : made.status();
}

Status nibble::startInsertedNorms(const CompiledModel &model, bool interpret, const runtime::Batch &batch, runtime::Step &step) {
  DictionaryAttr norms = insertedIn(*model.quantized);
  if (norms.empty())
    return Status::success();
  CompileOptions options = model.options;
  options.recipe = *findRecipe("f32");
  options.step.calibrate = true;
  auto compiled = compile(options, interpret ? Emit::Quantized : Emit::Obj);
  if (!compiled)
    return compiled.status();
  auto measured = makeStep(**compiled, interpret);
  if (!measured)
    return measured.status();
  runtime::EvalResult ignored;
  if (Status status = (*measured)->evaluate(batch, ignored); !status)
    return status;
  llvm::StringMap<runtime::StateView> found;
  for (runtime::StateView &view : (*measured)->state())
    found[view.name] = view;
  std::vector<runtime::StateView> state = step.state();
  for (NamedAttribute entry : norms)
    for (StringRef symbol : cast<ArrayAttr>(entry.getValue()).getAsValueRange<StringAttr>()) {
      auto to = llvm::find_if(state, [&](const runtime::StateView &view) { return view.name == symbol; });
      auto from = found.find(symbol);
      if (to == state.end() || from == found.end() || to->bytes.size() != from->second.bytes.size())
        return Status::error("internal: '" + symbol.str() + "' of an inserted normalization is in no state");
      std::memcpy(to->bytes.data(), from->second.bytes.data(), to->bytes.size());
    }
  return Status::success();
}

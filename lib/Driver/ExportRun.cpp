//===- ExportRun.cpp - the files that a run leaves -------------------------------------===//
#include "nibble/Driver/ExportRun.h"

#include "nibble/Driver/CompiledStep.h"
#include "nibble/Driver/InterpretedStep.h"
#include "nibble/Driver/QuantizedOperands.h"

#include <cstring>
#include <filesystem>

using namespace nibble;

Result<ExportedFiles> nibble::exportModels(const CompiledModel &model, const std::string &folder, const ReadVariable &read,
                                           int64_t externalDataAbove) {
  ExportedFiles files;
  importer::WriteOptions options;
  options.externalDataAbove = externalDataAbove;
  files.floats = (std::filesystem::path(folder) / "model.onnx").string();
  // The codes first: the float file may replace the very file that both are made from.
  if (!model.options.recipe.isFloat()) {
    auto operands = quantizedOperands(*model.quantized, read);
    if (!operands)
      files.withoutCodes = operands.message();
    else if (operands->empty())
      files.withoutCodes = "no product is quantized";
    else {
      importer::WriteOptions coded = options;
      coded.quantized = std::move(*operands);
      files.codes = (std::filesystem::path(folder) / "model.int4.onnx").string();
      if (Status status = exportOnnx(model.options.model, files.codes, model.variables, read, coded); !status)
        return status;
    }
  }
  if (Status status = exportOnnx(model.options.model, files.floats, model.variables, read, options); !status)
    return status;
  return files;
}

/// What both have, by name.
static Status copyState(runtime::Step &from, runtime::Step &to) {
  std::vector<runtime::StateView> source = from.state();
  for (runtime::StateView &view : to.state()) {
    auto found = llvm::find_if(source, [&](const runtime::StateView &other) { return other.name == view.name; });
    if (found == source.end())
      continue;
    if (found->bytes.size() != view.bytes.size())
      return Status::error("internal: '" + view.name + "' has another size in the float network");
    std::memcpy(view.bytes.data(), found->bytes.data(), view.bytes.size());
  }
  return Status::success();
}

Result<std::unique_ptr<FloatNetwork>> FloatNetwork::create(const CompileOptions &options, bool interpret,
                                                           runtime::Step &trained) {
  CompileOptions real = options;
  real.recipe = *findRecipe("f32");
  auto compiled = compile(real, interpret ? Emit::Quantized : Emit::Obj);
  if (!compiled)
    return compiled.status();
  auto result = std::make_unique<FloatNetwork>();
  result->model = std::move(*compiled);
  if (interpret) {
    auto made = InterpretedStep::create(mlir::OwningOpRef<mlir::ModuleOp>(result->model->quantized->clone()), 0);
    if (!made)
      return made.status();
    result->network = std::move(*made);
  } else {
    auto made = CompiledStep::create(*result->model, 0);
    if (!made)
      return made.status();
    result->network = std::move(*made);
  }
  if (Status status = copyState(trained, *result->network); !status)
    return status;
  return result;
}

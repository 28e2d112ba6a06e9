//===- ExportRun.cpp - the files that a run leaves -------------------------------------===//
#include "nibble/Driver/ExportRun.h"

#include "nibble/Driver/CompiledStep.h"
#include "nibble/Driver/InterpretedStep.h"
#include "nibble/Driver/NormStart.h"
#include "nibble/Driver/QuantizedOperands.h"

#include <filesystem>

using namespace nibble;

Result<ExportedFiles> nibble::exportModels(const CompiledModel &model, const std::string &folder, const ReadVariable &read,
                                           int64_t externalDataAbove) {
  ExportedFiles files;
  importer::WriteOptions options;
  options.externalDataAbove = externalDataAbove;
  options.norms = insertedNorms(*model.quantized, read);
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

/// The value of a variable of the float network: the trained one of the same name, or its own.
static mlir::ElementsAttr trainedValue(llvm::StringRef name, mlir::RankedTensorType type, mlir::ElementsAttr own,
                                       const std::vector<Variable> &variables, const ReadVariable &read) {
  auto found = llvm::find_if(variables, [&](const Variable &v) { return v.name == name; });
  if (found == variables.end() || found->type.getShape() != type.getShape() || !type.getElementType().isF32())
    return own;
  return mlir::DenseElementsAttr::get(type, llvm::ArrayRef<float>(read(name)));
}

Result<std::unique_ptr<FloatNetwork>> FloatNetwork::create(const CompileOptions &options, bool interpret,
                                                           const std::vector<Variable> &variables, const ReadVariable &read) {
  CompileOptions real = options;
  real.recipe = *findRecipe("f32");
  auto compiled = compile(real, interpret ? Emit::Quantized : Emit::Obj);
  if (!compiled)
    return compiled.status();
  auto result = std::make_unique<FloatNetwork>();
  result->model = std::move(*compiled);
  if (interpret) {
    mlir::OwningOpRef<mlir::ModuleOp> module = result->model->quantized->clone();
    for (auto op : module->getOps<train::VariableOp>())
      if (auto value = trainedValue(op.getSymName(), mlir::cast<mlir::RankedTensorType>(op.getType()), op.getValueAttr(), variables, read))
        op.setValueAttr(value);
    auto made = InterpretedStep::create(std::move(module), 0);
    if (!made)
      return made.status();
    result->network = std::move(*made);
    return result;
  }
  for (Variable &variable : result->model->variables)
    variable.value = trainedValue(variable.name, variable.type, variable.value, variables, read);
  auto made = CompiledStep::create(*result->model, 0);
  if (!made)
    return made.status();
  result->network = std::move(*made);
  return result;
}

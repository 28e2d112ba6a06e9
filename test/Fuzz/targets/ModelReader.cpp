//===- ModelReader.cpp - ONNX files, through the rooms ----------------------------===//
#include "Readers.h"

#include "nibble/Driver/Compiler.h"
#include "nibble/Driver/Export.h"

#include "mlir/IR/OperationSupport.h"
#include "llvm/Support/raw_ostream.h"

using namespace nibble;
using namespace nibble::fuzz;

static CompileOptions optionsOf(const std::string &path, unsigned variant) {
  static constexpr const char *recipes[] = {"ibm", "luq", "f32", "w4a4", "ibm+", "int4"};
  CompileOptions options;
  options.model = path;
  options.import.batchSize = variant % 7 == 0 ? 0 : 4; // 0: the file's own
  if (variant % 5 == 0)
    options.import.sampleShape = {3, 8, 8};
  if (auto recipe = findRecipe(recipes[variant % std::size(recipes)]))
    options.recipe = *recipe;
  options.threads = 1;
  return options;
}

Answer nibble::fuzz::readModel(const std::string &path, Depth depth, unsigned variant,
                               const std::string &exportFolder) {
  Emit until = depth == Depth::Graph     ? Emit::Graph
               : depth == Depth::Planned ? Emit::Planned
                                         : Emit::Obj;
  auto model = compile(optionsOf(path, variant), until);
  if (!model)
    return {false, model.message()};
  mlir::OpPrintingFlags flags;
  flags.elideLargeElementsAttrs();
  (*model)->module->print(llvm::nulls(), flags);
  if (exportFolder.empty() || !(*model)->quantized)
    return {true, ""};
  std::vector<Variable> variables = collectVariables(*(*model)->quantized);
  Status written =
      exportOnnx(path, exportFolder + "/exported.onnx", variables, initialValues(variables));
  return {written.ok(), written.message()};
}

//===- State.cpp - what quantizers remember from step to step -----------------===//
#include "State.h"

#include "nibble/Analysis/ModuleRecipe.h"
#include "nibble/Analysis/Names.h"

using namespace mlir;
using namespace nibble;

FailureOr<Recipe> nibble::resolveRecipe(ModuleOp module, StringRef text) {
  if (text.empty())
    return moduleRecipe(module);
  std::string error;
  if (std::optional<Recipe> recipe = parseRecipe(text.str(), &error))
    return *recipe;
  return module.emitError() << "quantize: recipe '" << text << "': " << error;
}

static RankedTensorType scalarType(MLIRContext *context) {
  return RankedTensorType::get({}, Float32Type::get(context));
}

FlatSymbolRefAttr State::variable(StringRef layer, StringRef suffix, train::Role role,
                                  float initial) {
  FlatSymbolRefAttr &symbol = symbols[(layer + "." + suffix).str()];
  if (symbol)
    return symbol;
  MLIRContext *context = module.getContext();
  OpBuilder builder(context);
  auto functions = module.getOps<func::FuncOp>();
  if (functions.empty())
    builder.setInsertionPointToEnd(module.getBody());
  else
    builder.setInsertionPoint(*functions.begin());
  ElementsAttr value;
  if (initial != 0)
    value = DenseElementsAttr::get(scalarType(context), initial);
  std::string name = freeSymbol(module, (layer + "." + suffix).str());
  train::VariableOp::create(builder, module.getLoc(), name, scalarType(context), role,
                            /*trainable=*/false,
                            /*decay=*/false, /*onnx_name=*/"", /*layout=*/"", value);
  return symbol = FlatSymbolRefAttr::get(context, name);
}

Value nibble::readVariable(OpBuilder &builder, Location loc, FlatSymbolRefAttr symbol) {
  // All reads of a step see the same value: one is enough.
  auto here = builder.getInsertionPoint();
  for (Operation &op : llvm::make_range(builder.getInsertionBlock()->begin(), here))
    if (auto read = dyn_cast<train::ReadOp>(op); read && read.getVariableAttr() == symbol)
      return read;
  return train::ReadOp::create(builder, loc, scalarType(builder.getContext()), symbol);
}

void nibble::writeVariable(func::FuncOp function, FlatSymbolRefAttr symbol, Value value) {
  Block &block = function.getBody().front();
  for (auto write : block.getOps<train::WriteOp>())
    if (write.getVariableAttr() == symbol)
      return;
  OpBuilder builder(block.getTerminator());
  train::WriteOp::create(builder, value.getLoc(), symbol, value);
}

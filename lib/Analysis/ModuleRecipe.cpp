//===- ModuleRecipe.cpp - the recipe that a module carries ---------------------===//
#include "nibble/Analysis/ModuleRecipe.h"

#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace nibble;

FailureOr<Recipe> nibble::moduleRecipe(ModuleOp module) {
  auto text = module->getAttrOfType<StringAttr>(recipeAttributeName);
  if (!text)
    return module.emitError() << "the module has no attribute '" << recipeAttributeName
                              << "'; assign-precision sets it";
  std::string error;
  std::optional<Recipe> recipe = parseRecipe(text.str(), &error);
  if (!recipe)
    return module.emitError() << "attribute '" << recipeAttributeName << "': " << error;
  return *recipe;
}

void nibble::setModuleRecipe(ModuleOp module, const Recipe &recipe) {
  module->setAttr(recipeAttributeName, StringAttr::get(module.getContext(), toString(recipe)));
}

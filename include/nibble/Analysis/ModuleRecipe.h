//===- ModuleRecipe.h - the recipe that a module carries ------------*- C++ -*-===//
#pragma once

#include "nibble/Recipe/Recipe.h"

#include "mlir/IR/BuiltinOps.h"

namespace nibble {

/// Module attribute that `assign-precision` sets and later passes read: every option of the recipe
/// as text.
inline constexpr char recipeAttributeName[] = "nibble.recipe";

/// The recipe in the module's attribute. Emits an error where it is absent or not a recipe.
mlir::FailureOr<Recipe> moduleRecipe(mlir::ModuleOp module);
void setModuleRecipe(mlir::ModuleOp module, const Recipe &recipe);

} // namespace nibble

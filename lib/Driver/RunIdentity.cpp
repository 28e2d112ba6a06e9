//===- RunIdentity.cpp - what a run is, as far as the compiler knows --------------------===//
#include "nibble/Driver/RunIdentity.h"

#include "nibble/Recipe/OptionText.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/SHA256.h"

using namespace mlir;
using namespace nibble;

/// The text that "program" is the hash of.
static std::string programText(ModuleOp quantized) {
  OwningOpRef<ModuleOp> module(quantized.clone());
  // The options are compared by themselves, and a later version may know more of them.
  for (const char *attribute : {"nibble.model", "nibble.recipe", "nibble.step"})
    (*module)->removeAttr(attribute);
  for (auto variable : module->getOps<train::VariableOp>())
    if (variable.getRole() != train::Role::Constant)
      variable.removeValueAttr();
  std::string text;
  llvm::raw_string_ostream os(text);
  module->print(os);
  return text;
}

/// "key=value,…" as fields PREFIX.key. A key that repeats becomes one field, values escaped and
/// separated by commas.
static void addFields(runtime::RunFields &fields, const std::string &prefix,
                      const std::string &line) {
  for (auto &[key, value] : text::split(line)) {
    std::string name = prefix + "." + key;
    auto same = llvm::find_if(fields, [&](auto &field) { return field.first == name; });
    std::string text = key == "keep-float" ? text::escape(value) : value;
    if (same == fields.end())
      fields.emplace_back(name, text);
    else
      same->second += "," + text;
  }
}

/// Removes the step's options that have their default, but for the optimizer: so a checkpoint that
/// does not know an option of today fits a run that does not use it.
static void leaveOutDefaults(runtime::RunFields &fields) {
  runtime::RunFields defaults;
  addFields(defaults, "step", toString(StepOptions()));
  llvm::erase_if(fields, [&](auto &field) {
    return field.first != "step.optimizer" && llvm::is_contained(defaults, field);
  });
}

runtime::RunFields nibble::describeRun(const CompiledModel &model) {
  runtime::RunFields fields;
  addFields(fields, "recipe", toString(model.options.recipe));
  addFields(fields, "step", toString(model.options.step));
  leaveOutDefaults(fields);
  fields.emplace_back("batch-size", std::to_string(model.layout.input.getDimSize(0)));
  fields.emplace_back("input", runtime::formatShape(model.layout.input.getShape()));
  fields.emplace_back("classes", std::to_string(model.layout.classes));
  std::string text = programText(*model.quantized);
  auto hash = llvm::SHA256::hash(llvm::arrayRefFromStringRef(text));
  fields.emplace_back("program", llvm::toHex(hash, /*LowerCase=*/true));
  return fields;
}

Result<Recipe> nibble::recipeOf(const runtime::Checkpoint &checkpoint) {
  constexpr llvm::StringRef prefix = "recipe.";
  const std::string *name = runtime::findField(checkpoint.run, "recipe.name");
  if (!name)
    return Status::error(checkpoint.path + ": names no recipe");
  std::string line = "name=" + text::escape(*name);
  for (const auto &[field, value] : checkpoint.run) {
    llvm::StringRef key = field;
    if (!key.consume_front(prefix) || key == "name")
      continue;
    if (key != "keep-float") {
      line += "," + key.str() + "=" + text::escape(value);
      continue;
    }
    for (llvm::StringRef pattern : llvm::split(value, ','))
      line += ",keep-float=" + pattern.str();
  }
  std::string wrong;
  std::optional<Recipe> recipe = parseRecipe(line, &wrong);
  if (!recipe)
    return Status::error(checkpoint.path + ": its recipe cannot be read: " + wrong);
  return *recipe;
}

//===- ModelSummary.cpp - The log's first record --------------------------------------------===//

#include "RunRecords.h"

using namespace nibble;
using namespace nibble::runtime;

/// Field by field, in the order of the line: one list for writing and reading.
template <typename Model, typename Visitor> static void visit(Model &model, Visitor &&visitor) {
  visitor("tool", model.tool);
  visitor("network", model.network);
  visitor("command", model.command);
  visitor("recipe", model.recipe);
  visitor("recipe_options", model.recipeOptions);
  visitor("step_options", model.stepOptions);
  visitor("processor", model.processor);
  visitor("threads", model.threads);
  visitor("interpreted", model.interpreted);
  visitor("parameters", model.parameters);
  visitor("state_bytes", model.stateBytes);
  visitor("arena_bytes", model.arenaBytes);
  visitor("saved_bytes", model.savedBytes);
  visitor("weight_bytes", model.weightBytes);
  visitor("read_bytes", model.readBytes);
  visitor("code_bytes", model.codeBytes);
  visitor("compile_seconds", model.compileSeconds);
  visitor("data", model.data);
  visitor("samples", model.samples);
  visitor("validation_samples", model.validationSamples);
  visitor("batch_size", model.batchSize);
  visitor("classes", model.classes);
  visitor("epochs", model.epochs);
  visitor("steps", model.steps);
}

template <typename Product, typename Visitor>
static void visitProduct(Product &product, Visitor &&visitor) {
  visitor("layer", product.layer);
  visitor("kind", product.kind);
  visitor("product", product.product);
  visitor("left", product.left);
  visitor("right", product.right);
  visitor("bits", product.bits);
  visitor("multiply_adds", product.multiplyAdds);
  visitor("reason", product.reason);
}

std::string nibble::runtime::toLogLine(const ModelSummary &model) {
  LogJson json;
  json["type"] = "model";
  json["step"] = 0; // a log that a checkpoint cuts behind this line ends at step 0
  visit(model, [&](const char *key, const auto &value) { json[key] = value; });
  json["precision"] = LogJson::array();
  for (const ProductSummary &product : model.products) {
    LogJson row;
    visitProduct(product, [&](const char *key, const auto &value) { row[key] = value; });
    json["precision"].push_back(std::move(row));
  }
  json["notes"] = model.notes;
  return dumpRecord(json);
}

//===----------------------------------------------------------------------===//
// Reading
//===----------------------------------------------------------------------===//

/// Takes what has the right type; anything else in a log of strangers is left out.
template <typename T> static void take(const LogJson &json, const char *key, T &to) {
  auto found = json.find(key);
  if (found == json.end())
    return;
  if constexpr (std::is_same_v<T, std::string>) {
    if (found->is_string())
      to = found->template get<std::string>();
  } else if constexpr (std::is_same_v<T, bool>) {
    if (found->is_boolean())
      to = found->template get<bool>();
  } else if (std::optional<double> number = numberOf(*found)) {
    if constexpr (std::is_integral_v<T>)
      to = wholeOf(*number);
    else
      to = *number;
  }
}

ModelSummary nibble::runtime::modelOf(const LogJson &json) {
  ModelSummary model;
  visit(model, [&](const char *key, auto &value) { take(json, key, value); });
  auto products = json.find("precision");
  if (products != json.end() && products->is_array())
    for (const LogJson &row : *products) {
      if (!row.is_object() || model.products.size() >= 3 * mostLayers)
        continue;
      model.products.emplace_back();
      visitProduct(model.products.back(),
                   [&](const char *key, auto &value) { take(row, key, value); });
    }
  auto notes = json.find("notes");
  if (notes != json.end() && notes->is_array())
    for (const LogJson &note : *notes)
      if (note.is_string() && model.notes.size() < 1000)
        model.notes.push_back(note.get<std::string>());
  return model;
}

std::string nibble::runtime::shellQuoted(const std::string &word) {
  bool plain = !word.empty();
  for (char c : word)
    plain &= (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
             std::string_view("_-./=,:+@%").find(c) != std::string_view::npos;
  if (plain)
    return word;
  std::string quoted = "'";
  for (char c : word)
    quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

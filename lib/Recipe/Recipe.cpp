//===- Recipe.cpp - which numbers a training run multiplies -------------------===//
#include "nibble/Recipe/Recipe.h"

#include "nibble/Recipe/OptionText.h"

using namespace nibble;

namespace {

/// A named recipe: what it changes in the defaults (numerics.md, section 3).
struct Entry {
  const char *name;
  const char *text;
  void (*change)(Recipe &);
};

const Entry entries[] = {
    {"f32", "float products everywhere: the baseline",
     [](Recipe &r) {
       r.weights = Weights::Float, r.gradients = Gradients::Float, r.residuals = Residuals::F32;
     }},
    {"w4a4", "int4 forward products (PACT, SAWB), float gradients",
     [](Recipe &r) { r.gradients = Gradients::Float; }},
    {"ibm",
     "w4a4 and radix-4 FP4 gradients with GradScale and two-phase rounding (Sun et al., NeurIPS "
     "2020)",
     [](Recipe &) {}},
    {"ibm+", "ibm with gain correction of each quantized gradient",
     [](Recipe &r) { r.gain = true; }},
    {"luq", "w4a4 and unbiased radix-2 logarithmic gradients (Chmiel et al., ICLR 2023)",
     [](Recipe &r) { r.gradients = Gradients::Luq; }},
    {"int4", "w4a4 and stochastically rounded int4 gradients",
     [](Recipe &r) { r.gradients = Gradients::Int4; }},
};

const std::vector<std::string> activationNames = {"pact", "dynamic", "minmax"};
const std::vector<std::string> gradientNames = {"float", "radix4", "luq", "int4"};
const std::vector<std::string> weightNames = {"float", "sawb"};
const std::vector<std::string> residualNames = {"f32", "bf16", "int8", "int4", "recompute"};
const std::vector<std::string> edgeNames = {"int8", "float", "int4"};

/// One option: how it is read and written.
struct Option {
  const char *key;
  std::string (*set)(Recipe &, const std::string &key, const std::string &value);
  std::string (*get)(const Recipe &);
};

template <auto field, const std::vector<std::string> &names>
constexpr Option choice(const char *key) {
  return {key,
          [](Recipe &r, const std::string &key, const std::string &value) {
            size_t index = 0;
            std::string error = text::parseChoice(key, value, names, index);
            if (error.empty())
              r.*field = static_cast<std::remove_reference_t<decltype(r.*field)>>(index);
            return error;
          },
          [](const Recipe &r) { return names[static_cast<size_t>(r.*field)]; }};
}

template <bool Recipe::*field> constexpr Option flag(const char *key) {
  return {key,
          [](Recipe &r, const std::string &key, const std::string &value) {
            return text::parseBool(key, value, r.*field);
          },
          [](const Recipe &r) { return std::string(r.*field ? "true" : "false"); }};
}

std::string setGradScale(Recipe &r, const std::string &key, const std::string &value) {
  double number = 0;
  std::string error =
      text::parseNumber(key, value, 0x1p-18, 0x1p61, "a power of two from 2^-18 to 2^61", number);
  for (double power = 0x1p-18; error.empty() && power < number; power *= 2)
    if (power * 2 > number)
      error = "--" + key + ": a power of two from 2^-18 to 2^61 expected, found '" + value + "'";
  if (error.empty())
    r.gradScale = number;
  return error;
}

std::string setPactInit(Recipe &r, const std::string &key, const std::string &value) {
  if (value == "max") {
    r.pactInit = 0;
    return "";
  }
  return text::parseNumber(key, value, 0x1p-100, 1e30, "max or a positive number", r.pactInit);
}

std::string addKeepFloat(Recipe &r, const std::string &key, const std::string &value) {
  if (value.empty())
    return "--" + key + ": a regular expression expected, found ''";
  r.keepFloat.push_back(value);
  return "";
}

const Option options[] = {
    choice<&Recipe::weights, weightNames>("weights"),
    choice<&Recipe::activations, activationNames>("activations"),
    choice<&Recipe::gradients, gradientNames>("gradients"),
    choice<&Recipe::firstLast, edgeNames>("first-last"),
    choice<&Recipe::shortcuts, edgeNames>("shortcuts"),
    choice<&Recipe::attention, edgeNames>("attention"),
    choice<&Recipe::residuals, residualNames>("residuals"),
    flag<&Recipe::twoPhase>("two-phase"),
    flag<&Recipe::swapPhases>("swap-phases"),
    flag<&Recipe::gain>("gain"),
    flag<&Recipe::separateDraws>("separate-draws"),
    {"grad-scale", setGradScale, [](const Recipe &r) { return text::number(r.gradScale); }},
    {"pact-init", setPactInit,
     [](const Recipe &r) {
       return r.pactInit == 0 ? std::string("max") : text::number(r.pactInit);
     }},
    {"pact-floor",
     [](Recipe &r, const std::string &key, const std::string &value) {
       return text::parseNumber(key, value, 0x1p-100, 1e30, "a positive number", r.pactFloor);
     },
     [](const Recipe &r) { return text::number(r.pactFloor); }},
    {"pact-decay",
     [](Recipe &r, const std::string &key, const std::string &value) {
       return text::parseNumber(key, value, 0, 1e30, "a number from 0", r.pactDecay);
     },
     [](const Recipe &r) { return text::number(r.pactDecay); }},
    {"keep-float", addKeepFloat, nullptr},
};

} // namespace

std::optional<Recipe> nibble::findRecipe(const std::string &name) {
  for (const Entry &entry : entries)
    if (name == entry.name) {
      Recipe recipe;
      recipe.name = name;
      entry.change(recipe);
      return recipe;
    }
  return std::nullopt;
}

const std::vector<std::string> &nibble::recipeNames() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> result;
    for (const Entry &entry : entries)
      result.push_back(entry.name);
    return result;
  }();
  return names;
}

std::string nibble::describeRecipes() {
  std::string result;
  for (const Entry &entry : entries) {
    std::string name = entry.name;
    result += "  " + name + std::string(6 - name.size(), ' ') + entry.text + "\n";
  }
  return result;
}

std::string nibble::setRecipeOption(Recipe &recipe, const std::string &key,
                                    const std::string &value) {
  std::vector<std::string> keys;
  for (const Option &option : options) {
    if (key == option.key)
      return option.set(recipe, key, value);
    keys.push_back(option.key);
  }
  return text::unknownKey(key, keys);
}

std::string nibble::toString(const Recipe &recipe) {
  std::string result = "name=" + text::escape(recipe.name);
  for (const Option &option : options)
    if (option.get)
      result += std::string(",") + option.key + "=" + text::escape(option.get(recipe));
  for (const std::string &pattern : recipe.keepFloat)
    result += ",keep-float=" + text::escape(pattern);
  return result;
}

std::optional<Recipe> nibble::parseRecipe(const std::string &text, std::string *error) {
  auto fail = [&](const std::string &what) -> std::optional<Recipe> {
    if (error)
      *error = what;
    return std::nullopt;
  };
  Recipe recipe;
  bool first = true;
  for (auto &[key, value] : text::split(text)) {
    bool bare = first && value.empty() && findRecipe(key);
    if (bare || (first && key == "name")) {
      const std::string &name = bare ? key : value;
      std::optional<Recipe> named = findRecipe(name);
      if (!named)
        return fail("no recipe '" + name + "': " + text::oneOf(recipeNames()) + " expected");
      recipe = *named;
    } else if (first && value.empty() && text.find('=') == std::string::npos) {
      return fail("no recipe '" + key + "': " + text::oneOf(recipeNames()) + " expected");
    } else if (std::string wrong = setRecipeOption(recipe, key, value); !wrong.empty()) {
      return fail(wrong);
    }
    first = false;
  }
  if (first)
    return fail("no recipe '': " + text::oneOf(recipeNames()) + " expected");
  return recipe;
}

//===- RecipeTest.cpp - recipes and their options -----------------------------===//
#include "nibble/Recipe/Recipe.h"

#include <gtest/gtest.h>

using namespace nibble;

namespace {

/// The six recipes differ exactly in what numerics.md, section 3, says.
TEST(Recipe, TheSixAreThoseOfTheTable) {
  EXPECT_EQ(recipeNames(), (std::vector<std::string>{"f32", "w4a4", "ibm", "ibm+", "luq", "int4"}));
  EXPECT_TRUE(findRecipe("f32")->isFloat());
  EXPECT_EQ(findRecipe("f32")->gradients, Gradients::Float);
  for (std::string name : {"w4a4", "ibm", "ibm+", "luq", "int4"}) {
    EXPECT_EQ(findRecipe(name)->weights, Weights::Sawb) << name;
    EXPECT_EQ(findRecipe(name)->activations, Activations::Pact) << name;
    EXPECT_EQ(findRecipe(name)->firstLast, EdgeLayers::Int8) << name;
    EXPECT_EQ(findRecipe(name)->gain, name == "ibm+") << name;
  }
  EXPECT_EQ(findRecipe("w4a4")->gradients, Gradients::Float);
  EXPECT_EQ(findRecipe("ibm")->gradients, Gradients::Radix4);
  EXPECT_EQ(findRecipe("ibm+")->gradients, Gradients::Radix4);
  EXPECT_EQ(findRecipe("luq")->gradients, Gradients::Luq);
  EXPECT_EQ(findRecipe("int4")->gradients, Gradients::Int4);
  EXPECT_FALSE(findRecipe("fp4"));
}

/// parse(toString(r)) = r, for every recipe and with every option changed, also where a pattern
/// holds separators.
TEST(Recipe, TextRoundTrips) {
  for (const std::string &name : recipeNames()) {
    Recipe recipe = *findRecipe(name);
    EXPECT_EQ(parseRecipe(toString(recipe)), recipe) << toString(recipe);
  }
  Recipe recipe = *findRecipe("ibm+");
  const std::pair<const char *, const char *> changes[] = {
      {"weights", "float"},    {"activations", "minmax"},   {"gradients", "luq"},
      {"first-last", "int4"},  {"shortcuts", "float"},      {"two-phase", "false"},
      {"swap-phases", "true"}, {"gain", "false"},           {"separate-draws", "true"},
      {"grad-scale", "0.5"},   {"pact-init", "6.1"},        {"pact-floor", "0.05"},
      {"pact-decay", "0"},     {"keep-float", "a,b=c %{}"}, {"keep-float", "^head"},
      {"attention", "int4"},   {"residuals", "int8"}};
  Recipe before = recipe;
  for (auto [key, value] : changes) {
    EXPECT_EQ(setRecipeOption(recipe, key, value), "") << key;
    EXPECT_NE(recipe, before) << key << " changed nothing";
    before = recipe;
  }
  EXPECT_EQ(parseRecipe(toString(recipe)), recipe) << toString(recipe);
  EXPECT_EQ(recipe.keepFloat[0], "a,b=c %{}");
}

/// A bare name with overrides is the named recipe with these options set.
TEST(Recipe, ShortTextOverridesOneByOne) {
  Recipe recipe = *findRecipe("luq");
  recipe.firstLast = EdgeLayers::Float;
  recipe.keepFloat = {".*"};
  EXPECT_EQ(parseRecipe("luq,first-last=float,keep-float=.*"), recipe);
  EXPECT_EQ(parseRecipe("luq,pact-init=max"), *findRecipe("luq"));
}

/// What is wrong is named together with what is accepted, and a wrong value changes nothing.
TEST(Recipe, ErrorsSayWhatIsAccepted) {
  Recipe recipe = *findRecipe("ibm");
  const Recipe before = recipe;
  EXPECT_EQ(setRecipeOption(recipe, "gradients", "fp8"),
            "--gradients: float, radix4, luq or int4 expected, found 'fp8'");
  EXPECT_EQ(setRecipeOption(recipe, "gain", "yes"), "--gain: true or false expected, found 'yes'");
  EXPECT_EQ(setRecipeOption(recipe, "grad-scale", "1000"),
            "--grad-scale: a power of two from 2^-18 to 2^61 expected, found '1000'");
  EXPECT_EQ(setRecipeOption(recipe, "pact-floor", "-1"),
            "--pact-floor: a positive number expected, found '-1'");
  EXPECT_EQ(setRecipeOption(recipe, "pact-decay", "nan"),
            "--pact-decay: a number from 0 expected, found 'nan'");
  EXPECT_NE(setRecipeOption(recipe, "keep-float", ""), "");
  EXPECT_NE(setRecipeOption(recipe, "bits", "4").find("first-last"), std::string::npos);
  EXPECT_EQ(recipe, before);
  std::string error;
  EXPECT_FALSE(parseRecipe("fp4", &error));
  EXPECT_EQ(error, "no recipe 'fp4': f32, w4a4, ibm, ibm+, luq or int4 expected");
  EXPECT_FALSE(parseRecipe("", &error));
  EXPECT_FALSE(parseRecipe("ibm,gain=maybe", &error));
  EXPECT_EQ(error, "--gain: true or false expected, found 'maybe'");
}

/// --help has one line for each recipe, beginning with its name.
TEST(Recipe, DescriptionNamesEachRecipe) {
  for (const std::string &name : recipeNames())
    EXPECT_NE(describeRecipes().find("  " + name + " "), std::string::npos) << name;
}

} // namespace

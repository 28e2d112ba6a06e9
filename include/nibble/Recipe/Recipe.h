//===- Recipe.h - which numbers a training run multiplies ---------*- C++ -*-===//
//
// A recipe is a named set of options (numerics.md, sections 1 to 3); each option can be overridden
// by itself. Pure C++: the one struct that command line, passes and Python share.
//
//===----------------------------------------------------------------------===//
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace nibble {

enum class Activations { Pact, Dynamic, MinMax };
enum class Gradients { Float, Radix4, Luq, Int4 };
enum class Weights { Float, Sawb };
enum class EdgeLayers { Int8, Float, Int4 };
enum class Residuals { F32, Bf16, Int8, Int4, Recompute };

struct Recipe {
  std::string name = "ibm";
  /// W: SAWB int4 or float. Float here makes the whole recipe `f32`: no quantizer at all.
  Weights weights = Weights::Sawb;
  /// How X gets its range (numerics.md, section 1).
  Activations activations = Activations::Pact;
  /// Numbers of dY.
  Gradients gradients = Gradients::Radix4;
  /// First and last layer: int8, float or int4.
  EdgeLayers firstLast = EdgeLayers::Int8;
  /// 1×1 shortcut convolutions beside a residual path: int8 (default), float or int4.
  EdgeLayers shortcuts = EdgeLayers::Int8;
  /// Products of two activations (attention's two): int8 (default), float or int4.
  EdgeLayers attention = EdgeLayers::Int8;
  /// What the backward pass keeps of real values (numerics.md, section 5): batch norm's input as bf16, which the forward
  /// part reads too, or its normalized value as int8 or int4, or nothing: its product is multiplied again; other real values as bf16; f32
  /// narrows nothing.
  Residuals residuals = Residuals::Bf16;
  /// Radix 4 only. Two-phase rounding: dX from the even grid, dW from the odd one; `swapPhases`
  /// exchanges them.
  bool twoPhase = true;
  bool swapPhases = false;
  /// Multiply each quantized dY by ⟨g,g⟩/⟨g,Q(g)⟩ (ibm+).
  bool gain = false;
  /// int4: separate draws of dY for dX and dW (luq and int4 share one draw by default).
  bool separateDraws = false;
  /// GradScale's start (radix 4).
  double gradScale = 1024.0;
  /// PACT: initial α; 0 stands for max|x| of the first batch. Floor and decay λ of λ·α².
  double pactInit = 0.0;
  double pactFloor = 0x1p-10;
  double pactDecay = 2e-4;
  /// Layers (ONNX node names, or their weights' names) that stay float: regular expressions, any
  /// match.
  std::vector<std::string> keepFloat;

  bool isFloat() const { return weights == Weights::Float; }
  bool operator==(const Recipe &) const = default;
};

/// The recipe of that name: f32, w4a4, ibm, ibm+, luq, int4; nothing where there is none.
std::optional<Recipe> findRecipe(const std::string &name);
/// "f32, w4a4, ibm, ibm+, luq, int4".
const std::vector<std::string> &recipeNames();
/// One line a recipe, for --help.
std::string describeRecipes();

/// Sets one option from text: key as on the command line without dashes ("activations",
/// "gradients", "weights", "first-last", "shortcuts", "attention", "residuals", "two-phase",
/// "swap-phases", "gain", "separate-draws", "grad-scale", "pact-init", "pact-floor", "pact-decay", "keep-float").
/// Returns an empty string, or what is wrong and what is accepted.
std::string setRecipeOption(Recipe &recipe, const std::string &key, const std::string &value);
/// Every option as key=value in a fixed order, separated by commas: goes into the module's
/// attribute `nibble.recipe` and the checkpoint. In values '%', ',', '=', ' ', '{' and '}' are
/// written %HH.
std::string toString(const Recipe &recipe);
/// The inverse of toString. A text may also begin with a recipe's bare name and leave out what it
/// does not change: "ibm,first-last=float". Nothing where the text is not one; then `error`, if
/// given, says what is wrong and what is accepted.
std::optional<Recipe> parseRecipe(const std::string &text, std::string *error = nullptr);

} // namespace nibble

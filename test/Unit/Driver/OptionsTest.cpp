//===- OptionsTest.cpp - one table of options ---------------------------------------===//
#include "nibble/Driver/Options.h"

#include "nibble/Recipe/OptionText.h"

#include <gtest/gtest.h>

using namespace nibble;

namespace {

const ToolOption *find(const std::string &name, unsigned tool) {
  const ToolOption *found = nullptr;
  for (const ToolOption &option : toolOptions())
    if (option.name == name && (option.tools & tool)) {
      EXPECT_EQ(found, nullptr) << name << " is declared twice";
      found = &option;
    }
  return found;
}

// Law: an option is declared once, and says what it does.
TEST(Options, DeclaredOnce) {
  for (const ToolOption &option : toolOptions()) {
    for (unsigned tool : {CompileTool, TrainTool})
      if (option.tools & tool)
        EXPECT_EQ(find(option.name, tool), &option);
    EXPECT_FALSE(option.help.empty()) << option.name;
  }
}

// Law: whatever a recipe, a step or the training loop can be told, a command line can tell it.
TEST(Options, NothingIsOutOfReach) {
  for (auto &[key, value] : text::split(toString(*findRecipe("ibm"))))
    if (key != "name")
      EXPECT_TRUE(find(key, CompileTool) && find(key, TrainTool)) << key;
  EXPECT_TRUE(find("keep-float", TrainTool));
  for (auto &[key, value] : text::split(toString(StepOptions())))
    if (key != "calibrate") // what --insert-norm measures with
      EXPECT_TRUE(find(key, CompileTool) && find(key, TrainTool)) << key;
  for (const runtime::OptionInfo &option : runtime::trainOptionTable())
    EXPECT_TRUE(find(std::string(option.name), TrainTool)) << option.name;
}

// Law: no value makes an option crash, and a refused one changes nothing that is checked here and names the option.
TEST(Options, RefusalsNameTheOption) {
  for (const ToolOption &option : toolOptions())
    for (const char *value : {"", "-1", "nonsense", "1e999", "99999999999999999999999", "=", ",", "a=b", "\xff"}) {
      ToolOptions options;
      Status status = option.set(options, value);
      if (!status)
        EXPECT_NE(status.message().find("--" + option.name), std::string::npos) << option.name << ": " << status.message();
    }
}

// Law: options that mean nothing together are refused, and what is refused by itself is fine where it means something.
TEST(Options, Contradictions) {
  auto check = [](const char *recipe, const char *option, const char *value) {
    ToolOptions options;
    options.compile.model = "m.onnx";
    EXPECT_TRUE(find("recipe", CompileTool)->set(options, recipe).ok());
    EXPECT_TRUE(find(option, CompileTool)->set(options, value).ok());
    options.given = {"recipe", option};
    return checkOptions(options, CompileTool).ok();
  };
  EXPECT_FALSE(check("f32", "activations", "dynamic"));
  EXPECT_TRUE(check("luq", "activations", "dynamic"));
  EXPECT_FALSE(check("luq", "two-phase", "false"));
  EXPECT_TRUE(check("ibm", "two-phase", "false"));
  EXPECT_FALSE(check("w4a4", "gain", "true"));
  EXPECT_TRUE(check("f32", "keep-float", ".*"));
  EXPECT_FALSE(check("ibm", "beta1", "0.5"));
}

} // namespace

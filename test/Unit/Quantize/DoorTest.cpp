// The door accepts what the room makes of every recipe; that it refuses the rest is in
// test/Quantize/verify-quantized-errors.mlir.
#include "Networks.h"

#include "nibble/Dialect/Train/IR/Train.h"
#include "nibble/Quantize/Passes.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/Pass/PassManager.h"

#include <gtest/gtest.h>

#include <set>

using namespace mlir;
using namespace nibble;
using namespace nibble::test;

// What only `insert-quantizers` has seen does not pass: nothing is shared there.
TEST(Door, RefusesUnsharedCodes) {
  Network network(mlp, "ibm", /*share=*/false);
  std::string all;
  ScopedDiagnosticHandler handler(network.module->getContext(), [&](Diagnostic &diagnostic) {
    all += diagnostic.str() + "\n";
    return success();
  });
  PassManager manager(network.module->getContext());
  manager.addPass(createVerifyQuantized());
  EXPECT_TRUE(failed(manager.run(*network.module)));
  EXPECT_NE(all.find("one operand must be codes of the forward product, 0 are"), std::string::npos)
      << all;
}

static std::set<std::string> drawsOf(const char *recipe) {
  Network network(mlp, recipe);
  std::set<std::string> names;
  network.function("train_step").walk([&](train::RandomBitsOp bits) {
    names.insert(bits.getName().str());
  });
  return names;
}

// One draw a layer for both gradients, two where the recipe separates them; int8 layers share
// theirs, radix 4 draws nothing.
TEST(Draws, AreSharedUnlessTheRecipeSaysOtherwise) {
  EXPECT_EQ(drawsOf("int4").size(), 4u);
  EXPECT_EQ(drawsOf("int4,separate-draws=true").size(), 6u);
  EXPECT_EQ(drawsOf("luq").size(), 4u);
  EXPECT_EQ(drawsOf("ibm"), (std::set<std::string>{"fc1/weight_gradient/output_gradient",
                                                   "fc4/input_gradient/output_gradient"}));
  EXPECT_TRUE(drawsOf("w4a4").empty());
}

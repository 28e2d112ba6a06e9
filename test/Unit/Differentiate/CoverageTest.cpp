//===- CoverageTest.cpp - no op without a rule or a reason --------------------------===//
#include "Fixture.h"

#include "nibble/Interfaces/Interfaces.h"

#include <set>

using namespace mlir;
using namespace nibble;
using namespace nibble::test;

namespace {

/// Does the op have a rule, and otherwise: why not?
std::optional<std::string> reason(OperationName name) {
  auto *concept_ = name.getInterface<DifferentiableOpInterface>();
  if (!concept_)
    return std::nullopt;
  return concept_->getNoGradientReason(concept_, nullptr).str();
}

/// The ops of nn. (MLIRContext::getRegisteredOperationsByDialect of LLVM 22 does not find them: it
/// searches a list that is sorted the other way.)
std::vector<RegisteredOperationName> nnOps(MLIRContext &context) {
  std::vector<RegisteredOperationName> ops;
  for (RegisteredOperationName op : context.getRegisteredOperations())
    if (op.getDialectNamespace() == "nn")
      ops.push_back(op);
  EXPECT_GT(ops.size(), 50u);
  return ops;
}

/// Every op of nn implements the interface, with a rule or a reason.
TEST_F(DifferentiateTest, EveryOpHasARuleOrAReason) {
  for (RegisteredOperationName op : nnOps(context))
    EXPECT_TRUE(reason(op)) << op.getStringRef().str()
                            << " has neither a rule nor a reason why it has none";
}

/// Every op with a rule is tested against finite differences (Cases.cpp, or StepTest.cpp for what
/// needs variables), and no op that is said to have no rule is.
TEST_F(DifferentiateTest, EveryRuleIsTested) {
  std::set<std::string> tested = {"nn.batch_norm", "nn.dropout"};
  std::mt19937 random(1);
  for (const Case &test : cases()) {
    auto module = parse(test.make(random).text);
    ASSERT_TRUE(module) << test.name;
    module->walk([&](Operation *op) { tested.insert(op->getName().getStringRef().str()); });
  }
  for (RegisteredOperationName op : nnOps(context)) {
    std::string name = op.getStringRef().str();
    EXPECT_EQ(reason(op)->empty(), tested.count(name) == 1) << name;
  }
}

} // namespace

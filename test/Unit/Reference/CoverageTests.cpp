//===- CoverageTests.cpp - Every registered op has a meaning ------------------===//
#include "TestSupport.h"

using namespace nibble::reference;
using namespace nibble::reference::test;

// The op list exists once: every op that nn, q4 and train register has an entry in the interpreter,
// in float and in double (where an entry may be the error that codes have no meaning).
TEST(Coverage, EveryOpHasAnEntry) {
  mlir::MLIRContext context(Program::makeRegistry());
  context.loadAllAvailableDialects();
  Interpreter<float> floats;
  Interpreter<double> doubles;
  int seen = 0;
  for (mlir::RegisteredOperationName name : context.getRegisteredOperations()) {
    llvm::StringRef dialect = name.getDialectNamespace();
    if (dialect != "nn" && dialect != "q4" && dialect != "train")
      continue;
    ++seen;
    EXPECT_TRUE(floats.knows(name.getStringRef())) << name.getStringRef().str();
    EXPECT_TRUE(doubles.knows(name.getStringRef())) << name.getStringRef().str();
  }
  EXPECT_GT(seen, 70);
  EXPECT_FALSE(floats.knows("nn.no_such_op"));
}

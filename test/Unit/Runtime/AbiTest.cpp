//===- AbiTest.cpp - The bridge ------------------------------------------------------------===//

#include "nibble/Runtime/Abi.h"

#include <gtest/gtest.h>

#include <set>

using namespace nibble::runtime::abi;

namespace {

// Law: the bridge lists each symbol once, with its prototype and its purpose, and knows nothing
// else.
TEST(Abi, ListIsPlain) {
  std::set<std::string_view> names;
  for (const Symbol &symbol : symbols()) {
    EXPECT_TRUE(names.insert(symbol.name).second) << symbol.name;
    EXPECT_FALSE(symbol.prototype.empty() || symbol.purpose.empty()) << symbol.name;
    EXPECT_TRUE(isBridgeSymbol(symbol.name));
  }
  for (const char *name : {"malloc", "free", "expf", "memrefCopy", ""})
    EXPECT_FALSE(isBridgeSymbol(name)) << name;
}

} // namespace

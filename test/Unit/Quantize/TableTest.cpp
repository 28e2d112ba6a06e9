// The table and the saved bytes are read off the IR.
#include "Networks.h"

#include "nibble/Quantize/PrecisionTable.h"
#include "nibble/Quantize/SavedBytes.h"

#include "llvm/Support/raw_ostream.h"

#include <gtest/gtest.h>

using namespace nibble;
using namespace nibble::test;

static std::string summary(const std::vector<PrecisionRow> &rows) {
  std::string text;
  for (const PrecisionRow &row : rows)
    text += row.layer + ":" +
            (row.present ? row.left + "*" + row.right + " " + std::to_string(row.bits) : "-") + ";";
  return text;
}

// Three rows a layer, in program order, with the types that the products have.
TEST(PrecisionTable, OfIbm) {
  Network network(mlp, "ibm");
  EXPECT_EQ(summary(precisionTable(*network.module)),
            "fc1:int8*int8 8;fc1:-;fc1:int8*int8 8;"
            "fc2:int4*int4 4;fc2:log4*int4 4;fc2:int4*log4 4;"
            "fc3:int4*int4 4;fc3:log4*int4 4;fc3:int4*log4 4;"
            "fc4:int8*int8 8;fc4:int8*int8 8;fc4:int8*int8 8;");
}

// Whatever does not run in 4 bits says why, in every recipe; what does says nothing.
TEST(PrecisionTable, EveryRowAboveFourBitsHasItsReason) {
  for (const char *recipe : {"f32", "w4a4", "ibm", "luq,first-last=float", "int4,keep-float=fc2|a"})
    for (const char *forward : {mlp, residual}) {
      Network network(forward, recipe);
      for (const PrecisionRow &row : precisionTable(*network.module)) {
        EXPECT_EQ(row.reason.empty(), row.bits == 4) << recipe << " " << row.layer;
        EXPECT_NE(row.reason, "no reason given");
        EXPECT_EQ(row.multiplyAdds > 0, row.present);
      }
    }
}

// No 4-bit product at all is a warning; one is enough to be silent.
TEST(PrecisionTable, WarnsWhenNothingRunsInFourBits) {
  for (auto [recipe, warns] :
       {std::pair("f32", true), {"ibm,keep-float=.*", true}, {"ibm,keep-float=fc2", false}}) {
    Network network(mlp, recipe);
    auto rows = precisionTable(*network.module);
    EXPECT_EQ(precisionWarning(rows).empty(), !warns) << recipe;
    std::string text;
    llvm::raw_string_ostream os(text);
    printPrecisionTable(rows, os);
    EXPECT_EQ(text.find("warning:") != std::string::npos, warns) << recipe;
  }
}

// Codes are kept in 4 bits, masks in one: the total is the sum of the values, and no f32 activation
// is kept that only products need.
TEST(SavedBytes, CountsBits) {
  Network network(residual, "ibm");
  SavedBytes saved = savedBytes(*network.module);
  int64_t sum = 0;
  bool found = false;
  int reals = 0, narrow = 0;
  for (const SavedValue &value : saved.values) {
    sum += value.bytes;
    // Layer a's input: 4·6·6·8 codes of 4 bits.
    found |= value.type == "tensor<4x6x6x8x!q4.int4>" && value.bytes == 576;
    if (llvm::StringRef(value.type).count('x') == 4)
      reals += llvm::StringRef(value.type).ends_with("xf32>"), narrow += llvm::StringRef(value.type).ends_with("xbf16>");
  }
  EXPECT_EQ(sum, saved.total);
  EXPECT_TRUE(found);
  // The one feature map that is kept as numbers is batch norm's z.
  EXPECT_EQ(reals, 0);
  EXPECT_EQ(narrow, 1);
  Network real(residual, "f32");
  EXPECT_LT(saved.total, savedBytes(*real.module).total);
}

//===- CsvTest.cpp - Tables of numbers -------------------------------------------------------===//

#include "nibble/Runtime/DataSet.h"

#include "Files.h"

#include <gtest/gtest.h>

using namespace nibble;
using namespace nibble::runtime;
using namespace nibble::test;

namespace {

class Csv : public ::testing::Test {
protected:
  Result<DataSet> read(const std::string &text, const std::string &labelColumns = "") {
    std::string path = folder.path("a.csv");
    std::ofstream(path, std::ios::binary) << text;
    return readCsv(path, labelColumns);
  }
  std::string error(const std::string &text, const std::string &labelColumns = "") {
    Result<DataSet> set = read(text, labelColumns);
    EXPECT_FALSE(set.ok()) << text;
    return set.message();
  }
  static std::vector<float> floats(const Tensor &tensor) {
    return std::vector<float>(tensor.data<float>(), tensor.data<float>() + tensor.size());
  }
  TempFolder folder;
};

// Law: a head is found where it is one, separators are told apart, blank lines and \r\n do not matter, and the
// last column is the answer.
TEST_F(Csv, Forms) {
  for (const char *text : {"1,2,0\n3,4.5,1\n", "a,b,y\n1,2,0\n3,4.5,1", "1;2;0\r\n\r\n3;4.5;1\r\n",
                           "\xEF\xBB\xBF\"a\",\"b, c\",\"y\"\n 1 ,2,0\n+3,4.50,1\n", "1\t2\t0\n3\t4.5\t1\n"}) {
    Result<DataSet> set = read(text);
    ASSERT_TRUE(set) << text << ": " << set.message();
    EXPECT_EQ(set->x.shape, (std::vector<int64_t>{2, 2}));
    EXPECT_EQ(floats(set->x), (std::vector<float>{1, 2, 3, 4.5f}));
    EXPECT_EQ(set->labels, (std::vector<int32_t>{0, 1}));
    EXPECT_EQ(set->size(), 2);
  }
}

// Law: the answers are where --label-column says, by name or number; real ones and several are targets; words are
// numbered in the order of their bytes.
TEST_F(Csv, Answers) {
  std::string text = "y,a,z,b\n1,10,0.5,20\n0,11,0.25,21\n";
  Result<DataSet> named = read(text, "y");
  ASSERT_TRUE(named) << named.message();
  EXPECT_EQ(named->labels, (std::vector<int32_t>{1, 0}));
  EXPECT_EQ(floats(named->x), (std::vector<float>{10, 0.5f, 20, 11, 0.25f, 21}));
  Result<DataSet> numbered = read(text, "3");
  ASSERT_TRUE(numbered) << numbered.message();
  EXPECT_FALSE(numbered->hasLabels());
  EXPECT_EQ(floats(numbered->targets), (std::vector<float>{0.5f, 0.25f}));
  Result<DataSet> several = read(text, "z,y");
  ASSERT_TRUE(several) << several.message();
  EXPECT_EQ(several->targets.shape, (std::vector<int64_t>{2, 2}));
  EXPECT_EQ(floats(several->targets), (std::vector<float>{0.5f, 1, 0.25f, 0}));
  Result<DataSet> words = read("1,rose\n2,iris\n3,rose\n");
  ASSERT_TRUE(words) << words.message();
  EXPECT_EQ(words->labels, (std::vector<int32_t>{1, 0, 1}));
  EXPECT_EQ(words->classNames, (std::vector<std::string>{"iris", "rose"}));
}

// Law: what is wrong is said with its line and column, and what would have been right.
TEST_F(Csv, Errors) {
  EXPECT_NE(error("").find("empty"), std::string::npos);
  EXPECT_NE(error("1\n2\n").find("one cell"), std::string::npos);
  EXPECT_NE(error("a,y\n").find("no sample"), std::string::npos);
  EXPECT_NE(error("1,2\n1,2,3\n").find("line 2 has 3 cells, the first line has 2"), std::string::npos);
  EXPECT_NE(error("a,y\n1,0\nx,1\n").find("line 3, column 'a': 'x' is not a finite number"), std::string::npos);
  EXPECT_NE(error("1,0\nnan,1\n").find("line 2, column 1"), std::string::npos);
  EXPECT_NE(error("1,0\n1e39,1\n").find("not a finite number"), std::string::npos);
  EXPECT_NE(error("a,y\n1,0\n", "z").find("no cell 'z'"), std::string::npos);
  EXPECT_NE(error("1,0\n", "3").find("numbered from 1 to 2"), std::string::npos);
  EXPECT_NE(error("1,0\n", "1,2").find("names every column"), std::string::npos);
  EXPECT_NE(error("1,\"0\n").find("a quote is not closed"), std::string::npos);
  EXPECT_NE(error("1,2,word\n", "2,3").find("not a finite number"), std::string::npos);
  EXPECT_NE(error(std::string(17 << 20, '1')).find("longer than 16 MiB"), std::string::npos);
}

// Law: validation data whose words would get other numbers are refused.
TEST_F(Csv, WordsOfBothParts) {
  std::ofstream(folder.path("t.csv")) << "1,a\n2,b\n";
  std::ofstream(folder.path("v.csv")) << "1,b\n2,c\n";
  EXPECT_NE(loadData(folder.path("t.csv"), folder.path("v.csv"), "").message().find("other words"), std::string::npos);
  EXPECT_TRUE(loadData(folder.path("t.csv"), folder.path("t.csv"), "").ok());
}

} // namespace

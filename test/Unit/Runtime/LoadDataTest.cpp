//===- LoadDataTest.cpp - Finding out what a path holds ---------------------------------===//

#include "Files.h"

using namespace nibble;
using namespace nibble::runtime;
using namespace nibble::test;

namespace {

const std::string archive = zipFile({{"x.npy", npyFile("|u1", "2, 1", ramp(2))},
                                     {"y.npy", npyFile("<i4", "2,", elements<int32_t>({1, 0}))}});

// Law: a path that holds nothing readable ends in an error that says what was expected and found.
TEST(LoadData, ErrorsSayExpectedAndFound) {
  TempFolder folder;
  EXPECT_NE(loadData(folder.path("nowhere")).message().find("no such file"), std::string::npos);
  EXPECT_NE(loadData("").message().find("no data given"), std::string::npos);
  EXPECT_NE(loadData(folder.path()).message().find("found nothing"), std::string::npos);
  folder.write("cat.png", "x");
  EXPECT_NE(loadData(folder.path()).message().find("cat.png"), std::string::npos);
  EXPECT_NE(loadData(folder.path("cat.png")).message().find("expected"), std::string::npos);
}

// Law: a folder that bears the name of a file is an error, not a crash.
TEST(LoadData, FolderNamedLikeAFile) {
  TempFolder folder;
  std::filesystem::create_directory(folder.path("a.npz"));
  EXPECT_FALSE(readNpz(folder.path("a.npz")).ok());
  std::filesystem::create_directory(folder.path("data_batch_1.bin"));
  EXPECT_FALSE(readCifarFolder(folder.path()).ok());
}

// Law: --val replaces the validation part: by the other path's own validation part if it has one,
// else by its training part.
TEST(LoadData, ValidationPath) {
  TempFolder folder;
  folder.write("a.npz", archive);
  Result<DataPair> pair = loadData(folder.path("a.npz"), folder.path("a.npz"), "");
  ASSERT_TRUE(pair) << pair.message();
  EXPECT_TRUE(pair->train && pair->validation);
  EXPECT_EQ(pair->validation->labels, pair->train->labels);
  EXPECT_FALSE(loadData(folder.path("a.npz"), folder.path("b.npz"), "").ok());
}

// Law: an IDX images file alone finds its labels beside it.
TEST(LoadData, IdxFileFindsItsLabels) {
  TempFolder folder;
  std::string path = folder.write("my-images-idx3-ubyte", idxFile({1, 2, 2}, ramp(4)));
  EXPECT_NE(loadData(path).message().find("my-labels-idx1-ubyte"), std::string::npos);
  folder.write("my-labels-idx1-ubyte", idxFile({1}, "\x03"));
  Result<DataPair> pair = loadData(path);
  ASSERT_TRUE(pair) << pair.message();
  EXPECT_EQ(pair->train->labels, (std::vector<int32_t>{3}));
}

} // namespace

//===- CifarTest.cpp - CIFAR-10 binary folders -----------------------------------------===//

#include "Files.h"

using namespace nibble;
using namespace nibble::runtime;
using namespace nibble::test;

namespace {

std::string row(char label, char first) {
  std::string bytes(3073, first);
  bytes[0] = label;
  return bytes;
}

// Law: batches follow each other in the order of their names; test_batch is the validation part.
TEST(Cifar, FolderOrder) {
  TempFolder folder;
  folder.write("data_batch_2.bin", row(5, 50));
  folder.write("data_batch_1.bin", row(3, 30) + row(4, 40));
  folder.write("test_batch.bin", row(9, 90));
  folder.write("batches.meta.txt", "airplane\n");
  Result<DataPair> pair = loadData(folder.path());
  ASSERT_TRUE(pair) << pair.message();
  EXPECT_EQ(pair->train->x.shape, (std::vector<int64_t>{3, 3, 32, 32}));
  EXPECT_EQ(pair->train->labels, (std::vector<int32_t>{3, 4, 5}));
  EXPECT_EQ(pair->train->x.data<uint8_t>()[2 * 3072], 50);
  EXPECT_EQ(pair->validation->labels, (std::vector<int32_t>{9}));
}

// Law: a file whose size is not a whole number of rows is refused, and so is an empty one.
TEST(Cifar, PartialRowsAreRefused) {
  TempFolder folder;
  for (size_t size : {0, 1, 3072, 3074, 6145}) {
    folder.write("data_batch_1.bin", std::string(size, 'x'));
    Result<DataPair> pair = loadData(folder.path());
    ASSERT_FALSE(pair.ok()) << size;
    EXPECT_NE(pair.message().find("data_batch_1.bin"), std::string::npos);
    EXPECT_NE(pair.message().find("3073"), std::string::npos);
  }
}

// Law: the recorded part of CIFAR-10 reads as 4,000 + 1,000 images of ten classes.
TEST(Cifar, Recorded) {
  std::string path = recordedData("cifar10-part");
  if (path.empty())
    GTEST_SKIP() << "no CIFAR-10 in NIBBLE_DATA";
  Result<DataPair> pair = loadData(path);
  ASSERT_TRUE(pair) << pair.message();
  EXPECT_EQ(pair->train->size(), 4000);
  EXPECT_EQ(pair->validation->size(), 1000);
  EXPECT_TRUE(pair->train->checkLabels(10));
}

} // namespace

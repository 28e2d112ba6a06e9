//===- IdxTest.cpp - IDX folders ------------------------------------------------------===//

#include "Files.h"

using namespace nibble;
using namespace nibble::runtime;
using namespace nibble::test;

namespace {

/// Two 2×3 images and their labels 7, 2.
const std::string images = idxFile({2, 2, 3}, ramp(12));
const std::string labels = idxFile({2}, "\x07\x02");

void expectTheTwoImages(const DataSet &set) {
  EXPECT_EQ(set.x.type, DType::U8);
  EXPECT_EQ(set.x.shape, (std::vector<int64_t>{2, 1, 2, 3}));
  EXPECT_EQ(std::memcmp(set.x.bytes.data(), ramp(12).data(), 12), 0);
  EXPECT_EQ(set.labels, (std::vector<int32_t>{7, 2}));
}

// Law: images become samples × 1 × H × W bytes as stored; train-* and t10k-* are the two parts.
TEST(Idx, FolderHasBothParts) {
  TempFolder folder;
  folder.write("train-images-idx3-ubyte", images);
  folder.write("train-labels-idx1-ubyte", labels);
  folder.write("t10k-images-idx3-ubyte", idxFile({1, 2, 3}, ramp(6)));
  folder.write("t10k-labels-idx1-ubyte", idxFile({1}, "\x01"));
  Result<DataPair> pair = loadData(folder.path());
  ASSERT_TRUE(pair) << pair.message();
  expectTheTwoImages(*pair->train);
  EXPECT_EQ(pair->validation->size(), 1);
}

// Law: gzip, and the spelling with dots that unpackers make, change nothing.
TEST(Idx, GzipAndDotsChangeNothing) {
  for (auto [imageName, labelName] :
       {std::pair("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
        std::pair("train-images.idx3-ubyte", "train-labels.idx1-ubyte"),
        std::pair("train-images.idx3-ubyte.gz", "train-labels-idx1-ubyte")}) {
    TempFolder folder;
    bool packed = std::string(imageName).ends_with(".gz");
    folder.write(imageName, packed ? gzip(images) : images);
    folder.write(labelName, std::string(labelName).ends_with(".gz") ? gzip(labels) : labels);
    Result<DataPair> pair = loadData(folder.path());
    ASSERT_TRUE(pair) << imageName << ": " << pair.message();
    expectTheTwoImages(*pair->train);
  }
}

// Law: rank 4 files keep their channels.
TEST(Idx, RankFourKeepsChannels) {
  TempFolder folder;
  Result<DataSet> set =
      readIdxFiles(folder.write("i", idxFile({2, 3, 1, 2}, ramp(12))), folder.write("l", labels));
  ASSERT_TRUE(set) << set.message();
  EXPECT_EQ(set->x.shape, (std::vector<int64_t>{2, 3, 1, 2}));
}

// Law: a file that was cut off anywhere is refused, images and labels, plain and packed.
TEST(Idx, EveryTruncationIsRefused) {
  TempFolder folder;
  auto read = [&] { return readIdxFiles(folder.path("images"), folder.path("labels")).status(); };
  folder.write("labels", labels);
  expectEveryTruncationRefused(folder, "images", images, read);
  expectEveryTruncationRefused(folder, "labels", labels, read);
  expectEveryTruncationRefused(folder, "images", gzip(images), read);
}

// Law: in a gzip file one damaged byte is either noticed or changes nothing.
TEST(Idx, GzipDamageIsNoticedOrHarmless) {
  TempFolder folder;
  folder.write("labels", labels);
  forEveryDamagedByte(folder, "images", gzip(images), [&](size_t) {
    if (Result<DataSet> set = readIdxFiles(folder.path("images"), folder.path("labels")))
      expectTheTwoImages(*set);
  });
}

// Law: a damaged header of a plain file never crashes, whatever byte is hit.
TEST(Idx, PlainHeaderDamageIsRefused) {
  TempFolder folder;
  folder.write("labels", labels);
  forEveryDamagedByte(folder, "images", images.substr(0, 16), [&](size_t) {
    EXPECT_FALSE(readIdxFiles(folder.path("images"), folder.path("labels")).ok());
  });
}

// Law: a header that claims more than the file can hold is refused before memory is taken.
TEST(Idx, AbsurdSizesAreRefused) {
  TempFolder folder;
  folder.write("labels", labels);
  for (std::vector<uint32_t> shape : {std::vector<uint32_t>{0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF},
                                      {0xFFFFFFFF, 28, 28},
                                      {60000, 28, 28},
                                      {3, 2, 3}})
    for (bool packed : {false, true}) {
      std::string bytes = idxFile(shape, ramp(12));
      folder.write("images", packed ? gzip(bytes) : bytes);
      Result<DataSet> set = readIdxFiles(folder.path("images"), folder.path("labels"));
      ASSERT_FALSE(set.ok());
      EXPECT_NE(set.message().find("images: "), std::string::npos) << set.message();
    }
}

// Law: an empty file, no images at all, other element types, bytes left over and counts that differ
// are refused.
TEST(Idx, WrongFilesAreNamed) {
  TempFolder folder;
  folder.write("labels", labels);
  auto messageFor = [&](const std::string &bytes) {
    folder.write("images", bytes);
    return readIdxFiles(folder.path("images"), folder.path("labels")).message();
  };
  EXPECT_NE(messageFor(idxFile({0, 2, 3}, "")).find("no data"), std::string::npos);
  EXPECT_NE(messageFor(images + "x").find("more bytes"), std::string::npos);
  EXPECT_NE(messageFor(idxFile({3, 2, 3}, ramp(18))).find("labels"), std::string::npos);
  EXPECT_NE(messageFor(std::string("\0\0\x0D\3", 4) + ramp(40)).find("00 00 0d 03"),
            std::string::npos);
  EXPECT_NE(messageFor("P6 2 2 255").find("not an IDX file"), std::string::npos);
}

// Law: images without labels are an error that names the missing file.
TEST(Idx, MissingLabelsAreNamed) {
  TempFolder folder;
  folder.write("train-images-idx3-ubyte", images);
  EXPECT_NE(loadData(folder.path()).message().find("train-labels-idx1-ubyte"), std::string::npos);
}

// Law: MNIST reads as what it is: 60,000 + 10,000 images of 28×28, first labels 5 and 7, known
// pixel sums.
TEST(Idx, Mnist) {
  std::string path = recordedData("mnist");
  if (path.empty())
    GTEST_SKIP() << "no MNIST in NIBBLE_DATA";
  Result<DataPair> pair = loadData(path);
  ASSERT_TRUE(pair) << pair.message();
  EXPECT_EQ(pair->train->x.shape, (std::vector<int64_t>{60000, 1, 28, 28}));
  EXPECT_EQ(pair->validation->x.shape, (std::vector<int64_t>{10000, 1, 28, 28}));
  EXPECT_EQ(pair->train->labels[0], 5);
  EXPECT_EQ(pair->validation->labels[0], 7);
  EXPECT_TRUE(pair->train->checkLabels(10));
  // The mean and deviation that everyone uses for MNIST.
  Result<Normalization> normalization = Normalization::create("auto", *pair->train);
  ASSERT_TRUE(normalization);
  EXPECT_NEAR(normalization->mean[0], 0.1307, 5e-5);
  EXPECT_NEAR(normalization->deviation[0], 0.3081, 5e-5);
}

} // namespace

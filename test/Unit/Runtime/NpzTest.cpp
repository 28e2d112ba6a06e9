//===- NpzTest.cpp - NumPy arrays and archives -----------------------------------------===//

#include "Files.h"

#include <cmath>

using namespace nibble;
using namespace nibble::runtime;
using namespace nibble::test;

namespace {

const std::string twoLabels = npyFile("<i4", "2,", elements<int32_t>({1, 0}));

Result<DataPair> readArrays(const std::string &x, const std::string &y) {
  TempFolder folder;
  return readNpz(folder.write("a.npz", zipFile({{"x.npy", x}, {"y.npy", y}})));
}

std::vector<float> floatsOf(const Tensor &tensor) {
  std::vector<float> values;
  for (int64_t i = 0; i < tensor.size(); ++i)
    values.push_back(static_cast<float>(tensor.at(i)));
  return values;
}

struct TypeCase {
  const char *descr;
  std::string data;
  std::vector<float> expected;
};

class NpyTypes : public testing::TestWithParam<TypeCase> {};

// Law: every element type arrives with its values; bytes stay bytes, everything else becomes
// float32.
TEST_P(NpyTypes, ValuesArrive) {
  const TypeCase &given = GetParam();
  Result<DataPair> pair = readArrays(npyFile(given.descr, "2, 2", given.data), twoLabels);
  ASSERT_TRUE(pair) << pair.message();
  EXPECT_EQ(floatsOf(pair->train->x), given.expected);
  bool isByte = std::string(given.descr) == "|u1" || std::string(given.descr) == "|b1";
  EXPECT_EQ(pair->train->x.type, isByte ? DType::U8 : DType::F32);
}

// Law: whole numbers y of N x T are T labels a sample, and targets.
TEST(Npz, LabelsOfSequences) {
  Result<DataPair> pair = readArrays(npyFile("<i4", "2, 2", elements<int32_t>({5, 6, 7, 8})),
                                     npyFile("<i4", "2, 2", elements<int32_t>({6, 7, 8, 9})));
  ASSERT_TRUE(pair) << pair.message();
  EXPECT_EQ(pair->train->labels, (std::vector<int32_t>{6, 7, 8, 9}));
  EXPECT_EQ(pair->train->labelsPerSample(), 2);
  EXPECT_EQ(floatsOf(pair->train->targets), (std::vector<float>{6, 7, 8, 9}));
}

std::string swapped(std::string bytes, size_t width) {
  for (size_t i = 0; i < bytes.size(); i += width)
    std::reverse(bytes.begin() + long(i), bytes.begin() + long(i + width));
  return bytes;
}

INSTANTIATE_TEST_SUITE_P(
    All, NpyTypes,
    testing::Values(
        TypeCase{"|u1", elements<uint8_t>({0, 1, 200, 255}), {0, 1, 200, 255}},
        TypeCase{"|b1", elements<uint8_t>({0, 1, 1, 0}), {0, 1, 1, 0}},
        TypeCase{"|i1", elements<int8_t>({-128, -1, 0, 127}), {-128, -1, 0, 127}},
        TypeCase{"<i2", elements<int16_t>({-32768, -1, 0, 32767}), {-32768, -1, 0, 32767}},
        TypeCase{"<u2", elements<uint16_t>({0, 1, 2, 65535}), {0, 1, 2, 65535}},
        TypeCase{"<i4", elements<int32_t>({-5, 0, 5, 1 << 20}), {-5, 0, 5, 1 << 20}},
        TypeCase{"<u4", elements<uint32_t>({0, 1, 2, 4294967295.0}), {0, 1, 2, 4294967296.0f}},
        TypeCase{"<i8", elements<int64_t>({-5, 0, 5, 1 << 20}), {-5, 0, 5, 1 << 20}},
        TypeCase{"<u8", elements<uint64_t>({0, 1, 5, 1 << 20}), {0, 1, 5, 1 << 20}},
        // 0x3C00 is 1, 0xC100 −2.5, 0x0001 the least denormal, 0x7BFF the largest number
        TypeCase{"<f2",
                 elements<uint16_t>({0x3C00, 0xC100, 0x0001, 0x7BFF}),
                 {1, -2.5f, 0x1p-24f, 65504}},
        TypeCase{"<f4", elements<float>({0.1, -2, 0, 1e30}), {0.1f, -2, 0, 1e30f}},
        TypeCase{"<f8", elements<double>({0.1, -2, 0, 1e30}), {0.1f, -2, 0, 1e30f}},
        TypeCase{">f4", swapped(elements<float>({0.1, -2, 0, 3}), 4), {0.1f, -2, 0, 3}},
        TypeCase{">i2", swapped(elements<int16_t>({1, 2, -3, 4}), 2), {1, 2, -3, 4}}),
    [](const auto &info) { return "type" + std::to_string(info.index); });

// Law: a Fortran-ordered array holds the same elements at the same indices as a C-ordered one.
TEST(Npy, FortranOrder) {
  // a[i, j, k] = 12 i + 4 j + k, 2 × 3 × 4, written with i running fastest
  std::string data;
  for (int k = 0; k < 4; ++k)
    for (int j = 0; j < 3; ++j)
      for (int i = 0; i < 2; ++i)
        data += littleEndian<float>(static_cast<float>(12 * i + 4 * j + k));
  Result<DataPair> pair = readArrays(npyFile("<f4", "2, 3, 4", data, true), twoLabels);
  ASSERT_TRUE(pair) << pair.message();
  std::vector<float> expected(24);
  for (int i = 0; i < 24; ++i)
    expected[static_cast<size_t>(i)] = static_cast<float>(i);
  EXPECT_EQ(floatsOf(pair->train->x), expected);
  EXPECT_EQ(pair->train->x.shape, (std::vector<int64_t>{2, 3, 4}));
}

// Law: labels may be whole numbers of any type, flat or in a column.
TEST(Npz, LabelsOfAnyType) {
  std::string x = npyFile("<f4", "2, 1", elements<float>({1, 2}));
  for (const std::string &y : {npyFile("|u1", "2,", elements<uint8_t>({3, 1})),
                               npyFile("|i1", "2, 1", elements<int8_t>({3, 1})),
                               npyFile("<u2", "2,", elements<uint16_t>({3, 1})),
                               npyFile("<i8", "2,", elements<int64_t>({3, 1})),
                               npyFile("<u8", "2,", elements<uint64_t>({3, 1})),
                               npyFile("<f4", "2,", elements<float>({3, 1})),
                               npyFile("<f8", "2, 1", elements<double>({3, 1}))}) {
    Result<DataPair> pair = readArrays(x, y);
    ASSERT_TRUE(pair) << pair.message();
    EXPECT_EQ(pair->train->labels, (std::vector<int32_t>{3, 1}));
  }
}

// Law: real y are targets, not labels; whole-numbered real y are both.
TEST(Npz, RealTargets) {
  std::string x = npyFile("<f4", "2, 1", elements<float>({1, 2}));
  Result<DataPair> pair = readArrays(x, npyFile("<f8", "2, 1", elements<double>({0.5, 1})));
  ASSERT_TRUE(pair) << pair.message();
  EXPECT_TRUE(pair->train->labels.empty());
  EXPECT_EQ(floatsOf(pair->train->targets), (std::vector<float>{0.5f, 1}));
  pair = readArrays(x, npyFile("<f4", "2,", elements<float>({2, 1})));
  ASSERT_TRUE(pair) << pair.message();
  EXPECT_EQ(pair->train->labels, (std::vector<int32_t>{2, 1}));
  EXPECT_EQ(floatsOf(pair->train->targets), (std::vector<float>{2, 1}));
}

// Law: x_train/y_train and x_test/y_test make both parts, in capitals too.
TEST(Npz, KeysOfBothParts) {
  TempFolder folder;
  std::string x = npyFile("|u1", "2, 1", ramp(2));
  for (const char *letter : {"x", "X"}) {
    std::string key = letter;
    Result<DataPair> pair = readNpz(folder.write("a.npz", zipFile({{key + "_train.npy", x},
                                                                   {"y_train.npy", twoLabels},
                                                                   {"y_test.npy", twoLabels},
                                                                   {key + "_test.npy", x}})));
    ASSERT_TRUE(pair) << pair.message();
    EXPECT_TRUE(pair->train && pair->validation);
  }
}

// Law: what is wrong with an archive is said with the sample, the shapes or the names that were
// found.
TEST(Npz, ErrorsNameWhatWasFound) {
  TempFolder folder;
  std::string x = npyFile("<f4", "2, 1", elements<float>({1, 2}));
  auto expectMessage = [](const Result<DataPair> &pair, const char *part) {
    ASSERT_FALSE(pair.ok());
    EXPECT_NE(pair.message().find(part), std::string::npos) << pair.message();
  };
  expectMessage(readNpz(folder.write("a.npz", zipFile({{"weights.npy", x}}))), "weights.npy");
  expectMessage(readNpz(folder.write("a.npz", zipFile({{"x.npy", x}}))), "not y");
  expectMessage(readArrays(x, npyFile("<i4", "3,", elements<int32_t>({1, 2, 3}))), "2x1 and 3");
  expectMessage(readArrays(npyFile("<f4", "2, 1", elements<float>({1, NAN})), twoLabels),
                "sample 1");
  expectMessage(readArrays(npyFile("<f8", "2, 1", elements<double>({1e300, 0})), twoLabels),
                "sample 0");
  expectMessage(readArrays(x, npyFile("<i8", "2,", elements<int64_t>({1, 3e9}))),
                "sample 1 is 3000000000");
  expectMessage(readArrays(npyFile("<c8", "2, 1", ramp(16)), twoLabels), "<c8");
  expectMessage(readArrays(npyFile("|O", "2, 1", ramp(16)), twoLabels), "|O");
  expectMessage(readArrays(npyFile("<f4", "0, 4", ""), npyFile("<i4", "0,", "")), "no data");
  expectMessage(readArrays(npyFile("<f4", "", elements<float>({1})), twoLabels), "scalar");
}

// Law: a shape that its bytes cannot hold is refused before memory is taken.
TEST(Npz, AbsurdShapesAreRefused) {
  for (const char *shape : {"4611686018427387904, 4611686018427387904", "2, 9223372036854775807",
                            "3, 1", "99999999999999999999", "-2, 1", "0, 9223372036854775807", "1"})
    EXPECT_FALSE(readArrays(npyFile("<f4", shape, elements<float>({1, 2})), twoLabels).ok())
        << shape;
}

// Law: every damaged header ends in an error or in an array, never in a crash.
TEST(Npz, HeaderDamageNeverCrashes) {
  std::string good = npyFile("<f4", "2, 1", elements<float>({1, 2}), true);
  for (size_t at = 0; at < good.size(); ++at)
    for (char other : {'\0', '\xFF', '9', '(', '\'', '-', ' '}) {
      std::string damaged = good;
      damaged[at] = other;
      (void)readArrays(damaged,
                       twoLabels); // the archive's checksum is right, so the parser sees it
    }
}

// Law: ONNX Runtime's recorded case, written by NumPy itself, reads as 2 × 784 with labels 1, 1.
TEST(Npz, Recorded) {
  std::string path = recordedData("ort-training-api/case.npz");
  if (path.empty())
    GTEST_SKIP() << "no ort-training-api in NIBBLE_DATA";
  Result<DataPair> pair = loadData(path);
  ASSERT_TRUE(pair) << pair.message();
  EXPECT_EQ(pair->train->x.shape, (std::vector<int64_t>{2, 784}));
  EXPECT_EQ(pair->train->labels, (std::vector<int32_t>{1, 1}));
}

} // namespace

//===- ZipTest.cpp - The archive writer of the tests, and the archive's own laws ----===//

#include "Files.h"

using namespace nibble;
using namespace nibble::runtime;
using namespace nibble::test;

namespace {

struct Written {
  std::string name, packed;
  uint32_t crc;
  size_t size, offset;
};

std::string localHeader(const Written &entry, int method) {
  return littleEndian<uint32_t>(0x04034b50) + littleEndian<uint16_t>(20) +
         littleEndian<uint16_t>(0) + littleEndian<uint16_t>(uint16_t(method)) +
         littleEndian<uint32_t>(0) + littleEndian<uint32_t>(entry.crc) +
         littleEndian<uint32_t>(uint32_t(entry.packed.size())) +
         littleEndian<uint32_t>(uint32_t(entry.size)) +
         littleEndian<uint16_t>(uint16_t(entry.name.size())) + littleEndian<uint16_t>(0) +
         entry.name;
}

std::string centralHeader(const Written &entry, int method, bool wide) {
  std::string extra;
  if (wide)
    extra = littleEndian<uint16_t>(1) + littleEndian<uint16_t>(24) +
            littleEndian<uint64_t>(entry.size) + littleEndian<uint64_t>(entry.packed.size()) +
            littleEndian<uint64_t>(entry.offset);
  auto field = [&](size_t value) {
    return littleEndian<uint32_t>(wide ? 0xFFFFFFFFu : uint32_t(value));
  };
  return littleEndian<uint32_t>(0x02014b50) + littleEndian<uint16_t>(20) +
         littleEndian<uint16_t>(20) + littleEndian<uint16_t>(0) +
         littleEndian<uint16_t>(uint16_t(method)) + littleEndian<uint32_t>(0) +
         littleEndian<uint32_t>(entry.crc) + field(entry.packed.size()) + field(entry.size) +
         littleEndian<uint16_t>(uint16_t(entry.name.size())) +
         littleEndian<uint16_t>(uint16_t(extra.size())) + littleEndian<uint16_t>(0) +
         littleEndian<uint32_t>(0) + littleEndian<uint32_t>(0) + field(entry.offset) + entry.name +
         extra;
}

std::string endRecords(size_t count, size_t size, size_t offset, bool wide, size_t end64At) {
  std::string bytes;
  if (wide) {
    bytes += littleEndian<uint32_t>(0x06064b50) + littleEndian<uint64_t>(44) +
             littleEndian<uint32_t>(0x002D002D) + littleEndian<uint64_t>(0) +
             littleEndian<uint64_t>(count) + littleEndian<uint64_t>(count) +
             littleEndian<uint64_t>(size) + littleEndian<uint64_t>(offset);
    bytes += littleEndian<uint32_t>(0x07064b50) + littleEndian<uint32_t>(0) +
             littleEndian<uint64_t>(end64At) + littleEndian<uint32_t>(1);
    count = 0xFFFF, size = offset = 0xFFFFFFFF;
  }
  return bytes + littleEndian<uint32_t>(0x06054b50) + littleEndian<uint32_t>(0) +
         littleEndian<uint16_t>(uint16_t(count)) + littleEndian<uint16_t>(uint16_t(count)) +
         littleEndian<uint32_t>(uint32_t(size)) + littleEndian<uint32_t>(uint32_t(offset)) +
         littleEndian<uint16_t>(0);
}

} // namespace

std::string nibble::test::zipFile(const std::vector<ZipItem> &items, ZipKind kind) {
  int method = kind == ZipKind::Deflated ? 8 : 0;
  bool wide = kind == ZipKind::Zip64;
  std::string bytes, central;
  for (const ZipItem &item : items) {
    Written entry{item.name, method ? compress(item.data, -15) : item.data,
                  uint32_t(crc32(0, reinterpret_cast<const Bytef *>(item.data.data()),
                                 uInt(item.data.size()))),
                  item.data.size(), bytes.size()};
    bytes += localHeader(entry, method) + entry.packed;
    central += centralHeader(entry, method, wide);
  }
  size_t offset = bytes.size();
  bytes += central;
  return bytes + endRecords(items.size(), central.size(), offset, wide, bytes.size());
}

namespace {

std::vector<ZipItem> twoSamples() {
  return {{"x.npy", npyFile("|u1", "2, 3", ramp(6))},
          {"y.npy", npyFile("<i8", "2,", elements<int64_t>({1, 0}))}};
}

class Zip : public testing::TestWithParam<ZipKind> {};

// Law: the way in which an archive is packed does not change what is read from it.
TEST_P(Zip, ContentDoesNotDependOnPacking) {
  TempFolder folder;
  Result<DataPair> pair = readNpz(folder.write("a.npz", zipFile(twoSamples(), GetParam())));
  ASSERT_TRUE(pair) << pair.message();
  const DataSet &set = *pair->train;
  EXPECT_EQ(set.x.shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(std::memcmp(set.x.bytes.data(), ramp(6).data(), 6), 0);
  EXPECT_EQ(set.labels, (std::vector<int32_t>{1, 0}));
}

// Law: a file that was cut off anywhere is refused.
TEST_P(Zip, EveryTruncationIsRefused) {
  TempFolder folder;
  std::string path = folder.path("a.npz");
  expectEveryTruncationRefused(folder, "a.npz", zipFile(twoSamples(), GetParam()),
                               [&] { return readNpz(path).status(); });
}

// Law: one damaged byte is either noticed or changes nothing that is read (dates, version fields).
TEST_P(Zip, DamageIsNoticedOrHarmless) {
  TempFolder folder;
  std::string path = folder.path("a.npz");
  forEveryDamagedByte(folder, "a.npz", zipFile(twoSamples(), GetParam()), [&](size_t at) {
    Result<DataPair> pair = readNpz(path);
    if (!pair)
      return;
    ASSERT_TRUE(pair->train) << "byte " << at;
    EXPECT_EQ(std::memcmp(pair->train->x.bytes.data(), ramp(6).data(), 6), 0) << "byte " << at;
    EXPECT_EQ(pair->train->labels, (std::vector<int32_t>{1, 0})) << "byte " << at;
  });
}

INSTANTIATE_TEST_SUITE_P(Packings, Zip,
                         testing::Values(ZipKind::Stored, ZipKind::Deflated, ZipKind::Zip64));

// Law: what cannot be read is named: another compression method, encryption, not an archive at all.
TEST(ZipErrors, NameWhatCannotBeRead) {
  TempFolder folder;
  std::string bytes = zipFile(twoSamples());
  size_t central = bytes.find("PK\x01\x02");

  std::string bzip = bytes;
  bzip[central + 10] = 12;
  EXPECT_NE(readNpz(folder.write("a.npz", bzip)).message().find("compression method 12"),
            std::string::npos);

  std::string encrypted = bytes;
  encrypted[central + 8] = 1;
  EXPECT_NE(readNpz(folder.write("a.npz", encrypted)).message().find("encrypted"),
            std::string::npos);

  EXPECT_NE(
      readNpz(folder.write("a.npz", std::string(100, 'x'))).message().find("not a zip archive"),
      std::string::npos);
  EXPECT_FALSE(readNpz(folder.path("missing.npz")).ok());
}

} // namespace

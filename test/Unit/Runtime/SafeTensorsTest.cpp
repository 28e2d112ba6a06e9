//===- SafeTensorsTest.cpp - Named tensors in a file
//-------------------------------------------===//

#include "SafeTensors.h"

#include "Files.h"

#include <nlohmann/json.hpp>

using namespace nibble;
using namespace nibble::runtime;
using namespace nibble::test;
using nlohmann::json;

namespace {

std::string content(const std::string &path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// A file with this header and data.
std::string file(const std::string &header, const std::string &data) {
  return littleEndian<uint64_t>(header.size()) + header + data;
}
std::string file(const json &header, const std::string &data) { return file(header.dump(), data); }

json entry(const char *type, json shape, uint64_t begin, uint64_t end) {
  return {{"dtype", type}, {"shape", std::move(shape)}, {"data_offsets", {begin, end}}};
}

struct Numbers {
  std::vector<float> a = {1, -0.0f, 3.5f, NAN, 5, 6};
  std::vector<int64_t> b = {-1, INT64_MAX};
  uint8_t c = 7;
  std::vector<StateView> views() {
    std::vector<StateView> tensors = {
        {"a", "", DType::F32, {2, 3}, std::as_writable_bytes(std::span(a))},
        {"b", "", DType::I64, {2}, std::as_writable_bytes(std::span(b))},
        {"scalar ü", "", DType::U8, {}, std::as_writable_bytes(std::span(&c, 1))},
        {"empty", "", DType::F32, {0, 4}, {}}};
    sortForFile(tensors);
    return tensors;
  }
};

// Law: what was written is read: names, types, shapes, bits, metadata.
TEST(SafeTensors, RoundTrip) {
  TempFolder folder;
  Numbers numbers;
  Metadata metadata{{"k", "v\n\"ü"}, {"empty", ""}};
  std::string path = folder.path("x.safetensors");
  ASSERT_TRUE(writeSafeTensors(path, metadata, numbers.views()).ok());
  Result<SafeTensors> read = readSafeTensors(path, SafeTensorsPart::Everything);
  ASSERT_TRUE(read) << read.message();
  EXPECT_EQ(read->metadata, metadata);
  ASSERT_EQ(read->tensors.size(), 4u);
  for (const StateView &view : numbers.views()) {
    auto found = std::find_if(read->tensors.begin(), read->tensors.end(),
                              [&](const NamedTensor &t) { return t.name == view.name; });
    ASSERT_NE(found, read->tensors.end()) << view.name;
    EXPECT_EQ(found->tensor.type, view.type);
    EXPECT_EQ(found->tensor.shape, view.shape);
    EXPECT_TRUE(std::ranges::equal(found->tensor.bytes, view.bytes));
  }
  Result<SafeTensors> header = readSafeTensors(path, SafeTensorsPart::HeaderOnly);
  ASSERT_TRUE(header);
  EXPECT_EQ(header->metadata, metadata);
  EXPECT_TRUE(header->tensors[0].tensor.bytes.empty());
}

// Law: the layout is that of the format: a length, JSON filled with spaces to a multiple of 8, data
// without gaps that are aligned to their elements.
TEST(SafeTensors, Layout) {
  TempFolder folder;
  Numbers numbers;
  std::string path = folder.path("x.safetensors");
  ASSERT_TRUE(writeSafeTensors(path, {{"k", "v"}}, numbers.views()).ok());
  std::string bytes = content(path);
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), 8);
  EXPECT_EQ(length % 8, 0u);
  json header = json::parse(bytes.substr(8, length));
  EXPECT_EQ(header["__metadata__"], json({{"k", "v"}}));
  EXPECT_EQ(header["b"], entry("I64", {2}, 0, 16));
  EXPECT_EQ(header["a"], entry("F32", {2, 3}, 16, 40));
  EXPECT_EQ(header["scalar ü"], entry("U8", json::array(), 40, 41));
  EXPECT_EQ(bytes.size(), 8 + length + 41);
}

// Law: a file by another writer, with its tensors in any order, is read as its offsets say.
TEST(SafeTensors, AnyOrder) {
  TempFolder folder;
  json header = {{"a", entry("U8", {2}, 2, 4)}, {"z", entry("I8", {2, 1}, 0, 2)}};
  std::string path = folder.write("x", file(header, "zzaa"));
  Result<SafeTensors> read = readSafeTensors(path, SafeTensorsPart::Everything);
  ASSERT_TRUE(read) << read.message();
  EXPECT_EQ(read->tensors[1].name, "a");
  EXPECT_EQ(read->tensors[1].tensor.bytes, std::vector<std::byte>(2, std::byte('a')));
}

// Law: every proper prefix of a file is refused, with the file's name.
TEST(SafeTensors, EveryTruncation) {
  TempFolder folder;
  Numbers numbers;
  std::string path = folder.path("x.safetensors");
  ASSERT_TRUE(writeSafeTensors(path, {{"k", "v"}}, numbers.views()).ok());
  expectEveryTruncationRefused(folder, "x.safetensors", content(path), [&] {
    return readSafeTensors(path, SafeTensorsPart::Everything).status();
  });
}

// Law: a damaged byte is refused or read as something; it never crashes or takes memory that the
// file cannot fill.
TEST(SafeTensors, EveryDamagedByte) {
  TempFolder folder;
  Numbers numbers;
  std::string path = folder.path("x.safetensors");
  ASSERT_TRUE(writeSafeTensors(path, {{"k", "v"}}, numbers.views()).ok());
  std::string bytes = content(path);
  forEveryDamagedByte(folder, "x.safetensors", bytes, [&](size_t) {
    Result<SafeTensors> read = readSafeTensors(path, SafeTensorsPart::Everything);
    for (size_t i = 0; read && i < read->tensors.size(); ++i)
      EXPECT_LE(read->tensors[i].tensor.bytes.size(), bytes.size());
  });
}

// Law: tables that cannot be are refused with what is wrong with which tensor.
TEST(SafeTensors, ImpossibleTables) {
  TempFolder folder;
  std::string huge =
      "{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904],\"data_offsets\":[0,"
      "4611686018427387904]}}";
  struct Case {
    std::string bytes, word;
  } cases[] = {
      {file(json{{"a", entry("F32", {2}, 0, 4)}}, "1234"),
       "'a' of shape 2 has 4 bytes of type F32"},
      {file(json{{"a", entry("F32", {1}, 0, 8)}}, "1234"), "ends at byte 8 of the data"},
      {file(json{{"a", entry("F32", {1}, 0, 4)}}, "12345678"), "accounts for 4"},
      {file(json{{"a", entry("U8", {2}, 0, 2)}, {"b", entry("U8", {2}, 1, 3)}}, "123"),
       "'b' begins at byte 1"},
      {file(json{{"a", entry("U8", {1}, 1, 2)}}, "12"), "'a' begins at byte 1"},
      {file(json{{"a", entry("U8", {-1}, 0, 2)}}, "12"), "not whole numbers from 0"},
      {file(json{{"a", entry("U8", {1.5}, 0, 2)}}, "12"), "not whole numbers from 0"},
      {file(json{{"a", entry("Q7", {2}, 0, 2)}}, "12"), "unknown type 'Q7'"},
      {file(json{{"a", 3}}, ""), "lacks dtype"},
      {file(json{{"__metadata__", {{"k", 3}}}}, ""), "something else than text"},
      {file(json(3), ""), "not a table in JSON"},
      {file(std::string("{\"a\""), ""), "not a table in JSON"},
      {file(std::string(1000, '['), ""), "not a table in JSON"},
      {file(huge, ""), "'a'"},
      {littleEndian<uint64_t>(1ull << 60), "its header claims 1152921504606846976 bytes"},
  };
  for (const Case &c : cases) {
    Status status =
        readSafeTensors(folder.write("x", c.bytes), SafeTensorsPart::Everything).status();
    EXPECT_NE(status.message().find(c.word), std::string::npos) << status.message();
    EXPECT_NE(status.message().find(folder.path("x")), std::string::npos) << status.message();
  }
}

// Law: what is not a file is refused without being read.
TEST(SafeTensors, NotAFile) {
  TempFolder folder;
  EXPECT_NE(
      readSafeTensors(folder.path(), SafeTensorsPart::Everything).message().find("not a file"),
      std::string::npos);
  EXPECT_NE(readSafeTensors("/dev/zero", SafeTensorsPart::Everything).message().find("not a file"),
            std::string::npos);
  EXPECT_NE(readSafeTensors(folder.path("none"), SafeTensorsPart::Everything)
                .message()
                .find("there is no such file"),
            std::string::npos);
}

} // namespace

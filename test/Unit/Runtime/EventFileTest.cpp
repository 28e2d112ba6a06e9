//===- EventFileTest.cpp - Event files for TensorBoard ---------------------------------------===//

#include "nibble/Runtime/EventFile.h"

#include "Files.h"

#include <array>

using namespace nibble;
using namespace nibble::runtime;
using namespace nibble::test;

namespace {

std::string onlyFileOf(const std::string &folder) {
  std::vector<std::string> names;
  for (auto &entry : std::filesystem::directory_iterator(folder))
    names.push_back(entry.path().string());
  EXPECT_EQ(names.size(), 1u);
  return names.empty() ? "" : names[0];
}

/// The messages of a file; checks lengths and both checksums.
std::vector<std::string> messagesOf(const std::string &path) {
  std::ifstream in(path, std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(in), {}};
  std::vector<std::string> messages;
  for (size_t at = 0; at < bytes.size();) {
    uint64_t size = 0;
    std::memcpy(&size, &bytes[at], 8);
    EXPECT_LE(at + 16 + size, bytes.size());
    if (at + 16 + size > bytes.size())
      break;
    messages.push_back(bytes.substr(at + 12, size));
    EXPECT_EQ(frameRecord(messages.back()), bytes.substr(at, 16 + size));
    at += 16 + size;
  }
  return messages;
}

// Law: the checksum is CRC-32C (the check value of its catalogue entry; RFC 3720, appendix B.4).
TEST(EventFile, Crc32c) {
  EXPECT_EQ(crc32c("123456789"), 0xE3069283u);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8A9136AAu);
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62A8AB43u);
  EXPECT_EQ(crc32c(""), 0u);
}

// Law: a record is length, checksum of the length, bytes, checksum of the bytes, little-endian,
// checksums rotated by 15 and shifted by a constant.
TEST(EventFile, Framing) {
  std::string record = frameRecord("abc");
  ASSERT_EQ(record.size(), 8u + 4 + 3 + 4);
  EXPECT_EQ(record.substr(0, 8), std::string("\x03\0\0\0\0\0\0\0", 8));
  uint32_t crc = crc32c("abc"), stored = 0;
  std::memcpy(&stored, &record[15], 4);
  EXPECT_EQ(stored, ((crc >> 15) | (crc << 17)) + 0xA282EAD8u);
}

// Law: an event is the protobuf message that its header names, byte for byte.
TEST(EventFile, Encoding) {
  std::pair<std::string, float> scalar{"a", 1.0f};
  std::string bytes = encodeScalars(2.0, 300, {&scalar, 1});
  EXPECT_EQ(bytes, std::string("\x09\0\0\0\0\0\0\0\x40" // wall_time = 2
                               "\x10\xac\x02"           // step = 300
                               "\x2a\x0a"               // summary, 10 bytes
                               "\x0a\x08\x0a\x01"       // value, tag of 1 byte
                               "a\x15\0\0\x80\x3f",
                               24)); // simple_value = 1
}

// Law: a file begins with its version and a start at the step that comes next, so that a viewer
// discards what was undone.
TEST(EventFile, StartsWhereTheRunGoesOn) {
  TempFolder folder;
  {
    auto file = EventFile::create(folder.path("a/b"));
    ASSERT_TRUE(file) << file.message();
    (*file)->recall(R"({"type":"step","step":299,"loss":1})");
    (*file)->record(
        R"({"type":"step","step":300,"loss":0.5,"lr":0.1,"layers":[{"name":"conv","underflow":0.25}]})");
    (*file)->record(R"({"type":"epoch","step":300,"epoch":1,"loss":0.5,"val_loss":0.7})");
    (*file)->record("no record");
    (*file)->refresh(true);
    EXPECT_TRUE((*file)->status().ok());
  }
  std::vector<std::string> messages = messagesOf(onlyFileOf(folder.path("a/b")));
  ASSERT_EQ(messages.size(), 4u);
  EXPECT_NE(messages[0].find("brain.Event:2"), std::string::npos);
  EXPECT_EQ(messages[1].substr(9),
            std::string("\x10\xac\x02\x3a\x02\x08\x01")); // step 300, session_log START
  for (const char *tag : {"loss/train", "rate/learning_rate", "underflow/conv"})
    EXPECT_NE(messages[2].find(tag), std::string::npos) << tag;
  EXPECT_NE(messages[3].find("loss/validation"), std::string::npos);
}

// Law: a folder that cannot be made, or written to, is an error that names it.
TEST(EventFile, Refusals) {
  TempFolder folder;
  std::string path = folder.write("file", "x");
  auto file = EventFile::create(path + "/events");
  ASSERT_FALSE(file);
  EXPECT_NE(file.message().find(path), std::string::npos) << file.message();
}

} // namespace

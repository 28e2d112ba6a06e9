//===- Zip.cpp - Entries of a zip archive -----------------------------------------===//

#include "Zip.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <zlib.h>

using namespace nibble;
using namespace nibble::runtime;

namespace {

constexpr uint32_t localSignature = 0x04034b50;
constexpr uint32_t centralSignature = 0x02014b50;
constexpr uint32_t endSignature = 0x06054b50;
constexpr uint32_t end64Signature = 0x06064b50;
constexpr uint32_t end64LocatorSignature = 0x07064b50;
constexpr uint64_t endSize = 22, end64Size = 56, locatorSize = 20, centralSize = 46, localSize = 30;
/// All ones in a field: the real value is in the zip64 record.
constexpr uint32_t escape32 = 0xFFFFFFFF;
constexpr uint16_t escape16 = 0xFFFF;

uint16_t get16(const uint8_t *p) { return static_cast<uint16_t>(p[0] | p[1] << 8); }
uint32_t get32(const uint8_t *p) { return get16(p) | static_cast<uint32_t>(get16(p + 2)) << 16; }
uint64_t get64(const uint8_t *p) { return get32(p) | static_cast<uint64_t>(get32(p + 4)) << 32; }

/// A file opened for reads at given places.
class File {
public:
  static Result<File> open(const std::string &path) {
    std::error_code problem;
    if (!std::filesystem::is_regular_file(path, problem))
      return fileError(path, problem ? problem.message() : "not a file");
    File file;
    file.size = std::filesystem::file_size(path, problem);
    file.stream.open(path, std::ios::binary);
    if (problem || !file.stream)
      return fileError(path, "cannot be opened");
    file.path = path;
    return file;
  }

  bool contains(uint64_t offset, uint64_t count) const {
    return offset <= size && count <= size - offset;
  }

  Status read(uint64_t offset, void *to, uint64_t count) {
    if (!contains(offset, count))
      return fileError(path, "damaged zip archive: a record lies beyond the file's end");
    stream.clear();
    stream.seekg(static_cast<std::streamoff>(offset));
    stream.read(static_cast<char *>(to), static_cast<std::streamsize>(count));
    return stream ? Status::success() : fileError(path, "cannot be read");
  }

  std::string path;
  uint64_t size = 0;
  std::ifstream stream;
};

struct Directory {
  uint64_t entries = 0;
  uint64_t size = 0;
  uint64_t offset = 0;
};

Status damaged(const File &file, const std::string &what) {
  return fileError(file.path, "damaged zip archive: " + what);
}

/// Replaces escaped fields by those of the zip64 end record, whose locator stands before the end
/// record.
Status readEnd64(File &file, uint64_t endOffset, Directory &directory) {
  uint8_t locator[locatorSize];
  if (endOffset < locatorSize)
    return damaged(file, "the zip64 locator is missing");
  if (Status status = file.read(endOffset - locatorSize, locator, locatorSize); !status)
    return status;
  if (get32(locator) != end64LocatorSignature)
    return damaged(file, "the zip64 locator is missing");
  uint8_t record[end64Size];
  if (Status status = file.read(get64(locator + 8), record, end64Size); !status)
    return status;
  if (get32(record) != end64Signature)
    return damaged(file, "the zip64 end record is missing");
  directory = {get64(record + 32), get64(record + 40), get64(record + 48)};
  return Status::success();
}

/// Finds the end record: the last signature whose comment reaches exactly to the end of the file.
Result<Directory> findDirectory(File &file) {
  uint64_t tailSize = std::min<uint64_t>(file.size, endSize + escape16);
  if (tailSize < endSize)
    return fileError(file.path,
                     "not a zip archive (.npz): only " + std::to_string(file.size) + " bytes");
  std::vector<uint8_t> tail(tailSize);
  if (Status status = file.read(file.size - tailSize, tail.data(), tailSize); !status)
    return status;
  for (uint64_t at = tailSize - endSize + 1; at-- > 0;) {
    const uint8_t *end = tail.data() + at;
    if (get32(end) != endSignature || at + endSize + get16(end + 20) != tailSize)
      continue;
    Directory directory{get16(end + 10), get32(end + 12), get32(end + 16)};
    if (directory.entries == escape16 || directory.size == escape32 || directory.offset == escape32)
      if (Status status = readEnd64(file, file.size - tailSize + at, directory); !status)
        return status;
    return directory;
  }
  return fileError(file.path, "not a zip archive (.npz), or cut off: no end record was found");
}

/// Takes the fields that are all ones from the zip64 extra field (id 1), in their fixed order.
Status readExtra64(const File &file, const uint8_t *extra, size_t size, ZipEntry &entry) {
  while (size >= 4) {
    uint16_t id = get16(extra), length = get16(extra + 2);
    if (length > size - 4)
      return damaged(file, "an extra field of '" + entry.name + "' is cut off");
    if (id == 1) {
      const uint8_t *value = extra + 4, *end = value + length;
      for (uint64_t *field : {&entry.size, &entry.compressedSize, &entry.offset}) {
        if (*field != escape32)
          continue;
        if (end - value < 8)
          return damaged(file, "the zip64 field of '" + entry.name + "' is cut off");
        *field = get64(value);
        value += 8;
      }
      return Status::success();
    }
    extra += 4 + length;
    size -= 4 + length;
  }
  // All ones without a zip64 field may be meant as they stand; the size checks that follow decide.
  return Status::success();
}

Status checkEntry(const File &file, const ZipEntry &entry, uint16_t flags) {
  if (flags & 1)
    return fileError(file.path, "entry '" + entry.name + "' is encrypted");
  if (entry.method != 0 && entry.method != 8)
    return fileError(file.path, "entry '" + entry.name + "' uses compression method " +
                                    std::to_string(entry.method) +
                                    "; only stored (0) and deflated (8) can be read");
  if (!file.contains(entry.offset, localSize) || !file.contains(entry.offset, entry.compressedSize))
    return damaged(file, "entry '" + entry.name + "' lies beyond the file's end");
  bool sizesFit = entry.method == 0 ? entry.size == entry.compressedSize
                                    : entry.size / largestDeflateRatio <= entry.compressedSize;
  if (!sizesFit)
    return damaged(file, "entry '" + entry.name + "' claims " + std::to_string(entry.size) +
                             " bytes out of " + std::to_string(entry.compressedSize));
  return Status::success();
}

//===----------------------------------------------------------------------===//
// Reading an entry
//===----------------------------------------------------------------------===//

class EntryReader final : public ByteReader {
public:
  EntryReader(File opened, const ZipEntry &entry, uint64_t dataOffset)
      : file(std::move(opened)), entry(entry), at(dataOffset), packedLeft(entry.compressedSize),
        left(entry.size), label(file.path + ", entry '" + entry.name + "'") {}
  ~EntryReader() override {
    if (inflating)
      inflateEnd(&stream);
  }

  const std::string &name() const override { return label; }
  uint64_t largestSize() const override { return entry.size; }

  Status start() {
    if (entry.method == 8) {
      // Negative window bits: a bare deflate stream without zlib's header.
      if (inflateInit2(&stream, -MAX_WBITS) != Z_OK)
        return fileError(label, "not enough memory to unpack it");
      inflating = true;
    }
    return Status::success();
  }

  Result<size_t> read(void *to, size_t size) override {
    size_t count = static_cast<size_t>(std::min<uint64_t>(size, left));
    if (Status status = inflating ? unpack(to, count) : copy(to, count); !status)
      return status;
    for (size_t done = 0; done < count;) { // crc32 counts in 32 bits
      uInt now = static_cast<uInt>(std::min<size_t>(count - done, 1u << 30));
      crc = crc32(crc, static_cast<const Bytef *>(to) + done, now);
      done += now;
    }
    left -= count;
    if (left == 0 && crc != entry.crc)
      return fileError(label, "damaged: its checksum does not match");
    return count;
  }

private:
  Status copy(void *to, size_t count) {
    Status status = file.read(at, to, count);
    at += count;
    return status;
  }

  Status refill() {
    size_t now = static_cast<size_t>(std::min<uint64_t>(sizeof buffer, packedLeft));
    if (Status status = file.read(at, buffer, now); !status)
      return status;
    at += now;
    packedLeft -= now;
    stream.next_in = buffer;
    stream.avail_in = static_cast<uInt>(now);
    return Status::success();
  }

  Status unpack(void *to, size_t count) {
    size_t done = 0;
    while (done < count) {
      if (stream.avail_in == 0 && packedLeft != 0)
        if (Status status = refill(); !status)
          return status;
      uInt room = static_cast<uInt>(std::min<size_t>(count - done, 1u << 30));
      stream.next_out = static_cast<Bytef *>(to) + done;
      stream.avail_out = room;
      int code = inflate(&stream, Z_NO_FLUSH);
      size_t made = room - stream.avail_out;
      done += made;
      bool stuck = made == 0 && stream.avail_in == 0 && packedLeft == 0;
      if ((code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR) || stuck ||
          (code == Z_STREAM_END && done < count))
        return fileError(label, std::string("damaged deflate data: ") +
                                    (stream.msg ? stream.msg : "it ends too early"));
    }
    return Status::success();
  }

  File file;
  ZipEntry entry;
  uint64_t at;
  uint64_t packedLeft;
  uint64_t left;
  std::string label;
  uLong crc = crc32(0, nullptr, 0);
  z_stream stream{};
  bool inflating = false;
  uint8_t buffer[1 << 16];
};

} // namespace

Result<std::vector<ZipEntry>> nibble::runtime::readZipDirectory(const std::string &path) {
  Result<File> file = File::open(path);
  if (!file)
    return file.status();
  Result<Directory> directory = findDirectory(*file);
  if (!directory)
    return directory.status();
  if (!file->contains(directory->offset, directory->size) ||
      directory->entries > directory->size / centralSize)
    return damaged(*file, "its directory lies beyond the file's end");
  std::vector<uint8_t> bytes(directory->size);
  if (Status status = file->read(directory->offset, bytes.data(), bytes.size()); !status)
    return status;

  std::vector<ZipEntry> entries;
  const uint8_t *at = bytes.data(), *end = at + bytes.size();
  for (uint64_t i = 0; i < directory->entries; ++i) {
    if (static_cast<uint64_t>(end - at) < centralSize || get32(at) != centralSignature)
      return damaged(*file, "entry " + std::to_string(i) + " of its directory is cut off");
    ZipEntry entry{
        {}, get16(at + 10), get32(at + 16), get32(at + 20), get32(at + 24), get32(at + 42)};
    size_t nameSize = get16(at + 28), extraSize = get16(at + 30), commentSize = get16(at + 32);
    uint16_t flags = get16(at + 8);
    at += centralSize;
    if (static_cast<size_t>(end - at) < nameSize + extraSize + commentSize)
      return damaged(*file, "entry " + std::to_string(i) + " of its directory is cut off");
    entry.name.assign(reinterpret_cast<const char *>(at), nameSize);
    if (Status status = readExtra64(*file, at + nameSize, extraSize, entry); !status)
      return status;
    if (Status status = checkEntry(*file, entry, flags); !status)
      return status;
    at += nameSize + extraSize + commentSize;
    entries.push_back(std::move(entry));
  }
  return entries;
}

Result<std::unique_ptr<ByteReader>> nibble::runtime::openZipEntry(const std::string &path,
                                                                  const ZipEntry &entry) {
  Result<File> file = File::open(path);
  if (!file)
    return file.status();
  uint8_t header[localSize];
  if (Status status = file->read(entry.offset, header, localSize); !status)
    return status;
  if (get32(header) != localSignature)
    return damaged(*file, "entry '" + entry.name + "' has no local header");
  // The local name and extra field may be longer than the directory's; only here are their sizes
  // right.
  uint64_t data = entry.offset + localSize + get16(header + 26) + get16(header + 28);
  if (!file->contains(data, entry.compressedSize))
    return damaged(*file, "entry '" + entry.name + "' lies beyond the file's end");
  auto reader = std::make_unique<EntryReader>(std::move(*file), entry, data);
  if (Status status = reader->start(); !status)
    return status;
  return std::unique_ptr<ByteReader>(std::move(reader));
}

//===- Files.h - Files that the reader tests make for themselves --*- C++ -*-===//

#ifndef NIBBLE_TEST_UNIT_RUNTIME_FILES_H
#define NIBBLE_TEST_UNIT_RUNTIME_FILES_H

#include "nibble/Runtime/DataSet.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <unistd.h>
#include <vector>
#include <zlib.h>

namespace nibble::test {

/// A folder that goes away with its owner.
class TempFolder {
public:
  TempFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "nibble-test-XXXXXX").string();
    root = mkdtemp(pattern.data());
  }
  ~TempFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(root, ignored);
  }
  TempFolder(const TempFolder &) = delete;

  std::string path(const std::string &name = "") const {
    return name.empty() ? root : root + "/" + name;
  }
  /// Writes a file and returns its path.
  std::string write(const std::string &name, const std::string &bytes) const {
    std::ofstream(path(name), std::ios::binary | std::ios::trunc) << bytes;
    return path(name);
  }

private:
  std::string root;
};

inline std::string bigEndian32(uint32_t value) {
  return {char(value >> 24), char(value >> 16), char(value >> 8), char(value)};
}
template <typename T> std::string littleEndian(T value) {
  std::string bytes(sizeof(T), '\0');
  std::memcpy(bytes.data(), &value, sizeof(T));
  return bytes;
}

/// An IDX file of unsigned bytes; `data` as it stands.
inline std::string idxFile(const std::vector<uint32_t> &shape, const std::string &data) {
  std::string bytes{0, 0, 8, char(shape.size())};
  for (uint32_t dim : shape)
    bytes += bigEndian32(dim);
  return bytes + data;
}

/// `count` bytes 0, 1, 2 …
inline std::string ramp(size_t count) {
  std::string bytes(count, '\0');
  for (size_t i = 0; i < count; ++i)
    bytes[i] = static_cast<char>(i);
  return bytes;
}

/// zlib's output; windowBits 15 + 16 makes gzip, -15 a bare deflate stream.
inline std::string compress(const std::string &bytes, int windowBits) {
  z_stream stream{};
  deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, windowBits, 8, Z_DEFAULT_STRATEGY);
  std::string packed(deflateBound(&stream, bytes.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef *>(const_cast<char *>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef *>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  deflate(&stream, Z_FINISH);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}
inline std::string gzip(const std::string &bytes) { return compress(bytes, 15 + 16); }

/// An .npy file, version 1.
inline std::string npyFile(const std::string &descr, const std::string &shape,
                           const std::string &data, bool fortran = false) {
  std::string dict = "{'descr': '" + descr + "', 'fortran_order': " + (fortran ? "True" : "False") +
                     ", 'shape': (" + shape + "), }";
  while ((10 + dict.size() + 1) % 64 != 0)
    dict += ' ';
  dict += '\n';
  return std::string("\x93NUMPY\x01\x00", 8) + littleEndian<uint16_t>(uint16_t(dict.size())) +
         dict + data;
}

template <typename T> std::string elements(std::initializer_list<double> values) {
  std::string bytes;
  for (double value : values)
    bytes += littleEndian<T>(static_cast<T>(value));
  return bytes;
}

enum class ZipKind { Stored, Deflated, Zip64 };

struct ZipItem {
  std::string name;
  std::string data;
};

/// A zip archive; Zip64 writes stored entries whose sizes and offsets stand in extra fields only,
/// and a zip64 end record.
std::string zipFile(const std::vector<ZipItem> &items, ZipKind kind = ZipKind::Stored);

/// Every proper prefix of `bytes` must be refused with a message; none may crash or hang.
inline void expectEveryTruncationRefused(const TempFolder &folder, const std::string &name,
                                         const std::string &bytes,
                                         const std::function<Status()> &read) {
  for (size_t size = 0; size < bytes.size(); ++size) {
    folder.write(name, bytes.substr(0, size));
    Status status = read();
    EXPECT_FALSE(status.ok()) << "cut to " << size << " of " << bytes.size() << " bytes";
    EXPECT_NE(status.message().find(name), std::string::npos)
        << "no file name in: " << status.message();
  }
  folder.write(name, bytes);
}

/// Calls `read` on every file that differs from `bytes` in one byte (three changes of each).
inline void forEveryDamagedByte(const TempFolder &folder, const std::string &name,
                                const std::string &bytes, const std::function<void(size_t)> &read) {
  for (size_t at = 0; at < bytes.size(); ++at)
    for (unsigned mask : {0x01u, 0x80u, 0xFFu}) {
      std::string damaged = bytes;
      damaged[at] = static_cast<char>(damaged[at] ^ mask);
      folder.write(name, damaged);
      read(at);
    }
  folder.write(name, bytes);
}

/// Folder of recorded data sets, or empty.
inline std::string recordedData(const std::string &name) {
  const char *root = std::getenv("NIBBLE_DATA");
  std::string path = std::string(root ? root : "") + "/" + name;
  return root && std::filesystem::exists(path) ? path : std::string();
}

} // namespace nibble::test

#endif // NIBBLE_TEST_UNIT_RUNTIME_FILES_H

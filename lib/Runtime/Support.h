//===- Support.h - Shared by the readers, private to the runtime -*- C++ -*-===//

#ifndef NIBBLE_LIB_RUNTIME_SUPPORT_H
#define NIBBLE_LIB_RUNTIME_SUPPORT_H

#include "nibble/Runtime/Status.h"

#include <cstddef>
#include <cstdint>
#include <exception>
#include <new>
#include <string>
#include <vector>

namespace nibble::runtime {

/// No stream that deflate writes expands to more than this many bytes for each compressed byte (RFC
/// 1951: 258 bytes from two bits and a quarter at best). What claims more is damaged, and nothing
/// is allocated for it.
inline constexpr uint64_t largestDeflateRatio = 1032;

/// "PATH: TEXT".
inline Status fileError(const std::string &path, const std::string &text) {
  return Status::error(path + ": " + text);
}

/// Runs `body`, which returns Result<T> or Status, and turns what the standard library throws into
/// an error.
template <typename Body> auto guarded(const std::string &path, Body body) -> decltype(body()) {
  try {
    return body();
  } catch (const std::bad_alloc &) {
    return fileError(path, "not enough memory to read it");
  } catch (const std::exception &error) {
    return fileError(path, error.what());
  }
}

/// Where bytes come from, in order: a file, a gzip stream, a zip entry.
class ByteReader {
public:
  virtual ~ByteReader() = default;
  /// Reads up to `size` bytes; fewer only at the end of the data. An error where the data are
  /// damaged.
  virtual Result<size_t> read(void *to, size_t size) = 0;
  /// An upper bound on how many bytes there are, known without reading them.
  virtual uint64_t largestSize() const = 0;
  virtual const std::string &name() const = 0;

  /// Exactly `size` bytes, or an error that says what (`what`) is cut off.
  Status readExactly(void *to, size_t size, const char *what);
  /// `size` bytes appended in pieces, so that memory follows the data and not the claim of a
  /// header.
  Status readInto(std::vector<std::byte> &to, uint64_t size, const char *what);
  /// An error if anything is left; also makes checksums be looked at.
  Status expectEnd();
};

} // namespace nibble::runtime

#endif // NIBBLE_LIB_RUNTIME_SUPPORT_H

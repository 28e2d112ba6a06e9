//===- AtomicFile.h - A file that appears whole or not at all -----*- C++ -*-===//
//
// Bytes go to PATH.part; commit() makes them durable (fsync), gives them their name (rename) and
// makes the name durable (fsync of the folder). Whatever happens before the rename, a crash or a
// full disk, leaves an older file of that name as it was. Two writers of one path must be kept
// apart by a lock (FolderLock.h).
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_RUNTIME_ATOMICFILE_H
#define NIBBLE_LIB_RUNTIME_ATOMICFILE_H

#include "nibble/Runtime/Status.h"

#include <cstddef>
#include <string>

namespace nibble::runtime {

/// The suffix of what is not finished.
inline constexpr const char *partSuffix = ".part";

class AtomicFile {
public:
  static Result<AtomicFile> create(const std::string &path);
  AtomicFile(AtomicFile &&other) noexcept;
  AtomicFile &operator=(AtomicFile &&) = delete;
  /// Removes PATH.part where commit() did not succeed.
  ~AtomicFile();

  Status write(const void *bytes, size_t size);
  Status commit();

private:
  explicit AtomicFile(std::string path, int file) : path(std::move(path)), file(file) {}
  Status failed();

  std::string path;
  int file;
  bool removePart = true;
};

/// Makes `path` another name of the file `existing`, or a copy where the file system has no hard
/// links. What `path` named before is replaced in one instant.
Status linkAtomically(const std::string &existing, const std::string &path);

/// Makes the names in a folder durable.
Status syncFolder(const std::string &folder);

/// "PATH: cannot be written: No space left on device", from errno.
Status writeError(const std::string &path);

} // namespace nibble::runtime

#endif // NIBBLE_LIB_RUNTIME_ATOMICFILE_H

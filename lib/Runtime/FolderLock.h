//===- FolderLock.h - One process to a folder ---------------------*- C++ -*-===//
//
// An exclusive flock on FOLDER/.lock, which holds the owner's process number for the message of the
// one who comes second. The kernel drops the lock with the process, however it ends, so there are
// no stale locks; the file stays.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_RUNTIME_FOLDERLOCK_H
#define NIBBLE_LIB_RUNTIME_FOLDERLOCK_H

#include "nibble/Runtime/Status.h"

#include <string>
#include <utility>

namespace nibble::runtime {

class FolderLock {
public:
  FolderLock() = default;
  /// Never waits. The error names the process that has the lock.
  static Result<FolderLock> take(const std::string &folder);
  FolderLock(FolderLock &&other) noexcept : file(std::exchange(other.file, -1)) {}
  FolderLock &operator=(FolderLock &&other) noexcept {
    std::swap(file, other.file);
    return *this;
  }
  ~FolderLock();

private:
  explicit FolderLock(int file) : file(file) {}
  int file = -1;
};

} // namespace nibble::runtime

#endif // NIBBLE_LIB_RUNTIME_FOLDERLOCK_H

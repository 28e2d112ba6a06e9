//===- AtomicFile.cpp - A file that appears whole or not at all ------------------------===//

#include "AtomicFile.h"

#include "Support.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <unistd.h>
#include <utility>
#include <vector>

using namespace nibble;
using namespace nibble::runtime;

Status nibble::runtime::writeError(const std::string &path) {
  return fileError(path, std::string("cannot be written: ") + std::strerror(errno));
}

Status nibble::runtime::syncFolder(const std::string &folder) {
  int file = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (file < 0)
    return writeError(folder);
  // Some file systems (FUSE) have nothing to sync in a folder and say EINVAL.
  bool good = ::fsync(file) == 0 || errno == EINVAL;
  Status status = good ? Status::success() : writeError(folder);
  ::close(file);
  return status;
}

static Status syncParent(const std::string &path) {
  std::string folder = std::filesystem::path(path).parent_path().string();
  return syncFolder(folder.empty() ? "." : folder);
}

//===----------------------------------------------------------------------===//
// AtomicFile
//===----------------------------------------------------------------------===//

Result<AtomicFile> AtomicFile::create(const std::string &path) {
  std::string part = path + partSuffix;
  int file = ::open(part.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (file < 0)
    return writeError(path);
  return AtomicFile(path, file);
}

AtomicFile::AtomicFile(AtomicFile &&other) noexcept
    : path(std::move(other.path)), file(std::exchange(other.file, -1)),
      removePart(std::exchange(other.removePart, false)) {}

AtomicFile::~AtomicFile() {
  if (file >= 0)
    ::close(file);
  if (removePart)
    ::unlink((path + partSuffix).c_str());
}

Status AtomicFile::failed() {
  Status status = writeError(path);
  // At once, so that a full disk has its space back before anybody goes on.
  ::close(std::exchange(file, -1));
  ::unlink((path + partSuffix).c_str());
  removePart = false;
  return status;
}

Status AtomicFile::write(const void *bytes, size_t size) {
  const char *at = static_cast<const char *>(bytes);
  while (size > 0) {
    ssize_t count = ::write(file, at, size);
    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0)
      return failed();
    at += count;
    size -= static_cast<size_t>(count);
  }
  return Status::success();
}

Status AtomicFile::commit() {
  if (::fsync(file) != 0)
    return failed();
  if (::close(std::exchange(file, -1)) != 0)
    return writeError(path);
  if (::rename((path + partSuffix).c_str(), path.c_str()) != 0)
    return writeError(path);
  removePart = false;
  return syncParent(path);
}

//===----------------------------------------------------------------------===//
// Links
//===----------------------------------------------------------------------===//

static Status copyAtomically(const std::string &existing, const std::string &path) {
  int from = ::open(existing.c_str(), O_RDONLY | O_CLOEXEC);
  if (from < 0)
    return fileError(existing, std::string("cannot be read: ") + std::strerror(errno));
  Result<AtomicFile> to = AtomicFile::create(path);
  Status status = to.ok() ? Status::success() : to.status();
  std::vector<char> buffer(1u << 20);
  while (status) {
    ssize_t count = ::read(from, buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0)
      status = fileError(existing, std::string("cannot be read: ") + std::strerror(errno));
    if (count <= 0)
      break;
    status = to->write(buffer.data(), static_cast<size_t>(count));
  }
  ::close(from);
  return status ? to->commit() : status;
}

Status nibble::runtime::linkAtomically(const std::string &existing, const std::string &path) {
  std::string part = path + partSuffix;
  ::unlink(part.c_str());
  if (::link(existing.c_str(), part.c_str()) != 0) {
    bool noLinks = errno == EPERM || errno == EOPNOTSUPP || errno == ENOSYS || errno == EMLINK ||
                   errno == EXDEV || errno == EACCES;
    return noLinks ? copyAtomically(existing, path) : writeError(path);
  }
  Status status;
  if (::rename(part.c_str(), path.c_str()) != 0)
    status = writeError(path);
  // Where both names are one file already, rename does nothing and leaves the other name there.
  ::unlink(part.c_str());
  return status ? syncParent(path) : status;
}

//===- FolderLock.cpp - One process to a folder ------------------------------------------===//

#include "FolderLock.h"

#include "Support.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

using namespace nibble;
using namespace nibble::runtime;

/// The process number in the file, or empty.
static std::string readOwner(int file) {
  char text[24] = {};
  ssize_t count = ::pread(file, text, sizeof text - 1, 0);
  std::string owner(text, count > 0 ? static_cast<size_t>(count) : 0);
  owner.erase(std::min(owner.find_first_not_of("0123456789"), owner.size()));
  return owner;
}

Result<FolderLock> FolderLock::take(const std::string &folder) {
  std::string path = folder + "/.lock";
  int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (file < 0)
    return fileError(folder,
                     std::string("cannot be written to (its file .lock): ") + std::strerror(errno));
  FolderLock lock(file);
  while (::flock(file, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EINTR)
      continue;
    if (errno != EWOULDBLOCK)
      return fileError(folder,
                       std::string("cannot be locked (its file .lock): ") + std::strerror(errno));
    std::string owner = readOwner(file);
    return fileError(folder, "another run is using this folder" +
                                 (owner.empty() ? "" : ": process " + owner) +
                                 "; wait for it or choose another --out");
  }
  // Only for the message above; on a full disk it stays empty.
  std::string owner = std::to_string(::getpid()) + "\n";
  if (::ftruncate(file, 0) == 0)
    (void)!::pwrite(file, owner.data(), owner.size(), 0);
  return lock;
}

FolderLock::~FolderLock() {
  if (file >= 0)
    ::close(file);
}

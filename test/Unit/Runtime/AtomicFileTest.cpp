//===- AtomicFileTest.cpp - Files that appear whole, folders with one owner ------------------===//

#include "AtomicFile.h"
#include "FolderLock.h"

#include "Files.h"

#include <sys/mount.h>
#include <sys/wait.h>

using namespace nibble;
using namespace nibble::runtime;
using namespace nibble::test;

namespace {

std::string content(const std::string &path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

size_t filesIn(const std::string &folder) {
  size_t count = 0;
  for (auto it = std::filesystem::directory_iterator(folder); it != decltype(it)(); ++it)
    ++count;
  return count;
}

// Law: before commit the old file is there, whole; after it the new one; nothing else is left.
TEST(AtomicFile, OldOrNew) {
  TempFolder folder;
  std::string path = folder.write("a", "old");
  Result<AtomicFile> file = AtomicFile::create(path);
  ASSERT_TRUE(file) << file.message();
  ASSERT_TRUE(file->write("new!", 4).ok());
  EXPECT_EQ(content(path), "old");
  ASSERT_TRUE(file->commit().ok());
  EXPECT_EQ(content(path), "new!");
  EXPECT_EQ(filesIn(folder.path()), 1u);
}

// Law: what is given up leaves no trace.
TEST(AtomicFile, GivenUp) {
  TempFolder folder;
  {
    Result<AtomicFile> file = AtomicFile::create(folder.path("a"));
    ASSERT_TRUE(file && file->write("new", 3).ok());
  }
  EXPECT_EQ(filesIn(folder.path()), 0u);
}

// Law: a part that a crash left behind does not get into the next file.
TEST(AtomicFile, OldPartIsReplaced) {
  TempFolder folder;
  folder.write("a.part", "a long rest of another life");
  Result<AtomicFile> file = AtomicFile::create(folder.path("a"));
  ASSERT_TRUE(file && file->write("x", 1).ok() && file->commit().ok());
  EXPECT_EQ(content(folder.path("a")), "x");
}

// Law: a folder that is not there is an error with path and reason.
TEST(AtomicFile, NoFolder) {
  Status status = AtomicFile::create("/nonexistent/a").status();
  EXPECT_EQ(status.message(), "/nonexistent/a: cannot be written: No such file or directory");
}

// Law: a link replaces what was there in one step, and linking again changes nothing.
TEST(AtomicFile, Link) {
  TempFolder folder;
  std::string a = folder.write("a", "A"), b = folder.write("b", "B");
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(linkAtomically(a, b).ok());
    EXPECT_EQ(content(b), "A");
    EXPECT_EQ(filesIn(folder.path()), 2u);
  }
  EXPECT_FALSE(linkAtomically(folder.path("none"), b).ok());
  EXPECT_EQ(content(b), "A");
}

/// A file system of 1 MB, where root runs the test.
class SmallDisk {
public:
  SmallDisk() { good = ::mount("tmpfs", folder.path().c_str(), "tmpfs", 0, "size=1m") == 0; }
  ~SmallDisk() {
    if (good)
      ::umount(folder.path().c_str());
  }
  bool good = false;
  TempFolder folder;
};

// Law: on a full disk the error says so, the old file is whole and the space is free again.
TEST(AtomicFile, FullDisk) {
  SmallDisk disk;
  if (!disk.good)
    GTEST_SKIP() << "mounting a small tmpfs needs root";
  std::string path = disk.folder.write("a", "old"), block(64 << 10, 'x');
  Status status;
  {
    Result<AtomicFile> file = AtomicFile::create(path);
    ASSERT_TRUE(file);
    for (int i = 0; i < 32 && status; ++i)
      status = file->write(block.data(), block.size());
  }
  EXPECT_EQ(status.message(), path + ": cannot be written: No space left on device");
  EXPECT_EQ(content(path), "old");
  EXPECT_EQ(filesIn(disk.folder.path()), 1u);
}

// Law: a second owner is refused by the first one's number, in this and in another process; after
// the first is gone, however it went, the folder is free.
TEST(FolderLock, OneOwner) {
  TempFolder folder;
  {
    Result<FolderLock> first = FolderLock::take(folder.path());
    ASSERT_TRUE(first) << first.message();
    Result<FolderLock> second = FolderLock::take(folder.path());
    ASSERT_FALSE(second.ok());
    EXPECT_NE(second.message().find("process " + std::to_string(::getpid())), std::string::npos)
        << second.message();
  }
  pid_t child = ::fork();
  if (child == 0) {
    Result<FolderLock> taken = FolderLock::take(folder.path());
    ::kill(::getpid(), taken.ok() ? SIGKILL : SIGTERM);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(WTERMSIG(status), SIGKILL);
  EXPECT_TRUE(FolderLock::take(folder.path()).ok());
}

} // namespace

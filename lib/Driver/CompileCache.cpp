//===- CompileCache.cpp - compiled models, kept between runs ----------------------------===//
#include "nibble/Driver/CompileCache.h"

#include "nibble/Driver/Artifact.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Config/llvm-config.h"
#include "llvm/Support/BLAKE3.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"

#include <cstdlib>
#include <dlfcn.h>
#include <filesystem>

using namespace nibble;
namespace fs = std::filesystem;

std::string nibble::defaultCacheFolder() {
  const char *cache = std::getenv("XDG_CACHE_HOME"), *home = std::getenv("HOME");
  if (cache && fs::path(cache).is_absolute()) // as the specification says
    return (fs::path(cache) / "nibble").string();
  return home && *home ? (fs::path(home) / ".cache" / "nibble").string() : "";
}

/// Hash of the file that this very code lies in, the tool or the Python module: the compiler's version, whatever was changed.
static const std::string &compilerHash() {
  static const std::string hash = [] {
    Dl_info info;
    if (!dladdr(reinterpret_cast<void *>(&nibble::defaultCacheFolder), &info))
      return std::string();
    std::error_code wrong;
    fs::path self = fs::read_symlink("/proc/self/exe", wrong);
    // A program's own name may be relative to a folder that is no longer the current one.
    bool isProgram = !wrong && fs::path(info.dli_fname).filename() == self.filename();
    auto file = llvm::MemoryBuffer::getFile(isProgram ? self.string() : info.dli_fname, /*IsText=*/false, /*RequiresNullTerminator=*/false);
    if (!file)
      return std::string();
    llvm::BLAKE3 hasher;
    hasher.update((*file)->getBuffer());
    hasher.update(LLVM_VERSION_STRING);
    return llvm::toHex(hasher.final(), /*LowerCase=*/true);
  }();
  return hash;
}

static std::string keyOf(const CompileOptions &options, const Machine &machine, bool threads, const std::string &content) {
  llvm::BLAKE3 hasher;
  for (const std::string &part : {compilerHash(), content, describeOptions(options, machine, threads)}) {
    hasher.update(part);
    hasher.update(llvm::StringRef("\0", 1));
  }
  return llvm::toHex(hasher.final(), /*LowerCase=*/true);
}

std::string CompileCache::path() const { return (fs::path(folder) / (key + ".nibble")).string(); }

std::unique_ptr<CompiledModel> CompileCache::find(const CompileOptions &options) {
  if (folder.empty() || compilerHash().empty())
    return nullptr;
  llvm::Expected<Machine> machine = Machine::create(options.mcpu);
  std::optional<std::string> hash = contentHash(options.model);
  if (!machine || !hash) {
    llvm::consumeError(machine.takeError());
    return nullptr; // compiling will say what is wrong
  }
  unsigned threads = resolvedThreads(options);
  content = *hash;
  key = keyOf(options, *machine, threads > 1, content);
  auto bytes = llvm::MemoryBuffer::getFile(path(), /*IsText=*/false, /*RequiresNullTerminator=*/false);
  if (!bytes)
    return nullptr;
  auto artifact = readArtifact((*bytes)->getBuffer(), path());
  if (!artifact || artifact->content != content)
    return nullptr;
  std::error_code ignored;
  fs::last_write_time(path(), fs::file_time_type::clock::now(), ignored); // used now
  artifact->model->options = options;
  artifact->model->threads = threads;
  return std::move(artifact->model);
}

void CompileCache::store(CompiledModel &model) {
  if (key.empty() || !model.quantized)
    return;
  std::error_code wrong;
  fs::create_directories(folder, wrong);
  fs::permissions(folder, fs::perms::owner_all, wrong); // as the specification says
  std::string bytes = writeArtifact(model, content);
  if (wrong || bytes.size() > limit)
    return;
  llvm::consumeError(llvm::writeToOutput(path(), [&](llvm::raw_ostream &os) {
    os << bytes;
    return llvm::Error::success();
  }));
  makeRoom();
}

void CompileCache::makeRoom() {
  struct Entry {
    fs::path path;
    fs::file_time_type used;
    uint64_t bytes;
  };
  std::vector<Entry> entries;
  uint64_t total = 0;
  std::error_code wrong;
  for (fs::directory_iterator at(folder, wrong), end; !wrong && at != end; at.increment(wrong)) {
    std::error_code gone; // another run tidies up as well
    Entry entry{at->path(), at->last_write_time(gone), at->file_size(gone)};
    if (!gone && entry.path.extension() == ".nibble") {
      entries.push_back(entry);
      total += entry.bytes;
    }
  }
  llvm::sort(entries, [](const Entry &a, const Entry &b) { return a.used < b.used; });
  for (const Entry &entry : entries) {
    if (total <= limit)
      break;
    fs::remove(entry.path, wrong);
    total -= entry.bytes;
  }
}

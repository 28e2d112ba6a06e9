//===- GzipFile.cpp - A file, compressed or not --------------------------------===//

#include "GzipFile.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <filesystem>
#include <zlib.h>

using namespace nibble;
using namespace nibble::runtime;

namespace {

class GzipReader final : public ByteReader {
public:
  GzipReader(std::string path, gzFile file, uint64_t size)
      : path(std::move(path)), file(file), size(size) {}
  ~GzipReader() override { gzclose(file); }

  const std::string &name() const override { return path; }

  uint64_t largestSize() const override {
    // gzdirect looks at the first bytes of the file.
    return gzdirect(file) ? size : size * largestDeflateRatio;
  }

  Result<size_t> read(void *to, size_t count) override {
    size_t done = 0;
    while (done < count) {
      unsigned now = static_cast<unsigned>(std::min<size_t>(count - done, INT_MAX));
      int got = gzread(file, static_cast<char *>(to) + done, now);
      if (got < 0)
        return damaged();
      if (got == 0)
        break;
      done += static_cast<size_t>(got);
    }
    // A cut-off stream ends like a complete one, but leaves an error behind.
    int code = Z_OK;
    gzerror(file, &code);
    if (done < count && code != Z_OK && code != Z_STREAM_END)
      return damaged();
    return done;
  }

private:
  Status damaged() const {
    int code = Z_OK;
    const char *text = gzerror(file, &code);
    if (code == Z_ERRNO)
      return fileError(path, std::string("cannot be read: ") + std::strerror(errno));
    return fileError(path,
                     std::string("damaged or cut off gzip data: ") + (text ? text : "unknown"));
  }

  std::string path;
  gzFile file;
  uint64_t size;
};

} // namespace

Result<std::unique_ptr<ByteReader>> nibble::runtime::openMaybeGzip(const std::string &path) {
  std::error_code problem;
  if (!std::filesystem::is_regular_file(path, problem))
    return fileError(path, problem ? problem.message() : "not a file");
  uint64_t size = std::filesystem::file_size(path, problem);
  if (problem)
    return fileError(path, problem.message());
  gzFile file = gzopen(path.c_str(), "rb");
  if (!file)
    return fileError(path, std::string("cannot be opened: ") + std::strerror(errno));
  gzbuffer(file, 1u << 17);
  return std::unique_ptr<ByteReader>(new GzipReader(path, file, size));
}

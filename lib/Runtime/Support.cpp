//===- Support.cpp - Shared by the readers -------------------------------------===//

#include "Support.h"

#include <algorithm>

using namespace nibble;
using namespace nibble::runtime;

Status ByteReader::readExactly(void *to, size_t size, const char *what) {
  Result<size_t> got = read(to, size);
  if (!got)
    return got.status();
  if (*got != size)
    return fileError(name(), std::string("ends within its ") + what + ": " + std::to_string(size) +
                                 " bytes expected, " + std::to_string(*got) + " found");
  return Status::success();
}

Status ByteReader::readInto(std::vector<std::byte> &to, uint64_t size, const char *what) {
  if (size > largestSize())
    return fileError(name(), std::string("its header claims ") + std::to_string(size) +
                                 " bytes of " + what + ", more than the file can hold (" +
                                 std::to_string(largestSize()) + ")");
  constexpr uint64_t piece = 16u << 20;
  for (uint64_t done = 0; done < size;) {
    size_t now = static_cast<size_t>(std::min(piece, size - done));
    to.resize(to.size() + now);
    Result<size_t> got = read(to.data() + to.size() - now, now);
    if (!got)
      return got.status();
    done += *got;
    if (*got != now)
      return fileError(name(), std::string("ends within its ") + what + ": " +
                                   std::to_string(size) + " bytes expected, " +
                                   std::to_string(done) + " found");
  }
  return Status::success();
}

Status ByteReader::expectEnd() {
  char extra = 0;
  Result<size_t> got = read(&extra, 1);
  if (!got)
    return got.status();
  if (*got != 0)
    return fileError(name(), "holds more bytes than its header says");
  return Status::success();
}

//===- Cifar.cpp - CIFAR-10, binary version --------------------------------------===//
//
// A file is rows of 3,073 bytes: a label, then 32×32 bytes of red, of green and of blue (Krizhevsky
// 2009).
//
//===----------------------------------------------------------------------===//

#include "Support.h"
#include "nibble/Runtime/DataSet.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>

using namespace nibble;
using namespace nibble::runtime;

namespace fs = std::filesystem;

static constexpr int64_t imageBytes = 3 * 32 * 32;
static constexpr int64_t rowBytes = 1 + imageBytes;

/// Appends the rows of `path`.
static Status appendRows(const std::string &path, DataSet &set) {
  std::error_code problem;
  uint64_t size = fs::is_regular_file(path, problem) ? fs::file_size(path, problem) : 0;
  if (problem)
    return fileError(path, problem.message());
  if (size == 0 || size % rowBytes != 0)
    return fileError(path, "not a CIFAR-10 binary file: " + std::to_string(size) +
                               " bytes are not a multiple of 3073 (a label and 3x32x32 bytes)");
  std::ifstream in(path, std::ios::binary);
  if (!in)
    return fileError(path, "cannot be opened");
  std::vector<char> row(rowBytes);
  int64_t rows = static_cast<int64_t>(size / rowBytes);
  size_t at = set.x.bytes.size();
  set.x.bytes.resize(at + static_cast<size_t>(rows * imageBytes));
  for (int64_t i = 0; i < rows; ++i, at += imageBytes) {
    if (!in.read(row.data(), rowBytes))
      return fileError(path, "ends within row " + std::to_string(i));
    set.labels.push_back(static_cast<uint8_t>(row[0]));
    std::memcpy(set.x.bytes.data() + at, row.data() + 1, imageBytes);
  }
  set.x.shape[0] += rows;
  return Status::success();
}

static Result<DataSet> readFiles(const std::vector<std::string> &files) {
  DataSet set;
  set.origin = DataOrigin::Cifar;
  set.x.type = DType::U8;
  set.x.shape = {0, 3, 32, 32};
  for (const std::string &file : files) {
    set.path += (set.path.empty() ? "" : ", ") + file;
    if (Status status = appendRows(file, set); !status)
      return status;
  }
  if (set.size() == 0)
    return Status::error("no CIFAR-10 files were given");
  return set;
}

Result<DataSet> nibble::runtime::readCifarFiles(const std::vector<std::string> &files) {
  return guarded(files.empty() ? std::string("CIFAR-10") : files.front(),
                 [&] { return readFiles(files); });
}

/// Files of `folder` named PREFIX*.bin, sorted.
static std::vector<std::string> listFiles(const std::string &folder, const std::string &prefix) {
  std::vector<std::string> files;
  for (const fs::directory_entry &entry : fs::directory_iterator(folder)) {
    std::string name = entry.path().filename().string();
    if (name.starts_with(prefix) && name.ends_with(".bin"))
      files.push_back(entry.path().string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

Result<DataPair> nibble::runtime::readCifarFolder(const std::string &folder) {
  return guarded(folder, [&]() -> Result<DataPair> {
    DataPair pair;
    for (auto [prefix, part] :
         {std::pair("data_batch", &pair.train), {"test_batch", &pair.validation}}) {
      std::vector<std::string> files = listFiles(folder, prefix);
      if (files.empty())
        continue;
      Result<DataSet> set = readFiles(files);
      if (!set)
        return set.status();
      *part = std::move(*set);
    }
    if (!pair.train && !pair.validation)
      return fileError(folder, "no CIFAR-10 files: expected data_batch*.bin or test_batch*.bin");
    return pair;
  });
}

//===- Idx.cpp - IDX files, the layout of MNIST -----------------------------------===//
//
// A file is: two zero bytes, a byte for the element type (8 = unsigned byte), the number of
// dimensions, each dimension as four bytes big-endian, the elements (LeCun et al., "The MNIST
// database").
//
//===----------------------------------------------------------------------===//

#include "GzipFile.h"
#include "nibble/Runtime/DataSet.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <map>

using namespace nibble;
using namespace nibble::runtime;

namespace fs = std::filesystem;

static std::string hexBytes(const uint8_t *bytes, size_t count) {
  std::string text;
  for (size_t i = 0; i < count; ++i) {
    char one[4];
    std::snprintf(one, sizeof one, "%s%02x", i ? " " : "", bytes[i]);
    text += one;
  }
  return text;
}

/// Reads a whole IDX file of unsigned bytes whose rank lies in minRank … maxRank.
static Result<Tensor> readIdx(const std::string &path, int minRank, int maxRank) {
  Result<std::unique_ptr<ByteReader>> file = openMaybeGzip(path);
  if (!file)
    return file.status();
  ByteReader &reader = **file;

  uint8_t magic[4];
  if (Status status = reader.readExactly(magic, 4, "IDX header"); !status)
    return status;
  if (magic[0] != 0 || magic[1] != 0 || magic[2] != 8 || magic[3] < minRank || magic[3] > maxRank)
    return fileError(path, "not an IDX file of unsigned bytes with rank " +
                               std::to_string(minRank) +
                               (maxRank > minRank ? " to " + std::to_string(maxRank) : "") +
                               ": its first bytes are " + hexBytes(magic, 4) +
                               ", expected 00 00 08 0" + std::to_string(minRank));

  Tensor tensor;
  tensor.type = DType::U8;
  for (int i = 0; i < magic[3]; ++i) {
    uint8_t d[4];
    if (Status status = reader.readExactly(d, 4, "IDX header"); !status)
      return status;
    tensor.shape.push_back(int64_t(d[0]) << 24 | d[1] << 16 | d[2] << 8 | d[3]);
  }
  Result<int64_t> count = countElements(tensor.shape);
  if (!count)
    return fileError(path, count.message());
  if (*count == 0)
    return fileError(path, "holds no data: its shape is " + formatShape(tensor.shape));
  if (Status status = reader.readInto(tensor.bytes, static_cast<uint64_t>(*count), "data"); !status)
    return status;
  if (Status status = reader.expectEnd(); !status)
    return status;
  return tensor;
}

static Result<DataSet> readPair(const std::string &images, const std::string &labels) {
  Result<Tensor> x = readIdx(images, 3, 4);
  if (!x)
    return x.status();
  Result<Tensor> y = readIdx(labels, 1, 1);
  if (!y)
    return y.status();
  if (x->shape[0] != y->shape[0])
    return fileError(labels, "holds " + std::to_string(y->shape[0]) + " labels, but " + images +
                                 " holds " + std::to_string(x->shape[0]) + " images");
  DataSet set;
  set.path = images;
  set.origin = DataOrigin::Idx;
  set.x = std::move(*x);
  // N×H×W becomes N×1×H×W: one channel.
  if (set.x.shape.size() == 3)
    set.x.shape.insert(set.x.shape.begin() + 1, 1);
  const uint8_t *label = y->data<uint8_t>();
  set.labels.assign(label, label + y->size());
  return set;
}

Result<DataSet> nibble::runtime::readIdxFiles(const std::string &images,
                                              const std::string &labels) {
  return guarded(images, [&] { return readPair(images, labels); });
}

//===----------------------------------------------------------------------===//
// Folders
//===----------------------------------------------------------------------===//

/// "train-images.idx3-ubyte.gz" -> "train-images-idx3-ubyte": the spellings in use become one.
static std::string plainName(std::string name) {
  if (name.ends_with(".gz"))
    name.resize(name.size() - 3);
  std::replace(name.begin(), name.end(), '.', '-');
  std::replace(name.begin(), name.end(), '_', '-');
  return name;
}

/// Plain name -> path of every file of `folder`; an unpacked file wins over its `.gz`.
static std::map<std::string, std::string> listIdx(const fs::path &folder) {
  std::map<std::string, std::string> files;
  for (const fs::directory_entry &entry : fs::directory_iterator(folder)) {
    std::string name = entry.path().filename().string();
    auto [place, isNew] = files.try_emplace(plainName(name), entry.path().string());
    if (!isNew && !name.ends_with(".gz"))
      place->second = entry.path().string();
  }
  return files;
}

static Result<std::optional<DataSet>> readPart(const std::string &folder,
                                               const std::map<std::string, std::string> &files,
                                               std::initializer_list<const char *> prefixes) {
  for (std::string prefix : prefixes) {
    auto images = files.find(prefix + "-images-idx3-ubyte");
    if (images == files.end())
      continue;
    auto labels = files.find(prefix + "-labels-idx1-ubyte");
    if (labels == files.end())
      return fileError(folder, "has " + fs::path(images->second).filename().string() + " but not " +
                                   prefix + "-labels-idx1-ubyte or " + prefix +
                                   "-labels-idx1-ubyte.gz");
    Result<DataSet> set = readPair(images->second, labels->second);
    if (!set)
      return set.status();
    return std::optional<DataSet>(std::move(*set));
  }
  return std::optional<DataSet>();
}

Result<DataPair> nibble::runtime::readIdxFolder(const std::string &folder) {
  return guarded(folder, [&]() -> Result<DataPair> {
    std::map<std::string, std::string> files = listIdx(folder);
    Result<std::optional<DataSet>> train = readPart(folder, files, {"train"});
    if (!train)
      return train.status();
    Result<std::optional<DataSet>> test = readPart(folder, files, {"t10k", "test"});
    if (!test)
      return test.status();
    if (!*train && !*test)
      return fileError(folder, "no IDX images: expected train-images-idx3-ubyte or "
                               "t10k-images-idx3-ubyte, plain or .gz");
    return DataPair{std::move(*train), std::move(*test)};
  });
}

//===- FuzzTarget.cpp - libFuzzer's entry, one reader a target --------------------===//
//
// NIBBLE_FUZZ_READER names the reader. The input goes into a folder of its own in memory, because
// readers take paths. An IDX input is two files: two bytes with the length of the labels, the
// labels, the images.
//
//===----------------------------------------------------------------------===//
#include "Readers.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <string_view>
#include <unistd.h>

using namespace nibble::fuzz;

static const std::string &folder() {
  static const std::string made = [] {
    char path[] = "/dev/shm/nibble-fuzz-XXXXXX";
    if (!mkdtemp(path))
      std::abort();
    return std::string(path);
  }();
  return made;
}

static std::string put(const char *name, const uint8_t *data, size_t size) {
  std::string path = folder() + "/" + name;
  int file = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (file < 0 || write(file, data, size) != static_cast<ssize_t>(size))
    std::abort();
  close(file);
  return path;
}

static Answer readIdx(const uint8_t *data, size_t size) {
  size_t labels = size < 2 ? 0 : std::min<size_t>(data[0] | data[1] << 8, size - 2);
  size_t start = std::min<size_t>(size, 2);
  put("train-labels-idx1-ubyte", data + start, labels);
  put("train-images-idx3-ubyte", data + start + labels, size - start - labels);
  return readData(folder());
}

static Answer read(std::string_view reader, const uint8_t *data, size_t size) {
  // Which recipe: a hash, so that the same input always does the same.
  unsigned variant = 0;
  for (size_t i = 0; i < size; ++i)
    variant = variant * 31 + data[i];
  if (reader == "onnx-graph" || reader == "onnx-planned")
    return readModel(put("m.onnx", data, size),
                     reader == "onnx-graph" ? Depth::Graph : Depth::Planned, variant);
  if (reader == "idx")
    return readIdx(data, size);
  if (reader == "cifar")
    return readData(put("d.bin", data, size));
  if (reader == "npz")
    return readData(put("d.npz", data, size));
  if (reader == "csv")
    return readData(put("d.csv", data, size));
  return readCheckpoint(put("d.safetensors", data, size));
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Answer answer = read(NIBBLE_FUZZ_READER, data, size);
  if (!answer.accepted && answer.text.empty())
    std::abort(); // refused without a word
  return 0;
}

//===- DataSet.h - Samples and labels ---------------------------*- C++ -*-===//
//
// A data set is read whole, kept as it was stored (bytes stay bytes) and turned into float32
// batches one at a time. Readers: IDX folders (MNIST layout), CIFAR-10 binary folders, `.npz`. Each
// reader has a file of its own under lib/Runtime.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_RUNTIME_DATASET_H
#define NIBBLE_RUNTIME_DATASET_H

#include "nibble/Runtime/Augmentation.h"
#include "nibble/Runtime/Normalization.h"
#include "nibble/Runtime/Status.h"
#include "nibble/Runtime/Step.h"
#include "nibble/Runtime/Tensor.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace nibble::runtime {

/// Where samples came from; it decides the default normalization (`unit` for byte images, else
/// `none`).
enum class DataOrigin : uint8_t { Idx, Cifar, Npz, Csv, Memory };

/// Samples, and a label or a real target for each. Nothing here is normalized yet.
struct DataSet {
  /// File or folder, for messages.
  std::string path;
  DataOrigin origin = DataOrigin::Memory;
  /// [samples, …]; U8 as stored, or F32 (other element types were converted when read).
  Tensor x;
  /// Class indices, the same number for each sample (one, or one an element of a sequence); empty
  /// where `targets` is used.
  std::vector<int32_t> labels;
  /// [samples, …] float32; `bytes` empty where `labels` is used.
  Tensor targets;
  /// Names of the classes where labels were words, in the order of their numbers.
  std::vector<std::string> classNames;

  int64_t size() const { return x.shape.empty() ? 0 : x.shape[0]; }
  /// Shape of one sample: 1×H×W for IDX images, 3×32×32 for CIFAR, x.shape[1:] for npz.
  std::span<const int64_t> sampleShape() const { return std::span(x.shape).subspan(1); }
  int64_t sampleSize() const { return size() ? x.size() / size() : 0; }
  /// C for C×H×W samples, 1 for every other rank.
  int64_t channels() const { return x.shape.size() == 4 ? x.shape[1] : 1; }
  bool hasLabels() const { return !labels.empty(); }
  int64_t labelsPerSample() const {
    return size() ? static_cast<int64_t>(labels.size()) / size() : 0;
  }

  /// An error that names the first sample whose label is not in 0 … numClasses − 1.
  Status checkLabels(int64_t numClasses) const;
  /// An error that names the first sample with a number in x that is not a whole one in 0 …
  /// numTokens − 1.
  Status checkTokens(int64_t numTokens) const;
};

/// What one path holds. An IDX or CIFAR folder may hold both parts, an `.npz` as well.
struct DataPair {
  std::optional<DataSet> train;
  std::optional<DataSet> validation;
};

/// Reads the data at `path`, whose kind is found from its names: a folder with `*images*idx3*`
/// files
/// (`train-…` and `t10k-…`, `-` or `.` before idx3, gz or not), a folder with `data_batch*.bin` and
/// `test_batch*.bin`, or a file `.npz`, `.csv`, `.bin` or IDX images. Errors say what was expected
/// and found. /// Of a `.csv` (or .tsv) file `labelColumns` names the columns of the answers.
Result<DataPair> loadData(const std::string &path, const std::string &labelColumns = "");

/// loadData(dataPath), with the validation part replaced by what `validationPath` holds when that
/// is not empty (its validation part if it has one, else its training part).
Result<DataPair> loadData(const std::string &dataPath, const std::string &validationPath,
                          const std::string &labelColumns);

/// Readers, one each; loadData chooses between them.
Result<DataPair> readIdxFolder(const std::string &folder);
Result<DataPair> readCifarFolder(const std::string &folder);
Result<DataPair> readNpz(const std::string &file);
/// A table of numbers, a sample a line (Csv.cpp says what it may look like). `labelColumns`: names
/// from the first line, or numbers from 1, joined by commas; empty: the last column.
Result<DataSet> readCsv(const std::string &file, const std::string &labelColumns);
/// IDX images and their labels; `.gz` or plain.
Result<DataSet> readIdxFiles(const std::string &images, const std::string &labels);
/// CIFAR-10 rows of 3,073 bytes: a label, then 3×32×32 bytes.
Result<DataSet> readCifarFiles(const std::vector<std::string> &files);

/// Fills batches of one data set in the layout that a step takes. Holds no copy of the samples.
class BatchSource {
public:
  /// Checks shapes and kinds against the step; the data set must outlive the source. A sample shape
  /// that differs from the input's but has as many elements is taken as it lies in memory.
  static Result<BatchSource> create(const DataSet &data, const Normalization &normalization,
                                    const Step &step);

  /// Writes the samples `indices` (at most batchSize, each < size()) and pads with repetitions of
  /// them, so that padding never shows a network values that no sample has. The batch borrows this
  /// source's buffers until the next call.
  Batch fill(std::span<const uint32_t> indices);
  /// The same with every image moved as the epoch has it (setAugmentation).
  Batch fill(std::span<const uint32_t> indices, uint32_t epoch);

  /// Samples must be images, C×H×W.
  Status setAugmentation(const Augmentation &augmentation, uint64_t seed);

  const DataSet &data() const { return *set; }

private:
  BatchSource() = default;
  void fillRow(int64_t row, uint32_t sample);
  void augmentRow(int64_t row, uint32_t sample, uint32_t epoch);

  const DataSet *set = nullptr;
  Normalization normalization;
  int64_t rows = 0;
  int64_t rowSize = 0;
  int64_t targetSize = 0;
  int64_t labelsEach = 1;
  /// channels × 256 normalized values of each byte; empty for float samples.
  std::vector<float> byteTable;
  std::vector<float> x;
  std::vector<int32_t> labels;
  std::vector<float> targets;
  Augmentation augmentation;
  uint64_t augmentationSeed = 0;
  /// One plane.
  std::vector<float> scratch;
};

} // namespace nibble::runtime

#endif // NIBBLE_RUNTIME_DATASET_H

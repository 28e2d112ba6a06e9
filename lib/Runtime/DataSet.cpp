//===- DataSet.cpp - Samples into batches --------------------------------------------===//

#include "nibble/Runtime/DataSet.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

using namespace nibble;
using namespace nibble::runtime;

Status DataSet::checkLabels(int64_t numClasses) const {
  for (size_t i = 0; i < labels.size(); ++i)
    if (labels[i] < 0 || labels[i] >= numClasses)
      return Status::error(
          path + ": sample " +
          std::to_string(static_cast<int64_t>(i) / std::max<int64_t>(labelsPerSample(), 1)) +
          " has label " + std::to_string(labels[i]) + ", but the network has " +
          std::to_string(numClasses) + " classes (0 to " + std::to_string(numClasses - 1) + ")");
  return Status::success();
}

/// Whole numbers without a fraction.
static std::string numberText(double value) {
  bool whole = value == std::floor(value) && std::fabs(value) < 0x1p53;
  return whole ? std::to_string(static_cast<int64_t>(value)) : std::to_string(value);
}

Status DataSet::checkTokens(int64_t numTokens) const {
  for (int64_t i = 0, count = x.size(); i < count; ++i)
    if (double token = x.at(i);
        token < 0 || token >= static_cast<double>(numTokens) || token != std::floor(token))
      return Status::error(path + ": sample " + std::to_string(i / sampleSize()) + " holds " +
                           numberText(token) +
                           ", but the network reads tokens: whole numbers from 0 to " +
                           std::to_string(numTokens - 1));
  return Status::success();
}

/// Elements of one row of `shape`, whose leading dimension is the batch; 0 for an empty shape.
static int64_t rowElements(const std::vector<int64_t> &shape) {
  int64_t count = shape.empty() ? 0 : 1;
  for (size_t d = 1; d < shape.size(); ++d)
    count *= shape[d];
  return count;
}

/// Samples must have as many elements as one row of the input.
static Status checkInput(const DataSet &data, const Step &step) {
  std::vector<int64_t> shape = step.inputShape();
  if (shape.empty() || shape[0] != step.batchSize())
    return Status::error("internal: the network's input " + formatShape(shape) +
                         " does not begin with the batch of " + std::to_string(step.batchSize()));
  if (data.size() == 0)
    return Status::error(data.path + ": holds no samples");
  if (data.size() > std::numeric_limits<uint32_t>::max())
    return Status::error(data.path + ": more than 2^32 - 1 samples");
  if (data.sampleSize() != rowElements(shape))
    return Status::error(data.path + ": a sample has shape " + formatShape(data.sampleShape()) +
                         ", but the network's input takes " +
                         formatShape(std::span(shape).subspan(1)) + " a sample");
  return Status::success();
}

/// Labels for a network with classes, real targets of the right size for one without.
static Status checkAnswers(const DataSet &data, const Step &step) {
  if (step.numClasses() > 0) {
    if (data.hasLabels() && data.labelsPerSample() != step.answersPerRow())
      return Status::error(data.path + ": y has " + std::to_string(data.labelsPerSample()) +
                           " labels a sample, but the network's loss takes " +
                           std::to_string(step.answersPerRow()));
    if (data.hasLabels())
      return data.checkLabels(step.numClasses());
    return Status::error(
        data.path + ": y has shape " + formatShape(data.targets.shape) +
        " with values that are not class indices; the loss needs one whole number a sample");
  }
  std::vector<int64_t> shape = step.targetShape();
  int64_t want = rowElements(shape);
  int64_t have = data.targets.bytes.empty() ? 1 : data.targets.size() / data.size();
  if (want != have)
    return Status::error(data.path + ": y has " + std::to_string(have) +
                         " values a sample, but the loss takes targets of shape " +
                         formatShape(shape));
  return Status::success();
}

Result<BatchSource> BatchSource::create(const DataSet &data, const Normalization &normalization,
                                        const Step &step) {
  if (Status status = checkInput(data, step); !status)
    return status;
  if (Status status = checkAnswers(data, step); !status)
    return status;
  if (step.numTokens() > 0)
    if (Status status = data.checkTokens(step.numTokens()); !status)
      return status;

  BatchSource source;
  source.set = &data;
  source.normalization = step.numTokens() > 0 ? Normalization() : normalization;
  source.rows = step.batchSize();
  source.rowSize = data.sampleSize();
  source.x.resize(static_cast<size_t>(source.rows * source.rowSize));
  if (data.x.type == DType::U8) {
    source.byteTable.resize(static_cast<size_t>(data.channels()) * 256);
    for (size_t i = 0; i < source.byteTable.size(); ++i)
      source.byteTable[i] =
          source.normalization.apply(static_cast<float>(i % 256), static_cast<int64_t>(i / 256));
  }
  if (step.numClasses() > 0) {
    source.labelsEach = step.answersPerRow();
    source.labels.resize(static_cast<size_t>(source.rows * source.labelsEach));
  } else {
    source.targetSize = rowElements(step.targetShape());
    source.targets.resize(static_cast<size_t>(source.rows * source.targetSize));
  }
  return source;
}

void BatchSource::fillRow(int64_t row, uint32_t sample) {
  int64_t channels = set->channels(), perChannel = rowSize / channels;
  float *to = x.data() + row * rowSize;
  int64_t from = sample * rowSize;
  for (int64_t c = 0; c < channels; ++c, to += perChannel, from += perChannel) {
    if (!byteTable.empty()) {
      const float *table = byteTable.data() + c * 256;
      const uint8_t *bytes = set->x.data<uint8_t>() + from;
      for (int64_t i = 0; i < perChannel; ++i)
        to[i] = table[bytes[i]];
    } else {
      const float *values = set->x.data<float>() + from;
      for (int64_t i = 0; i < perChannel; ++i)
        to[i] = normalization.apply(values[i], c);
    }
  }
  if (!labels.empty())
    std::copy_n(set->labels.begin() + sample * labelsEach, labelsEach,
                labels.begin() + row * labelsEach);
  else if (set->targets.bytes.empty()) // whole numbers given where real targets are taken
    targets[static_cast<size_t>(row)] = static_cast<float>(set->labels[sample]);
  else
    std::memcpy(targets.data() + row * targetSize, set->targets.data<float>() + sample * targetSize,
                static_cast<size_t>(targetSize) * sizeof(float));
}

Status BatchSource::setAugmentation(const Augmentation &wanted, uint64_t seed) {
  if (wanted && set->x.shape.size() != 4)
    return Status::error(
        set->path +
        ": --augment moves images of channels x rows x columns, a sample here has shape " +
        formatShape(set->sampleShape()));
  augmentation = wanted;
  augmentationSeed = seed;
  scratch.resize(wanted ? static_cast<size_t>(rowSize / set->channels()) : 0);
  return Status::success();
}

void BatchSource::augmentRow(int64_t row, uint32_t sample, uint32_t epoch) {
  Augmentation::Move move = augmentation.moveOf(augmentationSeed, epoch, sample);
  int64_t height = set->x.shape[2], width = set->x.shape[3];
  for (int64_t c = 0; c < set->channels(); ++c)
    Augmentation::apply(move, x.data() + row * rowSize + c * height * width, height, width,
                        normalization.apply(0, c), scratch.data());
}

Batch BatchSource::fill(std::span<const uint32_t> indices, uint32_t epoch) {
  Batch batch = fill(indices);
  for (int64_t row = 0; augmentation && row < rows && batch.validRows > 0; ++row)
    augmentRow(row, indices[static_cast<size_t>(row % batch.validRows)], epoch);
  return batch;
}

Batch BatchSource::fill(std::span<const uint32_t> indices) {
  int64_t valid = std::min<int64_t>(static_cast<int64_t>(indices.size()), rows);
  for (int64_t row = 0; row < rows && valid > 0; ++row)
    fillRow(row, indices[static_cast<size_t>(row % valid)]);
  Batch batch;
  batch.x = x.data();
  batch.labels = labels.empty() ? nullptr : labels.data();
  batch.targets = targets.empty() ? nullptr : targets.data();
  batch.validRows = valid;
  return batch;
}

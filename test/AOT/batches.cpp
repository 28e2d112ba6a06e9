//===- batches.cpp - the batches that nibble-train would train on, as a file ------===//
//
//   aot-batches DATA SHAPE CLASSES SEED EPOCHS OUT      SHAPE: 16x3x8x8, the batch first
//
// For tests of libraries: the same samples in the same order and normalization as a run of nibble-train with that --batch-size, --seed
// and --epochs, as float32 rows of x and then int32 labels, batch after batch.
//
//===----------------------------------------------------------------------===//
#include "nibble/Runtime/DataSet.h"
#include "nibble/Runtime/Normalization.h"
#include "nibble/Runtime/Sampler.h"
#include "nibble/Runtime/Step.h"

#include <cstdio>
#include <cstdlib>
#include <sstream>

using namespace nibble;
using namespace nibble::runtime;

namespace {

/// Says what a step takes, and is never run.
class Shape : public Step {
public:
  std::vector<int64_t> shape;
  int64_t classes = 0;
  int64_t batchSize() const override { return shape.front(); }
  std::vector<int64_t> inputShape() const override { return shape; }
  int64_t numClasses() const override { return classes; }
  Status train(const Batch &, double, int64_t, StepResult &) override { return Status::error("no network"); }
  Status evaluate(const Batch &, EvalResult &) override { return Status::error("no network"); }
};

Status writeBatches(char **argv) {
  Shape step;
  std::istringstream text(argv[2]);
  for (std::string size; std::getline(text, size, 'x');)
    step.shape.push_back(std::atoll(size.c_str()));
  step.classes = std::atoll(argv[3]);
  auto data = loadData(argv[1]);
  if (!data)
    return data.status();
  auto normalization = Normalization::create("", *data->train);
  if (!normalization)
    return normalization.status();
  auto source = BatchSource::create(*data->train, *normalization, step);
  if (!source)
    return source.status();
  Sampler sampler(std::strtoull(argv[4], nullptr, 10), static_cast<uint32_t>(data->train->size()),
                  static_cast<uint32_t>(step.batchSize()));
  size_t numbers = 1;
  for (int64_t size : step.shape)
    numbers *= static_cast<size_t>(size);
  FILE *out = std::fopen(argv[6], "wb");
  if (!out)
    return Status::error(std::string(argv[6]) + ": cannot be written");
  for (uint32_t left = sampler.batchesPerEpoch() * static_cast<uint32_t>(std::atoi(argv[5])); left > 0; --left) {
    Batch batch = source->fill(sampler.next());
    std::fwrite(batch.x, sizeof(float), numbers, out);
    std::fwrite(batch.labels, sizeof(int32_t), static_cast<size_t>(step.batchSize()), out);
  }
  return std::fclose(out) == 0 ? Status::success() : Status::error(std::string(argv[6]) + ": cannot be written");
}

} // namespace

int main(int argc, char **argv) {
  if (argc != 7)
    return std::fprintf(stderr, "usage: aot-batches DATA SHAPE CLASSES SEED EPOCHS OUT\n"), 2;
  Status status = writeBatches(argv);
  if (!status)
    std::fprintf(stderr, "aot-batches: %s\n", status.message().c_str());
  return status ? 0 : 1;
}

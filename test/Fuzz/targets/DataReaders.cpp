//===- DataReaders.cpp - data sets and checkpoints -------------------------------===//
#include "Readers.h"

#include "nibble/Runtime/Checkpoint.h"
#include "nibble/Runtime/DataSet.h"

#include <algorithm>
#include <numeric>

using namespace nibble;
using namespace nibble::fuzz;
using namespace nibble::runtime;

namespace {

/// Takes whatever data and tensors there are; computes nothing.
class IdleStep : public Step {
public:
  /// For the samples of `data`, with classes 0 … 9 (`classes` 10) or targets.
  IdleStep(const DataSet &data, int64_t classes, std::vector<int64_t> targets)
      : input(data.sampleShape().begin(), data.sampleShape().end()), answer(std::move(targets)),
        classes(classes) {
    input.insert(input.begin(), batchSize());
    if (!answer.empty())
      answer[0] = batchSize();
  }
  /// With copies of the checkpoint's tensors.
  explicit IdleStep(const Checkpoint &checkpoint) : tensors(checkpoint.state) {
    for (NamedTensor &named : tensors)
      std::fill(named.tensor.bytes.begin(), named.tensor.bytes.end(), std::byte{0});
  }

  int64_t batchSize() const override { return 4; }
  std::vector<int64_t> inputShape() const override { return input; }
  int64_t numClasses() const override { return classes; }
  std::vector<int64_t> targetShape() const override { return answer; }
  Status train(const Batch &, double, int64_t, StepResult &) override { return Status::success(); }
  Status evaluate(const Batch &, EvalResult &) override { return Status::success(); }
  std::vector<StateView> state() override {
    std::vector<StateView> views;
    for (NamedTensor &named : tensors)
      views.push_back({named.name, "weight", named.tensor.type, named.tensor.shape,
                       std::span(named.tensor.bytes)});
    return views;
  }

private:
  std::vector<int64_t> input, answer;
  int64_t classes = 0;
  std::vector<NamedTensor> tensors;
};

Answer refused(const std::string &text) { return {false, text}; }

/// An answer that touches every number of a batch, so that a sanitizer sees each.
double sum(const Batch &batch, int64_t rows, int64_t perRow, int64_t answersPerRow) {
  double total = std::accumulate(batch.x, batch.x + rows * perRow, 0.0);
  if (batch.labels)
    total += std::accumulate(batch.labels, batch.labels + rows, 0.0);
  if (batch.targets)
    total += std::accumulate(batch.targets, batch.targets + rows * answersPerRow, 0.0);
  return total;
}

/// Feeds `step` in each normalization.
Status feed(IdleStep &step, const DataSet &data, const DataSet &training) {
  for (const char *spec : {"", "auto", "unit"}) {
    Result<Normalization> normalization = Normalization::create(spec, training);
    if (!normalization)
      return normalization.status();
    Result<BatchSource> source = BatchSource::create(data, *normalization, step);
    if (!source)
      return source.status();
    int64_t answers = 1;
    for (size_t d = 1; d < step.targetShape().size(); ++d)
      answers *= step.targetShape()[d];
    uint32_t last = static_cast<uint32_t>(data.size() - 1);
    volatile double seen = 0;
    for (std::vector<uint32_t> indices : {std::vector<uint32_t>{0, last, 0, last}, {last}})
      seen = sum(source->fill(indices), step.batchSize(), data.sampleSize(), answers);
    (void)seen;
  }
  return Status::success();
}

Status useData(const DataSet &data, const DataSet &training) {
  // Networks that the data may not be meant for: what they refuse is no fault.
  IdleStep classifier(data, 10, {}), regression(data, 0, {0, 1}), other(data, 0, {0, 3});
  for (IdleStep *step : {&classifier, &regression, &other})
    (void)feed(*step, data, training);
  IdleStep fitting(data, data.hasLabels() ? 10 : 0, data.targets.shape);
  return feed(fitting, data, training);
}

} // namespace

Answer nibble::fuzz::readData(const std::string &path) {
  Result<DataPair> pair = loadData(path);
  if (!pair)
    return refused(pair.message());
  const DataSet &training = pair->train ? *pair->train : *pair->validation;
  for (const std::optional<DataSet> *part : {&pair->train, &pair->validation})
    if (*part)
      if (Status status = useData(**part, training); !status)
        return refused(status.message());
  return {true, ""};
}

Answer nibble::fuzz::readCheckpoint(const std::string &path) {
  Result<Checkpoint> header = loadCheckpointHeader(path);
  Result<Checkpoint> whole = loadCheckpoint(path);
  if (!whole)
    return refused(whole.message());
  if (!header)
    return refused("accepted whole, but not its header: " + header.message());
  IdleStep step(*whole);
  (void)changedOptions(*whole, {{"lr", "0.1"}});
  if (Status status = checkSameRun(*whole, whole->run); !status)
    return refused(status.message());
  for (Restore how : {Restore::ForEvaluation, Restore::Exactly})
    if (Status status = restoreState(*whole, whole->run, step, how); !status)
      return refused(status.message());
  return {true, ""};
}

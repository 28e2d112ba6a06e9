//===- FakeStep.h - A step without a network ----------------------*- C++ -*-===//

#ifndef NIBBLE_TEST_UNIT_RUNTIME_FAKESTEP_H
#define NIBBLE_TEST_UNIT_RUNTIME_FAKESTEP_H

#include "nibble/Runtime/DataSet.h"
#include "nibble/Runtime/Step.h"

#include <cstring>
#include <functional>

namespace nibble::test {

/// Records what it is given; "answers" rightly where the label is 0.
class FakeStep : public runtime::Step {
public:
  std::vector<int64_t> input = {4, 2};
  int64_t classes = 10, tokens = 0, answers = 1;
  std::vector<int64_t> target;
  int64_t micro = 1;

  /// What each train call saw.
  struct Call {
    std::vector<float> x;
    std::vector<int32_t> labels;
    double rate;
    int64_t step;
  };
  std::vector<Call> trained;
  std::vector<int64_t> evaluatedRows;
  std::vector<float> evaluatedX;
  std::vector<runtime::LayerHealth> health;
  /// Changes a result before it is returned.
  std::function<Status(runtime::StepResult &)> tamper;

  int64_t batchSize() const override { return input[0]; }
  int64_t microBatches() const override { return micro; }
  std::vector<int64_t> inputShape() const override { return input; }
  int64_t numClasses() const override { return classes; }
  int64_t numTokens() const override { return tokens; }
  int64_t answersPerRow() const override { return answers; }
  std::vector<int64_t> targetShape() const override { return target; }

  Status train(const runtime::Batch &batch, double rate, int64_t step,
               runtime::StepResult &result) override {
    trained.push_back({rows(batch, batch.validRows), labels(batch), rate, step});
    result.loss = 1.0f / static_cast<float>(step + 1);
    learn(batch, rate, step);
    result.correct = countZeros(batch);
    result.layers = health;
    return tamper ? tamper(result) : Status::success();
  }

  Status evaluate(const runtime::Batch &batch, runtime::EvalResult &result) override {
    evaluatedRows.push_back(batch.validRows);
    std::vector<float> x = rows(batch, batchSize());
    evaluatedX.insert(evaluatedX.end(), x.begin(), x.end());
    result.lossSum = 0.5 * static_cast<double>(batch.validRows);
    result.correct = countZeros(batch);
    return Status::success();
  }

  /// What a step carries along; `learn` changes them in each update by numbers that depend on
  /// everything that was there before.
  std::vector<float> weights = {1, 2, 3}, moments = {0, 0, 0};
  float scale = 1024;

  std::vector<runtime::StateView> state() override {
    auto view = [](const char *name, const char *role, std::vector<int64_t> shape, float *data,
                   size_t count) {
      return runtime::StateView{name, role, runtime::DType::F32, std::move(shape),
                                std::as_writable_bytes(std::span(data, count))};
    };
    return {view("w", "weight", {3}, weights.data(), 3),
            view("w.momentum", "moment", {3}, moments.data(), 3),
            view("conv\xFF.grad_scale", "grad_scale", {}, &scale, 1)};
  }

private:
  void learn(const runtime::Batch &batch, double rate, int64_t step) {
    for (size_t i = 0; i < weights.size(); ++i) {
      float gradient = batch.x[i] * 0.37f + weights[(i + 1) % 3] * 0.01f + static_cast<float>(step);
      moments[i] = 0.9f * moments[i] + gradient;
      weights[i] -= static_cast<float>(rate) * 0.001f * moments[i];
    }
    scale = scale > 1e6f ? scale / 3 : scale * 1.5f;
  }

  std::vector<float> rows(const runtime::Batch &batch, int64_t count) const {
    int64_t width = 1;
    for (size_t d = 1; d < input.size(); ++d)
      width *= input[d];
    return std::vector<float>(batch.x, batch.x + count * width);
  }
  static std::vector<int32_t> labels(const runtime::Batch &batch) {
    return batch.labels ? std::vector<int32_t>(batch.labels, batch.labels + batch.validRows)
                        : std::vector<int32_t>();
  }
  static int64_t countZeros(const runtime::Batch &batch) {
    int64_t count = 0;
    for (int32_t label : labels(batch))
      count += label == 0;
    return count;
  }
};

/// `count` samples of `shape`, float; every element of sample i is i, its label is i mod 10.
inline runtime::DataSet countingSet(int64_t count, std::vector<int64_t> shape = {2}) {
  runtime::DataSet set;
  set.path = "counting";
  set.x.type = runtime::DType::F32;
  set.x.shape = shape;
  set.x.shape.insert(set.x.shape.begin(), count);
  int64_t width = 1;
  for (int64_t dim : shape)
    width *= dim;
  for (int64_t i = 0; i < count * width; ++i) {
    float value = static_cast<float>(i / width);
    auto *bytes = reinterpret_cast<const std::byte *>(&value);
    set.x.bytes.insert(set.x.bytes.end(), bytes, bytes + sizeof value);
  }
  for (int64_t i = 0; i < count; ++i)
    set.labels.push_back(static_cast<int32_t>(i % 10));
  return set;
}

} // namespace nibble::test

#endif // NIBBLE_TEST_UNIT_RUNTIME_FAKESTEP_H

//===- Verify.cpp - compiled code against its meaning ----------------------------------===//
#include "nibble/Driver/Verify.h"

#include "RandomData.h"
#include "nibble/Driver/CompiledStep.h"
#include "nibble/Driver/InterpretedStep.h"

#include "llvm/Support/Format.h"

#include <bit>
#include <cstring>

using namespace nibble;

namespace {

/// One compiled program that runs beside the interpreter.
struct Candidate {
  std::string name;
  std::unique_ptr<CompiledModel> model;
  std::unique_ptr<CompiledStep> step;
  /// What differs first; empty so far.
  std::string difference;
};

std::string bits(float value) {
  std::string text;
  llvm::raw_string_ostream(text) << llvm::format("%.9g (0x%08x)", value, std::bit_cast<uint32_t>(value));
  return text;
}

bool same(float a, float b) { return std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b); }

/// "", or where two runs of numbers differ first.
std::string compare(std::span<const float> expected, std::span<const float> found) {
  if (expected.size() != found.size())
    return std::to_string(expected.size()) + " elements expected, " + std::to_string(found.size()) + " found";
  if (std::memcmp(expected.data(), found.data(), expected.size_bytes()) == 0)
    return "";
  size_t first = 0, count = 0;
  for (size_t i = expected.size(); i-- > 0;)
    if (!same(expected[i], found[i]))
      first = i, ++count;
  return "element " + std::to_string(first) + " is " + bits(found[first]) + ", the interpreter says " + bits(expected[first]) + "; " +
         std::to_string(count) + " of " + std::to_string(expected.size()) + " differ";
}

class Comparison {
public:
  Comparison(InterpretedStep &meaning, std::vector<Candidate> &candidates) : meaning(meaning), candidates(candidates) {}

  Status train(const runtime::Batch &batch, double rate, int64_t step) {
    runtime::StepResult expected;
    if (Status status = meaning.train(batch, rate, step, expected); !status)
      return status;
    nonFinite += expected.code == runtime::StepCode::NonFinite;
    firstLoss = step == 0 ? expected.loss : firstLoss;
    lastLoss = expected.loss;
    for (Candidate &candidate : candidates) {
      if (!candidate.difference.empty())
        continue;
      runtime::StepResult found;
      if (Status status = candidate.step->train(batch, rate, step, found); !status)
        return status;
      std::string what = compareStep(expected, found, candidate);
      if (!what.empty())
        candidate.difference = "step " + std::to_string(step + 1) + ": " + what;
    }
    return Status::success();
  }

  Status evaluate(const runtime::Batch &batch, int64_t step) {
    runtime::EvalResult expected;
    if (Status status = meaning.evaluate(batch, expected); !status)
      return status;
    for (Candidate &candidate : candidates) {
      if (!candidate.difference.empty())
        continue;
      runtime::EvalResult found;
      if (Status status = candidate.step->evaluate(batch, found); !status)
        return status;
      std::string what = compare(meaning.output().reals, candidate.step->output());
      if (!what.empty())
        what = "the output: " + what;
      if (what.empty() && (expected.lossSum != found.lossSum || expected.correct != found.correct))
        what = "loss sum " + bits(found.lossSum) + ", the interpreter says " + bits(expected.lossSum) + "; right answers " +
               std::to_string(found.correct) + " and " + std::to_string(expected.correct);
      if (what.empty())
        what = compareVariables(candidate);
      if (!what.empty())
        candidate.difference = "evaluation after step " + std::to_string(step) + ": " + what;
    }
    return Status::success();
  }

  /// "loss 2.31 to 0.42", so that a person sees that there was something to compare.
  std::string summary() const {
    std::string text;
    llvm::raw_string_ostream os(text);
    os << llvm::format("loss %.4g to %.4g", firstLoss, lastLoss);
    if (nonFinite > 0)
      os << ", " << nonFinite << " steps not finite";
    return text;
  }

private:
  std::string compareStep(const runtime::StepResult &expected, const runtime::StepResult &found, const Candidate &candidate) {
    if (expected.code != found.code)
      return "the step ends with code " + std::to_string(int(found.code)) + ", the interpreter's with " + std::to_string(int(expected.code));
    if (!same(expected.loss, found.loss))
      return "the loss is " + bits(found.loss) + ", the interpreter says " + bits(expected.loss);
    if (expected.correct != found.correct)
      return std::to_string(found.correct) + " right answers, the interpreter says " + std::to_string(expected.correct);
    if (expected.code == runtime::StepCode::Ok)
      if (std::string what = compareReport(candidate); !what.empty())
        return what;
    return compareVariables(candidate);
  }

  std::string compareReport(const Candidate &candidate) {
    const std::vector<std::string> &keys = candidate.model->layout.trainKeys;
    for (size_t i = 2; i < keys.size(); ++i) {
      auto expected = meaning.report().find(keys[i]);
      if (expected == meaning.report().end())
        return "the interpreter reports no '" + keys[i] + "'";
      if (!same(expected->second, candidate.step->report()[i]))
        return "report '" + keys[i] + "' is " + bits(candidate.step->report()[i]) + ", the interpreter says " + bits(expected->second);
    }
    return "";
  }

  std::string compareVariables(const Candidate &candidate) {
    for (const auto &[name, expected] : meaning.variables().all()) {
      std::span<const std::byte> found = candidate.step->variable(name);
      if (expected->kind != reference::ElementKind::Real)
        continue; // constants of other kinds; nothing writes them
      std::string what = compare(expected->reals, {reinterpret_cast<const float *>(found.data()), found.size() / sizeof(float)});
      if (!what.empty())
        return "variable '" + name + "': " + what;
    }
    return "";
  }

  InterpretedStep &meaning;
  std::vector<Candidate> &candidates;
  double firstLoss = 0, lastLoss = 0;
  int64_t nonFinite = 0;
};

Status makeCandidates(const CompileOptions &options, const VerifyOptions &verify, llvm::raw_ostream &os, const CompileHooks &hooks,
                      std::vector<Candidate> &candidates) {
  for (const std::string &cpu : verify.cpus)
    for (unsigned threads : verify.threads) {
      CompileOptions changed = options;
      changed.mcpu = cpu;
      changed.threads = threads;
      changed.leastWork = 1; // a small network has to show what threads do as well
      llvm::Expected<Machine> machine = Machine::create(cpu);
      if (!machine)
        return Status::error(llvm::toString(machine.takeError()));
      std::string name = cpu + ", " + std::to_string(threads) + (threads == 1 ? " thread" : " threads");
      if (!machine->runsOnHost) {
        os << name << ": left out, this processor cannot run it\n";
        continue;
      }
      auto model = compile(changed, Emit::Obj, hooks);
      if (!model)
        return model.status();
      auto step = CompiledStep::create(**model, verify.seed);
      if (!step)
        return step.status();
      candidates.push_back({name, std::move(*model), std::move(*step), ""});
    }
  return candidates.empty() ? Status::error("--verify: there is no program to compare") : Status::success();
}

} // namespace

Status nibble::verifyBits(const CompileOptions &options, const VerifyOptions &verify, llvm::raw_ostream &os, const CompileHooks &hooks) {
  std::vector<Candidate> candidates;
  if (Status status = makeCandidates(options, verify, os, hooks, candidates); !status)
    return status;
  CompiledModel &model = *candidates.front().model;
  auto meaning = InterpretedStep::create(mlir::OwningOpRef<mlir::ModuleOp>(model.quantized->clone()), verify.seed);
  if (!meaning)
    return meaning.status();

  for (Candidate &candidate : candidates)
    if (std::span<std::byte> bytes = candidate.step->variable(verify.disturb); !bytes.empty())
      bytes[0] ^= std::byte{1};
  Comparison comparison(**meaning, candidates);
  RandomData data(model.layout, verify.seed + 1);
  int64_t rows = (*meaning)->batchSize();
  for (int64_t step = 0; step < verify.steps; ++step) {
    if (Status status = comparison.train(data.next(rows), verify.learningRate, step); !status)
      return status;
    if (step == verify.steps / 2 || step + 1 == verify.steps)
      if (Status status = comparison.evaluate(data.next(std::max<int64_t>(1, rows - 1)), step + 1); !status)
        return status;
  }

  std::string wrong;
  for (const Candidate &candidate : candidates) {
    if (candidate.difference.empty())
      os << candidate.name << ": " << verify.steps << " steps, every bit equals the interpreter's (" << comparison.summary() << ")\n";
    else
      wrong += (wrong.empty() ? "" : "\n") + candidate.name + ": " + candidate.difference;
  }
  return wrong.empty() ? Status::success() : Status::error(wrong);
}

//===- StepProfile.cpp - time by layer and by product ---------------------------===//
#include "nibble/Driver/StepProfile.h"

#include "RandomData.h"
#include "nibble/Dialect/Plan/IR/Plan.h"
#include "nibble/Driver/CompiledStep.h"
#include "nibble/Interfaces/Interfaces.h"
#include "nibble/Target/PeakRate.h"

#include "llvm/ADT/MapVector.h"
#include "llvm/Support/Format.h"

#include <chrono>

using namespace mlir;
using namespace nibble;

//===----------------------------------------------------------------------===//
// The groups
//===----------------------------------------------------------------------===//

static std::string elementText(Value value) {
  std::string text;
  llvm::raw_string_ostream(text) << cast<ShapedType>(value.getType()).getElementType();
  StringRef name = text;
  name.consume_front("!q4.");
  return name.str();
}

static std::string productName(const StepGroup &group) {
  return group.product + (group.repeated ? " again" : "");
}

/// Adds a name to a list of names, unless it is the last one.
static void append(std::string &names, StringRef name) {
  if (!StringRef(names).ends_with(name))
    names += (names.empty() ? "" : ", ") + name.str();
}

static StepGroup groupOf(plan::GroupOp group) {
  StepGroup result;
  for (Operation &op : group.getBody().front().without_terminator()) {
    if (isa<plan::PackedOp>(op))
      continue; // how the product beside it reads
    if (auto layer = op.getAttrOfType<StringAttr>("layer"); layer && result.layer.empty())
      result.layer = layer.str();
    if (auto pack = dyn_cast<plan::PackOp>(op)) {
      auto product = cast<ContractionOpInterface>(pack.getProduct());
      result.ops = (StringRef(result.layer).split("[").first + " pack for " +
                    stringifyProduct(product.getProductKind()))
                       .str();
      continue;
    }
    if (auto product = dyn_cast<ContractionOpInterface>(op)) {
      result.layer = product.getLayerName().str();
      result.product = stringifyProduct(product.getProductKind()).str();
      result.numbers = elementText(product.getLeft()) + " x " + elementText(product.getRight());
      result.multiplyAdds += product.getMultiplyAdds();
      result.repeated = op.hasAttr(repeatedAttributeName);
    }
    std::string name = op.getName().stripDialect().str();
    if (op.getDialect() && !isa<nn::NNDialect>(op.getDialect()))
      name = op.getName().getStringRef().str();
    append(result.ops, name);
    if (!isa<ContractionOpInterface, arith::ConstantOp, nn::ReshapeOp>(op))
      append(result.readers, name);
  }
  if (result.product.empty())
    result.readers.clear();
  return result;
}

std::vector<StepGroup> nibble::groupsOf(ModuleOp planned) {
  std::vector<StepGroup> groups;
  if (auto step = planned.lookupSymbol<func::FuncOp>("train_step"))
    step.walk([&](plan::GroupOp group) { groups.push_back(groupOf(group)); });
  return groups;
}

//===----------------------------------------------------------------------===//
// The table
//===----------------------------------------------------------------------===//

namespace {

/// Groups that are told as one line.
struct Line {
  StepGroup group;
  int64_t count = 0;
  double milliseconds = 0;
};

class Table {
public:
  Table(const CompiledModel &model, const runtime::Profile &profile, llvm::raw_ostream &os)
      : model(model), os(os) {
    double steps = static_cast<double>(std::max<uint64_t>(profile.steps(), 1));
    for (auto [group, spent] : llvm::zip_equal(model.groups, profile.nanoseconds())) {
      Line &line = lineOf(group);
      line.group.multiplyAdds += group.multiplyAdds;
      ++line.count;
      line.milliseconds += static_cast<double>(spent) / 1e6 / steps;
      total += static_cast<double>(spent) / 1e6 / steps;
    }
    this->steps = profile.steps();
  }

  void print() {
    printSums();
    os << "\n  ms a step   share   GOP/s  of peak  product\n";
    for (const Line &line : sorted(/*products=*/true))
      printProduct(line);
    os << "\n  ms a step   share  everything else\n";
    constexpr size_t shown = 40;
    std::vector<Line> rest = sorted(/*products=*/false);
    for (const Line &line : llvm::ArrayRef(rest).take_front(shown))
      os << llvm::format("  %9.3f  %5.1f %%  ", line.milliseconds, share(line.milliseconds))
         << line.group.ops << (line.count > 1 ? " (" + std::to_string(line.count) + " groups)" : "")
         << "\n";
    if (rest.size() > shown) {
      double left = 0;
      for (const Line &line : llvm::ArrayRef(rest).drop_front(shown))
        left += line.milliseconds;
      os << llvm::format("  %9.3f  %5.1f %%  ", left, share(left)) << rest.size() - shown
         << " more kinds\n";
    }
  }

private:
  double share(double milliseconds) const { return total > 0 ? 100 * milliseconds / total : 0; }

  Line &lineOf(const StepGroup &group) {
    std::string key = group.product.empty() ? group.ops
                                            : group.layer + "/" + productName(group) + "/" +
                                                  group.ops + group.numbers;
    auto [found, isNew] = numbers.try_emplace(key, lines.size());
    if (isNew) {
      lines.push_back({group, 0, 0});
      lines.back().group.multiplyAdds = 0;
    }
    return lines[found->second];
  }

  std::vector<Line> sorted(bool products) const {
    std::vector<Line> result;
    llvm::copy_if(lines, std::back_inserter(result),
                  [&](const Line &line) { return !line.group.product.empty() == products; });
    llvm::sort(result,
               [](const Line &a, const Line &b) { return a.milliseconds > b.milliseconds; });
    return result;
  }

  void printSums() {
    double products = 0, readers = 0;
    int64_t multiplyAdds = 0;
    for (const Line &line : lines)
      if (!line.group.product.empty())
        products += line.milliseconds,
            readers += line.group.readers.empty() ? 0 : line.milliseconds,
            multiplyAdds += line.group.repeated ? 0 : line.group.multiplyAdds;
    os << steps << " steps of " << llvm::format("%.3f ms", total) << " in " << model.groups.size()
       << " groups, " << model.threads << (model.threads == 1 ? " thread; " : " threads; ")
       << llvm::format("products %.1f %%", share(products));
    if (readers > 0)
      os << llvm::format(" (%.1f %% with loops that read them)", share(readers));
    os << "\n";
    os << llvm::format(
        "measured peaks of a thread, GOP/s: f32 %.0f, 16-bit pairs %.0f, 8-bit quads %.0f",
        peak(ProductUnit::F32), peak(ProductUnit::Pairs16), peak(ProductUnit::Quads8));
    double best =
        std::max({peak(ProductUnit::F32), peak(ProductUnit::Pairs16), peak(ProductUnit::Quads8)});
    if (best > 0 && total > 0)
      os << llvm::format("; the step uses %.1f %% of the largest",
                         100 * rate(multiplyAdds, total) / (best * model.threads));
    os << "\n";
  }

  static double rate(int64_t multiplyAdds, double milliseconds) {
    return 2e-6 * static_cast<double>(multiplyAdds) / milliseconds;
  }

  /// GOP/s of one thread; 0: not known.
  double peak(ProductUnit unit) {
    auto [found, isNew] = peaks.try_emplace(static_cast<int>(unit), 0);
    if (isNew)
      found->second = measurePeak(model.machine, unit) / 1e9;
    return found->second;
  }

  /// What the numbers of the product allow: floats, codes beyond a byte (radix 4), codes within a
  /// byte.
  double peakFor(const StepGroup &group) {
    if (StringRef(group.numbers).contains("f32"))
      return peak(ProductUnit::F32);
    bool isByte = !StringRef(group.numbers).contains("log<4>");
    double quads = isByte ? peak(ProductUnit::Quads8) : 0;
    return quads > 0 ? quads : peak(ProductUnit::Pairs16);
  }

  void printProduct(const Line &line) {
    double achieved = line.milliseconds > 0 ? rate(line.group.multiplyAdds, line.milliseconds) : 0;
    double possible = peakFor(line.group) * model.threads;
    os << llvm::format("  %9.3f  %5.1f %%  %6.1f  ", line.milliseconds, share(line.milliseconds),
                       achieved);
    if (possible > 0)
      os << llvm::format("%5.1f %%  ", 100 * achieved / possible);
    else
      os << "         ";
    os << line.group.layer << " " << productName(line.group) << " (" << line.group.numbers << ")";
    if (line.count > 1)
      os << " x " << line.count;
    if (!line.group.readers.empty())
      os << " + " << line.group.readers;
    os << "\n";
  }

  const CompiledModel &model;
  llvm::raw_ostream &os;
  std::vector<Line> lines;
  llvm::StringMap<size_t> numbers;
  std::map<int, double> peaks;
  double total = 0;
  uint64_t steps = 0;
};

} // namespace

void nibble::printProfile(const CompiledModel &model, const runtime::Profile &profile,
                          llvm::raw_ostream &os) {
  Table(model, profile, os).print();
}

//===----------------------------------------------------------------------===//
// On random data
//===----------------------------------------------------------------------===//

Status nibble::profileSteps(CompileOptions options, int64_t steps, uint64_t seed,
                            llvm::raw_ostream &os, const CompileHooks &hooks) {
  options.profile = true;
  auto model = compile(options, Emit::Obj, hooks);
  if (!model)
    return model.status();
  auto step = CompiledStep::create(**model, seed);
  if (!step)
    return step.status();
  RandomData data((*model)->layout, seed + 1);
  runtime::Batch batch = data.next((*step)->batchSize());
  runtime::Profile profile((*model)->groups.size());
  constexpr int64_t warmUp = 3;
  constexpr double rate = 0.01;
  auto start = std::chrono::steady_clock::now();
  auto enough = [&](int64_t done) {
    if (steps > 0)
      return done >= steps;
    return done >= 5 && std::chrono::steady_clock::now() - start > std::chrono::seconds(1);
  };
  for (int64_t number = 0; number < warmUp || !enough(number - warmUp); ++number) {
    if (number == warmUp) {
      profile.start();
      start = std::chrono::steady_clock::now();
    }
    runtime::StepResult result;
    if (Status status = (*step)->train(batch, rate, number, result); !status)
      return status;
    if (result.code != runtime::StepCode::Ok)
      return Status::error("--profile: a step on random data was not finite");
  }
  profile.stop();
  printProfile(**model, profile, os);
  return Status::success();
}

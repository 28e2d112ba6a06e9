//===- Products.cpp - speed of generated products and of the machine ------------===//
//
// Runs products of codes as the code generator emits them, whole: packed codes in, decoding,
// panels, float results out. Prints a JSON line for each, with the machine's own peaks measured
// right before and after it. Times are processor time of the one thread, as those of the peaks
// (PeakRate.h).
//
//   nibble-products --help
//
//===----------------------------------------------------------------------------===//
#include "ContractionHarness.h"

#include "nibble/Target/PeakRate.h"

#include "llvm/Support/CommandLine.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <sstream>

using namespace nibble;
using namespace nibble::test;

namespace {

struct Named {
  std::string name;
  Case product;
  int64_t multiplyAdds;
};

/// The recipes' operands: weights and activations of four bits, gradients of radix 2 (bytes) or
/// radix 4.
struct Formats {
  const char *name;
  Kind gradient;
};
const Formats kFormats[] = {{"luq", Kind::Log2}, {"ibm", Kind::Log4}, {"int4", Kind::Int4}};

/// The three products of rows x in -> out.
void addMatrix(std::vector<Named> &list, const Formats &formats, int64_t rows, int64_t in,
               int64_t out) {
  std::string shape = std::to_string(rows) + "x" + std::to_string(in) + "->" + std::to_string(out);
  auto add = [&](const char *name, Kind left, Kind right, int64_t m, int64_t n, int64_t k, bool ta,
                 bool tb) {
    Case c;
    c.left = left, c.right = right, c.m = m, c.n = n, c.k = k, c.transposeA = ta, c.transposeB = tb;
    list.push_back({std::string(formats.name) + " " + shape + " " + name, c, m * n * k});
  };
  add("forward", Kind::Int4Zero, Kind::Int4, rows, out, in, false, true);
  add("dX", formats.gradient, Kind::Int4, rows, in, out, false, false);
  add("dW", formats.gradient, Kind::Int4Zero, out, in, rows, true, false);
}

/// Forward product and input gradient that read weights packed before, as the steps of a sequence
/// do.
void addPacked(std::vector<Named> &list, const Formats &formats, int64_t rows, int64_t in,
               int64_t out) {
  std::vector<Named> all;
  addMatrix(all, formats, rows, in, out);
  for (Named &named : llvm::MutableArrayRef(all).take_front(2)) {
    named.product.panel = true;
    named.name += " packed";
    list.push_back(named);
  }
}

/// The three products of a 3x3 convolution that keeps size and channels.
void addConvolution(std::vector<Named> &list, const Formats &formats, int64_t batch, int64_t size,
                    int64_t channels) {
  std::string shape = "3x3 " + std::to_string(size) + "^2x" + std::to_string(channels) + " b" +
                      std::to_string(batch);
  auto add = [&](const char *name, Case::Op op, Kind left, Kind right) {
    Case c;
    c.op = op, c.left = left, c.right = right, c.batch = batch, c.height = c.width = size;
    c.channels = c.outChannels = channels, c.kernelH = c.kernelW = 3, c.pads = {1, 1, 1, 1};
    list.push_back({std::string(formats.name) + " " + shape + " " + name, c,
                    batch * size * size * 9 * channels * channels});
  };
  add("forward", Case::Forward, Kind::Int4Zero, Kind::Int4);
  add("dX", Case::InputGrad, formats.gradient, Kind::Int4);
  add("dW", Case::WeightGrad, Kind::Int4Zero, formats.gradient);
}

std::vector<Named> products() {
  std::vector<Named> list;
  for (const Formats &formats : kFormats) {
    const int64_t matrices[][3] = {{1024, 1024, 1024}, {128, 784, 1024},  {128, 1024, 1024},
                                   {2048, 384, 384},   {2048, 384, 1152}, {2048, 384, 1536},
                                   {2048, 1536, 384},  {700, 650, 2600},  {700, 650, 10000},
                                   {20, 650, 2600}};
    for (auto [rows, in, out] : matrices)
      addMatrix(list, formats, rows, in, out);
    addPacked(list, formats, 20, 650, 2600);
    const int64_t stages[][2] = {{32, 64}, {16, 128}, {8, 256}, {4, 512}};
    for (auto [size, channels] : stages)
      addConvolution(list, formats, 128, size, channels);
  }
  return list;
}

/// What the processor multiplies at best, in operations a second: with all that it has, and with
/// the target's instructions for bytes.
struct Peaks {
  double bytes, words, bfloats, floats, own;
};

struct Meter {
  Machine host, target;

  /// The better of two measurements, before and after.
  Peaks measure(const Peaks &before = {}) const {
    auto peak = [&](const Machine &machine, ProductUnit unit, double least) {
      return std::max(least, measurePeak(machine, unit) / 1e9);
    };
    return {peak(host, ProductUnit::Quads8, before.bytes),
            peak(host, ProductUnit::Pairs16, before.words),
            peak(host, ProductUnit::Bf16, before.bfloats),
            peak(host, ProductUnit::F32, before.floats),
            peak(target, ProductUnit::Quads8, before.own)};
  }
};

void print(const Named &named, const std::string &cpu, const std::vector<double> &times,
           const Peaks &peaks) {
  double median = times[times.size() / 2], operations = 2.0 * double(named.multiplyAdds);
  auto rate = [&](double seconds) { return operations / seconds / 1e9; };
  std::ostringstream line;
  line.precision(4);
  line << "{\"product\": \"" << named.name << "\", \"case\": \"" << named.product.text()
       << "\", \"cpu\": \"" << cpu << "\", \"ms\": " << median * 1e3
       << ", \"best_ms\": " << times[0] * 1e3 << ", \"runs\": " << times.size()
       << ", \"gops\": " << rate(median);
  if (peaks.bytes > 0)
    line << ", \"share\": " << rate(median) / peaks.bytes
         << ", \"best_share\": " << rate(times[0]) / peaks.bytes;
  if (peaks.own > 0)
    line << ", \"own_share\": " << rate(median) / peaks.own
         << ", \"best_own_share\": " << rate(times[0]) / peaks.own;
  line << ", \"peaks\": {\"u8s8\": " << peaks.bytes << ", \"s16\": " << peaks.words
       << ", \"bf16\": " << peaks.bfloats << ", \"f32\": " << peaks.floats
       << ", \"own\": " << peaks.own << "}";
  std::cout << line.str() << "}" << std::endl;
}

} // namespace

namespace cl = llvm::cl;
static cl::OptionCategory options("Options");
static cl::opt<std::string> cpu("cpu", cl::init(CpuTarget::native().name),
                                cl::desc("processor the code is made for (default: this one)"),
                                cl::cat(options));
static cl::opt<std::string> filter("filter", cl::desc("only products whose name holds this text"),
                                   cl::cat(options));
static cl::opt<double> budget("seconds", cl::init(0.5), cl::desc("time for each"),
                              cl::cat(options));
static cl::opt<bool> list("list", cl::desc("print the names of the products, measure nothing"),
                          cl::cat(options));

int main(int argc, char **argv) {
  cl::HideUnrelatedOptions(options);
  cl::ParseCommandLineOptions(argc, argv, "Speed of the generated products of codes.\n");
  mlir::FailureOr<CpuTarget> target = CpuTarget::parse(cpu);
  if (failed(target) || !target->runsOnHost())
    return std::cerr << "nibble-products: this processor has no " << cpu << "\n", 1;
  Meter meter{llvm::cantFail(Machine::create("native")), llvm::cantFail(Machine::create(cpu))};
  for (const Named &named : products()) {
    if (named.name.find(filter) == std::string::npos)
      continue;
    if (list) {
      std::cout << named.name << std::endl;
      continue;
    }
    auto compiled = Compiled::make({named.product}, *target);
    if (!compiled)
      return 1;
    std::mt19937 random(1);
    Inputs inputs = makeInputs(named.product, random);
    Peaks before = meter.measure();
    std::vector<double> times = compiled->times(0, named.product, inputs, budget);
    print(named, cpu, times, meter.measure(before));
  }
}

//===- Quantizers.cpp - speed of generated quantizers and of the memory ---------===//
//
// Runs each quantizer as a group of its own, as the code generator emits it, on operands that lie
// in the second-level cache and on operands that lie in memory. Prints a JSON line for each, with
// the rate at which the machine reads memory of that size, measured right before and after it.
// Times are processor time of the one thread.
//
//   nibble-quantizers --help
//
//===----------------------------------------------------------------------------===//
#include "nibble/Codegen/CPU/Passes.h"
#include "nibble/Driver/Register.h"
#include "nibble/Target/PeakRate.h"
#include "nibble/Target/Pipeline.h"
#include "nibble/Target/Program.h"

#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/CommandLine.h"

#include <cstring>
#include <iostream>
#include <random>
#include <sstream>

using namespace nibble;

namespace {

/// A quantizer: its groups, in terms of x (N reals), s and t (scales), u (16 random bits an
/// element), p and q (codes).
struct Quantizer {
  const char *name;
  std::string groups;
};

std::string with(std::string text, llvm::StringRef name, llvm::StringRef value) {
  for (size_t at; (at = text.find(name.str())) != std::string::npos;)
    text.replace(at, name.size(), value.str());
  return text;
}

/// A group that quantizes x with `op` to codes of `type`; `noise`: with bits.
std::string quantize(llvm::StringRef op, llvm::StringRef type, bool noise) {
  std::string bits = noise ? ", %u : memref<$Nxi16> as %c : tensor<$Nxi16>" : "";
  return with(with("  plan.group ins(%x : memref<$Nxf32> as %a : tensor<$Nxf32>, %s : memref<f32> "
                   "as %b : tensor<f32>" +
                       bits + ") outs(%p : memref<$Bxi8>) {\n    %r = " + op.str() +
                       "\n    plan.yield %r : $T\n  }\n",
                   "$NOISE", noise ? ", tensor<$Nxi16>" : ""),
              "$T", "tensor<$Nx!q4." + type.str() + ">");
}

std::vector<Quantizer> quantizers() {
  std::string types =
      "{qmin = -7 : i32, qmax = 7 : i32} : (tensor<$Nxf32>, tensor<f32>$NOISE) -> $T";
  std::string int4 = quantize("q4.quantize %a, %b " + types, "int4", false);
  std::string int4Bits = quantize("q4.quantize %a, %b noise(%c) " + types, "int4", true);
  std::string log2Bits = quantize(
      "q4.quantize_log %a, %b, %c : (tensor<$Nxf32>, tensor<f32>$NOISE) -> $T", "log<2>", true);
  std::string log4 =
      quantize("q4.quantize_log %a, %b : (tensor<$Nxf32>, tensor<f32>) -> $T", "log<4>", false);
  std::string random =
      "  plan.group ins(%rng : memref<2xi64> as %a : tensor<2xi64>) outs(%u : memref<$Nxi16>) {\n"
      "    %r = train.random_bits %a {stream = 7 : i32} : (tensor<2xi64>) -> tensor<$Nxi16>\n"
      "    plan.yield %r : tensor<$Nxi16>\n  }\n";
  std::string phases =
      "  plan.group ins(%x : memref<$Nxf32> as %a : tensor<$Nxf32>, %s : memref<f32> as %b : "
      "tensor<f32>, %t : memref<f32> as %c : "
      "tensor<f32>) outs(%p : memref<$Bxi8>, %q : memref<$Bxi8>) {\n"
      "    %y = q4.quantize_log %a, %b : (tensor<$Nxf32>, tensor<f32>) -> tensor<$Nx!q4.log<4>>\n"
      "    %z = q4.quantize_log %a, %c : (tensor<$Nxf32>, tensor<f32>) -> tensor<$Nx!q4.log<4>>\n"
      "    plan.yield %y, %z : tensor<$Nx!q4.log<4>>, tensor<$Nx!q4.log<4>>\n  }\n";
  std::string absmax = "  plan.group ins(%x : memref<$Nxf32> as %a : tensor<$Nxf32>) outs(%m : "
                       "memref<f32>) scratch(%w : memref<$Bxi8>) {\n"
                       "    %r = q4.absmax %a : (tensor<$Nxf32>) -> tensor<f32>\n    plan.yield %r "
                       ": tensor<f32>\n  }\n";
  return {{"max|x|", absmax},
          {"int4 nearest", int4},
          {"int4 stochastic, bits there", int4Bits},
          {"int4 stochastic, bits made", random + int4Bits},
          {"radix 2 stochastic, bits there", log2Bits},
          {"radix 2 stochastic, bits made", random + log2Bits},
          {"radix 4 nearest", log4},
          {"radix 4 nearest, both phases", phases}};
}

using Run = void(const float *x, const float *s, const float *t, const int64_t *rng, uint16_t *u,
                 uint8_t *p, uint8_t *q, float *m, uint8_t *scratch, int32_t threads);

std::unique_ptr<Program> compile(const Quantizer &quantizer, int64_t elements,
                                 const Machine &machine) {
  std::string text =
      "func.func @run(%x: memref<$Nxf32>, %s: memref<f32>, %t: memref<f32>, %rng: memref<2xi64>, "
      "%u: memref<$Nxi16>, "
      "%p: memref<$Bxi8>, %q: memref<$Bxi8>, %m: memref<f32>, %w: memref<$Bxi8>) {\n" +
      quantizer.groups + "  return\n}\n";
  text = with(with(text, "$N", std::to_string(elements)), "$B", std::to_string(elements / 2));
  mlir::DialectRegistry registry;
  registerAllDialects(registry);
  mlir::MLIRContext context(registry, mlir::MLIRContext::Threading::DISABLED);
  auto module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
  mlir::PassManager manager(&context);
  CodegenCpuOptions codegen;
  codegen.cpu = machine.target.name;
  buildCodegenCpuPipeline(manager, codegen);
  buildTargetPipeline(manager, TargetPipelineOptions());
  if (!module || failed(manager.run(*module)))
    return nullptr;
  llvm::LLVMContext llvmContext;
  auto llvmModule = translateToLLVM(*module, machine, llvmContext);
  if (!llvmModule || errorToBool(optimize(*llvmModule, machine, 2)))
    return nullptr;
  auto object = emitObject(*llvmModule, machine, 2);
  if (!object)
    return llvm::errs() << llvm::toString(object.takeError()) << "\n", nullptr;
  return llvm::cantFail(Program::load(*object));
}

template <typename T> struct Aligned {
  std::unique_ptr<T[], void (*)(void *)> data;
  explicit Aligned(int64_t n)
      : data(static_cast<T *>(std::aligned_alloc(128, (n * sizeof(T) + 127) / 128 * 128)),
             std::free) {
    memset(static_cast<void *>(data.get()), 0, (n * sizeof(T) + 127) / 128 * 128);
  }
};

/// Sorted seconds of a pass over all elements; small ones are repeated within a measurement.
std::vector<double> times(Run *run, int64_t elements, double budget) {
  Aligned<float> x(elements);
  Aligned<uint16_t> u(elements);
  Aligned<uint8_t> p(elements / 2), q(elements / 2), scratch(elements / 2);
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  for (int64_t i = 0; i < elements; ++i)
    x.data[i] = i < 65536 ? normal(random) : x.data[i - 65536],
    u.data[i] = static_cast<uint16_t>(random());
  alignas(128) float s[32] = {0.25f}, t[32] = {0.5f}, m[32];
  alignas(128) int64_t rng[16] = {1, 1};
  int64_t repeats = std::max<int64_t>(1, (4 << 20) / elements);
  auto measure = [&] {
    double start = threadSeconds();
    for (int64_t i = 0; i < repeats; ++i)
      run(x.data.get(), s, t, rng, u.data.get(), p.data.get(), q.data.get(), m, scratch.data.get(),
          1);
    return (threadSeconds() - start) / double(repeats);
  };
  measure();
  std::vector<double> found;
  for (double begin = threadSeconds(); found.size() < 5 || threadSeconds() - begin < budget;)
    found.push_back(measure());
  llvm::sort(found);
  return found;
}

} // namespace

namespace cl = llvm::cl;
static cl::OptionCategory options("Options");
static cl::opt<std::string> cpu("cpu", cl::init("native"),
                                cl::desc("processor the code is made for"), cl::cat(options));
static cl::opt<std::string> filter("filter", cl::desc("only quantizers whose name holds this text"),
                                   cl::cat(options));
static cl::opt<double> budget("seconds", cl::init(0.5), cl::desc("time for each"),
                              cl::cat(options));
static cl::list<int64_t> sizes("elements", cl::CommaSeparated,
                               cl::desc("sizes, multiples of 4096 (default 65536,33554432)"),
                               cl::cat(options));

int main(int argc, char **argv) {
  cl::HideUnrelatedOptions(options);
  cl::ParseCommandLineOptions(argc, argv, "Speed of the generated quantizers and of the memory.\n");
  llvm::Expected<Machine> machine = Machine::create(cpu);
  if (!machine || !machine->runsOnHost)
    return std::cerr << "nibble-quantizers: this processor has no " << cpu << "\n",
           llvm::consumeError(machine.takeError()), 1;
  llvm::SmallVector<int64_t> each(sizes.begin(), sizes.end());
  if (each.empty())
    each = {65536, 33554432};
  for (int64_t elements : each)
    for (const Quantizer &quantizer : quantizers()) {
      if (elements % 4096 != 0 || elements < 4096)
        return std::cerr << "nibble-quantizers: --elements: multiples of 4096 expected\n", 2;
      if (llvm::StringRef(quantizer.name).find(filter.getValue()) == llvm::StringRef::npos)
        continue;
      std::unique_ptr<Program> program = compile(quantizer, elements, *machine);
      auto *run = program ? reinterpret_cast<Run *>(program->find("run")) : nullptr;
      if (!run)
        return std::cerr << "nibble-quantizers: '" << quantizer.name << "' cannot be compiled\n", 1;
      double read = measureRead(*machine, 4 * elements);
      std::vector<double> found = times(run, elements, budget);
      read = std::max(read, measureRead(*machine, 4 * elements));
      double median = found[found.size() / 2];
      std::ostringstream line;
      line.precision(4);
      line << "{\"quantizer\": \"" << quantizer.name << "\", \"elements\": " << elements
           << ", \"cpu\": \"" << cpu << "\", \"ms\": " << median * 1e3
           << ", \"best_ms\": " << found[0] * 1e3 << ", \"runs\": " << found.size()
           << ", \"gelements\": " << double(elements) / median / 1e9
           << ", \"best_gelements\": " << double(elements) / found[0] / 1e9
           << ", \"read_gb\": " << read / 1e9
           << ", \"share\": " << 4 * double(elements) / median / read << "}";
      std::cout << line.str() << std::endl;
    }
}

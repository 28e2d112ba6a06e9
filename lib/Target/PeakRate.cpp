//===- PeakRate.cpp - what the processor multiplies and reads at best -----------===//
#include "nibble/Target/PeakRate.h"

#include "nibble/Target/Program.h"

#include "llvm/AsmParser/Parser.h"
#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/SourceMgr.h"

#include <algorithm>
#include <ctime>
#include <vector>

using namespace nibble;

namespace {

/// One instruction of the loop: types, the text that applies it to accumulator {0}, and operations
/// an instruction.
struct Instruction {
  std::string accumulator, operand, declaration, apply;
  int64_t operations = 0;
};

Instruction instructionFor(const Machine &machine, ProductUnit unit) {
  const CpuTarget &target = machine.target;
  bool wide = target.vectorBits >= 512;
  int64_t lanes = target.vectorBits / 32;
  std::string sums = llvm::formatv("<{0} x i32>", lanes),
              floats = llvm::formatv("<{0} x float>", lanes);
  if (unit == ProductUnit::F32) {
    std::string name = llvm::formatv("@llvm.fma.v{0}f32", lanes);
    return {floats, floats, llvm::formatv("declare {0} {1}({0}, {0}, {0})", floats, name),
            llvm::formatv("call {0} {1}({0} %x, {0} %y, {0} {{0})", floats, name), 2 * lanes};
  }
  if (unit == ProductUnit::Bf16) {
    if (!wide || !machine.targetMachine(0)->getMCSubtargetInfo()->checkFeatures("+avx512bf16"))
      return {};
    return {floats, "<32 x bfloat>",
            "declare <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float>, <32 x bfloat>, "
            "<32 x bfloat>)",
            "call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> {0}, <32 x bfloat> "
            "%x, <32 x bfloat> %y)",
            4 * lanes};
  }
  bool bytes = unit == ProductUnit::Quads8;
  std::string parts =
      llvm::formatv(bytes ? "<{0} x i8>" : "<{0} x i16>", bytes ? 4 * lanes : 2 * lanes);
  int64_t operations = (bytes ? 8 : 4) * lanes;
  if (target.avx512vnni || target.avxvnni || (target.dotprod && bytes)) {
    std::string name = target.dotprod
                           ? "@llvm.aarch64.neon.sdot.v4i32.v16i8"
                           : llvm::formatv("@llvm.x86.avx512.{0}.{1}",
                                           bytes ? "vpdpbusd" : "vpdpwssd", target.vectorBits)
                                 .str();
    return {sums, parts, llvm::formatv("declare {0} {1}({0}, {2}, {2})", sums, name, parts),
            llvm::formatv("call {0} {1}({0} {{0}, {2} %x, {2} %y)", sums, name, parts), operations};
  }
  if (!target.avx2)
    return {};
  std::string name = wide ? "@llvm.x86.avx512.pmaddw.d.512" : "@llvm.x86.avx2.pmadd.wd";
  if (bytes) { // sums of two products, in 16 bits
    name = wide ? "@llvm.x86.avx512.pmaddubs.w.512" : "@llvm.x86.avx2.pmadd.ub.sw";
    sums = llvm::formatv("<{0} x i16>", 2 * lanes);
  }
  // The additions that belong to it are not counted as operations of their own. One factor is the
  // sum itself: a product of two constants would leave the loop.
  return {sums, parts, llvm::formatv("declare {0} {1}({2}, {2})", sums, name, parts),
          llvm::formatv("bitcast {0} {{0} to {2}\n  %m{{1} = call {0} {1}({2} %b{{1}, {2} %y)\n  "
                        "%n{{1} = add {0} {{0}, %m{{1}",
                        sums, name, parts),
          operations};
}

/// A loop of `chains` independent accumulations; one more than the latency times the width of any
/// processor we met.
constexpr int chains = 12;

std::string loopOf(const Instruction &instruction) {
  std::string phis, steps,
      ends = instruction.accumulator.find("float") != std::string::npos ? "fadd" : "add";
  std::string sum = "%a0";
  bool separateAdd = instruction.apply.find("%n") != std::string::npos;
  for (int i = 0; i < chains; ++i) {
    phis += llvm::formatv("  %a{0} = phi {1} [ zeroinitializer, %entry ], [ %n{0}, %loop ]\n", i,
                          instruction.accumulator);
    std::string accumulator = llvm::formatv("%a{0}", i), call = instruction.apply;
    for (auto [mark, text] :
         {std::pair<std::string, std::string>("{0}", accumulator), {"{1}", std::to_string(i)}})
      for (size_t at; (at = call.find(mark)) != std::string::npos;)
        call.replace(at, mark.size(), text);
    steps += llvm::formatv("  %{0}{1} = {2}\n", separateAdd ? "b" : "n", i, call);
  }
  std::string total = "%n0", sums;
  for (int i = 1; i < chains; ++i) {
    sums +=
        llvm::formatv("  %t{0} = {1} {2} {3}, %n{0}\n", i, ends, instruction.accumulator, total);
    total = llvm::formatv("%t{0}", i);
  }
  return llvm::formatv(R"({0}
define void @peak(i64 %n, ptr %p) {{
entry:
  %x = load {1}, ptr %p, align 1
  %q = getelementptr i8, ptr %p, i64 64
  %y = load {1}, ptr %q, align 1
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %loop ]
{2}{3}  %next = add i64 %i, 1
  %more = icmp slt i64 %next, %n
  br i1 %more, label %loop, label %exit
exit:
{4}  store {5} {6}, ptr %p, align 1
  ret void
}
)",
                       instruction.declaration, instruction.operand, phis, steps, sums,
                       instruction.accumulator, total);
}

std::unique_ptr<Program> compileText(const std::string &text, const Machine &machine) {
  llvm::LLVMContext context;
  llvm::SMDiagnostic wrong;
  std::unique_ptr<llvm::Module> module = llvm::parseAssemblyString(text, wrong, context);
  if (!module)
    return nullptr;
  std::unique_ptr<llvm::TargetMachine> target = machine.targetMachine(2);
  module->setTargetTriple(target->getTargetTriple());
  module->setDataLayout(target->createDataLayout());
  for (llvm::Function &function : *module)
    if (!function.isDeclaration()) {
      function.addFnAttr("target-cpu", machine.cpu);
      function.addFnAttr("target-features", machine.features);
    }
  llvm::Expected<ObjectBytes> object = emitObject(*module, machine, 2);
  if (!object) {
    llvm::consumeError(object.takeError());
    return nullptr;
  }
  llvm::Expected<std::unique_ptr<Program>> program = Program::load(*object);
  if (!program) {
    llvm::consumeError(program.takeError());
    return nullptr;
  }
  return std::move(*program);
}

/// A loop over a buffer of n pieces of `chains` vectors, whose every vector is used.
std::string readingLoop(const CpuTarget &target) {
  std::string type = llvm::formatv("<{0} x i32>", target.lanes()), phis, steps, sums;
  for (int i = 0; i < chains; ++i) {
    phis +=
        llvm::formatv("  %a{0} = phi {1} [ zeroinitializer, %entry ], [ %n{0}, %loop ]\n", i, type);
    steps += llvm::formatv(
        "  %q{0} = getelementptr {1}, ptr %at, i64 {0}\n  %v{0} = load {1}, ptr %q{0}, align {2}\n"
        "  %n{0} = or {1} %a{0}, %v{0}\n",
        i, type, target.vectorBits / 8);
    if (i > 0)
      sums += llvm::formatv("  %t{0} = or {1} {2}, %n{0}\n", i, type,
                            i == 1 ? std::string("%n0") : llvm::formatv("%t{0}", i - 1).str());
  }
  return llvm::formatv(R"(define void @read(i64 %n, ptr %p, ptr %out) {{
entry:
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %loop ]
{1}  %bytes = mul i64 %i, {4}
  %at = getelementptr i8, ptr %p, i64 %bytes
{2}  %next = add i64 %i, 1
  %more = icmp slt i64 %next, %n
  br i1 %more, label %loop, label %exit
exit:
{3}  store {0} %t{5}, ptr %out, align 1
  ret void
}
)",
                       type, phis, steps, sums, chains * target.vectorBits / 8, chains - 1);
}

/// The shortest of eight runs.
template <typename Run> double bestSeconds(Run run) {
  double best = 1e9;
  for (int i = 0; i < 8; ++i) {
    double start = threadSeconds();
    run();
    best = std::min(best, threadSeconds() - start);
  }
  return best;
}

} // namespace

double nibble::threadSeconds() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

double nibble::measurePeak(const Machine &machine, ProductUnit unit) {
  Instruction instruction = instructionFor(machine, unit);
  if (instruction.operations == 0 || !machine.runsOnHost)
    return 0;
  std::unique_ptr<Program> program = compileText(loopOf(instruction), machine);
  auto *peak =
      program ? reinterpret_cast<void (*)(int64_t, void *)>(program->find("peak")) : nullptr;
  if (!peak)
    return 0;
  constexpr int64_t rounds = 300000;
  alignas(64) unsigned char memory[128] = {};
  return static_cast<double>(rounds * chains * instruction.operations) /
         bestSeconds([&] { peak(rounds, memory); });
}

double nibble::measureRead(const Machine &machine, int64_t bytes) {
  if (!machine.runsOnHost)
    return 0;
  std::unique_ptr<Program> program = compileText(readingLoop(machine.target), machine);
  auto *read =
      program ? reinterpret_cast<void (*)(int64_t, const void *, void *)>(program->find("read"))
              : nullptr;
  int64_t piece = chains * machine.target.vectorBits / 8, pieces = bytes / piece;
  if (!read || pieces < 1)
    return 0;
  std::vector<unsigned char> buffer(static_cast<size_t>(bytes + 64), 1);
  auto *aligned = reinterpret_cast<unsigned char *>(
      (reinterpret_cast<uintptr_t>(buffer.data()) + 63) / 64 * 64);
  alignas(64) unsigned char out[64];
  int64_t passes = std::max<int64_t>(1, (16 << 20) / bytes);
  double seconds = bestSeconds([&] {
    for (int64_t pass = 0; pass < passes; ++pass)
      read(pieces, aligned, out);
  });
  return static_cast<double>(passes * pieces * piece) / seconds;
}

//===- Machine.cpp - the processor that code is made for ------------------------===//
#include "nibble/Target/Machine.h"

#include "llvm/ADT/StringMap.h"
#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/Triple.h"

using namespace nibble;

namespace {

/// Names of CpuTarget on x86-64, best first: LLVM's processor with those instructions, what it lacks, and what has to be
/// there for a processor to be used as one. 512-bit registers are used where our loops ask for them.
struct Level {
  const char *name, *cpu, *extra, *needs;
};
const Level kLevels[] = {
    {"avx512vnni", "x86-64-v4", "+avx512vnni,-prefer-256-bit", "+avx512f,+avx512bw,+avx512dq,+avx512vl,+avx512vnni,+fma"},
    {"avx512", "x86-64-v4", "-prefer-256-bit", "+avx512f,+avx512bw,+avx512dq,+avx512vl,+fma"},
    {"avx2", "x86-64-v3", "", "+avx2,+fma"},
    // SSE4.1 rounds to whole numbers in one instruction; below it LLVM calls the C library.
    {"generic", "x86-64-v2", "", "+sse4.1"},
};

void initializeTargets() {
  static bool done = [] {
    llvm::InitializeNativeTarget();
    llvm::InitializeNativeTargetAsmPrinter();
    llvm::InitializeNativeTargetAsmParser();
    return true;
  }();
  (void)done;
}

std::string hostFeatures() {
  std::string text;
  for (const auto &feature : llvm::sys::getHostCPUFeatures())
    text += (text.empty() ? "" : ",") + std::string(feature.second ? "+" : "-") + feature.first().str();
  return text;
}

/// Does it have all of "+a,+b"? (checkFeatures stops at names that it does not know, but all of ours exist on x86.)
bool hasAll(const llvm::MCSubtargetInfo &info, llvm::StringRef features) { return info.checkFeatures(features); }

llvm::Error unknownProcessor(llvm::StringRef name) {
  return llvm::createStringError("--mcpu: native, avx512vnni, avx512, avx2, generic or a processor that LLVM knows (as in "
                                 "'llc -mcpu=help') expected, found '" +
                                 name + "'");
}

} // namespace

llvm::Expected<Machine> Machine::create(llvm::StringRef name) {
  initializeTargets();
  Machine machine;
  machine.triple = llvm::sys::getProcessTriple();
  llvm::Triple triple(machine.triple);
  std::string why;
  const llvm::Target *llvmTarget = llvm::TargetRegistry::lookupTarget(triple, why);
  if (!llvmTarget)
    return llvm::createStringError("this LLVM has no code generator for the host: " + why);

  const Level *level = llvm::find_if(kLevels, [&](const Level &l) { return name == l.name; });
  if (level != std::end(kLevels) && triple.isX86()) {
    machine.cpu = level->cpu;
    machine.features = level->extra;
  } else if (name == "native") {
    machine.cpu = llvm::sys::getHostCPUName().str();
    machine.features = hostFeatures();
    if (triple.isX86())
      machine.features += ",-prefer-256-bit";
  } else if (name == "generic") {
    machine.cpu = "generic";
  } else {
    machine.cpu = name.str();
  }

  std::unique_ptr<llvm::MCSubtargetInfo> base(llvmTarget->createMCSubtargetInfo(triple, "", ""));
  if (!base || machine.cpu.empty() || !base->isCPUStringValid(machine.cpu))
    return unknownProcessor(name);
  machine.target = *CpuTarget::parse("generic");
  if (!triple.isX86())
    return machine;

  std::unique_ptr<llvm::MCSubtargetInfo> info(llvmTarget->createMCSubtargetInfo(triple, machine.cpu, machine.features));
  if (!hasAll(*info, "+64bit"))
    return unknownProcessor(name);
  for (const Level &candidate : kLevels)
    if ((level == std::end(kLevels) || &candidate >= level) && hasAll(*info, candidate.needs)) {
      machine.target = *CpuTarget::parse(candidate.name);
      machine.runsOnHost = name == "native" || machine.target.runsOnHost();
      break;
    }
  return machine;
}

std::unique_ptr<llvm::TargetMachine> Machine::targetMachine(unsigned level) const {
  initializeTargets();
  std::string why;
  llvm::Triple name(triple);
  const llvm::Target *llvmTarget = llvm::TargetRegistry::lookupTarget(name, why);
  llvm::TargetOptions options;
  options.AllowFPOpFusion = llvm::FPOpFusion::Strict;
  auto codegen = static_cast<llvm::CodeGenOptLevel>(std::min(level, 3u));
  return std::unique_ptr<llvm::TargetMachine>(
      llvmTarget->createTargetMachine(name, cpu, features, options, llvm::Reloc::PIC_, std::nullopt, codegen));
}

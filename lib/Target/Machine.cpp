//===- Machine.cpp - the processor that code is made for ------------------------===//
#include "nibble/Target/Machine.h"

#include "nibble/Target/Features.h"

#include "llvm/ADT/StringMap.h"
#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/Triple.h"

using namespace nibble;

namespace {

/// Names of CpuTarget, best first (x86-64, then AArch64): LLVM's processor with those instructions, what it lacks, and what has to be
/// there for a processor to be used as one.
struct Level {
  const char *name, *cpu, *extra, *needs;
  bool arm = false;
};
const Level kLevels[] = {
    {"avx512vnni", "x86-64-v4", "+avx512vnni", "+avx512f,+avx512bw,+avx512dq,+avx512vl,+avx512vnni,+fma"},
    {"avx512", "x86-64-v4", "", "+avx512f,+avx512bw,+avx512dq,+avx512vl,+fma"},
    {"avxvnni", "x86-64-v3", "+avxvnni", "+avx2,+fma,+avxvnni"},
    {"avx2", "x86-64-v3", "", "+avx2,+fma"},
    // SSE4.1 rounds to whole numbers in one instruction; below it LLVM calls the C library.
    {"generic", "x86-64-v2", "", "+sse4.1"},
    {"dotprod", "generic", "+dotprod", "+dotprod", /*arm=*/true},
};

/// Every architecture that this LLVM has: code is also made for processors other than the host's.
void initializeTargets() {
  static bool done = [] {
    llvm::InitializeAllTargetInfos();
    llvm::InitializeAllTargets();
    llvm::InitializeAllTargetMCs();
    llvm::InitializeAllAsmPrinters();
    llvm::InitializeAllAsmParsers();
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
  return llvm::createStringError("--mcpu: " + CpuTarget::listOfNames() +
                                 ", aarch64 or a processor of x86-64 or AArch64 that LLVM "
                                 "knows (as in 'llc -mcpu=help') expected, found '" +
                                 name + "'");
}

/// The host's triple where it is of that architecture; else Linux's usual one.
std::string tripleOf(llvm::Triple::ArchType arch) {
  std::string host = llvm::sys::getProcessTriple();
  if (llvm::Triple(host).getArch() == arch)
    return host;
  return llvm::Triple::getArchTypeName(arch).str() + "-unknown-linux-gnu";
}

std::unique_ptr<llvm::MCSubtargetInfo> subtarget(const std::string &triple, llvm::StringRef cpu, llvm::StringRef features) {
  std::string why;
  llvm::Triple parsed(triple);
  const llvm::Target *target = llvm::TargetRegistry::lookupTarget(parsed, why);
  return std::unique_ptr<llvm::MCSubtargetInfo>(target ? target->createMCSubtargetInfo(parsed, cpu, features) : nullptr);
}

/// Is it a processor of that architecture, and a 64-bit one? Asked before LLVM is told its name: it would warn, or end the process.
bool isProcessor(const std::string &triple, llvm::StringRef cpu) {
  std::unique_ptr<llvm::MCSubtargetInfo> any = subtarget(triple, "", "");
  if (!any || cpu.empty() || !any->isCPUStringValid(cpu))
    return false;
  return !llvm::Triple(triple).isX86() || cpu == "generic" || hasAll(*subtarget(triple, cpu, ""), "+64bit");
}

/// Architecture, LLVM's processor and features that `name` stands for; false where it stands for none.
bool resolve(llvm::StringRef name, const Level *level, Machine &machine) {
  llvm::Triple::ArchType hostArch = llvm::Triple(llvm::sys::getProcessTriple()).getArch();
  auto set = [&](llvm::Triple::ArchType arch, llvm::StringRef cpu, std::string features) {
    machine.triple = tripleOf(arch);
    machine.cpu = cpu.str();
    machine.features = std::move(features);
    return isProcessor(machine.triple, machine.cpu);
  };
  if (level)
    return set(level->arm ? llvm::Triple::aarch64 : llvm::Triple::x86_64, level->cpu, level->extra);
  if (name == "native")
    return set(hostArch, llvm::sys::getHostCPUName(), hostFeatures());
  if (name == "aarch64" || name == "arm64")
    return set(llvm::Triple::aarch64, "generic", "");
  return set(hostArch, name, "") || set(llvm::Triple::x86_64, name, "") || set(llvm::Triple::aarch64, name, "");
}

} // namespace

llvm::Expected<Machine> Machine::create(llvm::StringRef name) {
  initializeTargets();
  bool onX86 = llvm::Triple(llvm::sys::getProcessTriple()).isX86();
  const Level *level = llvm::find_if(kLevels, [&](const Level &l) { return name == l.name && (onX86 || name != "generic"); });
  if (level == std::end(kLevels))
    level = nullptr;

  Machine machine;
  if (!resolve(name, level, machine))
    return unknownProcessor(name);
  machine.target = *CpuTarget::parse("generic");
  bool isX86 = llvm::Triple(machine.triple).isX86();
  // 512-bit registers are used where our loops ask for them.
  if (isX86)
    machine.features += machine.features.empty() ? "-prefer-256-bit" : ",-prefer-256-bit";
  std::unique_ptr<llvm::MCSubtargetInfo> info = subtarget(machine.triple, machine.cpu, machine.features);
  for (const Level &candidate : kLevels)
    if (candidate.arm != isX86 && (!level || &candidate >= level) && hasAll(*info, candidate.needs)) {
      machine.target = *CpuTarget::parse(candidate.name);
      break;
    }
  // What the system calls native it can run.
  machine.runsOnHost = name == "native" || missingOnHost(machine).empty();
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

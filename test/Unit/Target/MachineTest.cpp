//===- MachineTest.cpp - one decision about the processor -----------------------===//
#include "nibble/Target/Features.h"

#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/TargetParser/AArch64TargetParser.h"
#include "llvm/TargetParser/X86TargetParser.h"

#include <gtest/gtest.h>

using namespace nibble;

namespace {

// Law: LLVM is given every instruction that the loops' generator may use.
TEST(Machine, LlvmHasWhatTheLoopsUse) {
  for (const char *name : {"native", "avx512vnni", "avx512", "avxvnni", "avx2", "dotprod", "generic"}) {
    llvm::Expected<Machine> machine = Machine::create(name);
    ASSERT_TRUE(bool(machine)) << name << ": " << llvm::toString(machine.takeError());
    const llvm::MCSubtargetInfo &info = *machine->targetMachine(2)->getMCSubtargetInfo();
    if (machine->target.avx2)
      EXPECT_TRUE(info.checkFeatures("+avx2,+fma")) << name;
    if (machine->target.avx512bw)
      EXPECT_TRUE(info.checkFeatures("+avx512f,+avx512bw,+avx512dq,+avx512vl")) << name;
    if (machine->target.avx512vnni)
      EXPECT_TRUE(info.checkFeatures("+avx512vnni")) << name;
    if (machine->target.avxvnni)
      EXPECT_TRUE(info.checkFeatures("+avxvnni")) << name;
    if (machine->target.dotprod)
      EXPECT_TRUE(info.checkFeatures("+dotprod")) << name;
  }
}

// Law: a name of ours gives exactly that target, whatever the host has.
TEST(Machine, NamedTargetsAreThemselves) {
  if (!llvm::Triple(llvm::cantFail(Machine::create("native")).triple).isX86())
    GTEST_SKIP() << "names of x86-64";
  for (const char *name : {"avx512vnni", "avx512", "avxvnni", "avx2", "dotprod", "generic"})
    EXPECT_EQ(llvm::cantFail(Machine::create(name)).target.name, name);
  EXPECT_EQ(llvm::cantFail(Machine::create("skylake-avx512")).target.name, "avx512");
  EXPECT_EQ(llvm::cantFail(Machine::create("haswell")).target.name, "avx2");
  EXPECT_EQ(llvm::cantFail(Machine::create("sierraforest")).target.name, "avxvnni");
  EXPECT_EQ(llvm::cantFail(Machine::create("sapphirerapids")).target.name, "avx512vnni");
}

// Law: the host can run what `native` asks for, and it is as good as the generator's own choice.
TEST(Machine, NativeRunsHere) {
  Machine machine = llvm::cantFail(Machine::create("native"));
  EXPECT_TRUE(machine.runsOnHost);
  EXPECT_EQ(machine.target.name, CpuTarget::native().name);
}

// Law: an unknown processor is an error that says what is accepted, never an abort inside LLVM.
TEST(Machine, UnknownNamesAreErrors) {
  for (const char *name :
       {"", " ", "cray-1", "pentium", "i486", "lakemont", "geode", "avx1024", "native,avx2", "help", "+avx2", "-mattr", "x86_64", "AVX2",
        "znver99", "armv8-a", "cortex-m4", "mips32r2", "rv64gc", "avx2\n", "\xff\xfe", "../etc/passwd", "%s%n", "aarch64-linux-gnu"}) {
    llvm::Expected<Machine> machine = Machine::create(name);
    ASSERT_FALSE(bool(machine)) << name;
    std::string message = llvm::toString(machine.takeError());
    EXPECT_NE(message.find("--mcpu: native"), std::string::npos) << message;
  }
  EXPECT_FALSE(bool(Machine::create(std::string(100000, 'x'))));
}

// Law: a processor of another architecture is another machine: its triple, its own loops or the generic ones, and not run here.
TEST(Machine, OtherArchitectures) {
  Machine native = llvm::cantFail(Machine::create("native"));
  for (const char *name : {"aarch64", "arm64", "cortex-a53", "cortex-a76", "neoverse-v1", "apple-m1"}) {
    Machine machine = llvm::cantFail(Machine::create(name));
    EXPECT_TRUE(llvm::Triple(machine.triple).isAArch64()) << name;
    bool dots = !llvm::StringRef(name).ends_with("64") && llvm::StringRef(name) != "cortex-a53";
    EXPECT_EQ(machine.target.name, dots ? "dotprod" : "generic") << name;
    EXPECT_EQ(machine.runsOnHost, llvm::Triple(native.triple).isAArch64() && missingOnHost(machine).empty()) << name;
  }
  EXPECT_TRUE(llvm::Triple(llvm::cantFail(Machine::create("x86-64")).triple).isX86());
}


// Law: whatever processor LLVM knows, all that it may use for it is either checked before code runs or never used unasked.
TEST(Machine, NoFeatureGoesUnchecked) {
  (void)Machine::create("native");
  llvm::SmallVector<llvm::StringRef> x86, aarch64;
  llvm::X86::fillValidCPUArchList(x86, /*Only64Bit=*/true);
  llvm::AArch64::fillValidCPUArchList(aarch64);
  for (llvm::StringRef name : x86) {
    llvm::SmallVector<llvm::StringRef> features;
    llvm::X86::getFeaturesForCPU(name, features, /*NeedPlus=*/false);
    for (llvm::StringRef feature : features)
      EXPECT_TRUE(isKnownFeature(llvm::Triple("x86_64-linux-gnu"), feature)) << name.str() << ": " << feature.str();
  }
  for (llvm::StringRef name : aarch64) {
    std::optional<llvm::AArch64::CpuInfo> info = llvm::AArch64::parseCpu(name);
    std::vector<llvm::StringRef> features;
    if (info)
      llvm::AArch64::getExtensionFeatures(info->getImpliedExtensions(), features);
    for (llvm::StringRef feature : features)
      EXPECT_TRUE(isKnownFeature(llvm::Triple("aarch64-linux-gnu"), feature.drop_front())) << name.str() << ": " << feature.str();
  }
}

// Law: what is required grows with the level, and native requires nothing that is missing.
TEST(Machine, RequiredFeatures) {
  EXPECT_EQ(missingOnHost(llvm::cantFail(Machine::create("native"))), "");
  auto count = [](const char *name) { return requiredFeatures(llvm::cantFail(Machine::create(name))).size(); };
  EXPECT_LT(count("x86-64"), count("x86-64-v2"));
  EXPECT_LT(count("x86-64-v2"), count("avx2"));
  EXPECT_LT(count("avx2"), count("avx512"));
  EXPECT_EQ(count("avx512") + 1, count("avx512vnni"));
  EXPECT_EQ(count("avx2") + 1, count("avxvnni"));
  EXPECT_GE(count("aarch64"), 2u);
  EXPECT_LT(count("aarch64"), count("cortex-a76"));
}

} // namespace

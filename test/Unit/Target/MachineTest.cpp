//===- MachineTest.cpp - one decision about the processor -----------------------===//
#include "nibble/Target/Machine.h"

#include "llvm/MC/MCSubtargetInfo.h"

#include <gtest/gtest.h>

using namespace nibble;

namespace {

// Law: LLVM is given every instruction that the loops' generator may use.
TEST(Machine, LlvmHasWhatTheLoopsUse) {
  for (const char *name : {"native", "avx512vnni", "avx512", "avx2", "generic"}) {
    llvm::Expected<Machine> machine = Machine::create(name);
    ASSERT_TRUE(bool(machine)) << name << ": " << llvm::toString(machine.takeError());
    const llvm::MCSubtargetInfo &info = *machine->targetMachine(2)->getMCSubtargetInfo();
    if (machine->target.avx2)
      EXPECT_TRUE(info.checkFeatures("+avx2,+fma")) << name;
    if (machine->target.avx512bw)
      EXPECT_TRUE(info.checkFeatures("+avx512f,+avx512bw,+avx512dq,+avx512vl")) << name;
    if (machine->target.avx512vnni)
      EXPECT_TRUE(info.checkFeatures("+avx512vnni")) << name;
  }
}

// Law: a name of ours gives exactly that target, whatever the host has.
TEST(Machine, NamedTargetsAreThemselves) {
  if (!llvm::Triple(llvm::cantFail(Machine::create("native")).triple).isX86())
    GTEST_SKIP() << "names of x86-64";
  for (const char *name : {"avx512vnni", "avx512", "avx2", "generic"})
    EXPECT_EQ(llvm::cantFail(Machine::create(name)).target.name, name);
  EXPECT_EQ(llvm::cantFail(Machine::create("skylake-avx512")).target.name, "avx512");
  EXPECT_EQ(llvm::cantFail(Machine::create("haswell")).target.name, "avx2");
}

// Law: the host can run what `native` asks for, and it is as good as the generator's own choice.
TEST(Machine, NativeRunsHere) {
  Machine machine = llvm::cantFail(Machine::create("native"));
  EXPECT_TRUE(machine.runsOnHost);
  EXPECT_EQ(machine.target.name, CpuTarget::native().name);
}

// Law: an unknown processor is an error that says what is accepted, never an abort inside LLVM.
TEST(Machine, UnknownNamesAreErrors) {
  for (const char *name : {"", "cray-1", "pentium", "avx1024", "native,avx2"}) {
    llvm::Expected<Machine> machine = Machine::create(name);
    ASSERT_FALSE(bool(machine)) << name;
    std::string message = llvm::toString(machine.takeError());
    EXPECT_NE(message.find("--mcpu: native"), std::string::npos) << message;
  }
}

} // namespace

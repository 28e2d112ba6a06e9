//===- Program.cpp - object bytes, loaded ----------------------------------------===//
#include "nibble/Target/Program.h"

#include "nibble/Runtime/Abi.h"

#include "llvm/ExecutionEngine/Orc/AbsoluteSymbols.h"
#include "llvm/ExecutionEngine/Orc/LLJIT.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/TargetSelect.h"

#include <cmath>
#include <cstring>

using namespace nibble;
namespace orc = llvm::orc;

// The bridge's symbols, declared only to take their addresses (their types are in Abi.def, for people).
#define NIBBLE_ABI_OPENMP(symbol, prototype, purpose) extern "C" void symbol();
#define NIBBLE_ABI_RUNTIME(symbol, prototype, purpose) extern "C" void symbol();
#include "nibble/Runtime/Abi.def"

namespace {

using Address = void *;

/// memcpy and its kind have overloads in C++; each is named by its C type.
Address addressOfLibC(llvm::StringRef name) {
  if (name == "memcpy")
    return reinterpret_cast<Address>(static_cast<void *(*)(void *, const void *, size_t)>(&std::memcpy));
  if (name == "memmove")
    return reinterpret_cast<Address>(static_cast<void *(*)(void *, const void *, size_t)>(&std::memmove));
  if (name == "memset")
    return reinterpret_cast<Address>(static_cast<void *(*)(void *, int, size_t)>(&std::memset));
  if (name == "fmaf")
    return reinterpret_cast<Address>(static_cast<float (*)(float, float, float)>(&::fmaf));
  if (name == "fma")
    return reinterpret_cast<Address>(static_cast<double (*)(double, double, double)>(&::fma));
  static const std::pair<llvm::StringRef, float (*)(float)> kRounding[] = {{"roundevenf", &::roundevenf}, {"rintf", &::rintf},
                                                                           {"nearbyintf", &::nearbyintf}, {"floorf", &::floorf},
                                                                           {"ceilf", &::ceilf},           {"truncf", &::truncf}};
  for (auto [known, function] : kRounding)
    if (name == known)
      return reinterpret_cast<Address>(function);
  return nullptr;
}

Address addressOf(llvm::StringRef name) {
#define NIBBLE_ABI_OPENMP(symbol, prototype, purpose)                                                                                \
  if (name == #symbol)                                                                                                               \
    return reinterpret_cast<Address>(&symbol);
#define NIBBLE_ABI_RUNTIME(symbol, prototype, purpose) NIBBLE_ABI_OPENMP(symbol, prototype, purpose)
#include "nibble/Runtime/Abi.def"
  return addressOfLibC(name);
}

llvm::Error defineBridge(orc::LLJIT &jit) {
  orc::SymbolMap symbols;
  for (const runtime::abi::Symbol &symbol : runtime::abi::symbols()) {
    llvm::StringRef name(symbol.name.data(), symbol.name.size());
    Address address = addressOf(name);
    if (!address)
      return llvm::createStringError("internal: the loader does not know '" + name + "' of the bridge's list");
    symbols[jit.mangleAndIntern(name)] = {orc::ExecutorAddr::fromPtr(address), llvm::JITSymbolFlags::Exported};
  }
  return jit.getMainJITDylib().define(orc::absoluteSymbols(std::move(symbols)));
}

} // namespace

struct Program::Jit {
  std::unique_ptr<orc::LLJIT> jit;
};

Program::Program(std::unique_ptr<Jit> jit) : jit(std::move(jit)) {}
Program::~Program() = default;

llvm::Expected<std::unique_ptr<Program>> Program::load(llvm::ArrayRef<char> object) {
  llvm::InitializeNativeTarget(); // the bytes may have been compiled by another process
  llvm::InitializeNativeTargetAsmPrinter();
  // No platform (nothing needs initializers) and no symbols of the process but the bridge's.
  auto jit = orc::LLJITBuilder().setLinkProcessSymbolsByDefault(false).setPlatformSetUp(orc::setUpInactivePlatform).create();
  if (!jit)
    return jit.takeError();
  if (llvm::Error error = defineBridge(**jit))
    return error;
  auto buffer = llvm::MemoryBuffer::getMemBufferCopy(llvm::StringRef(object.data(), object.size()), "nibble");
  if (llvm::Error error = (*jit)->addObjectFile(std::move(buffer)))
    return error;
  auto held = std::make_unique<Jit>();
  held->jit = std::move(*jit);
  return std::unique_ptr<Program>(new Program(std::move(held)));
}

void *Program::find(llvm::StringRef name) const {
  llvm::Expected<orc::ExecutorAddr> address = jit->jit->lookup(name);
  if (!address) {
    llvm::consumeError(address.takeError());
    return nullptr;
  }
  return address->toPtr<void *>();
}

//===- Runtime.cpp - the compiled runtime of libraries, embedded -----------------===//
#include "Runtime.h"

using namespace nibble;

// Made from runtime.c when Nibble is built (CMakeLists.txt).
static const unsigned char kX86[] = {
#include "nibble-runtime-x86_64.inc"
};
static const unsigned char kAArch64[] = {
#include "nibble-runtime-aarch64.inc"
};

template <size_t N> static llvm::StringRef asText(const unsigned char (&bytes)[N]) {
  return llvm::StringRef(reinterpret_cast<const char *>(bytes), N);
}

llvm::StringRef library::runtimeBitcode(llvm::Triple::ArchType arch) {
  switch (arch) {
  case llvm::Triple::x86_64:
    return asText(kX86);
  case llvm::Triple::aarch64:
    return asText(kAArch64);
  default:
    return {};
  }
}

llvm::ArrayRef<llvm::StringRef> library::libcSymbols() {
  static const llvm::StringRef names[] = {"aligned_alloc", "fclose", "fflush", "fileno", "fopen",  "fread",  "free",
                                          "fsync",         "fwrite", "getauxval", "get_nprocs", "getpid", "malloc", "memcmp",
                                          "memcpy",        "memmove", "memset", "remove", "rename", "strlen", "strrchr"};
  return names;
}

std::string library::trainCodeName(llvm::StringRef name) { return (name + "__train_code").str(); }
std::string library::evalCodeName(llvm::StringRef name) { return (name + "__eval_code").str(); }

std::vector<std::string> library::runtimeSymbols(llvm::StringRef name) {
  std::vector<std::string> names{trainCodeName(name), evalCodeName(name)};
  for (llvm::StringRef symbol : libcSymbols())
    names.push_back(symbol.str());
  return names;
}

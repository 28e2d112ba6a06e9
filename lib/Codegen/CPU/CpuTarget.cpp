//===- CpuTarget.cpp - named processors ---------------------------------------===//
#include "nibble/Codegen/CPU/CpuTarget.h"

#include "llvm/ADT/StringMap.h"
#include "llvm/TargetParser/Host.h"

using namespace nibble;

static CpuTarget make(llvm::StringRef name, int bits, bool vnni, bool bw, bool avx2) {
  return {name.str(), bits, vnni, bw, avx2, /*fma=*/avx2};
}

mlir::FailureOr<CpuTarget> CpuTarget::parse(llvm::StringRef name) {
  if (name == "avx512vnni")
    return make(name, 512, true, true, true);
  if (name == "avx512")
    return make(name, 512, false, true, true);
  if (name == "avx2")
    return make(name, 256, false, false, true);
  if (name == "generic")
    return make(name, 128, false, false, false);
  if (name == "native")
    return native();
  return mlir::failure();
}

bool CpuTarget::runsOnHost() const {
  llvm::StringMap<bool> features = llvm::sys::getHostCPUFeatures();
  auto has = [&](llvm::StringRef feature) { return features.lookup(feature); };
  if (avx2 && !(has("avx2") && has("fma")))
    return false;
  if (avx512bw && !(has("avx512f") && has("avx512bw") && has("avx512dq") && has("avx512vl")))
    return false;
  return !avx512vnni || has("avx512vnni");
}

CpuTarget CpuTarget::native() {
  for (llvm::StringRef name : {"avx512vnni", "avx512", "avx2"})
    if (CpuTarget target = *parse(name); target.runsOnHost())
      return target;
  return *parse("generic");
}

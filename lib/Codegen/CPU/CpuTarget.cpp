//===- CpuTarget.cpp - named processors ---------------------------------------===//
#include "nibble/Codegen/CPU/CpuTarget.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/TargetParser/Host.h"

using namespace nibble;

llvm::ArrayRef<llvm::StringRef> CpuTarget::names() {
  static const llvm::StringRef all[] = {"avx512vnni", "avx512",  "avxvnni",
                                        "avx2",       "dotprod", "generic"};
  return all;
}

std::string CpuTarget::listOfNames() { return "native, " + llvm::join(names(), ", "); }

mlir::FailureOr<CpuTarget> CpuTarget::parse(llvm::StringRef name) {
  if (name == "native")
    return native();
  if (!llvm::is_contained(names(), name))
    return mlir::failure();
  CpuTarget target;
  target.name = name.str();
  target.avx512vnni = name == "avx512vnni";
  target.avx512bw = name.starts_with("avx512");
  target.avxvnni = name == "avxvnni";
  target.avx2 = target.fma = name.starts_with("avx");
  target.dotprod = name == "dotprod";
  target.vectorBits = target.avx512bw ? 512 : target.avx2 ? 256 : 128;
  return target;
}

bool CpuTarget::runsOnHost() const {
  llvm::StringMap<bool> features = llvm::sys::getHostCPUFeatures();
  auto has = [&](llvm::StringRef feature) { return features.lookup(feature); };
  if (avx2 && !(has("avx2") && has("fma")))
    return false;
  if (avx512bw && !(has("avx512f") && has("avx512bw") && has("avx512dq") && has("avx512vl")))
    return false;
  if (dotprod && !has("dotprod"))
    return false;
  return (!avx512vnni || has("avx512vnni")) && (!avxvnni || has("avxvnni"));
}

CpuTarget CpuTarget::native() {
  for (llvm::StringRef name : names())
    if (CpuTarget target = *parse(name); target.runsOnHost())
      return target;
  return {};
}

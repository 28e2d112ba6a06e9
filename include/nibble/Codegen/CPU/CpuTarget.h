//===- CpuTarget.h - what the generated code may use of a processor -*- C++ -*-===//
//
// A CpuTarget decides vector widths and intrinsics, never numbers: every target computes the same
// bits (numerics.md, section 8). Names accepted by `parse`, as pass and driver options write them:
//
//   avx512vnni   512-bit vectors, vpdpbusd and vpdpwssd               (Ice Lake, Zen 4 and later)
//   avx512       512-bit vectors with AVX-512BW, pmaddubsw, pmaddwd   (Skylake server)
//   avxvnni      256-bit vectors, FMA3, vpdpbusd and vpdpwssd         (Alder Lake, Sierra Forest)
//   avx2         256-bit vectors, FMA3, pmaddubsw, pmaddwd            (Haswell, Zen and later)
//   dotprod      128-bit vectors of AArch64, sdot                     (Cortex-A76, Neoverse, M1)
//   generic      128-bit vectors, no intrinsic of any architecture
//   native       the best of these that the host has
//
//===----------------------------------------------------------------------===//
#pragma once

#include "mlir/Support/LLVM.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include <string>

namespace nibble {

struct CpuTarget {
  std::string name = "generic";
  int vectorBits = 128;
  bool avx512vnni = false, avx512bw = false, avxvnni = false, avx2 = false, fma = false,
       dotprod = false;

  /// 32-bit lanes of a vector.
  int lanes() const { return vectorBits / 32; }

  /// All names but `native`, those of an architecture best first.
  static llvm::ArrayRef<llvm::StringRef> names();
  /// "native, avx512vnni, …", for messages.
  static std::string listOfNames();
  /// The target of a name above; failure (and no diagnostic) on any other.
  static mlir::FailureOr<CpuTarget> parse(llvm::StringRef name);
  /// The best target whose instructions the host has.
  static CpuTarget native();
  /// Can the host run this target's code?
  bool runsOnHost() const;
};

} // namespace nibble

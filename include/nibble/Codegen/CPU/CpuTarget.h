//===- CpuTarget.h - what the generated code may use of a processor -*- C++ -*-===//
//
// A CpuTarget decides vector widths and intrinsics, never numbers: every target computes the same
// bits (numerics.md, section 8). Names accepted by `parse`, as pass and driver options write them:
//
//   avx512vnni   512-bit vectors, vpdpwssd on 16-bit pairs            (Ice Lake, Zen 4 and later)
//   avx512       512-bit vectors with AVX-512BW, pmaddwd and an add   (Skylake server)
//   avx2         256-bit vectors, FMA3, pmaddwd and an add            (Haswell, Zen and later)
//   generic      128-bit vectors, no intrinsic of any architecture
//   native       the best of these that the host has
//
//===----------------------------------------------------------------------===//
#pragma once

#include "mlir/Support/LLVM.h"
#include "llvm/ADT/StringRef.h"
#include <string>

namespace nibble {

struct CpuTarget {
  std::string name = "generic";
  int vectorBits = 128;
  bool avx512vnni = false, avx512bw = false, avx2 = false, fma = false;

  /// 32-bit lanes of a vector.
  int lanes() const { return vectorBits / 32; }

  /// The target of a name above; failure (and no diagnostic) on any other.
  static mlir::FailureOr<CpuTarget> parse(llvm::StringRef name);
  /// The best target whose instructions the host has.
  static CpuTarget native();
  /// Can the host run this target's code?
  bool runsOnHost() const;
};

} // namespace nibble

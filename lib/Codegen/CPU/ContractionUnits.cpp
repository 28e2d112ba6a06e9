//===- ContractionUnits.cpp - the table of units ------------------------------===//
#include "ContractionUnits.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace nibble;
using namespace nibble::contraction;

static Value dotVnniBytes512(Emit &e, Value acc, Value left, Value right) {
  return e.intrinsic("llvm.x86.avx512.vpdpbusd.512", acc.getType(), {acc, left, right});
}
static Value dotVnni512(Emit &e, Value acc, Value left, Value right) {
  return e.intrinsic("llvm.x86.avx512.vpdpwssd.512", acc.getType(), {acc, left, right});
}
static Value dotVnniBytes256(Emit &e, Value acc, Value left, Value right) {
  return e.intrinsic("llvm.x86.avx512.vpdpbusd.256", acc.getType(), {acc, left, right});
}
static Value dotVnni256(Emit &e, Value acc, Value left, Value right) {
  return e.intrinsic("llvm.x86.avx512.vpdpwssd.256", acc.getType(), {acc, left, right});
}
static Value dotNeonBytes(Emit &e, Value acc, Value left, Value right) {
  return e.intrinsic("llvm.aarch64.neon.sdot", acc.getType(), {acc, left, right});
}
static Value dotMadd512(Emit &e, Value acc, Value left, Value right) {
  return e.add(acc, e.intrinsic("llvm.x86.avx512.pmaddw.d.512", acc.getType(), {left, right}));
}
static Value dotMadd256(Emit &e, Value acc, Value left, Value right) {
  return e.add(acc, e.intrinsic("llvm.x86.avx2.pmadd.wd", acc.getType(), {left, right}));
}

/// Products of bytes, two to a sum of 16 bits.
static Value dot16(Emit &e, Value acc, Value left, Value right) {
  StringRef name = cast<VectorType>(acc.getType()).getDimSize(0) == 32
                       ? "llvm.x86.avx512.pmaddubs.w.512"
                       : "llvm.x86.avx2.pmadd.ub.sw";
  return e.add(acc, e.intrinsic(name, acc.getType(), {left, right}));
}
static Value widen512(Emit &e, Value acc, Value sums) {
  return dotMadd512(e, acc, sums, e.splat(cast<VectorType>(sums.getType()), 1));
}
static Value widen256(Emit &e, Value acc, Value sums) {
  return dotMadd256(e, acc, sums, e.splat(cast<VectorType>(sums.getType()), 1));
}
static Value noSums16(Emit &e, Value acc) {
  int64_t lanes = cast<VectorType>(acc.getType()).getDimSize(0);
  return e.splat(VectorType::get({2 * lanes}, e.b.getI16Type()), 0);
}
static Value dotUbs512(Emit &e, Value acc, Value left, Value right) {
  return widen512(e, acc, dot16(e, noSums16(e, acc), left, right));
}
static Value dotUbs256(Emit &e, Value acc, Value left, Value right) {
  return widen256(e, acc, dot16(e, noSums16(e, acc), left, right));
}
/// All products of 16-bit elements, widened, neighbours added: the form that instruction selection
/// turns into pmaddwd on SSE2.
static Value dotGeneric(Emit &e, Value acc, Value left, Value right) {
  auto type =
      VectorType::get({2 * cast<VectorType>(acc.getType()).getDimSize(0)}, e.b.getI32Type());
  auto widen = [&](Value v) -> Value { return arith::ExtSIOp::create(e.b, e.loc, type, v); };
  Value products = arith::MulIOp::create(e.b, e.loc, widen(left), widen(right));
  auto parts = vector::DeinterleaveOp::create(e.b, e.loc, products);
  return e.add(acc, e.add(parts.getRes1(), parts.getRes2()));
}

static bool vnni512(const CpuTarget &t) { return t.vectorBits >= 512 && t.avx512vnni; }
static bool bw512(const CpuTarget &t) { return t.vectorBits >= 512 && t.avx512bw; }
static bool vnni256(const CpuTarget &t) { return t.vectorBits >= 256 && t.avxvnni; }
static bool neonDot(const CpuTarget &t) { return t.dotprod; }
static bool avx2(const CpuTarget &t) { return t.vectorBits >= 256 && t.avx2; }
static bool always(const CpuTarget &) { return true; }

// Best first. 8 x 2 vectors of 512 bits keep two multipliers busy and leave room for panel and
// broadcast registers, as do 6 x 4 of NEON's 32 registers. Of 16 registers 6 x 2 leaves four; where
// the product takes one as well, 4 x 2 is what fits. Of 32 registers ten rows leave nine: no faster
// than eight in the long run, but 20 rows are two such tiles.
static const DotUnit kUnits[] = {
    // name, terms, bits, rows, vectors
    {"vnni512", 4, 512, 8, 2, vnni512, dotVnniBytes512, false, nullptr, nullptr, 10},
    {"vnni512", 2, 512, 8, 2, vnni512, dotVnni512, false, nullptr, nullptr, 10},
    {"ubs512", 4, 512, 8, 2, bw512, dotUbs512, false, dot16, widen512},
    {"madd512", 2, 512, 8, 2, bw512, dotMadd512},
    {"vnni256", 4, 256, 6, 2, vnni256, dotVnniBytes256},
    {"vnni256", 2, 256, 6, 2, vnni256, dotVnni256},
    {"ubs256", 4, 256, 4, 2, avx2, dotUbs256, false, dot16, widen256},
    {"madd256", 2, 256, 4, 2, avx2, dotMadd256},
    {"neon", 4, 128, 6, 4, neonDot, dotNeonBytes, /*signedBytes=*/true},
    {"generic128", 2, 128, 4, 2, always, dotGeneric},
};

const DotUnit *contraction::dotUnit(const CpuTarget &target, int tuple) {
  for (const DotUnit &unit : kUnits)
    if (unit.tuple == tuple && unit.available(target))
      return &unit;
  return nullptr;
}

int64_t contraction::stepsIn16(const CodeFormat &left, const CodeFormat &right) {
  return std::numeric_limits<int16_t>::max() / (2 * largestUnsigned(left) * right.magnitude);
}

const DotUnit &contraction::dotUnit(const CpuTarget &target, const CodeFormat &left,
                                    const CodeFormat &right) {
  // Below these steps, widening costs more than pairs do.
  constexpr int64_t kLeastSteps = 4;
  const DotUnit *quads = dotUnit(target, 4);
  bool bytes = left.magnitude <= 127 && right.magnitude <= 127;
  if (!quads || !bytes || (quads->dot16 && stepsIn16(left, right) < kLeastSteps))
    return *dotUnit(target, 2);
  return *quads;
}

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
static Value dotMadd512(Emit &e, Value acc, Value left, Value right) {
  return e.add(acc, e.intrinsic("llvm.x86.avx512.pmaddw.d.512", acc.getType(), {left, right}));
}
static Value dotMadd256(Emit &e, Value acc, Value left, Value right) {
  return e.add(acc, e.intrinsic("llvm.x86.avx2.pmadd.wd", acc.getType(), {left, right}));
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
static bool avx2(const CpuTarget &t) { return t.vectorBits >= 256 && t.avx2; }
static bool always(const CpuTarget &) { return true; }

// Best first. 8 x 2 vectors of 512 bits keep two multipliers busy and leave room for panel and
// broadcast registers; with 16 registers and pmaddwd's temporary, 4 x 2 is what fits.
static const DotUnit kUnits[] = {
    // name, terms, bits, rows, vectors
    {"vnni512", 4, 512, 8, 2, vnni512, dotVnniBytes512},
    {"vnni512", 2, 512, 8, 2, vnni512, dotVnni512},
    {"madd512", 2, 512, 8, 2, bw512, dotMadd512},
    {"madd256", 2, 256, 4, 2, avx2, dotMadd256},
    {"generic128", 2, 128, 4, 2, always, dotGeneric},
};

const DotUnit *contraction::dotUnit(const CpuTarget &target, int tuple) {
  for (const DotUnit &unit : kUnits)
    if (unit.tuple == tuple && unit.available(target))
      return &unit;
  return nullptr;
}

const DotUnit &contraction::dotUnit(const CpuTarget &target, const CodeFormat &left,
                                    const CodeFormat &right) {
  const DotUnit *quads = dotUnit(target, 4);
  bool bytes = left.magnitude <= 127 && right.magnitude <= 127;
  return quads && bytes ? *quads : *dotUnit(target, 2);
}

//===- ContractionKernelPairs.cpp - micro-kernels on 16-bit pairs -------------===//
#include "ContractionKernel.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace nibble;
using namespace nibble::contraction;

//===----------------------------------------------------------------------===//
// Units
//===----------------------------------------------------------------------===//

static Value intrinsic(Emit &e, StringRef name, Type result, ValueRange operands) {
  return LLVM::CallIntrinsicOp::create(e.b, e.loc, result, e.b.getStringAttr(name), operands)
      .getResults();
}

static Value dotVnni512(Emit &e, Value acc, Value a, Value b) {
  return intrinsic(e, "llvm.x86.avx512.vpdpwssd.512", acc.getType(), {acc, a, b});
}
static Value dotMadd512(Emit &e, Value acc, Value a, Value b) {
  return e.add(acc, intrinsic(e, "llvm.x86.avx512.pmaddw.d.512", acc.getType(), {a, b}));
}
static Value dotMadd256(Emit &e, Value acc, Value a, Value b) {
  return e.add(acc, intrinsic(e, "llvm.x86.avx2.pmadd.wd", acc.getType(), {a, b}));
}
/// All products of 16-bit elements, widened, neighbours added: the form that instruction selection
/// turns into pmaddwd on SSE2.
static Value dotGeneric(Emit &e, Value acc, Value a, Value b) {
  auto type =
      VectorType::get({2 * cast<VectorType>(acc.getType()).getDimSize(0)}, e.b.getI32Type());
  auto widen = [&](Value v) -> Value { return arith::ExtSIOp::create(e.b, e.loc, type, v); };
  Value products = arith::MulIOp::create(e.b, e.loc, widen(a), widen(b));
  auto parts = vector::DeinterleaveOp::create(e.b, e.loc, products);
  return e.add(acc, e.add(parts.getRes1(), parts.getRes2()));
}

// Best first. 8 x 2 vectors of 512 bits keep two multipliers busy and leave room for panel and
// broadcast registers; with 16 registers and pmaddwd's temporary, 4 x 2 is what fits.
static const PairUnit kPairUnits[] = {
    {"vnni512", 512, 8, 2, [](const CpuTarget &t) { return t.vectorBits >= 512 && t.avx512vnni; },
     dotVnni512},
    {"madd512", 512, 8, 2, [](const CpuTarget &t) { return t.vectorBits >= 512 && t.avx512bw; },
     dotMadd512},
    {"madd256", 256, 4, 2, [](const CpuTarget &t) { return t.vectorBits >= 256 && t.avx2; },
     dotMadd256},
    {"generic128", 128, 4, 2, [](const CpuTarget &) { return true; }, dotGeneric},
};

const PairUnit &contraction::pairUnit(const CpuTarget &target) {
  for (const PairUnit &unit : kPairUnits)
    if (unit.available(target))
      return unit;
  llvm_unreachable("the generic unit is always available");
}

//===----------------------------------------------------------------------===//
// The kernel
//===----------------------------------------------------------------------===//

namespace {
/// Builds the body of one kernel function.
struct PairKernelBody {
  Emit &e;
  const PairUnit &unit;
  int vectors;
  Epilogue epilogue;
  PairCall arg;
  Type i16, i32, i64;
  VectorType accType, pairType;
  int lanes;

  PairKernelBody(Emit &e, const PairUnit &unit, int vectors, Epilogue epilogue, const PairCall &arg)
      : e(e), unit(unit), vectors(vectors), epilogue(epilogue), arg(arg), i16(e.b.getI16Type()),
        i32(e.b.getI32Type()), i64(e.b.getI64Type()),
        accType(VectorType::get({unit.vectorBits / 32}, i32)),
        pairType(VectorType::get({unit.vectorBits / 16}, i16)), lanes(unit.vectorBits / 32) {}

  Value load(Type type, Value pointer, unsigned alignment) {
    return LLVM::LoadOp::create(e.b, e.loc, type, pointer, alignment);
  }
  /// Entry `column` (0 or 1) of row `row` of a table of pairs of i64.
  Value tableEntry(Value table, Value row, int column) {
    Value at = e.add(e.add(row, row), e.i64(column));
    return load(i64, e.at(table, at, i64), 8);
  }
  Value offset(Value pointer, int64_t elements, Type type) {
    return elements == 0 ? pointer : e.at(pointer, e.i64(elements), type);
  }
  scf::ForOp forLoop(Value begin, Value end, int64_t step, ValueRange init,
                     function_ref<SmallVector<Value>(Value, ValueRange)> body) {
    return scf::ForOp::create(e.b, e.loc, begin, end, e.i64(step), init,
                              [&](OpBuilder &b, Location loc, Value iv, ValueRange state) {
                                OpBuilder::InsertionGuard guard(e.b);
                                e.b.setInsertionPoint(b.getInsertionBlock(), b.getInsertionPoint());
                                scf::YieldOp::create(e.b, loc, body(iv, state));
                              });
  }

  /// One step of the contraction: a pair of every row with `vectors` vectors of pairs of the
  /// columns.
  SmallVector<Value> step(ArrayRef<Value> rows, Value b, ValueRange state) {
    size_t n = state.size() - 2;
    Value aOffset = state[n], bOffset = state[n + 1];
    SmallVector<Value> next(state.begin(), state.begin() + n), panel;
    Value bAt = e.at(b, bOffset, i16);
    for (int j = 0; j < vectors; ++j)
      panel.push_back(load(pairType, offset(bAt, j * 2 * lanes, i16), 2));
    for (auto [r, row] : llvm::enumerate(rows)) {
      Value pair = load(i32, e.at(row, aOffset, i16), 2);
      Value spread = vector::BroadcastOp::create(e.b, e.loc, accType, pair);
      spread = vector::BitCastOp::create(e.b, e.loc, pairType, spread);
      for (int j = 0; j < vectors; ++j)
        next[r * vectors + j] = unit.dot(e, next[r * vectors + j], spread, panel[j]);
    }
    next.push_back(e.add(aOffset, arg.aStep));
    next.push_back(e.add(bOffset, arg.bStep));
    return next;
  }

  /// The sums of the tile of rows that begins at m.
  SmallVector<Value> accumulate(Value m) {
    SmallVector<Value> rowBase;
    for (int r = 0; r < unit.rows; ++r)
      rowBase.push_back(e.at(arg.a, tableEntry(arg.rowTable, e.add(m, e.i64(r)), 0), i16));
    Value zero = arith::ConstantOp::create(e.b, e.loc, e.b.getZeroAttr(accType));
    SmallVector<Value> init(unit.rows * vectors, zero);
    auto segments = forLoop(arg.segBegin, arg.segEnd, 1, init, [&](Value s, ValueRange sums) {
      Value aSegment = tableEntry(arg.segTable, s, 0);
      Value b = e.at(arg.b, tableEntry(arg.segTable, s, 1), i16);
      SmallVector<Value> rows, state(sums);
      for (Value base : rowBase)
        rows.push_back(e.at(base, aSegment, i16));
      state.push_back(e.i64(0));
      state.push_back(e.i64(0));
      auto pairs = forLoop(e.i64(0), arg.pairs, 1, state,
                           [&](Value, ValueRange inner) { return step(rows, b, inner); });
      return SmallVector<Value>(pairs.getResults().drop_back(2));
    });
    return SmallVector<Value>(segments.getResults());
  }

  /// Which lanes of vector j are columns of the tile.
  Value laneMask(int j) {
    SmallVector<int32_t> numbers;
    for (int lane = 0; lane < lanes; ++lane)
      numbers.push_back(j * lanes + lane);
    Value iota = arith::ConstantOp::create(
        e.b, e.loc, DenseElementsAttr::get(accType, ArrayRef<int32_t>(numbers)));
    Value columns = arith::TruncIOp::create(e.b, e.loc, i32, arg.columns);
    Value limit = vector::BroadcastOp::create(e.b, e.loc, accType, columns);
    return arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::slt, iota, limit);
  }

  void storeFloat(Value sum, Value out, int j, Value mask, Value scale) {
    auto type = VectorType::get({lanes}, e.b.getF32Type());
    Value value = arith::SIToFPOp::create(e.b, e.loc, type, sum);
    value = arith::MulFOp::create(e.b, e.loc, value, scale);
    LLVM::MaskedStoreOp::create(e.b, e.loc, value, offset(out, j * lanes, e.b.getF32Type()), mask,
                                e.b.getI32IntegerAttr(4));
  }

  void addTo(Value sum, Value out, int j, Value mask, Type element) {
    auto type = VectorType::get({lanes}, element);
    unsigned bytes = element.getIntOrFloatBitWidth() / 8;
    if (element != i32)
      sum = arith::ExtSIOp::create(e.b, e.loc, type, sum);
    Value pointer = offset(out, j * lanes, element);
    Value zero = arith::ConstantOp::create(e.b, e.loc, e.b.getZeroAttr(type));
    Value old = LLVM::MaskedLoadOp::create(e.b, e.loc, type, pointer, mask, zero,
                                           e.b.getI32IntegerAttr(bytes));
    LLVM::MaskedStoreOp::create(e.b, e.loc, e.add(old, sum), pointer, mask,
                                e.b.getI32IntegerAttr(bytes));
  }

  void write(Value m, ArrayRef<Value> sums, ArrayRef<Value> masks) {
    Type element = epilogue == Epilogue::StoreF32 ? Type(e.b.getF32Type())
                   : epilogue == Epilogue::AddI32 ? i32
                                                  : i64;
    Value scale;
    if (epilogue == Epilogue::StoreF32)
      scale = vector::BroadcastOp::create(e.b, e.loc, VectorType::get({lanes}, e.b.getF32Type()),
                                          arg.scale);
    for (int r = 0; r < unit.rows; ++r) {
      Value row = e.add(m, e.i64(r));
      Value inside = arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::slt, row, arg.rowEnd);
      e.ifThen(inside, [&] {
        Value out = e.at(arg.out, tableEntry(arg.rowTable, row, 1), element);
        for (int j = 0; j < vectors; ++j) {
          Value sum = sums[r * vectors + j];
          if (epilogue == Epilogue::StoreF32)
            storeFloat(sum, out, j, masks[j], scale);
          else
            addTo(sum, out, j, masks[j], element);
        }
      });
    }
  }

  void emit() {
    SmallVector<Value> masks;
    for (int j = 0; j < vectors; ++j)
      masks.push_back(laneMask(j));
    forLoop(arg.rowBegin, arg.rowEnd, unit.rows, {}, [&](Value m, ValueRange) {
      write(m, accumulate(m), masks);
      return SmallVector<Value>();
    });
  }
};
} // namespace

static SmallVector<Value> callOperands(const PairCall &c) {
  return {c.a,        c.b,      c.rowTable, c.segTable, c.out,   c.rowBegin, c.rowEnd,
          c.segBegin, c.segEnd, c.pairs,    c.aStep,    c.bStep, c.columns,  c.scale};
}

static PairCall callOf(ValueRange v) {
  return {v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[8], v[9], v[10], v[11], v[12], v[13]};
}

static StringRef suffix(Epilogue epilogue) {
  return epilogue == Epilogue::StoreF32 ? "store"
         : epilogue == Epilogue::AddI32 ? "add32"
                                        : "add64";
}

func::FuncOp contraction::kernelFunction(Emit &e, StringRef name, TypeRange arguments,
                                         function_ref<void(ValueRange)> body) {
  ModuleOp module = e.module();
  if (auto found = module.lookupSymbol<func::FuncOp>(name))
    return found;
  OpBuilder::InsertionGuard guard(e.b);
  e.b.setInsertionPointToEnd(module.getBody());
  auto function =
      func::FuncOp::create(e.b, module.getLoc(), name, e.b.getFunctionType(arguments, {}));
  function.setPrivate();
  // Inlined, the tile would compete with its surroundings for registers, once for every product.
  function->setAttr("passthrough", e.b.getStrArrayAttr({"noinline"}));
  Block *block = function.addEntryBlock();
  e.b.setInsertionPointToStart(block);
  body(block->getArguments());
  func::ReturnOp::create(e.b, e.loc);
  return function;
}

void contraction::callPairKernel(Emit &e, int vectors, Epilogue epilogue, const PairCall &call) {
  const PairUnit &unit = pairUnit(e.target);
  std::string name = ("nibble_pairs_" + unit.name + "_" + Twine(unit.rows) + "x" + Twine(vectors) +
                      "_" + suffix(epilogue))
                         .str();
  SmallVector<Value> operands = callOperands(call);
  auto function =
      kernelFunction(e, name, TypeRange(ValueRange(operands)), [&](ValueRange arguments) {
        PairKernelBody(e, unit, vectors, epilogue, callOf(arguments)).emit();
      });
  func::CallOp::create(e.b, e.loc, function, operands);
}

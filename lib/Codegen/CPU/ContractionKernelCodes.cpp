//===- ContractionKernelCodes.cpp - micro-kernels on pairs and quads ----------===//
#include "ContractionKernel.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace nibble;
using namespace nibble::contraction;

namespace {
/// Builds the body of one kernel function.
struct CodeKernelBody {
  Emit &e;
  const CodeKernel &kernel;
  CodeCall arg;
  const DotUnit &unit = *kernel.unit;
  int rows = kernel.rows ? kernel.rows : unit.rows, vectors = kernel.vectors, lanes = unit.lanes();
  Epilogue epilogue = kernel.epilogue;
  Type element = unit.element(e.b), i32 = e.b.getI32Type(), i64 = e.b.getI64Type();
  VectorType accType = VectorType::get({lanes}, i32);
  VectorType tupleType = VectorType::get({lanes * unit.tuple}, element);

  /// Entry `column` (0 or 1) of row `row` of a table of pairs of i64.
  Value tableEntry(Value table, Value row, int column) {
    Value at = e.add(e.add(row, row), e.i64(column));
    return e.load(i64, e.at(table, at, i64), 8);
  }
  Value offset(Value pointer, int64_t elements, Type type) {
    return elements == 0 ? pointer : e.at(pointer, e.i64(elements), type);
  }
  scf::ForOp forLoop(Value begin, Value end, Value step, ValueRange init,
                     function_ref<SmallVector<Value>(Value, ValueRange)> body) {
    return scf::ForOp::create(e.b, e.loc, begin, end, step, init,
                              [&](OpBuilder &b, Location loc, Value iv, ValueRange state) {
                                OpBuilder::InsertionGuard guard(e.b);
                                e.b.setInsertionPoint(b.getInsertionBlock(), b.getInsertionPoint());
                                scf::YieldOp::create(e.b, loc, body(iv, state));
                              });
  }

  /// One step of the contraction: a tuple of every row with `vectors` vectors of tuples of the
  /// columns.
  SmallVector<Value> step(ArrayRef<Value> rowAt, Value b, ValueRange state) {
    size_t n = state.size() - 2;
    Value aOffset = state[n], bOffset = state[n + 1];
    SmallVector<Value> next(state.begin(), state.begin() + n), panel;
    Value bAt = e.at(b, bOffset, element);
    for (int j = 0; j < vectors; ++j)
      panel.push_back(
          e.load(tupleType, offset(bAt, j * unit.tuple * lanes, element), unit.elementBytes()));
    for (auto [r, row] : llvm::enumerate(rowAt)) {
      Value tuple = e.load(i32, e.at(row, aOffset, element), unit.elementBytes());
      Value spread = vector::BroadcastOp::create(e.b, e.loc, accType, tuple);
      spread = vector::BitCastOp::create(e.b, e.loc, tupleType, spread);
      for (int j = 0; j < vectors; ++j) {
        Value &sum = next[r * vectors + j];
        auto dot = unit.dot16 ? unit.dot16 : unit.dot;
        sum = kernel.start == Start::Rows ? dot(e, sum, panel[j], spread)
                                          : dot(e, sum, spread, panel[j]);
      }
    }
    next.push_back(e.add(aOffset, arg.aStep));
    next.push_back(e.add(bOffset, arg.bStep));
    return next;
  }

  /// Where the sums of the tile of rows that begins at m begin.
  SmallVector<Value> start(Value m) {
    SmallVector<Value> sums;
    for (int r = 0; r < rows; ++r)
      for (int j = 0; j < vectors; ++j)
        switch (kernel.start) {
        case Start::Zero:
          sums.push_back(e.splat(accType, 0));
          break;
        case Start::Columns:
          sums.push_back(r ? sums[j] : e.load(accType, offset(arg.start, j * lanes, i32), 4));
          break;
        case Start::Rows:
          sums.push_back(j ? sums.back() : rowStart(e.add(m, e.i64(r))));
          break;
        }
    return sums;
  }
  Value rowStart(Value row) {
    Value number = e.load(i32, e.at(arg.start, row, i32), 4);
    return vector::BroadcastOp::create(e.b, e.loc, accType, number);
  }

  /// `sums` and what segment s adds to them, from tuple `first` on (null: all of it).
  SmallVector<Value> segment(ArrayRef<Value> rowBase, Value s, Value first, Value last,
                             ValueRange sums) {
    auto begin = [&](Value step) -> Value {
      return first ? Value(arith::MulIOp::create(e.b, e.loc, first, step)) : e.i64(0);
    };
    Value aSegment = tableEntry(arg.segTable, s, 0);
    Value b = e.at(arg.b, tableEntry(arg.segTable, s, 1), element);
    SmallVector<Value> rowAt, state(sums);
    for (Value base : rowBase)
      rowAt.push_back(e.at(base, aSegment, element));
    state.push_back(begin(arg.aStep));
    state.push_back(begin(arg.bStep));
    auto tuples = forLoop(first ? first : e.i64(0), last, e.i64(1), state,
                          [&](Value, ValueRange inner) { return step(rowAt, b, inner); });
    return SmallVector<Value>(tuples.getResults().drop_back(2));
  }

  /// The sums of the tile of rows that begins at m.
  SmallVector<Value> accumulate(Value m) {
    SmallVector<Value> rowBase;
    for (int r = 0; r < rows; ++r)
      rowBase.push_back(e.at(arg.a, tableEntry(arg.rowTable, e.add(m, e.i64(r)), 0), element));
    if (unit.dot16)
      return accumulateIn16(rowBase, start(m));
    auto all = forLoop(arg.segBegin, arg.segEnd, e.i64(1), start(m), [&](Value s, ValueRange sums) {
      return segment(rowBase, s, {}, arg.tuples, sums);
    });
    return SmallVector<Value>(all.getResults());
  }

  /// One of the two inner loops over parts runs once.
  SmallVector<Value> accumulateIn16(ArrayRef<Value> rowBase, ValueRange begin) {
    auto type = VectorType::get({2 * lanes}, e.b.getI16Type());
    SmallVector<Value> zeros(begin.size(), e.splat(type, 0));
    auto part = [&](Value s, Value t, ValueRange sums) {
      Value lastSegment = e.min(e.add(s, arg.partSegments), arg.segEnd);
      Value lastTuple = e.min(e.add(t, arg.partTuples), arg.tuples);
      auto sums16 =
          forLoop(s, lastSegment, e.i64(1), zeros, [&](Value segmentNumber, ValueRange in) {
            return segment(rowBase, segmentNumber, t, lastTuple, in);
          });
      SmallVector<Value> next;
      for (auto [sum, sum16] : llvm::zip(sums, sums16.getResults()))
        next.push_back(unit.widen(e, sum, sum16));
      return next;
    };
    auto all =
        forLoop(arg.segBegin, arg.segEnd, arg.partSegments, begin, [&](Value s, ValueRange in) {
          auto tuples = forLoop(e.i64(0), arg.tuples, arg.partTuples, in,
                                [&](Value t, ValueRange sums) { return part(s, t, sums); });
          return SmallVector<Value>(tuples.getResults());
        });
    return SmallVector<Value>(all.getResults());
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
    if (kernel.streams) {
      LLVM::StoreOp::create(e.b, e.loc, value, offset(out, j * lanes, e.b.getF32Type()), 4 * lanes,
                            /*isVolatile=*/false, /*isNonTemporal=*/true);
      return;
    }
    LLVM::MaskedStoreOp::create(e.b, e.loc, value, offset(out, j * lanes, e.b.getF32Type()), mask,
                                e.b.getI32IntegerAttr(4));
  }

  void storeInteger(Value sum, Value out, int j, Value mask) {
    LLVM::MaskedStoreOp::create(e.b, e.loc, sum, offset(out, j * lanes, i32), mask,
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
                   : epilogue == Epilogue::AddI64 ? i64
                                                  : i32;
    Value scale;
    if (epilogue == Epilogue::StoreF32)
      scale = vector::BroadcastOp::create(e.b, e.loc, VectorType::get({lanes}, e.b.getF32Type()),
                                          arg.scale);
    for (int r = 0; r < rows; ++r) {
      Value row = e.add(m, e.i64(r));
      Value inside = arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::slt, row, arg.rowEnd);
      e.ifThen(inside, [&] {
        Value out = e.at(arg.out, tableEntry(arg.rowTable, row, 1), element);
        for (int j = 0; j < vectors; ++j) {
          Value sum = sums[r * vectors + j];
          if (epilogue == Epilogue::StoreF32)
            storeFloat(sum, out, j, masks[j], scale);
          else if (epilogue == Epilogue::StoreI32)
            storeInteger(sum, out, j, masks[j]);
          else
            addTo(sum, out, j, masks[j], element);
        }
      });
    }
  }

  /// Asks for the memory of the tile's results while its sums are made.
  void prefetchResults(Value m) {
    Type type = epilogue == Epilogue::AddI64 ? i64 : i32;
    int64_t bytes = lanes * type.getIntOrFloatBitWidth() / 8;
    for (int r = 0; r < rows; ++r) {
      Value out = e.at(arg.out, tableEntry(arg.rowTable, e.add(m, e.i64(r)), 1), type);
      for (int64_t at = 0; at < vectors * bytes; at += 64)
        LLVM::Prefetch::create(e.b, e.loc, e.at(out, e.i64(at), e.b.getI8Type()), /*rw=*/1,
                               /*hint=*/3, /*cache=*/1);
    }
  }

  void emit() {
    SmallVector<Value> masks;
    for (int j = 0; j < vectors; ++j)
      masks.push_back(laneMask(j));
    forLoop(arg.rowBegin, arg.rowEnd, e.i64(rows), {}, [&](Value m, ValueRange) {
      if (!kernel.streams)
        prefetchResults(m);
      write(m, accumulate(m), masks);
      return SmallVector<Value>();
    });
  }
};
} // namespace

static SmallVector<Value> callOperands(const CodeCall &c, bool parts) {
  SmallVector<Value> all{c.a,      c.b,        c.rowTable, c.segTable, c.start,
                         c.out,    c.rowBegin, c.rowEnd,   c.segBegin, c.segEnd,
                         c.tuples, c.aStep,    c.bStep,    c.columns,  c.scale};
  if (parts)
    all.append({c.partTuples, c.partSegments});
  return all;
}

static CodeCall callOf(ValueRange v, bool parts) {
  CodeCall call{v[0], v[1], v[2],  v[3],  v[4],  v[5],  v[6], v[7],
                v[8], v[9], v[10], v[11], v[12], v[13], v[14]};
  if (parts)
    call.partTuples = v[15], call.partSegments = v[16];
  return call;
}

static StringRef suffix(Epilogue epilogue) {
  switch (epilogue) {
  case Epilogue::StoreF32:
    return "store";
  case Epilogue::StoreI32:
    return "store32";
  case Epilogue::AddI32:
    return "add32";
  case Epilogue::AddI64:
    return "add64";
  }
  llvm_unreachable("an epilogue");
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

void contraction::callCodeKernel(Emit &e, const CodeKernel &kernel, const CodeCall &call) {
  const DotUnit &unit = *kernel.unit;
  StringRef start = kernel.start == Start::Columns ? "columns_"
                    : kernel.start == Start::Rows  ? "rows_"
                                                   : "";
  std::string name = ((unit.tuple == 4 ? "nibble_quads_" : "nibble_pairs_") + unit.name + "_" +
                      Twine(kernel.rows ? kernel.rows : unit.rows) + "x" + Twine(kernel.vectors) +
                      "_" + start + suffix(kernel.epilogue) + (kernel.streams ? "_streamed" : ""))
                         .str();
  SmallVector<Value> operands = callOperands(call, unit.dot16);
  auto function =
      kernelFunction(e, name, TypeRange(ValueRange(operands)), [&](ValueRange arguments) {
        CodeKernelBody{e, kernel, callOf(arguments, unit.dot16)}.emit();
      });
  func::CallOp::create(e.b, e.loc, function, operands);
}

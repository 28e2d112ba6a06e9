//===- ContractionKernelFloat.cpp - micro-kernels on f32 ----------------------===//
#include "ContractionKernel.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace nibble;
using namespace nibble::contraction;

// 6 x 4 vectors leave 8 of AVX-512's 32 registers for panel and broadcast; 6 x 2 leaves 4 of
// AVX2's 16. Without fma a term is a library call, and a large tile would only be spilled around
// it.
int64_t contraction::floatVectors(const CpuTarget &t) {
  return !t.fma ? 1 : t.vectorBits >= 512 ? 4 : 2;
}
int64_t contraction::floatRows(const CpuTarget &t, int64_t vectors) {
  if (!t.fma)
    return 2;
  if (t.vectorBits >= 512)
    return vectors == 4 ? 6 : 8;
  return vectors == 2 ? 6 : 8;
}

namespace {
struct FloatKernelBody {
  Emit &e;
  FloatKernel kernel;
  FloatCall arg;
  int64_t rows = kernel.rows, vectors = kernel.vectors;
  FloatRead read = kernel.read;
  int64_t lanes = e.target.lanes();
  Type f32 = e.b.getF32Type();
  VectorType type = VectorType::get({lanes}, f32);
  SmallVector<Value> masks = {};

  Value mulI64(Value x, Value y) { return arith::MulIOp::create(e.b, e.loc, x, y); }

  VectorType indexType = VectorType::get({lanes}, e.b.getI32Type());

  Value splat(Value i64Value) {
    Value narrow = arith::TruncIOp::create(e.b, e.loc, e.b.getI32Type(), i64Value);
    return vector::BroadcastOp::create(e.b, e.loc, indexType, narrow);
  }
  /// Numbers of the columns of vector j.
  Value columnNumbers(int64_t j) {
    SmallVector<int32_t> numbers;
    for (int64_t lane = 0; lane < lanes; ++lane)
      numbers.push_back(int32_t(j * lanes + lane));
    auto attribute = DenseElementsAttr::get(indexType, ArrayRef<int32_t>(numbers));
    return arith::ConstantOp::create(e.b, e.loc, attribute);
  }
  Value compare(arith::CmpIPredicate predicate, Value x, Value y) {
    return arith::CmpIOp::create(e.b, e.loc, predicate, x, y);
  }

  void makeMasks() {
    Value limit = splat(arg.columns);
    for (int64_t j = 0; j < vectors; ++j)
      masks.push_back(compare(arith::CmpIPredicate::slt, columnNumbers(j), limit));
  }

  /// The columns of vector j that are terms in step i3.
  Value termMask(int64_t j, Value i3) {
    if (read != FloatRead::Row)
      return masks[j];
    Value at = e.add(arg.rowAt, mulI64(i3, arg.rowStep)), numbers = columnNumbers(j);
    Value low = splat(e.sub(e.i64(0), at)), high = splat(e.sub(arg.rowEnd, at));
    Value inside =
        arith::AndIOp::create(e.b, e.loc, compare(arith::CmpIPredicate::sge, numbers, low),
                              compare(arith::CmpIPredicate::slt, numbers, high));
    return arith::AndIOp::create(e.b, e.loc, inside, masks[j]);
  }

  Value loadColumns(Value at, Value mask) {
    Value zero = arith::ConstantOp::create(e.b, e.loc, e.b.getZeroAttr(type));
    auto alignment = e.b.getI32IntegerAttr(4);
    return LLVM::MaskedLoadOp::create(e.b, e.loc, type, at, mask, zero, alignment);
  }

  /// A row's factor for every vector of columns.
  SmallVector<Value> leftFactors(Value at) {
    if (!kernel.lanes) {
      Value x = LLVM::LoadOp::create(e.b, e.loc, f32, at, 4);
      return SmallVector<Value>(vectors, vector::BroadcastOp::create(e.b, e.loc, type, x));
    }
    SmallVector<Value> factors;
    for (int64_t j = 0; j < vectors; ++j)
      factors.push_back(loadColumns(j == 0 ? at : e.at(at, e.i64(j * lanes), f32), masks[j]));
    return factors;
  }

  SmallVector<Value> term(ArrayRef<Value> rowAt, Value aOffset, Value b, Value i3,
                          ValueRange sums) {
    SmallVector<Value> next(sums), panel, inside(vectors);
    for (int64_t j = 0; j < vectors; ++j) {
      Value at = j == 0 ? b : e.at(b, e.i64(j * lanes), f32);
      if (read == FloatRead::Whole) {
        panel.push_back(LLVM::LoadOp::create(e.b, e.loc, type, at, 4));
        continue;
      }
      inside[j] = termMask(j, i3);
      panel.push_back(loadColumns(at, inside[j]));
    }
    for (auto [r, row] : llvm::enumerate(rowAt)) {
      SmallVector<Value> left = leftFactors(e.at(row, aOffset, f32));
      for (int64_t j = 0; j < vectors; ++j) {
        Value &sum = next[r * vectors + j];
        Value added = math::FmaOp::create(e.b, e.loc, left[j], panel[j], sum);
        // A zero in the place of a term would not do: it makes +0 of a sum of -0, and NaN of
        // infinities.
        sum = read == FloatRead::Row
                  ? arith::SelectOp::create(e.b, e.loc, inside[j], added, sum).getResult()
                  : added;
      }
    }
    return next;
  }

  /// A loop of `n` steps over sums and two offsets that grow by `aStep` and `bStep`.
  SmallVector<Value> loop(Value n, Value aStep, Value bStep, Value aFrom, Value bFrom,
                          ValueRange sums,
                          function_ref<SmallVector<Value>(Value, Value, Value, ValueRange)> body) {
    SmallVector<Value> init(sums);
    init.append({aFrom, bFrom});
    auto op =
        scf::ForOp::create(e.b, e.loc, e.i64(0), n, e.i64(1), init,
                           [&](OpBuilder &b, Location loc, Value i, ValueRange state) {
                             OpBuilder::InsertionGuard guard(e.b);
                             e.b.setInsertionPoint(b.getInsertionBlock(), b.getInsertionPoint());
                             size_t m = state.size() - 2;
                             SmallVector<Value> next =
                                 body(i, state[m], state[m + 1], state.take_front(m));
                             next.append({e.add(state[m], aStep), e.add(state[m + 1], bStep)});
                             scf::YieldOp::create(e.b, loc, next);
                           });
    return SmallVector<Value>(op.getResults().drop_back(2));
  }

  SmallVector<Value> accumulate() {
    Value last = e.sub(arg.rowCount, e.i64(1));
    SmallVector<Value> rowAt;
    for (int64_t r = 0; r < rows; ++r)
      rowAt.push_back(r == 0 ? arg.a : e.at(arg.a, mulI64(e.min(e.i64(r), last), arg.aRow), f32));
    Value zero = arith::ConstantOp::create(e.b, e.loc, e.b.getZeroAttr(type)), none = e.i64(0);
    SmallVector<Value> sums(rows * vectors, zero);
    return loop(
        arg.n1, arg.a1, arg.b1, none, none, sums, [&](Value, Value a1, Value b1, ValueRange sums1) {
          return loop(arg.n2, arg.a2, arg.b2, a1, b1, sums1,
                      [&](Value, Value a2, Value b2, ValueRange sums2) {
                        return loop(arg.n3, arg.a3, arg.b3, a2, b2, sums2,
                                    [&](Value i3, Value a3, Value b3, ValueRange sums3) {
                                      return term(rowAt, a3, e.at(arg.b, b3, f32), i3, sums3);
                                    });
                      });
        });
  }

  void storeColumns(Value sum, Value out, int64_t j) {
    auto alignment = e.b.getI32IntegerAttr(4);
    if (!kernel.scatter) {
      Value at = e.at(out, e.i64(j * lanes), f32);
      LLVM::MaskedStoreOp::create(e.b, e.loc, sum, at, masks[j], alignment);
      return;
    }
    auto wide = VectorType::get({lanes}, e.b.getI64Type());
    Value numbers = arith::ExtSIOp::create(e.b, e.loc, wide, columnNumbers(j));
    Value apart = vector::BroadcastOp::create(e.b, e.loc, wide, arg.outColumn);
    Value offsets = arith::MulIOp::create(e.b, e.loc, numbers, apart);
    auto pointers = VectorType::get({lanes}, LLVM::LLVMPointerType::get(e.b.getContext()));
    Value at = LLVM::GEPOp::create(e.b, e.loc, pointers, f32, out, ValueRange{offsets});
    LLVM::masked_scatter::create(e.b, e.loc, sum, at, masks[j], alignment);
  }

  void emit() {
    makeMasks();
    SmallVector<Value> sums = accumulate();
    for (int64_t r = 0; r < rows; ++r) {
      auto store = [&] {
        Value out = e.at(arg.out, mulI64(e.i64(r), arg.outRow), f32);
        for (int64_t j = 0; j < vectors; ++j)
          storeColumns(sums[r * vectors + j], out, j);
      };
      if (r == 0)
        store();
      else
        e.ifThen(
            arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::sgt, arg.rowCount, e.i64(r)),
            store);
    }
  }
};
} // namespace

void contraction::callFloatKernel(Emit &e, const FloatKernel &kernel, const FloatCall &c) {
  FloatRead read = kernel.read;
  std::string name = ("nibble_float_" + Twine(e.target.vectorBits) + "_" + Twine(kernel.rows) +
                      "x" + Twine(kernel.vectors))
                         .str();
  name += read == FloatRead::Whole ? "" : read == FloatRead::Row ? "_row" : "_columns";
  name += kernel.lanes ? "_lanes" : "";
  name += kernel.scatter ? "_scatter" : "";
  SmallVector<Value> operands{c.a,    c.b,  c.out, c.rowCount, c.columns, c.n1, c.n2, c.n3,
                              c.aRow, c.a1, c.a2,  c.a3,       c.b1,      c.b2, c.b3, c.outRow};
  if (read == FloatRead::Row)
    operands.append({c.rowAt, c.rowStep, c.rowEnd});
  if (kernel.scatter)
    operands.push_back(c.outColumn);
  for (Value &operand : operands)
    if (operand.getType().isIndex())
      operand = e.toI64(operand);
  auto function = kernelFunction(e, name, TypeRange(ValueRange(operands)), [&](ValueRange v) {
    FloatCall arg{v[0], v[1], v[2],  v[3],  v[4],  v[5],  v[6],  v[7],
                  v[8], v[9], v[10], v[11], v[12], v[13], v[14], v[15]};
    if (read == FloatRead::Row)
      arg.rowAt = v[16], arg.rowStep = v[17], arg.rowEnd = v[18];
    if (kernel.scatter)
      arg.outColumn = v.back();
    FloatKernelBody{e, kernel, arg}.emit();
  });
  func::CallOp::create(e.b, e.loc, function, operands);
}

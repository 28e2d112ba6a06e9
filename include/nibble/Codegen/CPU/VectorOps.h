//===- VectorOps.h - the policy of Numerics that writes IR ---------*- C++ -*-===//
//
// Numerics/Ops.h defines every number as a template over a policy. This policy emits the operation instead of performing it:
// its values are SSA values, vectors of `lanes` elements or, with 0 lanes, scalars. F is f32, or f64 with `wide` (arithmetic
// only: bits() and fromBits() exist for f32). No fastmath flag is ever set, so each operation means what Ops.h says.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "nibble/Codegen/CPU/ConstantPool.h"
#include "nibble/Numerics/Ops.h"

namespace nibble::codegen {

class VectorOps {
public:
  struct F {
    mlir::Value v;
  };
  struct I {
    mlir::Value v;
  };
  struct B {
    mlir::Value v;
  };

  VectorOps(mlir::OpBuilder &b, mlir::Location loc, ConstantPool &pool, int64_t lanes, bool wide = false,
            bool hasScalef = false)
      : b(b), loc(loc), pool(pool), lanes(lanes), wide(wide), hasScalef(hasScalef) {}

  F constF(double x) const { return {constant(b.getFloatAttr(floatType(), x))}; }
  I constI(int32_t x) const { return {constant(b.getI32IntegerAttr(x))}; }
  B constB(bool x) const { return {constant(b.getIntegerAttr(b.getI1Type(), x))}; }

  F add(F x, F y) const { return {emit<mlir::arith::AddFOp>(x.v, y.v)}; }
  F sub(F x, F y) const { return {emit<mlir::arith::SubFOp>(x.v, y.v)}; }
  F mul(F x, F y) const { return {emit<mlir::arith::MulFOp>(x.v, y.v)}; }
  F div(F x, F y) const { return {emit<mlir::arith::DivFOp>(x.v, y.v)}; }
  F fma(F x, F y, F z) const { return {emit<mlir::math::FmaOp>(x.v, y.v, z.v)}; }
  F sqrt(F x) const { return {emit<mlir::math::SqrtOp>(x.v)}; }

  I iadd(I x, I y) const { return {emit<mlir::arith::AddIOp>(x.v, y.v)}; }
  I isub(I x, I y) const { return {emit<mlir::arith::SubIOp>(x.v, y.v)}; }
  I imul(I x, I y) const { return {emit<mlir::arith::MulIOp>(x.v, y.v)}; }
  I umulHigh(I x, I y) const { return {mlir::arith::MulUIExtendedOp::create(b, loc, x.v, y.v).getHigh()}; }
  I iand(I x, I y) const { return {emit<mlir::arith::AndIOp>(x.v, y.v)}; }
  I ior(I x, I y) const { return {emit<mlir::arith::OrIOp>(x.v, y.v)}; }
  I ixor(I x, I y) const { return {emit<mlir::arith::XOrIOp>(x.v, y.v)}; }
  I shl(I x, int n) const { return {emit<mlir::arith::ShLIOp>(x.v, constI(n).v)}; }
  I lshr(I x, int n) const { return {emit<mlir::arith::ShRUIOp>(x.v, constI(n).v)}; }
  I ashr(I x, int n) const { return {emit<mlir::arith::ShRSIOp>(x.v, constI(n).v)}; }

  I bits(F x) const { return {mlir::arith::BitcastOp::create(b, loc, type(b.getI32Type()), x.v)}; }
  F fromBits(I x) const { return {mlir::arith::BitcastOp::create(b, loc, type(b.getF32Type()), x.v)}; }
  /// By `vscalefps` where the target has it and the lanes are whole vectors of 16.
  F scale(F y, I n, F real) const;
  F toFloat(I x) const { return {mlir::arith::SIToFPOp::create(b, loc, type(floatType()), x.v)}; }

  B lt(F x, F y) const { return compare(mlir::arith::CmpFPredicate::OLT, x, y); }
  B unordered(F x, F y) const { return compare(mlir::arith::CmpFPredicate::UNO, x, y); }
  B compare(mlir::arith::CmpFPredicate predicate, F x, F y) const {
    return {mlir::arith::CmpFOp::create(b, loc, predicate, x.v, y.v)};
  }
  B ilt(I x, I y) const { return compare(mlir::arith::CmpIPredicate::slt, x, y); }
  B ieq(I x, I y) const { return compare(mlir::arith::CmpIPredicate::eq, x, y); }
  B compare(mlir::arith::CmpIPredicate predicate, I x, I y) const {
    return {mlir::arith::CmpIOp::create(b, loc, predicate, x.v, y.v)};
  }
  B band(B x, B y) const { return {emit<mlir::arith::AndIOp>(x.v, y.v)}; }
  B bor(B x, B y) const { return {emit<mlir::arith::OrIOp>(x.v, y.v)}; }
  B bnot(B x) const { return {emit<mlir::arith::XOrIOp>(x.v, constB(true).v)}; }
  F select(B c, F x, F y) const { return {mlir::arith::SelectOp::create(b, loc, c.v, x.v, y.v)}; }
  I select(B c, I x, I y) const { return {mlir::arith::SelectOp::create(b, loc, c.v, x.v, y.v)}; }

  // Beyond the policy: what the emitters need around the definitions.

  /// The vector (or scalar) type of an element type.
  mlir::Type type(mlir::Type element) const {
    return lanes ? mlir::Type(mlir::VectorType::get({lanes}, element)) : element;
  }
  /// A scalar in every lane.
  F splat(F x) const { return {broadcast(x.v)}; }
  I splat(I x) const { return {broadcast(x.v)}; }
  B splat(B x) const { return {broadcast(x.v)}; }
  /// 0, 1, 2 … in the lanes.
  I iota() const {
    llvm::SmallVector<int32_t> numbers(lanes);
    for (int64_t i = 0; i < lanes; ++i)
      numbers[i] = static_cast<int32_t>(i);
    auto vector = mlir::VectorType::get({lanes}, b.getI32Type());
    return {pool.get(b, mlir::DenseElementsAttr::get(vector, llvm::ArrayRef(numbers)))};
  }

  mlir::OpBuilder &b;
  mlir::Location loc;
  ConstantPool &pool;
  int64_t lanes;
  bool wide;
  bool hasScalef;

private:
  mlir::Type floatType() const { return wide ? mlir::Type(b.getF64Type()) : mlir::Type(b.getF32Type()); }
  mlir::Value constant(mlir::TypedAttr scalar) const {
    if (lanes == 0)
      return pool.get(b, scalar);
    auto vector = mlir::VectorType::get({lanes}, scalar.getType());
    return pool.get(b, mlir::DenseElementsAttr::get(vector, mlir::Attribute(scalar)));
  }
  mlir::Value broadcast(mlir::Value x) const {
    return lanes ? mlir::vector::BroadcastOp::create(b, loc, type(x.getType()), x).getResult() : x;
  }
  template <typename Op, typename... Args>
  mlir::Value emit(Args... args) const {
    return Op::create(b, loc, args...).getResult();
  }
};

inline VectorOps::F VectorOps::scale(F y, I n, F real) const {
  constexpr int64_t whole = 16, asTheCodeRounds = 4;
  if (!hasScalef || wide || lanes == 0 || lanes % whole != 0)
    return numerics::generic::scaleInHalves(*this, y, n);
  auto part = mlir::VectorType::get({whole}, b.getF32Type());
  auto piece = [&](mlir::Value x, int64_t from) -> mlir::Value {
    if (lanes == whole)
      return x;
    return mlir::vector::ExtractStridedSliceOp::create(b, loc, x, llvm::ArrayRef<int64_t>{from}, llvm::ArrayRef<int64_t>{whole},
                                                       llvm::ArrayRef<int64_t>{1});
  };
  mlir::Value all = pool.get(b, b.getI16IntegerAttr(-1)), rounding = pool.get(b, b.getI32IntegerAttr(asTheCodeRounds));
  mlir::Value result = y.v;
  for (int64_t from = 0; from < lanes; from += whole) {
    mlir::Value x = piece(y.v, from);
    mlir::Value scaled = mlir::LLVM::CallIntrinsicOp::create(b, loc, part, b.getStringAttr("llvm.x86.avx512.mask.scalef.ps.512"),
                                                             mlir::ValueRange{x, piece(real.v, from), x, all, rounding})
                             .getResult(0);
    result = lanes == whole ? scaled
                            : mlir::vector::InsertStridedSliceOp::create(b, loc, scaled, result, llvm::ArrayRef<int64_t>{from},
                                                                         llvm::ArrayRef<int64_t>{1})
                                  .getResult();
  }
  return {result};
}

} // namespace nibble::codegen

//===- Quantizers.cpp - how an operand becomes codes --------------------------===//
#include "Quantizers.h"

#include "nibble/Analysis/NonNegative.h"
#include "nibble/Analysis/Slices.h"
#include "nibble/Dialect/Q4/IR/Q4.h"
#include "nibble/Numerics/Int4.h"
#include "nibble/Numerics/Log4.h"
#include "nibble/Numerics/Scale.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace nibble;

//===----------------------------------------------------------------------===//
// Pieces
//===----------------------------------------------------------------------===//

static RankedTensorType tensorLike(Value value, Type element) {
  return RankedTensorType::get(cast<RankedTensorType>(value.getType()).getShape(), element);
}
static RankedTensorType scalarOf(Type element) { return RankedTensorType::get({}, element); }

static Value absMax(OpBuilder &b, Location loc, Value x) {
  return q4::AbsMaxOp::create(b, loc, scalarOf(b.getF32Type()), x);
}
static Value scaleOf(OpBuilder &b, Location loc, Value max, float divisor) {
  return q4::ScaleOp::create(b, loc, scalarOf(b.getF32Type()), max, APFloat(divisor));
}
static Value constantI32(OpBuilder &b, Location loc, int32_t value) {
  return arith::ConstantOp::create(b, loc, DenseElementsAttr::get(scalarOf(b.getI32Type()), value));
}
static Value constantF32(OpBuilder &b, Location loc, float value) {
  return arith::ConstantOp::create(b, loc, DenseElementsAttr::get(scalarOf(b.getF32Type()), value));
}

/// Codes on `set`, whose zero point is a constant (absent where it is 0).
static Coded quantizeOn(OpBuilder &b, Location loc, Value x, Value scale,
                        const numerics::LevelSet &set, Type element, Value noise = {}) {
  Value zero = set.zeroPoint == 0 ? Value() : constantI32(b, loc, set.zeroPoint);
  Value codes = q4::QuantizeOp::create(b, loc, tensorLike(x, element), x, scale, zero, noise,
                                       set.qmin, set.qmax);
  return {codes, scale, zero, {}};
}
static Coded int4Codes(OpBuilder &b, Location loc, Value x, Value max,
                       const numerics::LevelSet &set, Value noise = {}) {
  Value scale = scaleOf(b, loc, max, set.steps());
  return quantizeOn(b, loc, x, scale, set, q4::Int4Type::get(b.getContext()), noise);
}
static Coded int8Codes(OpBuilder &b, Location loc, Value x, Value max, Value noise = {}) {
  Value scale = scaleOf(b, loc, max, numerics::kInt8.steps());
  return quantizeOn(b, loc, x, scale, numerics::kInt8, q4::Int8Type::get(b.getContext()), noise);
}

FailureOr<Coded> Quantizers::quantize(const Site &site) {
  OpBuilder builder(site.product);
  switch (site.role) {
  case OperandRole::Weight:
    if (isWeight(site.value()))
      return weight(builder, site);
    return input(builder, site); // A product of two activations.
  case OperandRole::Input:
    return input(builder, site);
  case OperandRole::OutputGradient:
    return outputGradient(builder, site);
  }
  return failure();
}

//===----------------------------------------------------------------------===//
// W
//===----------------------------------------------------------------------===//

/// SAWB: α of the current weights, ±7. In int8 the maximum.
Coded Quantizers::weight(OpBuilder &b, const Site &site) {
  Location loc = site.product.getLoc();
  Value w = site.value();
  if (site.product.getPrecisionKind() == Precision::Int8)
    return int8Codes(b, loc, w, absMax(b, loc, w));
  Value alpha = q4::SawbClipOp::create(b, loc, scalarOf(b.getF32Type()), w);
  return int4Codes(b, loc, w, alpha, numerics::kTwoSided15);
}

//===----------------------------------------------------------------------===//
// X
//===----------------------------------------------------------------------===//

/// "range" for X on the forward product's left; the right operand of a product of two activations
/// has its own.
static std::string rangeName(const Site &site, StringRef end = "") {
  return std::string(site.role == OperandRole::Weight ? "right_range" : "range") + end.str();
}

/// max|x| of this round; frozen in evaluation. The forward product keeps the state.
Value Quantizers::inputMaximum(OpBuilder &b, const Site &site) {
  Location loc = site.product.getLoc();
  if (site.training && !site.isForward())
    return absMax(b, loc, site.value());
  FlatSymbolRefAttr symbol =
      state.variable(site.product.getLayerName(), rangeName(site), train::Role::Range);
  Value before = readVariable(b, loc, symbol);
  auto type = scalarOf(b.getF32Type());
  if (!site.training) {
    Value max = q4::FrozenRangeOp::create(b, loc, type, before, site.value());
    writeVariable(site.function, symbol, max);
    return max;
  }
  Value max = absMax(b, loc, site.value());
  writeVariable(site.function, symbol, q4::MovingRangeOp::create(b, loc, type, before, max));
  return max;
}

/// PACT: α is the range. In evaluation an unset α takes the first batch's maximum and keeps it.
Coded Quantizers::learned(OpBuilder &b, const Site &site, Value alpha, bool oneSided) {
  if (auto first = alpha.getDefiningOp<q4::InitClipOp>(); first && !site.training)
    if (auto read = first.getAlpha().getDefiningOp<train::ReadOp>())
      writeVariable(site.function, read.getVariableAttr(), alpha);
  return int4Codes(b, site.product.getLoc(), site.value(), alpha,
                   oneSided ? numerics::kOneSided : numerics::kTwoSided15);
}

namespace {
struct Ends {
  Value lo, hi;
};
} // namespace

/// The moving average of a range, spelled out: unset is lo = hi (= 0), for both ends together
/// (Numerics/Scale.h, movingRange).
static Ends movingEnds(OpBuilder &b, Location loc, Value unset, Ends before, Ends now) {
  auto type = scalarOf(b.getF32Type());
  Value keep = constantF32(b, loc, numerics::kRangeKeep),
        take = constantF32(b, loc, numerics::kRangeTake);
  auto move = [&](Value average, Value value) -> Value {
    Value kept = nn::MulOp::create(b, loc, type, keep, average);
    Value taken = nn::MulOp::create(b, loc, type, take, value);
    Value mixed = nn::AddOp::create(b, loc, type, kept, taken);
    return nn::SelectOp::create(b, loc, type, unset, value, mixed);
  };
  return {move(before.lo, now.lo), move(before.hi, now.hi)};
}

/// This round's range, or in evaluation the moving average of the rounds' ranges.
Coded Quantizers::minMax(OpBuilder &b, const Site &site) {
  Location loc = site.product.getLoc();
  Value x = site.value();
  auto real = scalarOf(b.getF32Type());
  auto range = q4::RangeOp::create(b, loc, real, real, x);
  Ends ends = {range.getLo(), range.getHi()};
  if (site.isForward()) {
    StringRef layer = site.product.getLayerName();
    FlatSymbolRefAttr lo = state.variable(layer, rangeName(site, "_lo"), train::Role::Range);
    FlatSymbolRefAttr hi = state.variable(layer, rangeName(site, "_hi"), train::Role::Range);
    Ends before = {readVariable(b, loc, lo), readVariable(b, loc, hi)};
    Value unset = nn::CompareOp::create(b, loc, scalarOf(b.getI1Type()), before.lo, before.hi,
                                        nn::Comparison::EQ);
    Ends kept;
    if (site.training) {
      kept = movingEnds(b, loc, unset, before, ends);
    } else {
      ends = {nn::SelectOp::create(b, loc, real, unset, ends.lo, before.lo),
              nn::SelectOp::create(b, loc, real, unset, ends.hi, before.hi)};
      kept = ends;
    }
    writeVariable(site.function, lo, kept.lo);
    writeVariable(site.function, hi, kept.hi);
  }
  auto scale = q4::AffineScaleOp::create(b, loc, real, scalarOf(b.getI32Type()), ends.lo, ends.hi);
  auto element = q4::Int4Type::get(b.getContext());
  Value codes = q4::QuantizeOp::create(b, loc, tensorLike(x, element), x, scale.getScale(),
                                       scale.getZeroPoint(), Value(), numerics::minMax(0).qmin,
                                       numerics::minMax(0).qmax);
  return {codes, scale.getScale(), scale.getZeroPoint(), {}};
}

Coded Quantizers::input(OpBuilder &b, const Site &site) {
  Location loc = site.product.getLoc();
  Value x = site.value(), source = throughSaves(x);
  if (site.product.getPrecisionKind() == Precision::Int8)
    return int8Codes(b, loc, x, inputMaximum(b, site));
  if (auto clip = source.getDefiningOp<nn::ClipLearnedOp>();
      clip && recipe.activations == Activations::Pact)
    return learned(b, site, clip.getAlpha(), clip.getOneSided());
  if (recipe.activations == Activations::MinMax || isNetworkInput(source))
    return minMax(b, site);
  const numerics::LevelSet &set =
      isNonNegative(source) ? numerics::kOneSided : numerics::kTwoSided15;
  return int4Codes(b, loc, x, inputMaximum(b, site), set);
}

//===----------------------------------------------------------------------===//
// dY
//===----------------------------------------------------------------------===//

static Value randomState(func::FuncOp function) {
  for (BlockArgument argument : function.getArguments()) {
    auto type = dyn_cast<RankedTensorType>(argument.getType());
    if (type && type.getElementType().isInteger(64) && type.getShape() == ArrayRef<int64_t>{2})
      return argument;
  }
  return {};
}

/// The layer's random bits: one draw for both products, or one each with separate draws (int8 never
/// has them: numerics.md, section 1). A draw is named after the first product that takes it.
Value Quantizers::noise(OpBuilder &b, const Site &site) {
  Value rng = randomState(site.function);
  if (!rng)
    return {};
  StringRef layer = site.product.getLayerName(),
            product = stringifyProduct(site.product.getProductKind());
  bool separate = recipe.separateDraws && site.product.getPrecisionKind() == Precision::Int4;
  auto &[stream, name] = draws[separate ? (layer + "/" + product).str() : layer.str()];
  if (name.empty()) {
    name = Streams::name(layer, product, roleName(site.role));
    stream = streams.take(name);
  }
  return train::RandomBitsOp::create(b, site.product.getLoc(),
                                     tensorLike(site.value(), b.getI16Type()), rng, stream, name);
}

/// Radix-4 FP4 on GradScale's grid, to nearest; the even grid for dX, the odd one for dW.
Coded Quantizers::radix4(OpBuilder &b, const Site &site) {
  Location loc = site.product.getLoc();
  auto real = scalarOf(b.getF32Type());
  FlatSymbolRefAttr symbol =
      state.variable(site.product.getLayerName(), "grad_scale", train::Role::GradScale,
                     static_cast<float>(recipe.gradScale));
  Value gradScale = readVariable(b, loc, symbol);
  Value max = absMax(b, loc, site.value());
  writeVariable(site.function, symbol, q4::GradScaleUpdateOp::create(b, loc, real, gradScale, max));
  bool weightGradient = site.product.getProductKind() == Product::WeightGradient;
  bool odd = recipe.twoPhase && weightGradient != recipe.swapPhases;
  Value scale = q4::LogScaleOp::create(b, loc, real, gradScale, odd);
  auto element = q4::LogType::get(b.getContext(), 4);
  Value codes = q4::QuantizeLogOp::create(b, loc, tensorLike(site.value(), element), site.value(),
                                          scale, Value());
  return {codes, scale, {}, {}};
}

FailureOr<Coded> Quantizers::outputGradient(OpBuilder &b, const Site &site) {
  Location loc = site.product.getLoc();
  Value dy = site.value();
  bool wide = site.product.getPrecisionKind() == Precision::Int8;
  Coded coded;
  if (!wide && recipe.gradients == Gradients::Radix4) {
    coded = radix4(b, site);
  } else {
    Value bits = noise(b, site);
    if (!bits)
      return site.product.emitError()
             << "quantize: layer '" << site.product.getLayerName() << "', "
             << stringifyProduct(site.product.getProductKind())
             << ": stochastic rounding needs the random state, and @" << site.function.getName()
             << " has no argument of type tensor<2xi64>";
    Value max = absMax(b, loc, dy);
    if (wide) {
      coded = int8Codes(b, loc, dy, max, bits);
    } else if (recipe.gradients == Gradients::Int4) {
      coded = int4Codes(b, loc, dy, max, numerics::kTwoSided15, bits);
    } else {
      Value scale = scaleOf(b, loc, max, numerics::kRadix2Levels);
      auto element = q4::LogType::get(b.getContext(), 2);
      coded = {q4::QuantizeLogOp::create(b, loc, tensorLike(dy, element), dy, scale, bits),
               scale,
               {},
               {}};
    }
  }
  if (recipe.gain && !wide)
    coded.gain = q4::GainOp::create(b, loc, scalarOf(b.getF32Type()), dy, coded.codes, coded.scale);
  return coded;
}

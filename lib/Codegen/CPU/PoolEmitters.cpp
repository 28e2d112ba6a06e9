//===- PoolEmitters.cpp - pooling and its gradients, channels-last ------------===//
//
// Vectorized over channels. Forward: for each window, its taps inside the image, ascending. Gradients: for each pixel, the
// windows that hold it, ascending, so that every sum has the interpreter's order and is made by one thread.
//
//===----------------------------------------------------------------------===//
#include "Emitters.h"

using namespace nibble::codegen;
namespace nn = nibble::nn;
using F = VectorOps::F;
using I = VectorOps::I;
using B = VectorOps::B;

static constexpr int64_t kLanes16 = 16;

namespace {

/// A range lo … hi − 1.
struct Span {
  Value lo, hi;
};

/// One dimension of a pool op: the image's size, the number of windows, and where windows and their taps lie.
struct Axis {
  int64_t size, windows, kernel, stride, pad, dilation;

  /// Does every tap of every window lie inside the image?
  bool alwaysInside() const { return pad == 0 && (windows - 1) * stride + (kernel - 1) * dilation < size; }

  /// The taps of window `window` inside the image: 0 ≤ window·stride − pad + tap·dilation < size.
  Span taps(LoopBuilder &e, Value window) const {
    if (alwaysInside())
      return {e.index(0), e.index(kernel)};
    Value first = e.add(e.mul(window, stride), -pad);
    Value lo = e.div(e.add(e.max(e.sub(e.index(0), first), e.index(0)), dilation - 1), dilation);
    Value hi = e.div(e.add(e.max(e.sub(e.index(size), first), e.index(0)), dilation - 1), dilation);
    return {lo, e.min(hi, e.index(kernel))};
  }
  Value pixel(LoopBuilder &e, Value window, Value tap) const {
    return e.add(e.add(e.mul(window, stride), -pad), e.mul(tap, dilation));
  }

  /// The windows that may hold pixel `pixel`: 0 ≤ pixel + pad − window·stride ≤ (kernel − 1)·dilation.
  Span windowsOf(LoopBuilder &e, Value pixel) const {
    Value place = e.add(pixel, pad);
    Value lo = e.div(e.add(e.max(e.add(place, -(kernel - 1) * dilation), e.index(0)), stride - 1), stride);
    Value hi = e.min(e.add(e.div(place, stride), 1), e.index(windows));
    return {lo, hi};
  }
  /// The tap by which window `window` holds the pixel; with dilation it may be none of the window's, which `holds` says.
  Value tapOf(LoopBuilder &e, Value pixel, Value window, Value &holds) const {
    Value distance = e.sub(e.add(pixel, pad), e.mul(window, stride));
    if (dilation == 1)
      return distance;
    Value mine = arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::eq, e.rem(distance, dilation), e.index(0));
    holds = holds ? arith::AndIOp::create(e.b, e.loc, holds, mine).getResult() : mine;
    return e.div(distance, dilation);
  }
};

struct Pool {
  LoopBuilder &e;
  int64_t batch, channels;
  Axis h, w;

  template <typename Op>
  Pool(LoopBuilder &e, Op op, ArrayRef<int64_t> image, ArrayRef<int64_t> windows)
      : e(e), batch(image[0]), channels(image[3]), h(axis(op, image, windows, 0)), w(axis(op, image, windows, 1)) {}
  template <typename Op>
  static Axis axis(Op op, ArrayRef<int64_t> image, ArrayRef<int64_t> windows, int d) {
    return {image[1 + d],          windows[1 + d],   op.getKernel()[d],
            op.getStrides()[d], op.getPads()[d], op.getDilations()[d]};
  }

  /// body(n, row, column) over a batch of rows × columns, several threads over images and rows.
  void overPlaces(int64_t rows, int64_t columns, int64_t work, function_ref<void(Value, Value, Value)> body) const {
    e.parallel(batch * rows, columns * work, [&](Value i) {
      Value n = e.div(i, rows), row = e.rem(i, rows);
      e.loop(e.index(0), e.index(columns), 1, [&](Value column) { body(n, row, column); });
    });
  }
  /// Flat index of channel 0.
  Value windowAt(Value n, Value oh, Value ow) const { return at(n, oh, ow, h.windows, w.windows); }
  Value pixelAt(Value n, Value row, Value column) const { return at(n, row, column, h.size, w.size); }
  Value at(Value n, Value row, Value column, int64_t rows, int64_t columns) const {
    return e.mul(e.add(e.mul(e.add(e.mul(n, rows), row), columns), column), channels);
  }
  int64_t taps() const { return h.kernel * w.kernel; }

  /// Carries values over the taps of window (oh, ow) inside the image: body(pixel's index, tap number, values).
  SmallVector<Value> overTaps(Value n, Value oh, Value ow, ArrayRef<Value> init,
                              function_ref<SmallVector<Value>(Value, Value, ValueRange)> body) const {
    Span rows = h.taps(e, oh), columns = w.taps(e, ow);
    return e.loop(rows.lo, rows.hi, 1, init, [&](Value kh, ValueRange outer) {
      return e.loop(columns.lo, columns.hi, 1, llvm::to_vector(outer), [&](Value kw, ValueRange values) {
        Value pixel = pixelAt(n, h.pixel(e, oh, kh), w.pixel(e, ow, kw));
        return body(pixel, e.add(e.mul(kh, w.kernel), kw), values);
      });
    });
  }

  /// Carries a value over the windows that hold pixel (row, column): body(window's index, tap number, oh, ow, holds, value).
  Value overWindows(Value n, Value row, Value column, Value init,
                    function_ref<Value(Value, Value, Value, Value, Value, Value)> body) const {
    Span rows = h.windowsOf(e, row), columns = w.windowsOf(e, column);
    return e.loop(rows.lo, rows.hi, 1, {init}, [&](Value oh, ValueRange outer) {
      return e.loop(columns.lo, columns.hi, 1, llvm::to_vector(outer), [&](Value ow, ValueRange value) {
        Value holds;
        Value kh = h.tapOf(e, row, oh, holds), kw = w.tapOf(e, column, ow, holds);
        return SmallVector<Value>{body(windowAt(n, oh, ow), e.add(e.mul(kh, w.kernel), kw), oh, ow, holds, value[0])};
      });
    })[0];
  }

  /// What a window's sum is divided by, in every lane: all taps, or those inside the image.
  F divisor(bool countPad, Value oh, Value ow) const {
    VectorOps o = e.ops(kLanes16), s = e.scalarOps();
    if (countPad || (h.alwaysInside() && w.alwaysInside()))
      return o.constF(static_cast<double>(taps()));
    Span rows = h.taps(e, oh), columns = w.taps(e, ow);
    Value count = arith::MulIOp::create(e.b, e.loc, e.sub(rows.hi, rows.lo), e.sub(columns.hi, columns.lo));
    return o.splat(s.toFloat({e.toI32(count)}));
  }
};

} // namespace

/// The first largest tap and its number; starts at the first tap inside and is replaced where x > max.
static void emitMaxPool(Group &g, nn::MaxPoolOp op) {
  LoopBuilder &e = g.e;
  Buffer x = g.in(op.getX()), y = g.out(op.getResult()), index = g.out(op.getIndex());
  Pool pool(e, op, x.shape(), op.getResult().getType().getShape());
  VectorOps o = e.ops(kLanes16);
  pool.overPlaces(pool.h.windows, pool.w.windows, pool.channels * pool.taps(), [&](Value n, Value oh, Value ow) {
    Value kh = pool.h.taps(e, oh).lo, kw = pool.w.taps(e, ow).lo, to = pool.windowAt(n, oh, ow);
    // The first tap; a window without one (which the interpreter refuses) reads the image's last row or column.
    Value row = e.min(pool.h.pixel(e, oh, kh), e.index(pool.h.size - 1));
    Value column = e.min(pool.w.pixel(e, ow, kw), e.index(pool.w.size - 1));
    Value first = pool.pixelAt(n, row, column);
    Value firstTap = e.toI32(e.add(e.mul(kh, pool.w.kernel), kw));
    e.vectors(pool.channels, kLanes16, [&](Value channel, int64_t active) {
      SmallVector<Value> init{e.load(x.memory, e.add(first, channel), kLanes16, active), o.splat(I{firstTap}).v};
      auto best = pool.overTaps(n, oh, ow, init, [&](Value pixel, Value tap, ValueRange soFar) {
        F value{e.load(x.memory, e.add(pixel, channel), kLanes16, active)};
        B larger = o.lt({soFar[0]}, value);
        return SmallVector<Value>{o.select(larger, value, F{soFar[0]}).v,
                                  o.select(larger, o.splat(I{e.toI32(tap)}), I{soFar[1]}).v};
      });
      if (y.memory)
        e.store(best[0], y.memory, e.add(to, channel), active);
      if (!index.memory)
        return;
      Value taps = best[1];
      if (index.element().isInteger(8))
        taps = arith::TruncIOp::create(e.b, e.loc, o.type(e.b.getI8Type()), taps);
      e.store(taps, index.memory, e.add(to, channel), active);
    });
  });
}

/// dx = Σ dy of the windows whose index names the pixel. A window that does not adds +0, which changes no sum.
static void emitMaxPoolGrad(Group &g, nn::MaxPoolGradOp op) {
  LoopBuilder &e = g.e;
  Buffer dy = g.in(op.getDy()), index = g.in(op.getIndex()), dx = g.out(op.getResult());
  Pool pool(e, op, dx.shape(), dy.shape());
  VectorOps o = e.ops(kLanes16);
  Type i32 = o.type(e.b.getI32Type());
  pool.overPlaces(pool.h.size, pool.w.size, pool.channels, [&](Value n, Value row, Value column) {
    Value to = pool.pixelAt(n, row, column);
    e.vectors(pool.channels, kLanes16, [&](Value channel, int64_t active) {
      Value sum = pool.overWindows(
          n, row, column, o.constF(0).v, [&](Value window, Value tap, Value, Value, Value holds, Value soFar) {
            Value at = e.add(window, channel), taps = e.load(index.memory, at, kLanes16, active);
            if (index.element().isInteger(8))
              taps = arith::ExtUIOp::create(e.b, e.loc, i32, taps);
            Value number = e.toI32(tap);
            if (holds)
              number = arith::SelectOp::create(e.b, e.loc, holds, number, e.i32(-1));
            F gradient{e.load(dy.memory, at, kLanes16, active)};
            return o.add({soFar}, o.select(o.ieq({taps}, o.splat(I{number})), gradient, o.constF(0))).v;
          });
      e.store(sum, dx.memory, e.add(to, channel), active);
    });
  });
}

static void emitAvgPool(Group &g, nn::AvgPoolOp op) {
  LoopBuilder &e = g.e;
  Buffer x = g.in(op.getX()), y = g.out(op.getResult());
  Pool pool(e, op, x.shape(), y.shape());
  VectorOps o = e.ops(kLanes16);
  pool.overPlaces(pool.h.windows, pool.w.windows, pool.channels * pool.taps(), [&](Value n, Value oh, Value ow) {
    Value to = pool.windowAt(n, oh, ow);
    F divisor = pool.divisor(op.getCountIncludePad(), oh, ow);
    e.vectors(pool.channels, kLanes16, [&](Value channel, int64_t active) {
      F sum{pool.overTaps(n, oh, ow, {o.constF(0).v}, [&](Value pixel, Value, ValueRange soFar) {
        return SmallVector<Value>{o.add({soFar[0]}, {e.load(x.memory, e.add(pixel, channel), kLanes16, active)}).v};
      })[0]};
      e.store(o.div(sum, divisor).v, y.memory, e.add(to, channel), active);
    });
  });
}

/// dx = Σ dy / divisor of the windows that hold the pixel; each quotient rounded.
static void emitAvgPoolGrad(Group &g, nn::AvgPoolGradOp op) {
  LoopBuilder &e = g.e;
  Buffer dy = g.in(op.getDy()), dx = g.out(op.getResult());
  Pool pool(e, op, dx.shape(), dy.shape());
  VectorOps o = e.ops(kLanes16);
  pool.overPlaces(pool.h.size, pool.w.size, pool.channels, [&](Value n, Value row, Value column) {
    Value to = pool.pixelAt(n, row, column);
    e.vectors(pool.channels, kLanes16, [&](Value channel, int64_t active) {
      Value sum = pool.overWindows(
          n, row, column, o.constF(0).v, [&](Value window, Value, Value oh, Value ow, Value holds, Value soFar) {
            F gradient{e.load(dy.memory, e.add(window, channel), kLanes16, active)};
            F part = o.div(gradient, pool.divisor(op.getCountIncludePad(), oh, ow));
            if (holds)
              part = o.select(o.splat(B{holds}), part, o.constF(0));
            return o.add({soFar}, part).v;
          });
      e.store(sum, dx.memory, e.add(to, channel), active);
    });
  });
}

Emitted nibble::codegen::emitPool(Group &group, Operation *op) {
  if (!isa<nn::MaxPoolOp, nn::MaxPoolGradOp, nn::AvgPoolOp, nn::AvgPoolGradOp>(op))
    return std::nullopt;
  for (Value operand : op->getOperands())
    if (!group.in(operand).memory)
      return LogicalResult(op->emitOpError("takes a constant operand, which has no buffer"));
  if (!isa<nn::MaxPoolOp>(op) && !group.out(op->getResult(0)).memory)
    return success();
  TypeSwitch<Operation *>(op)
      .Case<nn::MaxPoolOp>([&](nn::MaxPoolOp pool) { emitMaxPool(group, pool); })
      .Case<nn::MaxPoolGradOp>([&](nn::MaxPoolGradOp pool) { emitMaxPoolGrad(group, pool); })
      .Case<nn::AvgPoolOp>([&](nn::AvgPoolOp pool) { emitAvgPool(group, pool); })
      .Case<nn::AvgPoolGradOp>([&](nn::AvgPoolGradOp pool) { emitAvgPoolGrad(group, pool); });
  return success();
}

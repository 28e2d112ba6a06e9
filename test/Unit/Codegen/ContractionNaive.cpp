//===- ContractionNaive.cpp - cases, random operands and naive loops ----------===//
#include "ContractionHarness.h"

#include "nibble/Numerics/Log4.h"
#include "nibble/Numerics/Packing.h"
#include <cmath>
#include <cstring>
#include <sstream>

using namespace nibble;
using namespace nibble::test;

std::vector<int64_t> Case::leftShape() const {
  if (op == MatMul)
    return transposeA ? std::vector<int64_t>{k, m} : std::vector<int64_t>{m, k};
  if (op == InputGrad)
    return {batch, outHeight(), outWidth(), outChannels};
  return {batch, height, width, channels};
}
std::vector<int64_t> Case::rightShape() const {
  if (op == MatMul)
    return transposeB ? std::vector<int64_t>{n, k} : std::vector<int64_t>{k, n};
  if (op == WeightGrad)
    return {batch, outHeight(), outWidth(), outChannels};
  return {outChannels, kernelH, kernelW, channels / groups};
}
std::vector<int64_t> Case::resultShape() const {
  switch (op) {
  case MatMul:
    return {m, n};
  case Forward:
    return {batch, outHeight(), outWidth(), outChannels};
  case InputGrad:
    return {batch, height, width, channels};
  case WeightGrad:
    return {outChannels, kernelH, kernelW, channels / groups};
  }
  return {};
}

std::string Case::text() const {
  static const char *const ops[] = {"matmul", "conv2d", "conv2d_input_grad", "conv2d_weight_grad"};
  static const char *const kinds[] = {"f32", "int4", "int4z", "int8", "log2", "log4", "e2m1"};
  std::ostringstream s;
  s << ops[op] << ' ' << kinds[int(left)] << '*' << kinds[int(right)];
  if (op == MatMul) {
    s << ' ' << m << 'x' << n << 'x' << k << (transposeA ? " ta" : "") << (transposeB ? " tb" : "");
  } else {
    s << " n" << batch << " h" << height << " w" << width << " c" << channels << " o" << outChannels
      << " k" << kernelH << 'x' << kernelW << " s" << strides[0] << ',' << strides[1] << " p"
      << pads[0] << ',' << pads[1] << ',' << pads[2] << ',' << pads[3] << " d" << dilations[0]
      << ',' << dilations[1] << " g" << groups;
  }
  if (gain)
    s << " gain";
  if (panel)
    s << " panel";
  return s.str();
}

//===----------------------------------------------------------------------===//
// Operands
//===----------------------------------------------------------------------===//

static Tensor makeTensor(Kind kind, std::vector<int64_t> shape, int zero, Case::Extreme extreme,
                         bool special, std::mt19937 &random) {
  Tensor t;
  int64_t n = 1;
  for (int64_t d : shape)
    n *= d;
  t.shape = std::move(shape);
  auto bytes = [&](size_t size) { t.bytes.assign((size + 127) / 128 * 128, 0xEE); };
  auto draw = [&](int low, int high) {
    if (extreme)
      return extreme == Case::Largest || (extreme == Case::Either && random() % 2) ? high : low;
    return std::uniform_int_distribution<int>(low, high)(random);
  };
  if (kind == Kind::F32) {
    bytes(4 * n);
    for (int64_t i = 0; i < n; ++i) {
      // A wide range of exponents, so that another order of additions shows.
      float value =
          std::ldexp(std::uniform_real_distribution<float>(-1, 1)(random), int(random() % 12));
      static const float specials[] = {-0.0f, 0x1p-100f, -0x1p-100f, 1.0f, -0x1p-100f};
      if (special)
        value = random() % 97 == 0 ? INFINITY : specials[random() % 5];
      else if (random() % 61 == 0)
        value = random() % 2 ? -0.0f : std::ldexp(-1.0f, -100);
      t.floats.push_back(value);
    }
    memcpy(t.bytes.data(), t.floats.data(), 4 * n);
    return t;
  }
  if (kind == Kind::Int8) {
    bytes(n);
    for (int64_t i = 0; i < n; ++i) {
      int code = draw(-127, 127);
      t.codes.push_back(code);
      t.integers.push_back(code);
      t.bytes[i] = uint8_t(int8_t(code));
    }
    return t;
  }
  bytes(numerics::packedBytes(size_t(n)));
  for (int64_t i = 0; i < n; ++i) {
    unsigned nibble;
    if (kind == Kind::Int4 || kind == Kind::Int4Zero) {
      int code = draw(kind == Kind::Int4 ? -7 : -8, 7);
      nibble = numerics::nibbleOfCode(code);
      t.codes.push_back(code);
      t.integers.push_back(code - zero);
    } else {
      nibble = extreme ? unsigned(draw(15, 7)) // the largest, negative and positive
                       : unsigned(draw(0, 15));
      t.codes.push_back(int(nibble));
      t.integers.push_back(numerics::decodeLog(nibble, kind == Kind::Log4 ? 4 : 2));
    }
    numerics::setPackedNibble(t.bytes.data(), size_t(i), nibble);
  }
  return t;
}

Inputs test::makeInputs(const Case &c, std::mt19937 &random) {
  Inputs in;
  auto zeroPoint = [&](Kind kind) {
    if (kind != Kind::Int4Zero)
      return 0;
    return c.extreme == Case::Largest    ? -8
           : c.extreme == Case::Smallest ? 7
                                         : -8 + int(random() % 16);
  };
  in.leftZero = zeroPoint(c.left);
  in.rightZero = zeroPoint(c.right);
  in.left = makeTensor(c.left, c.leftShape(), in.leftZero, c.extreme, c.special, random);
  in.right = makeTensor(c.right, c.rightShape(), in.rightZero, c.extreme, c.special, random);
  in.leftScale = std::uniform_real_distribution<float>(0.001f, 2)(random);
  in.rightScale = std::uniform_real_distribution<float>(0.001f, 2)(random);
  in.gain = std::uniform_real_distribution<float>(0.9f, 1.1f)(random);
  return in;
}

//===----------------------------------------------------------------------===//
// Naive loops
//===----------------------------------------------------------------------===//

namespace {
/// One output's sum: exact in integers, an fma a term in floats.
struct Sum {
  const Case &c;
  const Inputs &in;
  int64_t exact = 0;
  float rounded = 0;
  void term(int64_t l, int64_t r) {
    if (c.left == Kind::F32)
      rounded = std::fmaf(in.left.floats[l], in.right.floats[r], rounded);
    else
      exact += int64_t(in.left.integers[l]) * in.right.integers[r];
  }
  float value() const {
    if (c.left == Kind::F32)
      return rounded;
    float scale = in.leftScale * in.rightScale;
    if (c.gain)
      scale = scale * in.gain;
    return float(exact) * scale;
  }
};
} // namespace

static std::vector<float> naiveMatMul(const Case &c, const Inputs &in) {
  std::vector<float> result;
  for (int64_t m = 0; m < c.m; ++m)
    for (int64_t n = 0; n < c.n; ++n) {
      Sum sum{c, in};
      for (int64_t k = 0; k < c.k; ++k)
        sum.term(c.transposeA ? k * c.m + m : m * c.k + k,
                 c.transposeB ? n * c.k + k : k * c.n + n);
      result.push_back(sum.value());
    }
  return result;
}

/// Integers may be added in any order: a weight gradient with the channels innermost.
static std::vector<float> naiveWeightGrad(const Case &c, const Inputs &in) {
  int64_t oh = c.outHeight(), ow = c.outWidth(), cg = c.channels / c.groups,
          og = c.outChannels / c.groups, taps = c.kernelH * c.kernelW;
  std::vector<int64_t> sums(c.outChannels * taps * cg);
  for (int64_t pixel = 0; pixel < c.batch * oh * ow; ++pixel)
    for (int64_t tap = 0; tap < taps; ++tap) {
      int64_t n = pixel / (oh * ow), y = pixel / ow % oh, x = pixel % ow;
      int64_t h = y * c.strides[0] + tap / c.kernelW * c.dilations[0] - c.pads[0],
              w = x * c.strides[1] + tap % c.kernelW * c.dilations[1] - c.pads[1];
      if (h < 0 || h >= c.height || w < 0 || w >= c.width)
        continue;
      const int32_t *left = &in.left.integers[((n * c.height + h) * c.width + w) * c.channels],
                    *right = &in.right.integers[pixel * c.outChannels];
      for (int64_t o = 0; o < c.outChannels; ++o)
        for (int64_t i = 0; i < cg; ++i)
          sums[(o * taps + tap) * cg + i] += left[o / og * cg + i] * right[o];
    }
  std::vector<float> result;
  for (int64_t exact : sums) {
    Sum sum{c, in};
    sum.exact = exact;
    result.push_back(sum.value());
  }
  return result;
}

std::vector<float> test::naive(const Case &c, const Inputs &in) {
  if (c.op == Case::MatMul)
    return naiveMatMul(c, in);
  if (c.op == Case::WeightGrad && c.left != Kind::F32)
    return naiveWeightGrad(c, in);
  int64_t oh = c.outHeight(), ow = c.outWidth(), cg = c.channels / c.groups,
          og = c.outChannels / c.groups;
  std::vector<int64_t> shape = c.resultShape();
  std::vector<Sum> sums(shape[0] * shape[1] * shape[2] * shape[3], Sum{c, in});
  // In the order of terms of all three products: n, oh, ow for the weight gradient; kh, kw, channel
  // for the others.
  auto visit = [&](int64_t n, int64_t y, int64_t x, int64_t o, int64_t kh, int64_t kw, int64_t i) {
    int64_t h = y * c.strides[0] + kh * c.dilations[0] - c.pads[0],
            w = x * c.strides[1] + kw * c.dilations[1] - c.pads[1];
    if (h < 0 || h >= c.height || w < 0 || w >= c.width)
      return;
    int64_t channel = o / og * cg + i;
    int64_t xi = ((n * c.height + h) * c.width + w) * c.channels + channel;
    int64_t wi = ((o * c.kernelH + kh) * c.kernelW + kw) * cg + i,
            yi = ((n * oh + y) * ow + x) * c.outChannels + o;
    if (c.op == Case::Forward)
      sums[yi].term(xi, wi);
    else if (c.op == Case::InputGrad)
      sums[xi].term(yi, wi);
    else
      sums[wi].term(xi, yi);
  };
  bool pixelsOutside = c.op == Case::WeightGrad;
  auto taps = [&](auto inner) {
    for (int64_t kh = 0; kh < c.kernelH; ++kh)
      for (int64_t kw = 0; kw < c.kernelW; ++kw)
        inner(kh, kw);
  };
  auto pixels = [&](auto inner) {
    for (int64_t n = 0; n < c.batch; ++n)
      for (int64_t y = 0; y < oh; ++y)
        for (int64_t x = 0; x < ow; ++x)
          inner(n, y, x);
  };
  auto channels = [&](int64_t n, int64_t y, int64_t x, int64_t kh, int64_t kw) {
    for (int64_t o = 0; o < c.outChannels; ++o)
      for (int64_t i = 0; i < cg; ++i)
        visit(n, y, x, o, kh, kw, i);
  };
  if (pixelsOutside)
    pixels([&](int64_t n, int64_t y, int64_t x) {
      taps([&](int64_t kh, int64_t kw) { channels(n, y, x, kh, kw); });
    });
  else
    taps([&](int64_t kh, int64_t kw) {
      pixels([&](int64_t n, int64_t y, int64_t x) { channels(n, y, x, kh, kw); });
    });
  std::vector<float> result;
  for (const Sum &sum : sums)
    result.push_back(sum.value());
  return result;
}

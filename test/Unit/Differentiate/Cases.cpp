//===- Cases.cpp - one function for each op that has a gradient -------------------===//
#include "Cases.h"

#include <algorithm>
#include <numeric>

using namespace nibble::test;

namespace {

using Shape = std::vector<int64_t>;
using Random = std::mt19937;

int64_t pick(Random &random, int64_t lo, int64_t hi) {
  return std::uniform_int_distribution<int64_t>(lo, hi)(random);
}

Shape anyShape(Random &random, int64_t rank) {
  Shape shape;
  for (int64_t i = 0; i < rank; ++i)
    shape.push_back(pick(random, 1, 5));
  return shape;
}

std::string type(const Shape &shape, const char *element = "f32") {
  std::string text = "tensor<";
  for (int64_t size : shape)
    text += std::to_string(size) + "x";
  return text + element + ">";
}

std::string list(const Shape &values) {
  std::string text = "array<i64";
  for (size_t i = 0; i < values.size(); ++i)
    text += (i ? ", " : ": ") + std::to_string(values[i]);
  return text + ">";
}

const char *element(const Input &input) {
  return input.kind == 'm' ? "i1" : input.kind == 'l' ? "i32" : "f32";
}

/// One op on the inputs %0, %1 …; `attributes` with braces, `results` the types (of which the first
/// is returned).
Program oneOp(const std::string &op, const std::vector<Input> &inputs,
              const std::string &attributes, const std::vector<std::string> &results) {
  std::string arguments, operands, types, resultTypes;
  for (size_t i = 0; i < inputs.size(); ++i) {
    std::string t = type(inputs[i].shape, element(inputs[i])), name = "%arg" + std::to_string(i),
                comma = i ? ", " : "";
    arguments += comma + name + ": " + t;
    operands += comma + name;
    types += comma + t;
  }
  for (size_t i = 0; i < results.size(); ++i)
    resultTypes += (i ? ", " : "") + results[i];
  std::string count = results.size() > 1 ? ":" + std::to_string(results.size()) : "";
  std::string first = results.size() > 1 ? "%r#0" : "%r";
  return {inputs, "func.func @f(" + arguments + ") -> " + results[0] + " {\n  %r" + count +
                      " = \"" + op + "\"(" + operands + ") " + attributes + " : (" + types +
                      ") -> (" + resultTypes + ")\n  return " + first + " : " + results[0] +
                      "\n}\n"};
}

Program unary(Random &random, const char *op, double lo, double hi, const char *attributes = "") {
  Shape shape = anyShape(random, pick(random, 0, 4));
  return oneOp(op, {{shape, 'r', lo, hi}}, attributes, {type(shape)});
}

/// Two shapes that broadcast: the second loses leading dimensions and has some set to 1, sometimes
/// the first has.
std::pair<Shape, Shape> broadcastShapes(Random &random, Shape &result) {
  result = anyShape(random, pick(random, 1, 4));
  Shape a = result, b(result.begin() + pick(random, 0, result.size()), result.end());
  for (int64_t &size : b)
    if (pick(random, 0, 2) == 0)
      size = 1;
  // Of what b has in full a may lack a part.
  if (!b.empty() && b[0] == result[result.size() - b.size()] && pick(random, 0, 2) == 0)
    a[result.size() - b.size()] = 1;
  if (pick(random, 0, 1))
    std::swap(a, b);
  return {a, b};
}

Program binary(Random &random, const char *op, double lo = -2, double hi = 2) {
  Shape result;
  auto [a, b] = broadcastShapes(random, result);
  return oneOp(op, {{a}, {b, 'r', lo, hi}}, "", {type(result)});
}

Program matmul(Random &random) {
  int64_t m = pick(random, 1, 5), k = pick(random, 1, 6), n = pick(random, 1, 5);
  bool ta = pick(random, 0, 1), tb = pick(random, 0, 1);
  std::string attributes = std::string("{layer = \"fc\"") + (ta ? ", transpose_a" : "") +
                           (tb ? ", transpose_b" : "") + "}";
  return oneOp("nn.matmul", {{ta ? Shape{k, m} : Shape{m, k}}, {tb ? Shape{n, k} : Shape{k, n}}},
               attributes, {type({m, n})});
}

/// Strides, pads and dilations that fit, and the output's height and width.
struct Window {
  int64_t kh, kw, oh, ow;
  std::string attributes;
};
Window window(Random &random, int64_t h, int64_t w, bool isPool) {
  int64_t sh = pick(random, 1, 2), sw = pick(random, 1, 3), dh = pick(random, 1, 2),
          dw = pick(random, 1, 2);
  int64_t kh = pick(random, 1, 3), kw = pick(random, 1, 3);
  Shape pads = {pick(random, 0, kh - 1), pick(random, 0, kw - 1), pick(random, 0, kh - 1),
                pick(random, 0, kw - 1)};
  int64_t oh = (h + pads[0] + pads[2] - dh * (kh - 1) - 1) / sh + 1,
          ow = (w + pads[1] + pads[3] - dw * (kw - 1) - 1) / sw + 1;
  std::string attributes =
      "strides = " + list({sh, sw}) + ", pads = " + list(pads) + ", dilations = " + list({dh, dw});
  return {kh, kw, oh, ow, attributes + (isPool ? ", kernel = " + list({kh, kw}) : "")};
}

/// A convolution, or (transposed) the layer that its input gradient is.
Program conv(Random &random, bool isTransposed) {
  int64_t n = pick(random, 1, 2), h = pick(random, 5, 7), w = pick(random, 5, 7),
          groups = pick(random, 1, 2);
  int64_t c = groups * pick(random, 1, 2), o = groups * pick(random, 1, 2);
  Window win = window(random, h, w, false);
  Shape image = {n, h, w, c}, output = {n, win.oh, win.ow, o};
  return oneOp(isTransposed ? "nn.conv2d_input_grad" : "nn.conv2d",
               {{isTransposed ? output : image}, {{o, win.kh, win.kw, c / groups}}},
               "{layer = \"conv\", " + win.attributes + ", groups = " + std::to_string(groups) +
                   "}",
               {type(isTransposed ? image : output)});
}

Program pool(Random &random, bool isMax) {
  int64_t n = pick(random, 1, 2), h = pick(random, 5, 7), w = pick(random, 5, 7),
          c = pick(random, 1, 3);
  Window win = window(random, h, w, true);
  Shape result = {n, win.oh, win.ow, c};
  if (isMax)
    return oneOp("nn.max_pool", {{{n, h, w, c}}}, "{" + win.attributes + "}",
                 {type(result), type(result, "i8")});
  bool includePad = pick(random, 0, 1);
  return oneOp("nn.avg_pool", {{{n, h, w, c}}},
               "{" + win.attributes + (includePad ? ", count_include_pad}" : "}"), {type(result)});
}

Program reduce(Random &random, const char *op) {
  Shape shape = anyShape(random, 4), axes, result = shape;
  for (int64_t axis = 0; axis < 4; ++axis)
    if (pick(random, 0, 1)) {
      axes.push_back(axis);
      result[axis] = 1;
    }
  return oneOp(op, {{shape}}, "{axes = " + list(axes) + "}", {type(result)});
}

/// A slice of random starts and steps, also backwards; `adjoint` exchanges whole and part.
Program slice(Random &random, bool adjoint) {
  Shape whole, part, starts, steps;
  for (int i = 0; i < 3; ++i) {
    int64_t size = pick(random, 1, 6), start = pick(random, 0, size - 1), step = pick(random, 1, 2);
    bool back = pick(random, 0, 1);
    whole.push_back(size);
    starts.push_back(start);
    steps.push_back(back ? -step : step);
    part.push_back(pick(random, 1, (back ? start : size - 1 - start) / step + 1));
  }
  std::string attributes = "{starts = " + list(starts) + ", steps = " + list(steps) + "}";
  return adjoint ? oneOp("nn.unslice", {{part}}, attributes, {type(whole)})
                 : oneOp("nn.slice", {{whole}}, attributes, {type(part)});
}

Program concat(Random &random) {
  Shape first = anyShape(random, 3), second = first, result = first;
  int64_t axis = pick(random, 0, 2);
  second[axis] = pick(random, 1, 4);
  result[axis] = first[axis] + second[axis];
  return oneOp("nn.concat", {{first}, {second}}, "{axis = " + std::to_string(axis) + " : i64}",
               {type(result)});
}

Program transpose(Random &random) {
  Shape perm(pick(random, 2, 4)), shape = anyShape(random, perm.size()), result;
  std::iota(perm.begin(), perm.end(), 0);
  std::shuffle(perm.begin(), perm.end(), random);
  for (int64_t source : perm)
    result.push_back(shape[source]);
  return oneOp("nn.transpose", {{shape}}, "{perm = " + list(perm) + "}", {type(result)});
}

Program fma(Random &random) {
  Shape shape = anyShape(random, 3);
  return oneOp("nn.fma", {{shape}, {{shape[2]}}, {{}}}, "", {type(shape)});
}

Program clipLearned(Random &random, bool oneSided) {
  Shape shape = anyShape(random, 3);
  return oneOp("nn.clip_learned", {{shape}, {{}, 'r', 0.8, 1.2}}, oneSided ? "{one_sided}" : "",
               {type(shape)});
}

Program crossEntropy(Random &random) {
  int64_t rows = pick(random, 1, 6), classes = pick(random, 2, 7);
  // (loss, correct)
  return oneOp("nn.softmax_cross_entropy", {{{rows, classes}}, {{rows}, 'l', 0, double(classes)}},
               "{}", {"tensor<f32>", "tensor<i32>"});
}

Program relu6Of(Random &random) {
  // A learned clip behind relu: relu's own mask is left out.
  Shape shape = anyShape(random, 3);
  std::string t = type(shape);
  return {{{shape}, {{}, 'r', 0.8, 1.2}},
          "func.func @f(%x: " + t + ", %a: tensor<f32>) -> " + t + " {\n  %y = nn.relu %x : " + t +
              "\n  %z = nn.clip_learned %y, %a {one_sided} : (" + t + ", tensor<f32>) -> " + t +
              "\n  return %z : " + t + "\n}\n"};
}

Program fanOut(Random &random) {
  // x is used three times, once twice by one op: (x·x + eˣ)·σ(x).
  Shape shape = anyShape(random, 2);
  std::string t = type(shape), tt = "(" + t + ", " + t + ") -> " + t;
  return {{{shape}},
          "func.func @f(%x: " + t + ") -> " + t + " {\n  %s = nn.mul %x, %x : " + tt +
              "\n  %e = nn.exp %x : " + t + "\n  %a = nn.add %s, %e : " + tt +
              "\n  %g = nn.sigmoid %x : " + t + "\n  %y = nn.mul %a, %g : " + tt +
              "\n  return %y : " + t + "\n}\n"};
}

} // namespace

const std::vector<Case> &nibble::test::cases() {
  static const std::vector<Case> all = {
      {"neg", [](Random &r) { return unary(r, "nn.neg", -2, 2); }},
      {"sqrt", [](Random &r) { return unary(r, "nn.sqrt", 0.5, 3); }},
      {"exp", [](Random &r) { return unary(r, "nn.exp", -2, 2); }},
      {"log", [](Random &r) { return unary(r, "nn.log", 0.5, 3); }},
      {"abs", [](Random &r) { return unary(r, "nn.abs", -2, 2); }},
      {"erf", [](Random &r) { return unary(r, "nn.erf", -2, 2); }},
      {"tanh", [](Random &r) { return unary(r, "nn.tanh", -2, 2); }},
      {"sigmoid", [](Random &r) { return unary(r, "nn.sigmoid", -3, 3); }},
      {"relu", [](Random &r) { return unary(r, "nn.relu", -2, 2); }},
      {"leaky_relu",
       [](Random &r) { return unary(r, "nn.leaky_relu", -2, 2, "{slope = 0.25 : f32}"); }},
      {"clip",
       [](Random &r) { return unary(r, "nn.clip", -3, 3, "{lo = -1.0 : f32, hi = 1.5 : f32}"); }},
      {"clip_learned_one_sided", [](Random &r) { return clipLearned(r, true); }},
      {"clip_learned_two_sided", [](Random &r) { return clipLearned(r, false); }},
      {"clip_learned_of_relu", relu6Of},
      {"fan_out", fanOut},
      {"add", [](Random &r) { return binary(r, "nn.add"); }},
      {"sub", [](Random &r) { return binary(r, "nn.sub"); }},
      {"mul", [](Random &r) { return binary(r, "nn.mul"); }},
      {"div", [](Random &r) { return binary(r, "nn.div", 0.6, 2); }},
      {"min", [](Random &r) { return binary(r, "nn.min"); }},
      {"max", [](Random &r) { return binary(r, "nn.max"); }},
      {"fma", fma},
      {"mask",
       [](Random &r) {
         Shape shape = anyShape(r, 3);
         return oneOp("nn.mask", {{shape}, {shape, 'm'}}, "", {type(shape)});
       }},
      {"select",
       [](Random &r) {
         Shape shape = anyShape(r, 3);
         return oneOp("nn.select", {{shape, 'm'}, {shape}, {{shape[2]}}}, "", {type(shape)});
       }},
      {"matmul", matmul},
      {"conv2d", [](Random &random) { return conv(random, false); }},
      {"conv2d_input_grad", [](Random &random) { return conv(random, true); }},
      {"max_pool", [](Random &r) { return pool(r, true); }},
      {"avg_pool", [](Random &r) { return pool(r, false); }},
      {"reshape",
       [](Random &r) {
         Shape shape = anyShape(r, 3);
         return oneOp("nn.reshape", {{shape}}, "", {type({shape[0] * shape[1], shape[2]})});
       }},
      {"transpose", transpose},
      {"broadcast",
       [](Random &r) {
         Shape result = anyShape(r, 4), shape(result.begin() + pick(r, 0, 3), result.end());
         for (int64_t &size : shape)
           if (pick(r, 0, 1))
             size = 1;
         return oneOp("nn.broadcast", {{shape}}, "", {type(result)});
       }},
      {"concat", concat},
      {"slice", [](Random &r) { return slice(r, false); }},
      {"unslice", [](Random &r) { return slice(r, true); }},
      {"reduce_sum", [](Random &r) { return reduce(r, "nn.reduce_sum"); }},
      {"reduce_mean", [](Random &r) { return reduce(r, "nn.reduce_mean"); }},
      {"channel_sum",
       [](Random &r) {
         Shape shape = anyShape(r, pick(r, 2, 4));
         return oneOp("nn.channel_sum", {{shape}}, "", {type({shape.back()})});
       }},
      {"softmax",
       [](Random &r) {
         Shape shape = anyShape(r, pick(r, 1, 3));
         return oneOp("nn.softmax", {{shape}}, "", {type(shape)});
       }},
      {"log_softmax",
       [](Random &r) {
         Shape shape = anyShape(r, pick(r, 1, 3));
         return oneOp("nn.log_softmax", {{shape}}, "", {type(shape)});
       }},
      {"softmax_cross_entropy", crossEntropy},
      {"binary_cross_entropy",
       [](Random &r) {
         Shape shape = anyShape(r, 2);
         // Targets in [0, 1], which have no gradient. (loss, correct)
         return oneOp("nn.binary_cross_entropy", {{shape}, {shape, 'c', 0, 1}}, "",
                      {"tensor<f32>", "tensor<i32>"});
       }},
      {"mse",
       [](Random &r) {
         Shape shape = anyShape(r, 2);
         return oneOp("nn.mse", {{shape}, {shape}}, "", {"tensor<f32>"});
       }},
  };
  return all;
}

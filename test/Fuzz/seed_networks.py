"""Small networks to damage: together they use every operator that the importer converts or folds.

Small files give more damage to structure than to weights and are quick to take through all rooms. Each is
a text in ONNX's own syntax with `fill` lines for initializers (test/Import/Inputs/make.py).
"""

import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

ROOT = Path(__file__).resolve().parents[2]
for folder in (ROOT / "python", ROOT / "test" / "Import" / "Inputs"):
    sys.path.insert(0, str(folder))
from make import build  # noqa: E402
from nibble import zoo  # noqa: E402

HEAD = '<ir_version: 10, opset_import: ["" : {opset}]>\n'

TEXTS = {
    "tiny": """
fill w 4x8
fill b 4
OPSET21
g (float[N,8] x) => (float[N,4] y) { y = Gemm<transB = 1>(x, w, b) }
""",
    "convolutions": """
fill w1 4x3x3x3
fill w2 4x1x3x3
fill w3 8x2x1x1
fill w4 4x8
OPSET21
g (float[N,3,8,8] x) => (float[N,4] y) {
  a = Conv<pads = [1,1,1,1], strides = [2,2]>(x, w1)
  b = LeakyRelu<alpha = 0.1>(a)
  c = Conv<group = 4, pads = [1,1,1,1], dilations = [1,1]>(b, w2)
  d = Conv<group = 2, auto_pad = "SAME_UPPER">(c, w3)
  e = HardSwish(d)
  f = AveragePool<kernel_shape = [2,2], strides = [2,2], ceil_mode = 1>(e)
  h = MaxPool<kernel_shape = [2,2], pads = [1,1,0,0]>(f)
  i = GlobalAveragePool(h)
  j = Flatten(i)
  y = Gemm<transB = 1>(j, w4)
}
""",
    "one-dimension": """
fill w1 4x2x3
fill w2 4x4
OPSET21
g (float[N,2,12] x) => (float[N,4] y) {
  last = Constant<value_ints = [2]>()
  a = Conv<pads = [1,1]>(x, w1)
  b = MaxPool<kernel_shape = [3], strides = [2]>(a)
  c = AveragePool<kernel_shape = [2], count_include_pad = 1, pads = [1,0]>(b)
  d = GlobalMaxPool(c)
  e = Squeeze(d, last)
  y = MatMul(e, w2)
}
""",
    "norms": """
fill w 6x4
fill scale 4
fill shift 4
fill mean 4
fill var 4
fill v 4x4x1x1
OPSET15
g (float[N,4,4,4] x) => (float[N,6] y) {
  a = Conv(x, v)
  b, m, s = BatchNormalization<training_mode = 1, momentum = 0.8>(a, scale, shift, mean, var)
  c = Relu(b)
  d = BatchNormalization(c, scale, shift, mean, var)
  e = ReduceMean<axes = [2,3], keepdims = 0>(d)
  y = Gemm<transB = 1>(e, w)
}
""",
    "tokens": """
fill wq 8x8
fill wk 8x8
fill wv 8x8
fill wo 8x4
fill gamma 8
fill beta 8
OPSET17
g (float[N,4,8] x) => (float[N,4] y) {
  two = Constant<value_float = 2.0>()
  eps = Constant<value_float = 0.00001>()
  mean = ReduceMean<axes = [-1]>(x)
  centered = Sub(x, mean)
  square = Pow(centered, two)
  variance = ReduceMean<axes = [-1]>(square)
  shifted = Add(variance, eps)
  deviation = Sqrt(shifted)
  normal = Div(centered, deviation)
  scaled = Mul(normal, gamma)
  n = Add(scaled, beta)
  q = MatMul(n, wq)
  v = MatMul(q, wv)
  kt = Transpose<perm = [0,2,1]>(v)
  p = Softmax<axis = -1>(kt)
  s = Transpose<perm = [0,2,1]>(p)
  o = MatMul(s, wk)
  r = Add(o, x)
  t = ReduceMean<axes = [1], keepdims = 0>(r)
  y = MatMul(t, wo)
}
""",
    "elementwise": """
fill w 4x8
fill half 8 half
fill low scalar
OPSET20
g (float[N,8] x) => (float[N,4] y) {
  high = Constant<value_float = 6.0>()
  h = Cast<to = 1>(half)
  a = Add(x, h)
  b = Clip(a, low, high)
  c = Sigmoid(b)
  d = Tanh(c)
  e = Gelu<approximate = "tanh">(d)
  f = Elu<alpha = 0.5>(e)
  i = Selu(f)
  j = Softplus(i)
  k = Softsign(j)
  l = Mish(k)
  m = HardSigmoid<alpha = 0.2, beta = 0.5>(l)
  n = Exp(m)
  o = Log(n)
  p = Neg(o)
  q = Abs(p)
  r = Erf(q)
  s = Reciprocal(n)
  t = Max(r, s)
  u = Min(t, high)
  v = Mean(u, x)
  z = Sum(v, x, u)
  y = Gemm<transB = 1, alpha = 0.5, beta = 2.0>(z, w)
}
""",
    "slices": """
fill w 4x9
OPSET18
g (float[N,3,4,4] x) => (float[N,4] y) {
  axis1 = Constant<value_ints = [1]>()
  wide = Constant<value_ints = [1,3,1]>()
  pads = Constant<value_ints = [0,0,1,0,0,0,0,1]>()
  value = Constant<value_float = 0.0>()
  starts = Constant<value_ints = [0,-1]>()
  ends = Constant<value_ints = [4,-9]>()
  axes = Constant<value_ints = [2,3]>()
  steps = Constant<value_ints = [2,-1]>()
  parts = Constant<value_ints = [1,2]>()
  a = Pad(x, pads, value)
  b = Slice(a, starts, ends, axes, steps)
  c, d = Split<axis = 1>(b, parts)
  e = Concat<axis = 1>(d, c)
  index = Constant<value_ints = [0,1,2]>()
  f = Gather<axis = 1>(e, index)
  h = ReduceMean(f, axes)
  i = Identity(h)
  shape = Constant<value_ints = [0,3]>()
  j = Reshape(i, shape)
  k = Unsqueeze(j, axis1)
  l = Expand(k, wide)
  m = Flatten(l)
  y = Gemm<transB = 1>(m, w)
}
""",
    "folds": """
fill w 4x8
OPSET18
g (float[N,8] x) => (float[N,4] y) {
  s = Shape(x)
  i = Constant<value_int = 0>()
  n = Gather(s, i)
  ax = Constant<value_ints = [0]>()
  one = Constant<value_ints = [1]>()
  n1 = Unsqueeze(n, ax)
  two = Constant<value_ints = [2]>()
  four = Mul(two, two)
  rest = Sub(four, two)
  zero = Mod(four, two)
  more = Add(rest, zero)
  same = Equal(more, two)
  less = Less(rest, two)
  notmore = LessOrEqual(rest, two)
  greater = Greater(rest, two)
  notless = GreaterOrEqual(rest, two)
  both = And(less, notless)
  either = Or(both, greater)
  other = Not(either)
  some = Or(other, notmore)
  decided = And(some, same)
  picked = Where(decided, two, four)
  whole = Div(four, two)
  c4 = ConstantOfShape<value = int64[1] {4}>(one)
  t = Concat<axis = 0>(n1, c4, whole)
  a = Reshape(x, t)
  size = Size(t)
  e = ConstantOfShape(whole)
  r0 = Constant<value_float = 0.0>()
  r4 = Constant<value_float = 2.0>()
  r1 = Constant<value_float = 1.0>()
  range = Range(r0, r4, r1)
  p = ReduceSum(range)
  least = ReduceMin(range)
  product = ReduceProd(range)
  like = CastLike(product, least)
  bound = ReduceMax(range)
  f = Floor(range)
  g0 = Ceil(f)
  b = Add(a, g0)
  d = Mul(b, bound)
  flat = Flatten(d)
  y = Gemm<transB = 1>(flat, w)
}
""",
    "upsampled": """
fill w1 2x3x1x1
fill w2 4x32
OPSET9
g (float[N,3,2,4] x) => (float[N,4] y) {
  times = Constant<value = float[4] {1.0,1.0,2.0,1.0}>()
  a = Conv(x, w1)
  b = Upsample<mode = "nearest">(a, times)
  c = Flatten(b)
  d = Gemm<transB = 1>(c, w2, b2)
  y = LogSoftmax(d)
}
fill b2 4
""",
    "old": """
fill w 4x8
fill b 4
OPSET6
g (float[N,8] x) => (float[N,4] y) {
  a = Dropout<ratio = 0.5>(x)
  c = Clip<min = 0.0, max = 6.0>(a)
  d = Pad<pads = [0,0,0,0], mode = "constant">(c)
  e = Slice<axes = [1], starts = [0], ends = [8]>(d)
  f = MatMul(e, wt)
  h = Add<broadcast = 1, axis = 1>(f, b)
  y = Softmax(h)
}
fill wt 8x4
""",
    "recurrent": """
fill w1 2x16x3
fill r1 2x16x4
fill b1 2x32
fill h1 2x1x4
fill w2 1x12x8
fill r2 1x12x4
fill b2 1x24
fill w3 1x4x4
fill r3 1x4x4
fill w 4x4
OPSET18
g (float[1,3,3] x) => (float[1,4] y) {
  time = Transpose<perm = [1,0,2]>(x)
  l, lh, lc = LSTM<hidden_size = 4, direction = "bidirectional">(time, w1, r1, b1, , h1)
  turned = Transpose<perm = [0,2,1,3]>(l)
  rows = Constant<value_ints = [0,0,-1]>()
  a = Reshape(turned, rows)
  u, uh = GRU<hidden_size = 4, linear_before_reset = 1>(a, w2, r2, b2)
  one = Constant<value_ints = [1]>()
  b = Squeeze(u, one)
  n, nh = RNN<hidden_size = 4, direction = "reverse", activations = ["Relu"]>(b, w3, r3)
  last = Squeeze(nh, zero)
  y = Gemm<transB = 1>(last, w)
}
fill zero 1 int64
""",
    "vision": """
fill w1 8x3x3x3
fill scale 8
fill shift 8
fill slope 8x1x1
fill w2 2x2x3x3
fill b2 4
fill w3 4x16
OPSET21
g (float[N,3,4,4] x) => (float[N,4] y) {
  a = Conv<pads = [1,1,1,1]>(x, w1)
  b = InstanceNormalization<epsilon = 0.001>(a, scale, shift)
  c = PRelu(b, slope)
  d = GroupNormalization<num_groups = 2>(c, scale, shift)
  e = DepthToSpace<blocksize = 2, mode = "CRD">(d)
  f = ConvTranspose<group = 2, strides = [2,2], pads = [1,1,0,1], output_padding = [0,1]>(e, w2, b2)
  times = Constant<value_floats = [1.0,1.0,1.0,2.0]>()
  h = Resize<mode = "nearest", coordinate_transformation_mode = "asymmetric", nearest_mode = "floor">(f, , times)
  i = SpaceToDepth<blocksize = 2>(h)
  j = GlobalAveragePool(i)
  flat = Flatten(j)
  y = Gemm<transB = 1>(flat, w3)
}
""",
    "quantized": """
fill codes 4x8 int8
fill four 4x4 int8
fill scales 4
fill zeros 4 int8
OPSET21
g (float[N,8] x) => (float[N,4] y) {
  scale = Constant<value = float {0.05}>()
  q = QuantizeLinear(x, scale, zero)
  d = DequantizeLinear(q, scale, zero)
  w = DequantizeLinear<axis = 0>(codes, scales, zeros)
  a = Gemm<transB = 1>(d, w)
  v = DequantizeLinear(four, scale, zero)
  b = Relu(a)
  y = Gemm<transB = 1>(b, v)
}
fill zero scalar int8
""",
    "functions": """
fill w 4x8
<ir_version: 10, opset_import: ["" : 21, "local" : 1]>
g (float[N,8] x) => (float[N,4] y) {
  a = local.twice(x)
  b = local.gate<alpha = 0.2>(a)
  y = Gemm<transB = 1>(b, w)
}
<domain: "local", opset_import: ["" : 21, "local" : 1]>
twice (a) => (b) { b = Add(a, a) }
<domain: "local", opset_import: ["" : 21, "local" : 1]>
gate <alpha> (a) => (b) {
  c = LeakyRelu<alpha: float = @alpha>(a)
  b = local.twice(c)
}
""",
}


def from_text(text):
    lines = []
    for line in text.strip().splitlines():
        lines.append(HEAD.format(opset=line[5:]).strip() if line.startswith("OPSET") else line)
    model = build("\n".join(lines))
    return model


def with_int4(model):
    """The `quantized` network's second weight in INT4, as exports write it."""
    for t in model.graph.initializer:
        if t.name == "four":
            t.CopyFrom(TensorProto(name="four", dims=[4, 4], data_type=TensorProto.INT4, raw_data=bytes(range(8))))
    for node in model.graph.node:
        if "four" in node.input:
            del node.input[2]
    return model


def with_external(model, location="weights.bin"):
    """Every weight of at least 16 bytes refers to `location`; returns the model and the file's bytes."""
    data = b""
    for t in model.graph.initializer:
        if len(t.raw_data) < 16:
            continue
        for key, value in (("location", location), ("offset", str(len(data))), ("length", str(len(t.raw_data)))):
            t.external_data.add(key=key, value=value)
        data += t.raw_data
        t.data_location = TensorProto.EXTERNAL
        t.ClearField("raw_data")
    return model, data


def shape_chain():
    """A classifier whose Reshape reads Shape/Gather/Concat/Expand of its own input."""
    f = TensorProto.FLOAT
    make = helper.make_node
    rng = np.random.RandomState(0)
    weights = [
        numpy_helper.from_array(rng.randn(10, 16).astype(np.float32), "fc.weight"),
        numpy_helper.from_array(np.zeros(10, np.float32), "fc.bias"),
        numpy_helper.from_array(np.array([0], np.int64), "zero"),
        numpy_helper.from_array(np.array([16], np.int64), "features"),
        numpy_helper.from_array(np.array([1], np.int64), "one"),
    ]
    nodes = [
        make("Shape", ["x"], ["shape"], "shape"),
        make("Gather", ["shape", "zero"], ["n"], "gather", axis=0),
        make("Expand", ["features", "one"], ["wide"], "expand"),
        make("Concat", ["n", "wide"], ["target"], "concat", axis=0),
        make("Reshape", ["x", "target"], ["flat"], "reshape"),
        make("Slice", ["flat", "zero", "features", "one"], ["cut"], "slice"),
        make("Gemm", ["cut", "fc.weight", "fc.bias"], ["logits"], "fc", transB=1),
    ]
    graph = helper.make_graph(nodes, "shape-chain", [helper.make_tensor_value_info("x", f, ["batch", 1, 4, 4])],
                              [helper.make_tensor_value_info("logits", f, ["batch", 10])], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def originals():
    """name -> model. `external` reads EXTERNAL_FILE beside it."""
    models = {name: from_text(text) for name, text in TEXTS.items()}
    models["quantized"] = with_int4(models["quantized"])
    models["shape-chain"] = shape_chain()
    models["external"], data = with_external(from_text(TEXTS["convolutions"]))
    for name in ("digits", "resnet8"):
        models[name] = zoo.build(name, batch=2)
    for model in models.values():
        for i, node in enumerate(model.graph.node):
            node.name = node.name or f"{node.op_type}_{i}"
    return models, data


def check():
    """Every network, undamaged, is valid ONNX."""
    models, _ = originals()
    for name, model in models.items():
        if name != "external":
            onnx.checker.check_model(model)
    return models


if __name__ == "__main__":
    print(*check())

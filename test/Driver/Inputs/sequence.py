"""Operators of exported transformers that become ordinary ops, or fold away, against onnxruntime: python sequence.py OUT

Each network is a linear layer, the nodes under test on [batch, 6, 8], and a linear layer (so that gradients pass through them), averaged.
"""

import sys
from pathlib import Path

import against_runtime
import numpy as np
from onnx import numpy_helper, parser

SAMPLES, LENGTH, WIDTH = 4, 6, 8


def values(shape, seed):
    return np.random.RandomState(seed).uniform(-0.5, 0.5, shape).astype(np.float32)


WEIGHTS = {
    "project": values((WIDTH, 2, 4), 1),
    "positions": np.arange(LENGTH, dtype=np.int64),
    "pairs": np.stack(np.meshgrid(np.arange(2), np.arange(LENGTH), indexing="ij"), -1).astype(np.int64),
    "table": (np.arange(2 * LENGTH, dtype=np.int64) * 7 % 5).reshape(2, LENGTH),
    "spot": np.array([[1, 2], [0, -1]], np.int64),
    "nothing": np.array([-9, 9], np.int64),
    "order": np.array([[5, 0, 2, 1, 3, -2]], np.int64),
}
CONSTANTS = """<int64 one = {1}, int64 first = {0}, float zero = {0}, float tenth = {0.1}, float half = {0.5}, float never = {-1000},
int64[3] thrice = {1, 1, 3}, int64[2] twice = {2, 1}, int64[3] flat = {0, 6, 8}, int64 three = {3}, int64[1] last = {-1}>"""

# Nodes from a [batch, 6, 8] to b [batch, 6, N], and N.
NETWORKS = {
    "einsum": ("""q = Einsum <equation = "bse,ehd->bshd"> (a, project)
                  s = Einsum <equation = "bshd, bthd -> bhst"> (q, q)
                  p = Softmax (s)
                  o = Einsum <equation = "bhst,bthd->bshd"> (p, q)
                  b = Reshape (o, flat)""", 8),
    "einsum-transposed": ("""q = Einsum <equation = "abc,cde->aebd"> (a, project)
                             t = Einsum <equation = "abcd,aecd->cbea"> (q, q)
                             u = Transpose <perm = [3, 2, 0, 1]> (t)
                             m = ReduceMean <keepdims = 0> (u, last)
                             v = Transpose <perm = [0, 2, 1]> (m)
                             b = Concat <axis = 2> (a, a)""", 16),
    "conditions": ("""positive = Greater (a, zero)
                      small = LessOrEqual (a, half)
                      both = And (positive, small)
                      other = Not (both)
                      leaky = Mul (a, tenth)
                      c = Where (both, a, leaky)
                      either = Or (other, positive)
                      d = Where (either, c, zero)
                      e = Div (d, d)
                      missing = IsNaN (e)
                      f = Where (missing, zero, e)
                      b = Add (f, c)""", 8),
    "row-condition": ("""mean = ReduceMean <keepdims = 1> (a, last)
                         above = GreaterOrEqual (mean, zero)
                         b = Where (above, a, tenth)""", 8),
    "tile": ("b = Tile (a, thrice)", 24),
    "lengths": ("""length = ReduceL2 <keepdims = 1> (a, last)
                   some = Add (length, half)
                   c = Div (a, some)
                   sum = ReduceL1 <keepdims = 1> (a, last)
                   squares = ReduceSumSquare <keepdims = 1> (a, last)
                   d = Mul (c, sum)
                   b = Add (d, squares)""", 8),
    "positions": ("""picked = GatherND (table, pairs)
                     changed = ScatterND (picked, spot, nothing)
                     swapped = GatherElements <axis = 1> (changed, order)
                     running = CumSum (positions, first)
                     tiled = Tile (swapped, twice)
                     summed = CumSum <exclusive = 1, reverse = 1> (tiled, one)
                     rows = ReduceSum <keepdims = 0> (summed, firsts)
                     total = Add (running, rows)
                     angles = Cast <to = 1> (total)
                     sines = Sin (angles)
                     cosines = Cos (angles)
                     table2 = Mul (sines, cosines)
                     column = Unsqueeze (table2, ones)
                     b = Mul (a, column)""", 8),
}


def build(text, width):
    body = f"""<ir_version: 10, opset_import: ["": 18]>
g (float[batch, {LENGTH}, {WIDTH}] x) => (float[batch, 5] y)
{CONSTANTS[:-1]}, int64[1] firsts = {{0}}, int64[1] ones = {{1}}>
{{
  [before] a = MatMul (x, w1)
  {text}
  [behind] c2 = MatMul (b, w2)
  y = ReduceMean <keepdims = 0> (c2, ones)
}}"""
    model = parser.parse_model(body)
    weights = {**WEIGHTS, "w1": values((WIDTH, WIDTH), 7), "w2": values((width, 5), 8)}
    model.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in weights.items())
    used = {name for node in model.graph.node for name in node.input}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    return model


def main(out):
    x = np.random.RandomState(9).standard_normal((SAMPLES, LENGTH, WIDTH)).astype(np.float32)
    for name, (text, width) in NETWORKS.items():
        against_runtime.check(name, build(text, width), x, out)


main(Path(sys.argv[1]))

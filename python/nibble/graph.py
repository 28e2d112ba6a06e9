"""A small builder of ONNX graphs: it remembers the shape of every value and owns the weights.

`Graph` writes the nodes that the zoo needs and nothing else. Layouts are ONNX's: feature maps
[N, C, H, W], convolution weights [O, I, kh, kw], linear weights [out, in] (Gemm with transB = 1), so
that names and layouts equal those of a PyTorch state dict (`conv1.weight`, `fc.bias`, ...). Batch
normalization is written in its inference form (one output); Nibble's importer trains every form.
"""

import math
from dataclasses import dataclass

import numpy as np
from onnx import ModelProto, TensorProto, checker, helper, numpy_helper

from nibble.errors import NibbleError

OPSET = 21  # has every operator used here in its current form
IR_VERSION = 10  # the IR version that came with opset 21: older readers still accept it


@dataclass(frozen=True)
class Value:
    """A named value and its shape without the batch dimension."""

    name: str
    shape: tuple


class Initializer:
    """Draws weights from one seeded stream, in the order in which layers are added.

    numpy's RandomState is used because its streams are frozen: the same seed gives the same bytes in
    every numpy version. Nothing here depends on hash order, time or machine.
    """

    def __init__(self, seed):
        self.random = np.random.RandomState(seed)

    def uniform(self, shape, fan_in):
        """PyTorch's default for Conv2d and Linear, weight and bias alike: U(-b, b), b = 1/sqrt(fan_in).

        kaiming_uniform with a = sqrt(5): gain sqrt(2/(1 + a^2)) = sqrt(1/3), b = gain*sqrt(3/fan_in).
        """
        bound = 1.0 / math.sqrt(fan_in)
        return self.random.uniform(-bound, bound, shape).astype(np.float32)

    def he_normal(self, shape, fan_in):
        """He et al. 2015 for layers followed by ReLU: N(0, 2/fan_in)."""
        return (self.random.standard_normal(shape) * math.sqrt(2.0 / fan_in)).astype(np.float32)

    def normal(self, shape, deviation):
        return (self.random.standard_normal(shape) * deviation).astype(np.float32)


class Graph:
    """Builds one ONNX graph with the input `x` and the output `logits`."""

    def __init__(self, name, input_shape, batch, seed, tokens=False):
        """input_shape is without the batch dimension; batch is a number or the name of a dimension.

        tokens: the input is int64, numbers of rows of a table.
        """
        self.tokens = tokens
        self.name = name
        self.batch = batch
        self.init = Initializer(seed)
        self.nodes = []
        self.weights = []
        self.names = set()
        self.x = Value("x", tuple(input_shape))

    def weight(self, name, array):
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(array, np.float32), name))
        return name

    def node(self, op, inputs, shape, name, **attributes):
        """Adds a node with one output, named after the node."""
        if name in self.names:
            raise NibbleError(f"{self.name}: two nodes are named '{name}'")
        self.names.add(name)
        self.nodes.append(helper.make_node(op, inputs, [name + ".out"], name=name, **attributes))
        return Value(name + ".out", tuple(shape))

    def conv(self, x, outputs, kernel, name, stride=1, bias=True):
        """A square convolution, padded by kernel // 2: [N, C, H, W] -> [N, outputs, H', W']."""
        channels, height, width = feature_map(x, name)
        pad, fan_in = kernel // 2, channels * kernel * kernel
        inputs = [x.name]
        shape = (outputs, channels, kernel, kernel)
        inputs.append(self.weight(name + ".weight", self.init.uniform(shape, fan_in)))
        if bias:
            inputs.append(self.weight(name + ".bias", self.init.uniform((outputs,), fan_in)))
        size = [(n + 2 * pad - kernel) // stride + 1 for n in (height, width)]
        return self.node("Conv", inputs, (outputs, *size), name, kernel_shape=[kernel, kernel],
                         strides=[stride, stride], pads=[pad] * 4)

    def batch_norm(self, x, name, epsilon=1e-5, momentum=0.9):
        """Batch normalization as a fresh network has it: scale 1, shift 0, running mean 0, variance 1.

        ONNX's momentum is the share of the old statistics: 0.9 is PyTorch's 0.1.
        """
        channels = x.shape[0]
        one, zero = np.ones(channels, np.float32), np.zeros(channels, np.float32)
        parts = ((".weight", one), (".bias", zero), (".running_mean", zero), (".running_var", one))
        inputs = [x.name] + [self.weight(name + suffix, array) for suffix, array in parts]
        return self.node("BatchNormalization", inputs, x.shape, name, epsilon=epsilon,
                         momentum=momentum)

    def linear(self, x, outputs, name, he_normal=False):
        """y = x W^T + b: [N, in] -> [N, outputs]. He-normal weights come with a zero bias."""
        if len(x.shape) != 1:
            raise NibbleError(f"{self.name}: linear layer '{name}' needs [batch, features], has "
                              f"[batch, {', '.join(map(str, x.shape))}]")
        fan_in = x.shape[0]
        if he_normal:
            weight = self.init.he_normal((outputs, fan_in), fan_in)
            bias = np.zeros(outputs, np.float32)
        else:
            weight = self.init.uniform((outputs, fan_in), fan_in)
            bias = self.init.uniform((outputs,), fan_in)
        inputs = [x.name, self.weight(name + ".weight", weight), self.weight(name + ".bias", bias)]
        return self.node("Gemm", inputs, (outputs,), name, transB=1)

    def constant(self, name, array):
        """An initializer that is no weight: a shape, a mask, a number."""
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def embedding(self, tokens, rows, width, name, deviation):
        """Rows of a table: [N, T] whole numbers -> [N, T, width]."""
        table = self.weight(name + ".weight", self.init.normal((rows, width), deviation))
        return self.node("Gather", [table, tokens.name], (*tokens.shape, width), name, axis=0)

    def positions(self, x, name, deviation):
        """Adds a row of its own to each place of the sequence."""
        table = self.weight(name + ".weight", self.init.normal((1, *x.shape), deviation))
        return self.node("Add", [x.name, table], x.shape, name)

    def layer_norm(self, x, name, epsilon=1e-5):
        """Over the last dimension, scale 1 and shift 0."""
        width = x.shape[-1]
        inputs = [x.name, self.weight(name + ".weight", np.ones(width, np.float32)),
                  self.weight(name + ".bias", np.zeros(width, np.float32))]
        return self.node("LayerNormalization", inputs, x.shape, name, axis=-1, epsilon=epsilon)

    def dense(self, x, outputs, name, deviation, bias=True):
        """A linear layer on the last dimension of a sequence: [N, T, in] -> [N, T, outputs], zero bias."""
        weight = self.weight(name + ".weight", self.init.normal((x.shape[-1], outputs), deviation))
        y = self.node("MatMul", [x.name, weight], (*x.shape[:-1], outputs), name)
        if not bias:
            return y
        shift = self.weight(name + ".bias", np.zeros(outputs, np.float32))
        return self.node("Add", [y.name, shift], y.shape, name + ".add")

    def lstm(self, x, hidden, name):
        """One layer of LSTM over the sequence, gates in ONNX's order (i, o, f, c): [N, T, in] -> [N, T, hidden]."""
        time, inputs = x.shape
        weights = [self.weight(f"{name}.{part}", self.init.uniform(shape, hidden))
                   for part, shape in (("weight_ih", (1, 4 * hidden, inputs)), ("weight_hh", (1, 4 * hidden, hidden)),
                                       ("bias", (1, 8 * hidden)))]
        turned = self.node("Transpose", [x.name], (time, inputs), name + ".in", perm=[1, 0, 2])
        y = self.node("LSTM", [turned.name, *weights], (time, 1, hidden), name, hidden_size=hidden)
        axes = self.constant(name + ".axes", np.array([1], np.int64))
        y = self.node("Squeeze", [y.name, axes], (time, hidden), name + ".squeezed")
        return self.node("Transpose", [y.name], (time, hidden), name + ".back", perm=[1, 0, 2])

    def heads(self, x, heads, name):
        """[N, T, width] -> [N, heads, T, width / heads]."""
        time, width = x.shape
        shape = self.constant(name + ".shape", np.array([0, time, heads, width // heads], np.int64))
        split = self.node("Reshape", [x.name, shape], (time, heads, width // heads), name + ".heads")
        return self.node("Transpose", [split.name], (heads, time, width // heads),
                         name + ".transposed", perm=[0, 2, 1, 3])

    def causal_attention(self, x, heads, name, deviation, out_deviation):
        """Self-attention of each place to itself and to those before it, with its linear layers."""
        time, width = x.shape
        if width % heads:
            raise NibbleError(f"{self.name}: {heads} heads do not divide a width of {width}")
        parts = [name + part for part in (".q", ".k", ".v")]
        qkv = self.dense(x, 3 * width, name + ".qkv", deviation)
        self.names.add(name + ".split")
        self.nodes.append(helper.make_node("Split", [qkv.name], [p + ".out" for p in parts],
                                           name=name + ".split", axis=2, num_outputs=3))
        q, k, v = (self.heads(Value(p + ".out", x.shape), heads, p) for p in parts)
        keys = self.node("Transpose", [k.name], (heads, width // heads, time), name + ".keys",
                         perm=[0, 1, 3, 2])
        square = (heads, time, time)
        scores = self.node("MatMul", [q.name, keys.name], square, name + ".scores")
        factor = self.constant(name + ".factor", np.float32((width // heads) ** -0.5))
        scores = self.node("Mul", [scores.name, factor], square, name + ".scaled")
        mask = self.constant(name + ".mask", np.tril(np.ones((1, 1, time, time), bool)))
        never = self.constant(name + ".never", np.float32(-np.inf))
        scores = self.node("Where", [mask, scores.name, never], square, name + ".masked")
        share = self.node("Softmax", [scores.name], square, name + ".softmax", axis=-1)
        mixed = self.node("MatMul", [share.name, v.name], v.shape, name + ".mixed")
        mixed = self.node("Transpose", [mixed.name], (time, heads, width // heads), name + ".back",
                          perm=[0, 2, 1, 3])
        shape = self.constant(name + ".joined.shape", np.array([0, time, width], np.int64))
        mixed = self.node("Reshape", [mixed.name, shape], x.shape, name + ".joined")
        return self.dense(mixed, width, name + ".project", out_deviation)

    def gelu(self, x, name):
        return self.node("Gelu", [x.name], x.shape, name)

    def relu(self, x, name):
        return self.node("Relu", [x.name], x.shape, name)

    def add(self, x, y, name):
        return self.node("Add", [x.name, y.name], x.shape, name)

    def max_pool(self, x, name, size=2):
        channels, height, width = feature_map(x, name)
        if min(height, width) < size:
            raise NibbleError(f"{self.name}: input too small: '{name}' pools {size}x{size} out of a "
                              f"{height}x{width} map; use a larger --input-shape")
        return self.node("MaxPool", [x.name], (channels, height // size, width // size), name,
                         kernel_shape=[size, size], strides=[size, size])

    def global_average_pool(self, x, name):
        return self.node("GlobalAveragePool", [x.name], (x.shape[0], 1, 1), name)

    def flatten(self, x, name):
        """Everything behind the batch dimension becomes one; nothing is written if it is one already."""
        if len(x.shape) == 1:
            return x
        return self.node("Flatten", [x.name], (math.prod(x.shape),), name, axis=1)

    def model(self, logits):
        """The finished model, checked by ONNX's own checker with shape inference."""
        self.nodes[-1].output[0] = "logits"

        def info(name, shape, kind=TensorProto.FLOAT):
            return helper.make_tensor_value_info(name, kind, [self.batch, *shape])

        kind = TensorProto.INT64 if self.tokens else TensorProto.FLOAT
        graph = helper.make_graph(self.nodes, self.name, [info("x", self.x.shape, kind)],
                                  [info("logits", logits.shape)], self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)],
                                  ir_version=IR_VERSION, producer_name="nibble.zoo")
        checker.check_model(model, full_check=True)
        return model


def feature_map(x, name):
    if len(x.shape) != 3:
        raise NibbleError(f"layer '{name}' needs a feature map [batch, C, H, W], has "
                          f"[batch, {', '.join(map(str, x.shape))}]")
    return x.shape


def to_bytes(model: ModelProto):
    """The bytes of the file; the same model gives the same bytes."""
    return model.SerializeToString(deterministic=True)

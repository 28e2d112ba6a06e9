"""Networks to train, written as ONNX files with honest initial weights.

    python -m nibble.zoo NAME -o FILE [--batch N|symbolic] [--seed 0] [--classes N] [--input-shape C,H,W]

Every network has one input `x`, float[batch, C, H, W] (or float[batch, features] where the network
begins with a linear layer and --input-shape is one number), and one output `logits`,
float[batch, classes], before any softmax. A language model reads int64[batch, length], and its logits
are [batch, length, classes]. Weights are drawn from the seed; nothing is trained.
"""

import argparse
import math
import sys
from dataclasses import dataclass
from typing import Callable

from onnx import TensorProto

from nibble.errors import NibbleError
from nibble.graph import Graph, to_bytes


def digits(g, classes):
    """Two 3x3 convolutions with batch norm, pooling, a third one, a linear layer."""
    x = g.relu(g.batch_norm(g.conv(g.x, 16, 3, "conv1", bias=False), "norm1"), "relu1")
    x = g.relu(g.batch_norm(g.conv(x, 32, 3, "conv2", bias=False), "norm2"), "relu2")
    x = g.max_pool(x, "pool1")
    x = g.relu(g.batch_norm(g.conv(x, 32, 3, "conv3", bias=False), "norm3"), "relu3")
    x = g.max_pool(x, "pool2")
    return g.linear(g.flatten(x, "flatten"), classes, "fc")


def lenet(g, classes):
    """Two 5x5 convolutions 16 and 32 wide, each pooled by 2, then linear 128 and the head."""
    x = g.max_pool(g.relu(g.conv(g.x, 16, 5, "conv1"), "relu1"), "pool1")
    x = g.max_pool(g.relu(g.conv(x, 32, 5, "conv2"), "relu2"), "pool2")
    x = g.relu(g.linear(g.flatten(x, "flatten"), 128, "fc1"), "relu3")
    return g.linear(x, classes, "fc2")


def mlp(g, classes):
    """784-1024-1024-10: the network of the step-time comparisons."""
    x = g.flatten(g.x, "flatten")
    x = g.relu(g.linear(x, 1024, "fc1"), "relu1")
    x = g.relu(g.linear(x, 1024, "fc2"), "relu2")
    return g.linear(x, classes, "fc3")


def deep_mlp(g, classes):
    """64, eleven times 128, 10: twelve linear layers and nothing that normalizes."""
    x = g.flatten(g.x, "flatten")
    for i in range(1, 12):
        x = g.relu(g.linear(x, 128, f"fc{i}", he_normal=True), f"relu{i}")
    return g.linear(x, classes, "fc12", he_normal=True)


def residual_block(g, x, outputs, stride, name):
    """Two 3x3 convolutions with batch norm; a 1x1 strided shortcut where the shape changes."""
    y = g.conv(x, outputs, 3, name + ".conv1", stride=stride, bias=False)
    y = g.relu(g.batch_norm(y, name + ".norm1"), name + ".relu1")
    y = g.batch_norm(g.conv(y, outputs, 3, name + ".conv2", bias=False), name + ".norm2")
    if stride != 1 or x.shape[0] != outputs:
        x = g.conv(x, outputs, 1, name + ".shortcut.conv", stride=stride, bias=False)
        x = g.batch_norm(x, name + ".shortcut.norm")
    return g.relu(g.add(y, x, name + ".add"), name + ".relu2")


def resnet8(g, classes):
    """Stem of 16, residual blocks of 16, 32 and 64 channels, one each, average pool, linear."""
    x = g.relu(g.batch_norm(g.conv(g.x, 16, 3, "stem", bias=False), "norm"), "relu")
    for i, (outputs, stride) in enumerate(((16, 1), (32, 2), (64, 2)), start=1):
        x = residual_block(g, x, outputs, stride, f"block{i}")
    x = g.flatten(g.global_average_pool(x, "pool"), "flatten")
    return g.linear(x, classes, "fc")


def resnet18(g, classes):
    """ResNet-18 for 32 x 32 images: stem of 64, two residual blocks each of 64, 128, 256 and 512 channels."""
    x = g.relu(g.batch_norm(g.conv(g.x, 64, 3, "stem", bias=False), "norm"), "relu")
    for i, (outputs, stride) in enumerate(((64, 1), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1)), start=1):
        x = residual_block(g, x, outputs, stride, f"block{i}")
    x = g.flatten(g.global_average_pool(x, "pool"), "flatten")
    return g.linear(x, classes, "fc")


def transformer(layers, width, heads):
    """A decoder of pre-norm blocks: causal attention, then a layer of four times the width with GELU."""
    def build(g, classes):
        deviation = 0.02
        last = deviation / math.sqrt(2 * layers)  # what adds to the residual path
        x = g.positions(g.embedding(g.x, classes, width, "token", deviation), "position", deviation)
        for i in range(1, layers + 1):
            name = f"block{i}"
            y = g.causal_attention(g.layer_norm(x, name + ".norm1"), heads, name + ".attention", deviation, last)
            x = g.add(x, y, name + ".add1")
            y = g.gelu(g.dense(g.layer_norm(x, name + ".norm2"), 4 * width, name + ".up", deviation), name + ".gelu")
            x = g.add(x, g.dense(y, width, name + ".down", last), name + ".add2")
        return g.dense(g.layer_norm(x, "norm"), classes, "head", deviation, bias=False)

    build.__doc__ = (f"Causal transformer: {layers} layers of width {width}, {heads} heads, learned positions; "
                     "--classes is the vocabulary.")
    return build


def word_lstm(width, layers):
    """An embedding, layers of LSTM, a linear layer over the vocabulary."""
    def build(g, classes):
        x = g.embedding(g.x, classes, width, "token", 1.0)
        for i in range(1, layers + 1):
            x = g.lstm(x, width, f"lstm{i}")
        return g.dense(x, classes, "head", 1 / math.sqrt(3 * width))

    build.__doc__ = f"LSTM language model: {layers} layers of width {width}; --classes is the vocabulary."
    return build


@dataclass(frozen=True)
class Network:
    build: Callable
    input_shape: tuple  # without the batch dimension
    initialization: str
    data: str
    classes: int = 10
    tokens: bool = False  # x is int64, numbers below `classes`

    @property
    def summary(self):
        return self.build.__doc__.strip().splitlines()[0]


UNIFORM = "PyTorch's defaults: U(-1/sqrt(fan_in), 1/sqrt(fan_in)) for weights and biases"
UNIFORM_NORM = UNIFORM + "; batch norm 1, 0 (mean 0, variance 1)"

GPT2 = "GPT-2's: N(0, 0.02), what adds to the residual path divided by sqrt(2 layers); biases 0, norms 1 and 0"
LSTM = "embedding N(0, 1), LSTM U(-1/sqrt(hidden), 1/sqrt(hidden)), head N(0, 1/(3 width)), its bias 0"
TEXT = "text as tokens (nibble.data text)"

NETWORKS = {
    "digits": Network(digits, (1, 8, 8), UNIFORM_NORM, "scikit-learn's digits (nibble.data digits)"),
    "lenet": Network(lenet, (1, 28, 28), UNIFORM, "MNIST (IDX folder)"),
    "mlp": Network(mlp, (1, 28, 28), UNIFORM, "MNIST (IDX folder)"),
    "deep-mlp": Network(deep_mlp, (64,), "He-normal weights N(0, 2/fan_in), zero biases",
                        "a teacher network's labels (nibble.data teacher)"),
    "resnet8": Network(resnet8, (3, 32, 32), UNIFORM_NORM, "CIFAR-10 (binary folder)"),
    "resnet18": Network(resnet18, (3, 32, 32), UNIFORM_NORM, "CIFAR-10 (binary folder)"),
    "gpt": Network(transformer(6, 384, 6), (256,), GPT2, TEXT, classes=65, tokens=True),
    "lstm": Network(word_lstm(650, 2), (35,), LSTM, TEXT, classes=10000, tokens=True),
    "lstm-tiny": Network(word_lstm(64, 1), (32,), LSTM, TEXT, classes=65, tokens=True),
    "gpt-tiny": Network(transformer(2, 64, 4), (32,), GPT2, TEXT, classes=65, tokens=True),
}


def build(name, batch="batch", seed=0, classes=None, input_shape=None):
    """Returns the network `name` as a checked onnx.ModelProto.

    batch is a number, or a string that names a symbolic dimension. input_shape has no batch
    dimension. Raises NibbleError for anything that cannot be built.
    """
    if name not in NETWORKS:
        raise NibbleError(f"unknown network '{name}'; known: {', '.join(NETWORKS)}")
    classes = NETWORKS[name].classes if classes is None else classes
    if classes < 2:
        raise NibbleError(f"a classifier needs at least 2 classes, not {classes}")
    if not 0 <= seed < 2**32:
        raise NibbleError(f"the seed must be in 0 ... 2^32 - 1, not {seed}")
    network = NETWORKS[name]
    shape = input_shape or network.input_shape
    if network.tokens and len(shape) != 1:
        raise NibbleError(f"'{name}' reads sequences: --input-shape is one number, their length")
    graph = Graph(name, shape, batch, seed, network.tokens)
    return graph.model(network.build(graph, classes))


def describe(model):
    """One line: how many weights of how many tensors, which input."""
    count = sum(math.prod(t.dims) for t in model.graph.initializer)
    dims = model.graph.input[0].type.tensor_type.shape.dim
    shape = ", ".join(d.dim_param or str(d.dim_value) for d in dims)
    kind = "int64" if model.graph.input[0].type.tensor_type.elem_type == TensorProto.INT64 else "float"
    return f"{len(model.graph.node)} nodes, {count:,} numbers in initializers, x: {kind}[{shape}]"


def parse_batch(text):
    if text == "symbolic":
        return "batch"
    if text.isdigit() and int(text) > 0:
        return int(text)
    raise argparse.ArgumentTypeError(f"'{text}' is neither a positive number nor 'symbolic'")


def parse_shape(text):
    parts = text.replace("x", ",").split(",")
    if len(parts) not in (1, 3) or not all(p.isdigit() and int(p) > 0 for p in parts):
        raise argparse.ArgumentTypeError(f"'{text}' is not C,H,W (or one number of features)")
    return tuple(int(p) for p in parts)


def listing():
    lines = []
    for name, n in NETWORKS.items():
        shape = ", ".join(map(str, n.input_shape))
        lines += [f"{name:<9} x[batch, {shape}]  {n.summary}",
                  f"{'':<9} weights: {n.initialization}", f"{'':<9} for: {n.data}"]
    return "\n".join(lines)


EXAMPLES = """\
examples:
  python -m nibble.zoo digits -o digits.onnx            the network of the demo
  python -m nibble.zoo lenet -o lenet.onnx --seed 1     another draw of the weights
  python -m nibble.zoo mlp -o mlp.onnx --batch 128      a fixed batch dimension
  python -m nibble.zoo resnet8 -o r.onnx --classes 100 --input-shape 3,64,64
  python -m nibble.zoo gpt -o gpt.onnx --classes 96     a vocabulary of 96, sequences of 256
then:
  nibble-train lenet.onnx --data MNIST_FOLDER --recipe ibm --epochs 4 --out trained

networks:
"""


def parser():
    p = argparse.ArgumentParser(
        prog="python -m nibble.zoo", description="Writes a network with fresh weights as an ONNX file.",
        epilog=EXAMPLES + listing(), formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("name", nargs="?", metavar="NAME", help="one of: " + ", ".join(NETWORKS))
    p.add_argument("-o", "--output", metavar="FILE", help="the ONNX file to write")
    p.add_argument("--batch", type=parse_batch, default="symbolic", metavar="N|symbolic",
                   help="leading dimension of x and logits: a number, or 'symbolic' for a dimension "
                        "named batch that --batch-size binds later (default: symbolic)")
    p.add_argument("--seed", type=int, default=0, help="seed of the initial weights (default: 0)")
    p.add_argument("--classes", type=int,
                   help="width of the output (default: 10; the vocabulary of a language model: 65)")
    p.add_argument("--input-shape", type=parse_shape, metavar="C,H,W",
                   help="shape of one input, if it is not the network's own")
    p.add_argument("--list", action="store_true", help="list the networks and exit")
    return p


def run(arguments):
    if arguments.list:
        print(listing())
        return
    if not arguments.name:
        raise NibbleError(f"name a network: {', '.join(NETWORKS)} (--list says what they are)")
    if not arguments.output:
        raise NibbleError("name the file to write with -o FILE")
    model = build(arguments.name, arguments.batch, arguments.seed, arguments.classes,
                  arguments.input_shape)
    try:
        with open(arguments.output, "wb") as file:
            file.write(to_bytes(model))
    except OSError as error:
        raise NibbleError(f"cannot write '{arguments.output}': {error.strerror}") from error
    print(f"{arguments.output}: {arguments.name}, {describe(model)}")


def main(argv=None):
    try:
        run(parser().parse_args(argv))
    except NibbleError as error:
        print(f"nibble.zoo: error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

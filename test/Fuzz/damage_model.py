"""Ways to damage structure, shapes and types. Each changes an onnx.ModelProto in place and says what it did."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper

HUGE = [2**31, 2**32, 2**40, 2**62, 2**63 - 1]
ODD = [-2**63, -1, 0]


def node_with(rng, model, attribute=None):
    nodes = [n for n in model.graph.node
             if attribute is None or any(a.name == attribute for a in n.attribute)]
    return rng.choice(nodes or list(model.graph.node))


def weight(rng, model):
    return rng.choice(list(model.graph.initializer))


# --- structure ------------------------------------------------------------------------------------


def drop_initializer(rng, model):
    i = rng.randrange(len(model.graph.initializer))
    name = model.graph.initializer[i].name
    del model.graph.initializer[i]
    return f"initializer {name} removed"


def undefined_input(rng, model):
    node = node_with(rng, model)
    node.input[rng.randrange(len(node.input))] = "nobody"
    return f"{node.name} reads an undefined value"


def cycle(rng, model):
    node, last = rng.choice(list(model.graph.node)[:-1]), model.graph.node[-1]
    node.input[0] = last.output[0]
    return f"{node.name} reads the output of {last.name}"


def self_loop(rng, model):
    node = node_with(rng, model)
    node.input[0] = node.output[0]
    return f"{node.name} reads its own output"


def doubled_output(rng, model):
    a, b = rng.sample(list(model.graph.node), 2)
    b.output[0] = a.output[0]
    return f"{a.name} and {b.name} write the same name"


def doubled_initializer(rng, model):
    model.graph.initializer.add().CopyFrom(weight(rng, model))
    return "an initializer twice"


def shuffled_nodes(rng, model):
    nodes = [type(n).FromString(n.SerializeToString()) for n in model.graph.node]
    rng.shuffle(nodes)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return "nodes in random order"


def no_nodes(rng, model):
    del model.graph.node[:]
    return "no nodes"


def no_outputs(rng, model):
    del model.graph.output[:]
    return "no outputs"


def no_inputs(rng, model):
    del model.graph.input[:]
    return "no inputs"


def no_graph(rng, model):
    model.ClearField("graph")
    return "no graph"


def output_from_nowhere(rng, model):
    model.graph.output[0].name = "nobody"
    return "the graph's output is not made by any node"


def output_is_input(rng, model):
    model.graph.output[0].name = "x"
    return "the graph's output is its input"


def drop_node(rng, model):
    i = rng.randrange(len(model.graph.node))
    name = model.graph.node[i].name
    del model.graph.node[i]
    return f"node {name} removed"


def node_without_output(rng, model):
    node = node_with(rng, model)
    del node.output[:]
    return f"{node.name} has no outputs"


def long_chain(rng, model):
    """5,000 Identities before the first node: recursion over the graph would overflow the stack."""
    first = model.graph.node[0]
    names = [first.input[0]] + [f"chain{i}" for i in range(5000)]
    chain = [helper.make_node("Identity", [a], [b], b) for a, b in zip(names, names[1:])]
    first.input[0] = names[-1]
    rest = [type(n).FromString(n.SerializeToString()) for n in model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(chain + rest)
    return "a chain of 5,000 Identities"


def strange_names(rng, model):
    bad = rng.choice(["", "a\nb", '"quoted"', "%s%n%d", "\u202e\u0000x", "n" * 100000, "../../x", "\\"])
    node = node_with(rng, model)
    old = node.output[0]
    for n in model.graph.node:
        n.input[:] = [bad if i == old else i for i in n.input]
        n.output[:] = [bad if o == old else o for o in n.output]
    node.name = bad
    return f"a node and its output are named {bad[:20]!r}"


def input_is_initializer(rng, model):
    name = weight(rng, model).name
    model.graph.input[0].name = name
    return f"the input is named like the weight {name}"


# --- shapes and types -----------------------------------------------------------------------------


def huge_dimension(rng, model):
    t = weight(rng, model)
    if not t.dims:
        t.dims.append(1)
    t.dims[rng.randrange(len(t.dims))] = rng.choice(HUGE)
    return f"{t.name} claims dims {list(t.dims)}"


def overflowing_product(rng, model):
    """2^32 * 2^32 = 0 in 64 bits; 2^33 * 2^31 * 4 bytes = 0 too."""
    t = weight(rng, model)
    del t.dims[:]
    t.dims.extend(rng.choice([[2**32, 2**32], [2**31, 2**33], [2**62, 4], [2**16] * 4]))
    if rng.random() < 0.5:
        t.raw_data = b""
    return f"{t.name} claims dims {list(t.dims)}"


def odd_dimension(rng, model):
    t = weight(rng, model)
    if not t.dims:
        t.dims.append(1)
    t.dims[rng.randrange(len(t.dims))] = rng.choice(ODD)
    return f"{t.name} claims dims {list(t.dims)}"


def wrong_rank(rng, model):
    t = weight(rng, model)
    dims = list(t.dims)
    del t.dims[:]
    t.dims.extend(rng.choice([[], [int(np.prod(dims))], [1, 1, 1] + dims]))
    return f"{t.name}: dims {dims} -> {list(t.dims)}"


def swapped_dims(rng, model):
    t = weight(rng, model)
    dims = list(t.dims)
    del t.dims[:]
    t.dims.extend(dims[::-1])
    return f"{t.name}: dims {dims} -> {list(t.dims)}"


def short_raw_data(rng, model):
    t = weight(rng, model)
    t.raw_data = t.raw_data[:rng.randrange(len(t.raw_data) + 1)]
    return f"{t.name}: raw data cut to {len(t.raw_data)} bytes"


def long_raw_data(rng, model):
    t = weight(rng, model)
    t.raw_data += rng.randbytes(rng.randrange(1, 9))
    return f"{t.name}: raw data longer than its dims say"


def short_typed_data(rng, model):
    t = weight(rng, model)
    t.ClearField("raw_data")
    t.float_data.extend([1.0] * rng.randrange(3))
    return f"{t.name}: {len(t.float_data)} typed values for dims {list(t.dims)}"


def other_data_type(rng, model):
    t = weight(rng, model)
    t.data_type = rng.choice([0, 2, 6, 7, 8, 9, 10, 11, 14, 16, 17, 21, 22, 23, 26, 27, 99, -1, 2**31 - 1])
    return f"{t.name}: data type {t.data_type}"


def double_weight(rng, model):
    t = weight(rng, model)
    t.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(t).astype(np.float64), t.name))
    return f"{t.name} in double among floats"


def string_weight(rng, model):
    t = weight(rng, model)
    n = int(np.prod(t.dims)) if t.dims else 1
    t.ClearField("raw_data")
    t.data_type = TensorProto.STRING
    t.string_data.extend([b"w"] * min(n, 10))
    return f"{t.name} of strings"


def input_type(rng, model):
    v = model.graph.input[0].type.tensor_type
    v.elem_type = rng.choice([0, 2, 7, 8, 10, 11, 14, 99])
    return f"input of element type {v.elem_type}"


def input_not_a_tensor(rng, model):
    t = model.graph.input[0].type
    inner = type(t).FromString(t.SerializeToString())
    t.sequence_type.elem_type.CopyFrom(inner)
    return "the input is a sequence"


def input_dimension(rng, model):
    dims = model.graph.input[0].type.tensor_type.shape.dim
    d = dims[rng.randrange(len(dims))]
    d.dim_value = rng.choice(HUGE + ODD + [1, 3, 10**6])
    return f"an input dimension of {d.dim_value}"


def input_rank(rng, model):
    dims = model.graph.input[0].type.tensor_type.shape.dim
    if rng.random() < 0.5:
        del dims[rng.randrange(len(dims))]
    else:
        dims.add().dim_value = 3
    return f"input of rank {len(dims)}"


def input_without_shape(rng, model):
    t = model.graph.input[0].type
    if rng.random() < 0.5:
        t.tensor_type.ClearField("shape")
        return "an input without a shape"
    model.graph.input[0].ClearField("type")
    return "an input without a type"


def unnamed_dimensions(rng, model):
    for i, d in enumerate(model.graph.input[0].type.tensor_type.shape.dim):
        d.dim_param = rng.choice(["", "n", f"d{i}", "n*2", "-1"])
    return "every input dimension symbolic"


def output_shape(rng, model):
    dims = model.graph.output[0].type.tensor_type.shape.dim
    dims[-1].dim_value = rng.choice(HUGE + ODD + [11])
    return f"the output claims {dims[-1].dim_value} classes"


def nan_weights(rng, model):
    t = weight(rng, model)
    bad = np.full(tuple(t.dims), rng.choice([np.nan, np.inf, 3e38]), np.float32)
    t.CopyFrom(numpy_helper.from_array(bad, t.name))
    return f"{t.name} is not finite or enormous"


WAYS = [
    drop_initializer, undefined_input, cycle, self_loop, doubled_output, doubled_initializer, shuffled_nodes,
    no_nodes, no_outputs, no_inputs, no_graph, output_from_nowhere, output_is_input, drop_node,
    node_without_output, long_chain, strange_names, input_is_initializer, huge_dimension, overflowing_product,
    odd_dimension, wrong_rank, swapped_dims, short_raw_data, long_raw_data, short_typed_data, other_data_type,
    double_weight, string_weight, input_type, input_not_a_tensor, input_dimension, input_rank,
    input_without_shape, unnamed_dimensions, output_shape, nan_weights,
]

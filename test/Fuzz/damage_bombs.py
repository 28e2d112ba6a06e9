"""Small files that ask for much: time, memory, depth; and external data that leaves the folder.

Each changes an onnx.ModelProto in place and says what it did. Folders for the second part: see
damage.py, `surroundings`.
"""

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from damage_nodes import put_before

UNARY = ["Relu", "Sigmoid", "Tanh", "Neg", "Abs", "Identity", "Exp", "Softplus", "LeakyRelu", "Dropout"]


def constants(model, **arrays):
    model.graph.initializer.extend(numpy_helper.from_array(np.array(a), n) for n, a in arrays.items())


def chain(rng, model, names, node):
    """`node(i, a, b)` from a to b, one after the other, in front of the network."""
    put_before(model, [node(i, a, b) for i, (a, b) in enumerate(zip(names, names[1:]))], {}, names[-1])


def deep_chain(rng, model):
    """Thousands of operations in a row: recursion over the graph would overflow the stack."""
    count = rng.choice([1000, 3000, 6000])
    ops = rng.choice([UNARY, ["Relu"], ["Add"], ["Mul", "Relu"]])
    chain(rng, model, ["x"] + [f"deep{i}" for i in range(count)],
          lambda i, a, b: helper.make_node(ops[i % len(ops)],
                                           [a, a] if ops[i % len(ops)] in ("Add", "Mul") else [a], [b], b))
    return f"a chain of {count} {', '.join(ops)}"


def same_names(rng, model):
    """Thousands of layers of one name: each needs a name of its own."""
    count = rng.choice([1000, 4000])
    constants(model, unit=np.ones((1, 1, 1, 1), np.float32) if rng.random() < 0.3 else np.float32(1))
    chain(rng, model, ["x"] + [f"same{i}" for i in range(count)],
          lambda i, a, b: helper.make_node("Mul", [a, "unit"], [b], "same"))
    return f"{count} nodes named 'same'"


def shared_weight(rng, model):
    """One weight read by hundreds of linear layers."""
    count = rng.choice([50, 300])
    constants(model, square=np.eye(8, dtype=np.float32))
    model.graph.input[0].type.tensor_type.shape.Clear()
    for dim in (4, 8):
        model.graph.input[0].type.tensor_type.shape.dim.add().dim_value = dim
    chain(rng, model, ["x"] + [f"shared{i}" for i in range(count)],
          lambda i, a, b: helper.make_node("MatMul", [a, "square"], [b], b))
    return f"{count} MatMul with one weight"


def long_sequence(rng, model):
    """A recurrent node becomes code for each step of time."""
    steps, op = rng.choice([30, 100, 513, 1 << 30]), rng.choice(["RNN", "GRU", "LSTM"])
    layers, rows = rng.choice([1, 2, 20]), {"RNN": 1, "GRU": 3, "LSTM": 4}[op] * 4
    constants(model, inputs=np.ones((1, rows, 4), np.float32) / 8, states=np.ones((1, rows, 4), np.float32) / 8, axis=np.array([1]))
    for info, dims in ((model.graph.input[0], (steps, 1, 4)), (model.graph.output[0], (1, 4))):
        info.type.tensor_type.shape.Clear()
        for dim in dims:
            info.type.tensor_type.shape.dim.add().dim_value = dim
    del model.graph.node[:]
    for i in range(layers):
        model.graph.node.add().CopyFrom(helper.make_node(op, [f"s{i}" if i else model.graph.input[0].name, "inputs", "states"], [f"all{i}", f"end{i}"],
                                                         f"{op}{i}", hidden_size=4))
        last = i == layers - 1
        model.graph.node.add().CopyFrom(helper.make_node("Squeeze", [f"{'end' if last else 'all'}{i}", "axis"],
                                                         [model.graph.output[0].name if last else f"s{i + 1}"], f"squeeze{i}"))
    return f"{layers} {op} of {steps} steps"


def shared_statistics(rng, model):
    """Hundreds of normalizations that share every weight."""
    count = rng.choice([50, 500])
    dims = model.graph.input[0].type.tensor_type.shape.dim
    channels = dims[1].dim_value if len(dims) > 1 and 0 < dims[1].dim_value < 100 else 8
    constants(model, ones=np.ones(channels, np.float32))
    chain(rng, model, ["x"] + [f"norm{i}" for i in range(count)],
          lambda i, a, b: helper.make_node("BatchNormalization", [a] + ["ones"] * 4, [b], "norm"))
    return f"{count} BatchNormalization with one weight"


def fan(rng, model):
    """One value with thousands of readers that are added up."""
    count = rng.choice([500, 2000])
    nodes = [helper.make_node("Relu", ["x"], [f"fan{i}"], f"fan{i}") for i in range(count)]
    nodes.append(helper.make_node("Sum", [f"fan{i}" for i in range(count)], ["fan.sum"], "fan.sum"))
    put_before(model, nodes, {}, "fan.sum")
    return f"a value with {count} readers"


def function_bomb(rng, model):
    """Functions that call the next one twice: 2^30 nodes once they are inlined."""
    depth = rng.choice([8, 20, 30, 60])
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("bomb", 1)]
    for i in range(depth):
        inner = ("f%d" % (i + 1), "bomb") if i + 1 < depth else ("Relu", "")
        nodes = [helper.make_node(inner[0], ["a"], ["c"], domain=inner[1]),
                 helper.make_node(inner[0], ["c"], ["b"], domain=inner[1])]
        model.functions.append(helper.make_function("bomb", f"f{i}", ["a"], ["b"], nodes, opsets))
    model.opset_import.append(helper.make_opsetid("bomb", 1))
    put_before(model, [helper.make_node("f0", ["x"], ["bomb.out"], "bomb", domain="bomb")], {}, "bomb.out")
    return f"{depth} functions, each calling the next one twice"


def folding_bomb(rng, model):
    """Large constants from a few bytes, again and again: each alone is within the limit."""
    size, count = rng.choice([(2**20, 3000), (2**24, 300), (2**25, 40), (2**27, 8), (2**28 - 1, 2)])
    op = rng.choice(["Neg", "Exp", "Identity", "Cast", "Transpose", "Reshape", "Slice", "Add", "Concat", "Where"])
    nodes = [helper.make_node("ConstantOfShape", ["size"], ["big0"], "big0")]
    inputs = {"Reshape": ["side"], "Slice": ["start", "stop"], "Where": []}.get(op, [])
    for i in range(count):
        a, b = f"big{i}", f"big{i + 1}"
        reads = [a] * (2 if op == "Add" else 1) + inputs
        if op == "Where":
            reads = ["yes", a, a]
        attributes = {"Cast": {"to": 1}, "Concat": {"axis": 0}}.get(op, {})
        nodes.append(helper.make_node(op, reads, [b], b, **attributes))
    nodes += [helper.make_node("Slice", [f"big{count}", "start", "one"], ["small"], "small"),
              helper.make_node("Add", ["x", "small"], ["folded"], "folded")]
    put_before(model, nodes, {"size": np.array([size // 1024, 1024], np.int64), "side": np.array([1024, -1], np.int64),
                              "start": np.array([0], np.int64), "stop": np.array([2**40], np.int64),
                              "one": np.array([1], np.int64), "yes": np.array(True)}, "folded")
    return f"{count} {op} of a constant of {size} elements"


def many_dimensions(rng, model):
    """Tensors of thousands of dimensions, all 1."""
    rank = rng.choice([65, 1000, 20000])
    how = rng.choice(["Reshape", "Unsqueeze", "weight", "input", "Expand"])
    if how == "weight":
        t = rng.choice(list(model.graph.initializer))
        t.dims.extend([1] * rank)
    elif how == "input":
        for _ in range(rank):
            model.graph.input[0].type.tensor_type.shape.dim.add().dim_value = 1
    elif how == "Unsqueeze":
        put_before(model, [helper.make_node("Unsqueeze", ["x", "axes"], ["long"], "long")],
                   {"axes": np.arange(4, rank + 4)}, "long")
    else:
        put_before(model, [helper.make_node(how, ["x", "ones"], ["long"], "long")],
                   {"ones": np.array([-1 if how == "Reshape" else 1] + [1] * rank)}, "long")
    return f"{how} to {rank} dimensions"


def empty_and_huge(rng, model):
    """No elements, and yet dimensions whose product overflows."""
    shape = rng.choice([[0, 2**40, 2**40], [2**62, 0, 8], [0, 2**31, 2**31, 4]])
    op = rng.choice(["Transpose", "Expand", "Concat", "Gather", "Slice", "Reshape"])
    nodes = {"Transpose": helper.make_node("Transpose", ["void"], ["v"], "v"),
             "Expand": helper.make_node("Expand", ["void", "size"], ["v"], "v"),
             "Concat": helper.make_node("Concat", ["void", "void"], ["v"], "v", axis=0),
             "Gather": helper.make_node("Gather", ["void", "at"], ["v"], "v"),
             "Slice": helper.make_node("Slice", ["void", "at", "at"], ["v"], "v"),
             "Reshape": helper.make_node("Reshape", ["void", "size"], ["v"], "v")}
    model.graph.initializer.append(TensorProto(name="void", data_type=1, dims=shape, raw_data=b""))
    put_before(model, [nodes[op], helper.make_node("Add", ["x", "v"], ["sum"], "sum")],
               {"size": np.array(shape), "at": np.array([0])}, "sum")
    return f"{op} of a constant of shape {shape}"


def nested_if(rng, model):
    """If in If in If …: the most that protobuf's limit of 100 messages lets through."""
    depth = rng.choice([10, 20, 28])
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["inner"])], "leaf", [],
                              [helper.make_tensor_value_info("inner", 1, None)])
    for i in range(depth):
        node = helper.make_node("If", ["yes"], [f"if{i}"], then_branch=graph, else_branch=graph if i < 3 else None)
        graph = helper.make_graph([node], f"level{i}", [], [helper.make_tensor_value_info(f"if{i}", 1, None)])
    put_before(model, [graph.node[0]], {"yes": np.array(True)}, f"if{depth - 1}")
    return f"{depth} If, one in the other"


def long_attribute(rng, model):
    node = rng.choice(list(model.graph.node))
    what = rng.choice(["auto_pad", "pads", "kernel_shape", "axes", "name"])
    if what == "auto_pad":
        node.attribute.append(helper.make_attribute(what, "S" * 10**6))
    elif what == "name":
        node.name = "n" * 10**6
    else:
        node.attribute.append(helper.make_attribute(what, [1] * 10**5))
    return f"{node.op_type} with a very long {what}"


def quantized_chain(rng, model):
    """Hundreds of QuantizeLinear and DequantizeLinear, one after the other, each result read once more."""
    count = rng.choice([50, 500])
    nodes, last = [], "x"
    constants(model, **{"qdq.scale": np.float32(0.5), "qdq.zero": np.int8(0)})
    for i in range(count):
        nodes += [helper.make_node("QuantizeLinear", [last, "qdq.scale", "qdq.zero"], [f"codes{i}"], f"q{i}"),
                  helper.make_node("DequantizeLinear", [f"codes{i}", "qdq.scale", "qdq.zero"], [f"real{i}"], f"d{i}")]
        last = f"real{i}"
    put_before(model, nodes, {}, last)
    return f"{count} pairs of QuantizeLinear and DequantizeLinear"


# --- external data that leaves the folder ------------------------------------------------------------


def external_escape(rng, model):
    """Data of the right size that lie outside: read, they would be taken without a word."""
    places = ["../outside/secret.bin", "link.bin", "linkdir/secret.bin", "sub/../../outside/secret.bin",
              "./../outside/secret.bin", "linkdir/../outside/secret.bin", "/etc/passwd", "/proc/self/exe", "pipe", "linkpipe",
              "/dev/zero", "/proc/self/mem", "linkloop", "sub", "weights.bin/", "linkdir/./secret.bin"]
    place = rng.choice(places)
    put_outside(model, place)
    return f"external data in {place}"


def put_outside(model, place):
    """Moves every large weight to `place`, at the offset that it has in weights.bin."""
    offset = 0
    for t in model.graph.initializer:
        size = len(t.raw_data)
        if t.data_location == TensorProto.EXTERNAL:
            for entry in t.external_data:
                if entry.key == "location":
                    entry.value = place
        elif size >= 16:
            t.ClearField("raw_data")
            t.data_location = TensorProto.EXTERNAL
            for key, value in (("location", place), ("offset", str(offset)), ("length", str(size))):
                t.external_data.add(key=key, value=value)
            offset += size


def external_numbers(rng, model):
    """Offsets and lengths beyond the file, overflowing, negative, doubled, in other spellings."""
    put_outside(model, "weights.bin")
    tensors = [t for t in model.graph.initializer if t.data_location == TensorProto.EXTERNAL]
    if not tensors:
        return "no external data"
    t = rng.choice(tensors)
    entry = rng.choice(list(t.external_data))
    if rng.random() < 0.2:
        t.external_data.add(key=entry.key, value=entry.value)
    entry.value = rng.choice(["0", "1", "-1", "+4", " 4", "4 ", "0x10", "1e3", "", "18446744073709551615", str(2**63 - 1),
                              str(2**63), str(2**64), "9" * 400, "4096", "weights.bin"])
    if rng.random() < 0.3 and t.dims:
        t.dims[0] = rng.choice([2**20, 2**31, 2**40, 2**62, 0, -1])
    return f"{t.name}: {entry.key} is '{entry.value[:30]}', dims {list(t.dims)}"


def external_attribute(rng, model):
    """External data of a Constant's value."""
    value = TensorProto(name="v", data_type=1, dims=[4], data_location=TensorProto.EXTERNAL)
    value.external_data.add(key="location", value=rng.choice(["weights.bin", "../outside/secret.bin", "link.bin"]))
    put_before(model, [helper.make_node("Constant", [], ["far"], "far", value=value),
                       helper.make_node("Add", ["x", "far"], ["sum"], "sum")], {}, "sum")
    return "a Constant with external data"


# What a reader must refuse, whatever else is in the file: they would show bytes from outside the folder.
ESCAPES = {"external_escape"}

WAYS = [deep_chain, same_names, shared_weight, long_sequence, shared_statistics, fan, function_bomb, folding_bomb, many_dimensions,
        empty_and_huge, nested_if, long_attribute, quantized_chain, external_escape, external_numbers,
        external_attribute]

"""Ways to damage nodes: attributes, operators, constants that fold, versions, external data.

Each changes an onnx.ModelProto in place and says what it did.
"""

import numpy as np
from onnx import AttributeProto, TensorProto, helper, numpy_helper

from damage_model import HUGE, ODD, node_with, weight

# --- attributes and operators ---------------------------------------------------------------------


def integers_attribute(rng, model):
    """strides, pads, kernel_shape, dilations with numbers that nobody means."""
    name = rng.choice(["strides", "pads", "kernel_shape", "dilations"])
    node = node_with(rng, model, name)
    kept = [a for a in node.attribute if a.name != name]
    del node.attribute[:]
    node.attribute.extend(kept)
    values = [rng.choice(HUGE + ODD + [1, 2, 7]) for _ in range(rng.choice([0, 1, 2, 2, 4, 4, 5]))]
    node.attribute.append(helper.make_attribute(name, values, attr_type=AttributeProto.INTS))
    return f"{node.name}: {name} = {values}"


def integer_attribute(rng, model):
    node = node_with(rng, model)
    name = rng.choice(["group", "axis", "transB", "transA", "ceil_mode", "training_mode", "storage_order"])
    node.attribute.extend([helper.make_attribute(name, rng.choice(HUGE + ODD + [3, 7]))])
    return f"{node.name}: {name} = {node.attribute[-1].i}"


def float_attribute(rng, model):
    node = node_with(rng, model)
    name = rng.choice(["epsilon", "momentum", "alpha", "beta", "ratio"])
    node.attribute.extend([helper.make_attribute(name, rng.choice([float("nan"), float("inf"), -1.0, 0.0]))])
    return f"{node.name}: {name} = {node.attribute[-1].f}"


def attribute_type(rng, model):
    node = rng.choice([n for n in model.graph.node if n.attribute] or list(model.graph.node))
    if not node.attribute:
        node.attribute.add().name = "axis"
    a = rng.choice(list(node.attribute))
    a.type = rng.choice([t for t in range(0, 15) if t != a.type])
    return f"{node.name}: attribute {a.name} is of type {a.type}"


def attribute_twice(rng, model):
    node = rng.choice([n for n in model.graph.node if n.attribute] or list(model.graph.node))
    node.attribute.extend(list(node.attribute))
    return f"{node.name}: every attribute twice"


def no_attributes(rng, model):
    node = rng.choice([n for n in model.graph.node if n.attribute] or list(model.graph.node))
    del node.attribute[:]
    return f"{node.name}: attributes removed"


def auto_pad(rng, model):
    node = node_with(rng, model, "pads")
    value = rng.choice(["SAME_UPPER", "VALID", "nonsense", ""])
    node.attribute.extend([helper.make_attribute("auto_pad", value)])
    return f"{node.name}: auto_pad '{value}' beside pads"


def other_operator(rng, model):
    node = node_with(rng, model)
    old, new = node.op_type, rng.choice(
        ["MatMul", "Conv", "Gemm", "Relu", "Add", "Concat", "Slice", "Softmax", "BatchNormalization", "Reshape",
         "Transpose", "Cast", "Clip", "ReduceMean", "Squeeze", "Unsqueeze", "MaxPool", "Constant", "Where",
         "Dropout", "If", "Loop", "LSTM", "Identity", "Gather", "Expand", "ConstantOfShape", "Split", "TopK"])
    node.op_type = new
    return f"{node.name}: {old} -> {new}"


def unknown_operator(rng, model):
    node = node_with(rng, model)
    node.op_type = rng.choice(["", "NoSuchOp", "conv", "x" * 5000])
    if rng.random() < 0.3:
        node.domain = "com.example"
    return f"{node.name}: operator '{node.op_type[:20]}' of domain '{node.domain}'"


def input_count(rng, model):
    node = node_with(rng, model)
    inputs = list(node.input)
    node.input[:] = rng.choice([[], inputs[:1], inputs + inputs, inputs[::-1], [""] * len(inputs), inputs[1:]])
    return f"{node.name}: inputs {list(node.input)}"


def output_count(rng, model):
    node = node_with(rng, model)
    node.output.extend(rng.choice([[""], ["extra"], ["extra1", "extra2", "extra3"]]))
    return f"{node.name}: {len(node.output)} outputs"


def nested_branches(rng, model):
    """An If whose branches hold the whole graph."""
    g = model.graph
    branch = type(g)()
    branch.CopyFrom(g)
    del branch.input[:]
    node = helper.make_node("If", ["condition"], ["branch.out"], "if", then_branch=branch, else_branch=branch)
    g.initializer.append(numpy_helper.from_array(np.array(True), "condition"))
    g.node.append(node)
    g.output[0].name = "branch.out"
    return "an If around the graph"


# --- constants that fold --------------------------------------------------------------------------


def put_before(model, nodes, arrays, result):
    """Puts constant nodes first and makes the first node read `result` in place of x."""
    rest = [type(n).FromString(n.SerializeToString()) for n in model.graph.node]
    rest[0].input[0] = result
    del model.graph.node[:]
    model.graph.node.extend(nodes + rest)
    model.graph.initializer.extend(numpy_helper.from_array(a, n) for n, a in arrays.items())


def reshape_target(rng, model):
    target = rng.choice([[-1, -1], [0, 0, 0, 0, 0, 0], [2**62, 4], [-2, 3], [], [2**63 - 1], [7, -1]])
    put_before(model, [helper.make_node("Reshape", ["x", "target"], ["reshaped"], "reshape")],
               {"target": np.array(target, np.int64)}, "reshaped")
    return f"x is reshaped to {target}"


def huge_constant(rng, model):
    """A constant of 2^40 or more elements from a few bytes: the folder must refuse it."""
    shape = rng.choice([[2**40], [2**20, 2**20, 2**20], [2**32, 2**32], [2**33]])
    op = rng.choice(["ConstantOfShape", "Expand"])
    if op == "Expand":
        nodes = [helper.make_node("Expand", ["scalar", "size"], ["big"], "expand")]
    else:
        nodes = [helper.make_node("ConstantOfShape", ["size"], ["big"], "of-shape")]
    nodes.append(helper.make_node("Add", ["x", "big"], ["sum"], "sum"))
    put_before(model, nodes, {"size": np.array(shape, np.int64), "scalar": np.float32([1])}, "sum")
    return f"{op} to {shape}"


def slice_bounds(rng, model):
    """Starts, ends, axes and steps at the ends of int64, and a step of zero."""
    pick = [-2**63, -1, 0, 1, 2**63 - 1]
    arrays = {n: np.array([rng.choice(pick)], np.int64) for n in ("starts", "ends", "axes", "steps")}
    put_before(model, [helper.make_node("Slice", ["x", *arrays], ["cut"], "slice")], arrays, "cut")
    return "Slice with " + ", ".join(f"{n} {int(a[0])}" for n, a in arrays.items())


def transpose_permutation(rng, model):
    perm = rng.choice([[0, 0, 1, 2], [0], [4, 3, 2, 1], [-1, 0], [2**40, 0, 1, 2], []])
    node = helper.make_node("Transpose", ["x"], ["turned"], "transpose")
    node.attribute.append(helper.make_attribute("perm", perm, attr_type=AttributeProto.INTS))
    put_before(model, [node], {}, "turned")
    return f"Transpose with perm {perm}"


def division_of_integers(rng, model):
    """Shape arithmetic that divides by zero, or -2^63 by -1: both trap on x86."""
    a, b = rng.choice([(1, 0), (-2**63, -1)])
    nodes = [helper.make_node("Div", ["a", "b"], ["q"], "div"),
             helper.make_node("Reshape", ["x", "q"], ["reshaped"], "reshape")]
    put_before(model, nodes, {"a": np.array([a], np.int64), "b": np.array([b], np.int64)}, "reshaped")
    return f"a shape is {a} / {b}"


def gather_index(rng, model):
    index = rng.choice([5, -5, 2**62, -2**63])
    nodes = [helper.make_node("Shape", ["x"], ["s"], "shape-of-x"),
             helper.make_node("Gather", ["s", "at"], ["n"], "gather-far"),
             helper.make_node("Reshape", ["x", "n"], ["reshaped"], "reshape")]
    put_before(model, nodes, {"at": np.array([index], np.int64)}, "reshaped")
    return f"Gather at {index} of a shape"


# --- versions and the rest of the file ------------------------------------------------------------


def opset(rng, model):
    model.opset_import[0].version = rng.choice([0, -1, 1, 5, 6, 9, 12, 13, 99, 2**31, 2**63 - 1])
    return f"opset {model.opset_import[0].version}"


def no_opset(rng, model):
    del model.opset_import[:]
    return "no opset import"


def opset_twice(rng, model):
    model.opset_import.add().version = rng.choice([7, 13, 99])
    return "two versions of the default domain"


def ir_version(rng, model):
    model.ir_version = rng.choice([0, -1, 1, 2, 99, 2**62])
    return f"IR version {model.ir_version}"


def external(rng, model):
    """External data that leaves the folder, is missing, or has sizes that overflow."""
    t = weight(rng, model)
    size = len(t.raw_data)
    t.ClearField("raw_data")
    t.data_location = TensorProto.EXTERNAL
    fields = {"location": rng.choice(["../../../../etc/passwd", "/etc/passwd", "missing.bin", "", ".", "/dev/zero",
                                      "a\0b", "sub/../../manifest.json", "manifest.json"]),
              "offset": rng.choice(["0", "-1", "abc", str(2**63), str(2**64 - 4), ""]),
              "length": rng.choice([str(size), "-4", "99999999999999999999", str(2**62), "x", "0"])}
    for key in rng.sample(sorted(fields), rng.choice([1, 2, 3])):
        t.external_data.add(key=key, value=fields[key])
    return f"{t.name} external: { {e.key: e.value for e in t.external_data} }"


def sparse(rng, model):
    """A sparse initializer whose indices lie outside its dims."""
    s = model.graph.sparse_initializer.add()
    s.values.CopyFrom(numpy_helper.from_array(np.float32([1, 2]), "sparse"))
    s.indices.CopyFrom(numpy_helper.from_array(np.array([2**40, -1], np.int64), "sparse.indices"))
    s.dims.extend([4, 4])
    node_with(rng, model).input[-1] = "sparse"
    return "a sparse initializer with indices out of range"


def recursive_function(rng, model):
    """A model-local function that calls itself."""
    call = helper.make_node("Again", ["a"], ["b"], "again", domain="local")
    model.functions.append(helper.make_function("local", "Again", ["a"], ["b"], [call],
                                                [helper.make_opsetid("", 21), helper.make_opsetid("local", 1)]))
    model.opset_import.append(helper.make_opsetid("local", 1))
    put_before(model, [helper.make_node("Again", ["x"], ["again.out"], "call", domain="local")], {}, "again.out")
    return "a function that calls itself"


WAYS = [
    integers_attribute, integer_attribute, float_attribute, attribute_type, attribute_twice, no_attributes,
    auto_pad, other_operator, unknown_operator, input_count, output_count, nested_branches, reshape_target,
    huge_constant, slice_bounds, transpose_permutation, division_of_integers, gather_index, opset, no_opset,
    opset_twice, ir_version, external, sparse, recursive_function,
]

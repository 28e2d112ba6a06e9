"""Damage to any field of any message of a file, whatever it means: protobuf-aware, but not ONNX-aware.

A field is cleared, set to a number or a name that somebody may have forgotten, repeated, removed, moved,
or replaced by one of the same type from elsewhere in the file. Each way changes an onnx.ModelProto in place.
"""

from google.protobuf.descriptor import FieldDescriptor as F

INTEGERS = [-2**63, -2**31, -2, -1, 0, 1, 2, 3, 4, 5, 7, 8, 16, 255, 256, 2**16, 2**31 - 1, 2**31, 2**32, 2**40,
            2**62, 2**63 - 1]
REALS = [float("nan"), float("inf"), float("-inf"), -1.0, -0.0, 0.0, 1e-45, 1e-30, 0.5, 1.0, 3e38]
STRINGS = ["", "x", "y", "nobody", "axis", "value", "pads", "\0", "\u202e", "a" * 300, "../x", "Gemm", "Conv", "Add",
           "Concat", "Shape", "Constant", "If", "local", "ai.onnx", "ai.onnx.ml", "com.microsoft"]
SIGNED_32 = {F.TYPE_INT32, F.TYPE_ENUM, F.TYPE_SINT32, F.TYPE_SFIXED32}
UNSIGNED = {F.TYPE_UINT32, F.TYPE_UINT64, F.TYPE_FIXED32, F.TYPE_FIXED64}


def messages(root, limit=3000):
    """Every message in `root`, itself included."""
    found = [root]
    for message in found:
        if len(found) > limit:
            break
        for field, value in message.ListFields():
            if field.type == F.TYPE_MESSAGE:
                found.extend(value if repeated(field) else [value])
    return found


def repeated(field):
    return field.is_repeated if hasattr(field, "is_repeated") else field.label == F.LABEL_REPEATED


def names(model):
    """Names that occur in the graph."""
    return [n for node in model.graph.node for n in (*node.input, *node.output, node.op_type)] + \
        [t.name for t in model.graph.initializer]


def scalar(rng, field, model):
    """A value that the field's type can hold."""
    if field.type == F.TYPE_STRING:
        return rng.choice(names(model) + STRINGS) if rng.random() < 0.7 else rng.choice(STRINGS)
    if field.type == F.TYPE_BYTES:
        return rng.randbytes(rng.choice([0, 1, 3, 4, 8, 64]))
    if field.type == F.TYPE_BOOL:
        return rng.random() < 0.5
    if field.type in (F.TYPE_FLOAT, F.TYPE_DOUBLE):
        return rng.choice(REALS)
    if field.type == F.TYPE_ENUM:
        return rng.choice([v.number for v in field.enum_type.values])
    value = rng.choice(INTEGERS)
    if field.type in SIGNED_32:
        value = max(-2**31, min(value, 2**31 - 1))
    if field.type in UNSIGNED:
        value = abs(value) % 2**32
    return value


def change_repeated(rng, message, field, model, everything):
    values = getattr(message, field.name)
    how = rng.choice(["remove", "double", "swap", "set", "clear", "many"]) if len(values) else "add"
    at = rng.randrange(len(values)) if len(values) else 0
    if field.type == F.TYPE_MESSAGE:
        if how == "remove":
            del values[at]
        elif how in ("double", "many"):
            copies = 1 if how == "double" else rng.choice([3, 30])
            for _ in range(copies):
                values.add().CopyFrom(values[at])
        elif how == "swap":
            other = rng.randrange(len(values))
            a, b = type(values[at])(), type(values[at])()
            a.CopyFrom(values[at]), b.CopyFrom(values[other])
            values[at].CopyFrom(b), values[other].CopyFrom(a)
        elif how == "clear":
            del values[:]
        else:
            similar = [m for m in everything if m.DESCRIPTOR is field.message_type]
            target = values[at] if how == "set" else values.add()
            if similar:
                copy = type(target)()
                copy.CopyFrom(rng.choice(similar))
                target.CopyFrom(copy)
        return how
    if how == "remove":
        del values[at]
    elif how == "double":
        values.append(values[at])
    elif how == "swap":
        other = rng.randrange(len(values))
        values[at], values[other] = values[other], values[at]
    elif how == "clear":
        del values[:]
    elif how == "set":
        values[at] = scalar(rng, field, model)
    else:
        values.extend(scalar(rng, field, model) for _ in range(1 if how == "add" else rng.choice([2, 5, 70])))
    return how


def change_single(rng, message, field, model, everything):
    if field.type != F.TYPE_MESSAGE:
        if rng.random() < 0.15:
            message.ClearField(field.name)
            return "clear"
        setattr(message, field.name, scalar(rng, field, model))
        return f"{getattr(message, field.name)!r:.30}"
    if rng.random() < 0.5:
        message.ClearField(field.name)
        return "clear"
    target = getattr(message, field.name)
    similar = [m for m in everything if m.DESCRIPTOR is field.message_type]
    copy = type(target)()
    if similar:
        copy.CopyFrom(rng.choice(similar))
    target.CopyFrom(copy)
    return "another one"


def change(rng, model, present):
    """Changes one field; `present`: one that is set (else any that the message could have)."""
    everything = messages(model)
    message = rng.choice(everything)
    fields = [f for f, _ in message.ListFields()] if present else list(message.DESCRIPTOR.fields)
    if not fields:
        return "nothing"
    field = rng.choice(fields)
    kind = change_repeated if repeated(field) else change_single
    return f"{message.DESCRIPTOR.name}.{field.name}: {kind(rng, message, field, model, everything)}"


def a_field(rng, model):
    return change(rng, model, present=True)


def any_field(rng, model):
    return change(rng, model, present=rng.random() < 0.5)


def a_few_fields(rng, model):
    return "; ".join(change(rng, model, present=rng.random() < 0.8) for _ in range(rng.choice([2, 3, 5])))


def a_node_field(rng, model):
    """A field of a node or one of its attributes."""
    nodes = list(model.graph.node)
    if not nodes:
        return any_field(rng, model)
    node = rng.choice(nodes)
    message = rng.choice([node, *node.attribute])
    field = rng.choice(list(message.DESCRIPTOR.fields) if rng.random() < 0.3 else [f for f, _ in message.ListFields()])
    kind = change_repeated if repeated(field) else change_single
    return f"{message.DESCRIPTOR.name}.{field.name} of {node.name}: {kind(rng, message, field, model, messages(model))}"


def a_shape_field(rng, model):
    """A dimension of a weight, an input, an output or a recorded value."""
    infos = [*model.graph.input, *model.graph.output, *model.graph.value_info]
    dims = [d for v in infos for d in v.type.tensor_type.shape.dim]
    tensors = [t for t in model.graph.initializer if t.dims]
    if tensors and (not dims or rng.random() < 0.4):
        t = rng.choice(tensors)
        at = rng.randrange(len(t.dims))
        t.dims[at] = rng.choice(INTEGERS)
        return f"{t.name}: dims {list(t.dims)}"
    if not dims:
        return any_field(rng, model)
    d = rng.choice(dims)
    if rng.random() < 0.2:
        d.dim_param = rng.choice(["N", "M", "batch", ""])
        return f"a dimension is '{d.dim_param}'"
    d.dim_value = rng.choice(INTEGERS)
    return f"a dimension is {d.dim_value}"


WAYS = [a_field, any_field, a_few_fields, a_node_field, a_shape_field]

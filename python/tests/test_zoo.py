"""Laws of the zoo: valid ONNX, the shapes the names promise, weights decided by the seed alone."""

import math

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from nibble import zoo
from nibble.errors import NibbleError
from nibble.graph import to_bytes

NAMES = sorted(zoo.NETWORKS)


def weights(model):
    return {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}


def run(model, x):
    ort = pytest.importorskip("onnxruntime")
    session = ort.InferenceSession(to_bytes(model), providers=["CPUExecutionProvider"])
    return session.run(["logits"], {"x": x})[0]


@pytest.mark.parametrize("name", NAMES)
def test_checker_accepts_the_file(name, tmp_path):
    """What the command writes is read back and accepted by ONNX's checker with shape inference."""
    path = tmp_path / "m.onnx"
    assert zoo.main([name, "-o", str(path)]) == 0
    onnx.checker.check_model(str(path), full_check=True)


@pytest.mark.parametrize("name", NAMES)
def test_runs_elsewhere(name):
    """An independent runtime computes finite logits [batch, classes] that differ between samples."""
    network = zoo.NETWORKS[name]
    random, shape = np.random.RandomState(0), (3, *network.input_shape)
    x = random.randint(0, network.classes, shape) if network.tokens else random.randn(*shape).astype(np.float32)
    y = run(zoo.build(name), x)
    assert y.shape == (3, *(network.input_shape if network.tokens else ()), network.classes)
    assert np.isfinite(y).all()
    assert np.abs(y[0] - y[1]).max() > 0


@pytest.mark.parametrize("name", NAMES)
def test_seed_decides(name):
    """Equal seeds give equal bytes; another seed gives other weights of the same names and shapes."""
    assert to_bytes(zoo.build(name, seed=3)) == to_bytes(zoo.build(name, seed=3))
    one, two = weights(zoo.build(name, seed=3)), weights(zoo.build(name, seed=4))
    assert {n: w.shape for n, w in one.items()} == {n: w.shape for n, w in two.items()}
    assert any((one[n] != two[n]).any() for n in one)


@pytest.mark.parametrize("name", ["digits", "lenet", "mlp", "resnet8", "resnet18"])
def test_uniform_bound(name):
    """Conv and Gemm weights fill U(-b, b), b = 1/sqrt(fan_in): inside it, and near its ends."""
    for tensor, w in weights(zoo.build(name)).items():
        if w.ndim < 2:
            continue
        bound = 1 / math.sqrt(math.prod(w.shape[1:]))
        assert np.abs(w).max() <= bound, tensor
        assert np.abs(w).max() > 0.9 * bound, tensor
        # The standard deviation of U(-b, b) is b/sqrt(3); 5 standard errors of it, kurtosis 1.8.
        assert abs(w.std() / bound * math.sqrt(3) - 1) < 5 * math.sqrt(0.2 / w.size), tensor


def test_deep_mlp_is_he_normal():
    """deep-mlp: variance 2/fan_in (within 5 standard errors), biases exactly zero, 12 layers."""
    all_weights = weights(zoo.build("deep-mlp"))
    matrices = [w for w in all_weights.values() if w.ndim == 2]
    assert [w.shape for w in matrices] == [(128, 64)] + [(128, 128)] * 10 + [(10, 128)]
    for w in matrices:
        assert abs(w.var() * w.shape[1] / 2 - 1) < 5 * math.sqrt(2 / w.size)
    assert all((w == 0).all() for w in all_weights.values() if w.ndim == 1)


def test_shapes_equal_the_benchmarks():
    """lenet and resnet8 are the networks of the recorded accuracies: same weight shapes."""
    lenet = weights(zoo.build("lenet"))
    assert [lenet[n].shape for n in ("conv1.weight", "conv2.weight", "fc1.weight", "fc2.weight")] == [
        (16, 1, 5, 5), (32, 16, 5, 5), (128, 1568), (10, 128)]
    shapes = {n: w.shape for n, w in weights(zoo.build("resnet8")).items() if w.ndim > 1}
    assert shapes["stem.weight"] == (16, 3, 3, 3) and shapes["fc.weight"] == (10, 64)
    assert shapes["block2.shortcut.conv.weight"] == (32, 16, 1, 1)
    assert shapes["block3.conv2.weight"] == (64, 64, 3, 3)
    assert "block1.shortcut.conv.weight" not in shapes


def test_gpt_does_not_see_the_future():
    """A later token changes no earlier logits, an earlier one does change later logits."""
    x = np.random.RandomState(1).randint(0, 65, (1, 32))
    other = x.copy()
    other[0, 20] = (x[0, 20] + 1) % 65
    one, two = run(zoo.build("gpt-tiny"), x), run(zoo.build("gpt-tiny"), other)
    assert (one[0, :20] == two[0, :20]).all()
    assert np.abs(one[0, 21:] - two[0, 21:]).max() > 0


def test_gpt_is_the_benchmarks():
    """gpt: 6 layers of width 384, a context of 256, a vocabulary of 65: 10.8 million weights."""
    shapes = {n: w.shape for n, w in weights(zoo.build("gpt")).items()}
    assert shapes["token.weight"] == (65, 384) and shapes["position.weight"] == (1, 256, 384)
    assert shapes["block6.attention.qkv.weight"] == (384, 1152) and shapes["head.weight"] == (384, 65)
    assert "block7.norm1.weight" not in shapes


def test_lstm_is_the_benchmarks():
    """lstm: two layers of width 650, 35 steps of time, a vocabulary of 10,000."""
    shapes = {n: w.shape for n, w in weights(zoo.build("lstm")).items()}
    assert shapes["token.weight"] == (10000, 650) and shapes["head.weight"] == (650, 10000)
    assert shapes["lstm2.weight_ih"] == (1, 2600, 650) == shapes["lstm2.weight_hh"] and "lstm3.bias" not in shapes


def test_batch_is_symbolic_unless_given():
    """The leading dimension is named `batch` by default, and a number on request."""
    def leading(model):
        dim = model.graph.input[0].type.tensor_type.shape.dim[0]
        return dim.dim_param or dim.dim_value

    assert leading(zoo.build("lenet")) == "batch"
    assert leading(zoo.build("lenet", batch=16)) == 16


def test_classes_and_input_shape():
    """--classes sets the head, --input-shape every layer that depends on the size."""
    x = np.zeros((2, 3, 24, 24), np.float32)
    assert run(zoo.build("lenet", classes=7, input_shape=(3, 24, 24)), x).shape == (2, 7)


@pytest.mark.parametrize("arguments, words", [
    (["lenet2", "-o", "m.onnx"], "unknown network 'lenet2'"),
    (["lenet"], "-o FILE"),
    (["lenet", "-o", "no/such/folder/m.onnx"], "cannot write"),
    (["lenet", "-o", "m.onnx", "--input-shape", "1,3,3"], "input too small"),
    (["lenet", "-o", "m.onnx", "--input-shape", "64"], "needs a feature map"),
    (["lenet", "-o", "m.onnx", "--classes", "1"], "at least 2 classes"),
    (["lenet", "-o", "m.onnx", "--seed", "-1"], "seed"),
    (["gpt", "-o", "m.onnx", "--input-shape", "3,8,8"], "reads sequences"),
])
def test_errors_speak(arguments, words, capsys, tmp_path, monkeypatch):
    """A mistake ends in code 1 and one line that says what to change; no file is left."""
    monkeypatch.chdir(tmp_path)
    assert zoo.main(arguments) == 1
    assert words in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_unknown_name_is_a_typed_error():
    """From Python the same mistakes are NibbleError."""
    with pytest.raises(NibbleError):
        zoo.build("nothing")

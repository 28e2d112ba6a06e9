"""Laws of the data converters: shapes, types, ranges, a split without overlap, the same bytes again."""

import numpy as np
import pytest

from nibble import data
from nibble.errors import NibbleError


def check_split(split, shape):
    """What every converter promises."""
    for x, y in ((split.x_train, split.y_train), (split.x_test, split.y_test)):
        assert x.dtype == np.float32 and y.dtype == np.int64
        assert x.shape == (len(y), *shape)
        assert y.min() >= 0 and y.max() == 9


def test_digits():
    """1,797 images in [0, 1], multiples of 1/16; a fifth of every class is for testing."""
    pytest.importorskip("sklearn")
    split = data.digits()
    check_split(split, (1, 8, 8))
    assert len(split.y_train) == 1442 and len(split.y_test) == 355
    assert split.x_train.min() == 0 and split.x_train.max() == 1
    assert (split.x_train * 16 == np.round(split.x_train * 16)).all()
    train, test = np.bincount(split.y_train), np.bincount(split.y_test)
    assert (test == (train + test) // 5).all()


def test_digits_split_has_no_overlap():
    """The two parts together are scikit-learn's set, each image once."""
    datasets = pytest.importorskip("sklearn.datasets")
    split = data.digits()
    both = np.concatenate([split.x_train, split.x_test]).reshape(-1, 64) * 16
    original = datasets.load_digits().data
    assert sorted(map(bytes, both.astype(np.uint8))) == sorted(map(bytes, original.astype(np.uint8)))


def test_text_predicts_the_next_character(tmp_path):
    """y is x one character further, also from piece to piece; the last tenth is for testing."""
    path = tmp_path / "t.txt"
    path.write_text("to be or not to be, " * 50)
    split = data.text(str(path), 16)
    assert split.x_train.dtype == np.uint8 and split.x_train.shape == split.y_train.shape == (56, 16)
    assert split.x_test.shape == (6, 16)
    flat, answers = split.x_train.reshape(-1), split.y_train.reshape(-1)
    assert (answers[:-1] == flat[1:]).all()
    letters = np.array(sorted(set("to be or not to be, ")))
    assert "".join(letters[flat[:20]]) == "to be or not to be, "
    with pytest.raises(NibbleError, match="too short"):
        data.text(str(path), 1000)


def test_teacher_is_a_function_of_x():
    """Labels are the teacher's on x: drawn again from the documented stream they are the same."""
    split = data.teacher(train=500, test=100)
    check_split(split, (64,))
    random = np.random.RandomState(999)
    w1, w2 = random.randn(64, 48) / 8, random.randn(48, 10)
    assert (random.randn(600, 64).astype(np.float32)[500:] == split.x_test).all()
    assert ((np.maximum(split.x_train @ w1, 0) @ w2).argmax(1) == split.y_train).all()


def test_teacher_prefix():
    """A smaller set is a prefix of the full one: the weights of the teacher do not depend on sizes."""
    small, large = data.teacher(train=50, test=10), data.teacher(train=80, test=10)
    assert (small.x_train == large.x_train[:50]).all() and (small.y_train == large.y_train[:50]).all()


def write_optdigits(folder, rows):
    for suffix in ("tra", "tes"):
        (folder / f"optdigits.{suffix}").write_text("\n".join(",".join(map(str, r)) for r in rows) + "\n")


def test_optdigits(tmp_path):
    """Rows of 64 pixels and a label become [N, 1, 8, 8] in [0, 1], row by row."""
    pixels = [i % 17 for i in range(64)]
    write_optdigits(tmp_path, [pixels + [9], pixels[::-1] + [0]])
    split = data.optdigits(str(tmp_path))
    check_split(split, (1, 8, 8))
    assert (split.x_train[0, 0, 1] * 16 == pixels[8:16]).all()
    assert split.y_test.tolist() == [9, 0]


@pytest.mark.parametrize("row", [[0] * 64, [17] + [0] * 63 + [1], [0] * 64 + [10], ["a"] * 65])
def test_optdigits_refuses(row, tmp_path):
    """A row of another length, a pixel above 16, a label above 9, a word: an error that names the file."""
    write_optdigits(tmp_path, [row])
    with pytest.raises(NibbleError, match="optdigits.tra"):
        data.optdigits(str(tmp_path))


def test_command_line(tmp_path, capsys):
    """The command writes the four arrays; a name without .npz and an empty folder are refused."""
    path = tmp_path / "t.npz"
    assert data.main(["teacher", "--train", "20", "--test", "10", "-o", str(path)]) == 0
    with np.load(path) as z:
        assert sorted(z) == ["x_test", "x_train", "y_test", "y_train"]
    assert data.main(["teacher", "-o", str(tmp_path / "t"), "--train", "1"]) == 1
    assert data.main(["optdigits", str(tmp_path), "-o", str(path)]) == 1
    assert "expected one file" in capsys.readouterr().err

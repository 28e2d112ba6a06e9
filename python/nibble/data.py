"""Data sets as `.npz` files that nibble-train reads: x_train, y_train, x_test, y_test.

    python -m nibble.data digits -o digits.npz            scikit-learn's digits, 8x8
    python -m nibble.data optdigits FOLDER -o opt.npz     UCI optdigits (.tra and .tes files), 8x8
    python -m nibble.data teacher -o teacher.npz          what a random teacher network says
    python -m nibble.data text FILE -o text.npz --length 256   characters of a text, each to predict the next

x is float32 (images [N, 1, 8, 8] in [0, 1]; teacher [N, 64]), y is int64 class numbers from 0; of a
text x and y are uint8 [N, length]. The arrays are stored uncompressed; the same command writes the same arrays everywhere.
"""

import argparse
import glob
import os
import sys
from dataclasses import dataclass

import numpy as np

from nibble.errors import NibbleError


@dataclass(frozen=True)
class Split:
    """A data set: x [N, ...] float32 and y [N] int64, for training and for testing."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


def images8x8(rows):
    """Rows of 64 whole numbers 0 ... 16 -> float32 [N, 1, 8, 8] in [0, 1]. Exact: 16 is a power of 2."""
    return (np.asarray(rows, np.float32) / np.float32(16)).reshape(-1, 1, 8, 8)


def digits(test_every=5):
    """scikit-learn's 1,797 digits; of each class every fifth image, from the fifth on, is for testing.

    The set is ordered by writer, so the split leaves no writer out of training and needs no random
    numbers; counting within the class keeps the classes of both parts balanced.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise NibbleError("the digits come with scikit-learn: pip install scikit-learn") from error
    x, y = load_digits(return_X_y=True)
    x, y = images8x8(x), y.astype(np.int64)
    test = np.zeros(len(y), bool)
    for label in range(10):
        test[np.flatnonzero(y == label)[test_every - 1::test_every]] = True
    return Split(x[~test], y[~test], x[test], y[test])


def optdigits_file(folder, pattern):
    """Reads one file of rows '64 numbers 0 ... 16, label', separated by commas."""
    found = sorted(glob.glob(os.path.join(folder, pattern)))
    if len(found) != 1:
        raise NibbleError(f"{folder}: expected one file {pattern}, found {len(found)}")
    try:
        rows = np.loadtxt(found[0], dtype=np.int64, delimiter=",", ndmin=2)
    except (OSError, ValueError) as error:
        raise NibbleError(f"{found[0]}: {error}") from error
    if rows.shape[1] != 65:
        raise NibbleError(f"{found[0]}: rows have {rows.shape[1]} columns, expected 64 and a label")
    pixels, labels = rows[:, :64], rows[:, 64]
    if pixels.min() < 0 or pixels.max() > 16 or labels.min() < 0 or labels.max() > 9:
        raise NibbleError(f"{found[0]}: pixels must be 0 ... 16 and labels 0 ... 9")
    return images8x8(pixels), labels


def optdigits(folder):
    """UCI's optical digits: training images (*.tra) and 1,797 test images (*.tes) of other writers."""
    return Split(*optdigits_file(folder, "*.tra"), *optdigits_file(folder, "*.tes"))


def teacher(train=100_000, test=10_000):
    """x ~ N(0, I_64); y = argmax of a teacher 64-48-10, ReLU, W1 ~ N(0, 1)/8, W2 ~ N(0, 1).

    The data of docs/numerics.md, "deep MLP". The stream is RandomState(999): W1, W2, then x, in this
    order, drawn in double; the labels are computed from x rounded to float32.
    """
    random = np.random.RandomState(999)
    w1, w2 = random.randn(64, 48) / 8, random.randn(48, 10)
    x = random.randn(train + test, 64).astype(np.float32)
    y = (np.maximum(x @ w1, 0) @ w2).argmax(1).astype(np.int64)
    return Split(x[:train], y[:train], x[train:], y[train:])


def text(path, length, test_share=0.1):
    """Pieces of `length` characters as numbers, y one character further; the last tenth is for testing.

    A character's number is its place among the text's characters, sorted. Pieces follow one another
    without overlap; what is left at the end of a part is dropped.
    """
    try:
        with open(path, "rb") as file:
            codes = np.frombuffer(file.read(), np.uint8)
    except OSError as error:
        raise NibbleError(f"cannot read '{path}': {error.strerror}") from error
    vocabulary = np.unique(codes)
    numbers = np.searchsorted(vocabulary, codes).astype(np.uint8)
    cut = len(numbers) - int(len(numbers) * test_share)

    def pieces(part):
        count = (len(part) - 1) // length
        if count < 1:
            raise NibbleError(f"{path}: too short for pieces of {length} characters")
        return part[:count * length].reshape(count, length), part[1:count * length + 1].reshape(count, length)

    return Split(*pieces(numbers[:cut]), *pieces(numbers[cut:]))


def save(path, split):
    """Writes the four arrays; numpy would append .npz to any other name, so the name must have it."""
    if not path.endswith(".npz"):
        raise NibbleError(f"'{path}': the name must end in .npz")
    try:
        np.savez(path, x_train=split.x_train, y_train=split.y_train, x_test=split.x_test,
                 y_test=split.y_test)
    except OSError as error:
        raise NibbleError(f"cannot write '{path}': {error.strerror}") from error


def parser():
    p = argparse.ArgumentParser(prog="python -m nibble.data", description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    sets = p.add_subparsers(dest="set", metavar="SET", required=True)
    one = sets.add_parser("digits", help="scikit-learn's 1,797 digits (1,438 + 359), 8x8",
                          description=digits.__doc__)
    two = sets.add_parser("optdigits", help="UCI optdigits from a folder with .tra and .tes, 8x8",
                          description=optdigits.__doc__)
    two.add_argument("folder", metavar="FOLDER", help="where the .tra and .tes files are")
    three = sets.add_parser("teacher", help="100,000 + 10,000 samples labelled by a random network",
                            description=teacher.__doc__)
    three.add_argument("--train", type=int, default=100_000, help="training samples (default: 100000)")
    three.add_argument("--test", type=int, default=10_000, help="test samples (default: 10000)")
    four = sets.add_parser("text", help="a text's characters (bytes), each to predict the next",
                           description=text.__doc__)
    four.add_argument("file", metavar="FILE", help="the text")
    four.add_argument("--length", type=int, default=256, help="characters of a sample (default: 256)")
    for sub in (one, two, three, four):
        sub.add_argument("-o", "--output", metavar="FILE.npz", required=True, help="the file to write")
    return p


def run(arguments):
    if arguments.set == "digits":
        split = digits()
    elif arguments.set == "optdigits":
        split = optdigits(arguments.folder)
    elif arguments.set == "text":
        if arguments.length < 1:
            raise NibbleError("--length must be positive")
        split = text(arguments.file, arguments.length)
    else:
        if arguments.train < 1 or arguments.test < 1:
            raise NibbleError("--train and --test must be positive")
        split = teacher(arguments.train, arguments.test)
    save(arguments.output, split)
    print(f"{arguments.output}: x_train {list(split.x_train.shape)}, x_test {list(split.x_test.shape)}, "
          f"{int(split.y_train.max()) + 1} classes")


def main(argv=None):
    try:
        run(parser().parse_args(argv))
    except NibbleError as error:
        print(f"nibble.data: error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

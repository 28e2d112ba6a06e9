"""The network of the tour as an ONNX file, and images to train it on.

    tour.py model FILE.onnx             tiny.onnxtxt (beside this file) with weights drawn from a fixed seed
    tour.py data FILE.npz               4 classes of 3x8x8 images: a bar on a noisy ground, at the top, bottom, left or right
    tour.py score FILE.onnx FILE.npz    ONNX's checker, the shapes of the initializers, and the accuracy of ONNX's own
                                        reference implementation on the test images
"""

import pathlib
import sys

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator


def model():
    text = pathlib.Path(__file__).with_name("tiny.onnxtxt").read_text()
    proto = onnx.parser.parse_model(text)
    random = np.random.RandomState(0)
    for weight in proto.graph.value_info:
        shape, name = tuple(d.dim_value for d in weight.type.tensor_type.shape.dim), weight.name
        if name.endswith("weight"):
            bound = 1 / np.sqrt(np.prod(shape[1:]))
            values = random.uniform(-bound, bound, shape)
        else:
            values = np.full(shape, 1.0 if name.endswith(("scale", "var")) else 0.0)
        proto.graph.initializer.append(numpy_helper.from_array(values.astype(np.float32), name))
    del proto.graph.value_info[:]
    onnx.checker.check_model(proto, full_check=True)
    return proto


def bars(count, random):
    labels = np.arange(count) % 4
    images = random.uniform(0, 1, (count, 3, 8, 8)).astype(np.float32)
    for image, label in zip(images, labels):
        plane = image if label < 2 else image.transpose(0, 2, 1)
        plane[:, slice(0, 3) if label % 2 == 0 else slice(5, 8)] += 0.15
    return images, labels.astype(np.int64)


def score(model_path, data_path):
    proto = onnx.load(model_path)
    onnx.checker.check_model(proto, full_check=True)
    for tensor in proto.graph.initializer:
        print(tensor.name, *tensor.dims)
    data = np.load(data_path)
    (output,) = ReferenceEvaluator(proto).run(None, {"image": data["x_test"]})
    print(f"accuracy {np.mean(output.argmax(1) == data['y_test']):.4f}")


def main(command, *paths):
    if command == "model":
        onnx.save(model(), *paths)
    elif command == "data":
        random = np.random.RandomState(1)
        x_train, y_train = bars(256, random)
        x_test, y_test = bars(64, random)
        np.savez(*paths, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
    elif command == "score":
        score(*paths)
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])

"""Checks in a minute that this installation computes Caffe's numbers.

Loads a LeNet trained by Caffe; then predicts, saves, fits, trains, exports and runs it under pycaffe, on the digits
that come with the package. Steps whose library is missing are skipped and named. The exit code is 1 if a step fails.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import keras_caffe
from keras_caffe import samples
from keras_caffe.requirements import HAS_TENSORFLOW

if TYPE_CHECKING:
    import numpy as np

CAFFES_ACCURACY = 0.961  # what Caffe's Accuracy layer said of the same weights on the same digits
NET, WEIGHTS = "lenet.prototxt", "lenet.caffemodel"

Step = Callable[[Path], str]


class LeftOut(Exception):
    """A step that needs what is not installed."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--only", metavar="STEP", choices=list(STEPS), help=f"one of {', '.join(STEPS)}")


def run(args: argparse.Namespace) -> int:
    failed = 0
    for name in [args.only] if args.only else STEPS:
        start = time.perf_counter()
        with TemporaryDirectory() as folder:
            try:
                said = f"ok: {STEPS[name](Path(folder))}"
            except LeftOut as reason:
                said = f"left out: {reason}"
            except Exception as error:  # whatever goes wrong is what this command looks for
                if args.debug:
                    traceback.print_exc()
                said, failed = f"FAILED: {type(error).__name__}: {error}", failed + 1
        print(f"{name:<8} {said} ({time.perf_counter() - start:.1f} s)", flush=True)
    print(f"{failed} of {len(STEPS)} steps failed" if failed else "all is well", file=sys.stderr)
    return int(failed > 0)


def model() -> keras_caffe.CaffeModel:
    return keras_caffe.load(samples.path(NET), samples.path(WEIGHTS), data_format="channels_first")


def images() -> tuple[np.ndarray, np.ndarray]:
    """The digits as Caffe's net takes them, (N, 1, 28, 28), and their labels."""
    digits, labels = samples.digits()
    return (digits * samples.SCALE).astype("float32"), labels


def expect(right: bool, problem: str) -> None:
    if not right:
        raise AssertionError(problem)


def predict(folder: Path) -> str:
    import keras

    x, labels = images()
    accuracy = float((keras.ops.convert_to_numpy(model()(x)).argmax(1) == labels).mean())
    expect(round(accuracy, 3) == CAFFES_ACCURACY, f"accuracy {accuracy:.3f}; Caffe's is {CAFFES_ACCURACY}")
    return f"accuracy {accuracy:.3f}, as Caffe's"


def save(folder: Path) -> str:
    import keras

    x, _ = images()
    before = model()
    before.save(folder / "lenet.keras")
    after = keras.saving.load_model(folder / "lenet.keras")
    keras_caffe.save(after, folder / NET, folder / WEIGHTS)
    again = keras_caffe.load(folder / NET, folder / WEIGHTS, data_format="channels_first")
    one, two, three = (keras.ops.convert_to_numpy(each(x[:50])) for each in (before, after, again))
    expect(bool((one == two).all() and (one == three).all()), "what was saved predicts otherwise")
    return "a .keras file and Caffe's own files predict the same, bit for bit"


def fit(folder: Path) -> str:
    import keras

    x, labels = images()
    tuned = model()
    head = keras.layers.Dense(2, name="odd")(tuned.blobs["ip1"])
    odd = keras.Model(tuned.input, head)
    odd.compile(keras.optimizers.SGD(0.05), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    losses = odd.fit(x[:400], labels[:400] % 2, batch_size=20, epochs=3, verbose=0).history["loss"]
    expect(losses[-1] < losses[0], f"the loss did not fall: {losses}")
    return f"fine-tuning lowers the loss from {losses[0]:.3f} to {losses[-1]:.3f}"


def train(folder: Path) -> str:
    import numpy as np

    _need_tensorflow()
    x, labels = images()
    text = samples.path(NET).read_text(encoding="utf-8").replace('type: "Softmax"', 'type: "SoftmaxWithLoss"')
    label = 'layer { name: "label" type: "Input" top: "label" input_param { shape { dim: 50 } } }'
    text = text.replace('bottom: "ip2"', 'bottom: "ip2" bottom: "label"').replace("dim: 1 dim: 1 ", "dim: 50 dim: 1 ")
    text = re.sub(r"num_output: \d+", r'\g<0> weight_filler { type: "xavier" }', text)
    (folder / "train.prototxt").write_text(f"{label}\n{text}", encoding="utf-8")
    (folder / "solver.prototxt").write_text(
        f'net: "{folder / "train.prototxt"}"\nbase_lr: 0.01 momentum: 0.9 lr_policy: "fixed" max_iter: 20',
        encoding="utf-8",
    )
    batches = [{"data": x[n : n + 50], "label": labels[n : n + 50]} for n in range(0, 1000, 50)]
    solver = keras_caffe.load_solver(folder / "solver.prototxt", train_data=batches, data_format="channels_first")
    losses = solver.step(20)
    expect(bool(np.mean(losses[-5:]) < np.mean(losses[:5])), f"the loss did not fall: {losses}")
    return f"20 iterations of Caffe's solver lower the loss from {losses[0]:.3f} to {losses[-1]:.3f}"


def export(folder: Path) -> str:
    import keras
    import numpy as np

    _need_tensorflow()
    x, _ = images()
    given = model()
    path = keras_caffe.export(given, folder / "served")
    served = keras.layers.TFSMLayer(str(path), call_endpoint="serving_default")(x[:50])
    (values,) = (keras.ops.convert_to_numpy(value) for value in served.values())
    difference = float(np.abs(values - keras.ops.convert_to_numpy(given(x[:50]))).max())
    expect(difference < 1e-5, f"the SavedModel differs by {difference:g}")
    return f"a SavedModel differs by {difference:g}"


def onnx(folder: Path) -> str:
    import keras
    import numpy as np

    try:
        import onnxruntime
    except ImportError:
        raise LeftOut("pip install 'keras-caffe[onnx]'") from None
    x, _ = images()
    given = model()
    path = keras_caffe.to_onnx(given, folder / "lenet.onnx")
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    values = session.run(None, {session.get_inputs()[0].name: x[:50]})[0]
    difference = float(np.abs(values - keras.ops.convert_to_numpy(given(x[:50]))).max())
    expect(difference < 1e-5, f"ONNX Runtime differs by {difference:g}")
    return f"ONNX Runtime differs by {difference:g}"


def pycaffe(folder: Path) -> str:
    _need_tensorflow()
    x, labels = images()
    net = keras_caffe.pycaffe.Net(str(samples.path(NET)), str(samples.path(WEIGHTS)), keras_caffe.pycaffe.TEST)
    net.blobs["data"].reshape(*x.shape)
    net.blobs["data"].data[...] = x
    accuracy = float((next(iter(net.forward().values())).argmax(1) == labels).mean())
    expect(round(accuracy, 3) == CAFFES_ACCURACY, f"accuracy {accuracy:.3f}; Caffe's is {CAFFES_ACCURACY}")
    return f"pycaffe.Net, accuracy {accuracy:.3f}"


def _need_tensorflow() -> None:
    if not HAS_TENSORFLOW:
        raise LeftOut("pip install 'keras-caffe[tensorflow]'")


STEPS: dict[str, Any] = {step.__name__: step for step in (predict, save, fit, train, export, onnx, pycaffe)}

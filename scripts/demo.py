"""Converts a LeNet trained by real Caffe, reads digits with it, saves it and loads it back: `demo.py [FOLDER]`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from rich.console import Console

import keras_caffe
from keras_caffe import samples
from keras_caffe.cli import main as keras_caffe_command

ROOT = Path(__file__).resolve().parents[1]
CAFFES_ACCURACY = 0.961  # what Caffe's Accuracy layer said of the same weights on the same digits

# The whole program of the fresh process: Keras finds the layers because keras_caffe is imported.
READ_AGAIN = """
import sys
import keras, numpy
import keras_caffe
model = keras.saving.load_model(sys.argv[1])
numpy.save(sys.argv[3], model.predict(numpy.load(sys.argv[2]), verbose=0))
"""

console = Console()


def convert() -> keras_caffe.CaffeModel:
    """The Caffe files as a Keras model; prints the net's table, with shapes in Caffe's order and in Keras's."""
    net, weights = samples.path("lenet.prototxt"), samples.path("lenet.caffemodel")
    console.print(f"Converting [bold]{net.name}[/] and [bold]{weights.name}[/] ({weights.stat().st_size:,} bytes)")
    model = keras_caffe.load(net, weights, data_format="channels_last")
    keras_caffe_command(["summary", str(net), str(weights)])
    return model


def digits() -> tuple[np.ndarray, np.ndarray]:
    """The shipped digits as the model takes them, (N, 28, 28, 1), and their labels."""
    images, labels = samples.digits()
    return (images.transpose(0, 2, 3, 1) * samples.SCALE).astype("float32"), labels


def report(predictions: np.ndarray, labels: np.ndarray) -> None:
    """Prints the accuracy beside Caffe's; raises SystemExit where they differ."""
    found = predictions.argmax(axis=1)
    right = (found == labels).sum()
    console.print(f"  written {' '.join(map(str, labels[:20]))} ...")
    console.print(f"  read as {' '.join(map(str, found[:20]))} ...")
    console.print(f"  accuracy [bold]{right / len(labels):.3f}[/] ({right} of {len(labels)}); Caffe: {CAFFES_ACCURACY}")
    if abs(right / len(labels) - CAFFES_ACCURACY) > 0.5 / len(labels):
        raise SystemExit("The accuracy is not Caffe's.")


def reload(model_file: Path, images: np.ndarray, predictions: np.ndarray) -> None:
    """Lets a fresh process load the saved model; raises SystemExit if it predicts anything else."""
    with TemporaryDirectory() as folder:
        given, found = Path(folder, "digits.npy"), Path(folder, "predictions.npy")
        np.save(given, images)
        subprocess.run([sys.executable, "-c", READ_AGAIN, model_file, given, found], check=True)
        difference = np.abs(np.load(found) - predictions).max()
    console.print(f"  greatest difference of a probability: [bold]{difference:g}[/]")
    if difference > 1e-6:
        raise SystemExit("The model that was loaded back predicts otherwise.")


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    model = convert()
    images, labels = digits()
    console.print(f"\nReading {len(labels)} handwritten digits from [bold]{samples.path('db/mnist_test_lmdb').name}[/]")
    predictions = model.predict(images, verbose=0)
    report(predictions, labels)

    model_file = folder / "lenet.keras"
    console.print("\nSaving the model and loading it in a fresh process")
    model.save(model_file)
    reload(model_file, images, predictions)

    console.print(f"\nThe Keras model is in {model_file} ({model_file.stat().st_size:,} bytes)", soft_wrap=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else ROOT / "build" / "demo")

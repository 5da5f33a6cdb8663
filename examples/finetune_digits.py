"""Fine-tunes a trained Caffe net in plain Keras: LeNet, trained on ten digits, learns to tell even from odd ones.

The head is cut off and replaced, the first convolution is frozen, and the rest learns at a tenth of the head's rate, as
lr_mult would have it in a prototxt. Runs in half a minute on the digits that the package ships.
"""

from __future__ import annotations

import argparse

import keras
import numpy as np

import keras_caffe
from keras_caffe import optimizers, samples


def load_data() -> tuple[np.ndarray, np.ndarray]:
    """Images as the net was trained on them, (N, 28, 28, 1), and whether their digit is odd."""
    images, digits = samples.digits()
    return images.transpose(0, 2, 3, 1).astype("float32") * samples.SCALE, digits % 2


def make_model(head_rate: float) -> keras.Model:
    """LeNet up to `ip1` with a new head."""
    lenet = keras_caffe.load(
        samples.path("lenet.prototxt"), samples.path("lenet.caffemodel"), data_format="channels_last"
    )
    trunk = lenet.extract(["ip1"])
    lenet.caffe_layers["conv1"].trainable = False  # what lr_mult: 0 does
    inputs = keras.Input((28, 28, 1), name="image")
    odd = keras.layers.Dense(1, activation="sigmoid", name="odd")(trunk(inputs)["ip1"])
    model = keras.Model(inputs, odd)
    # A tenth of the head's rate for what is trained already.
    multipliers = {variable.path: (0.1, 1.0) for variable in trunk.trainable_variables}
    optimizer = optimizers.SGD(head_rate, momentum=0.9, weight_decay=5e-4, multipliers=multipliers)
    model.compile(optimizer, loss="binary_crossentropy", metrics=["accuracy"])
    return model


def main(epochs: int, seed: int = 0) -> float:
    """Trains on 800 digits; returns the accuracy on the other 200."""
    keras.utils.set_random_seed(seed)
    images, odd = load_data()
    model = make_model(head_rate=0.01)
    held_out = (images[800:], odd[800:])
    before = model.evaluate(*held_out, verbose=0, return_dict=True)["accuracy"]
    model.fit(images[:800], odd[:800], batch_size=32, epochs=epochs, validation_data=held_out, verbose=2)
    after = model.evaluate(*held_out, verbose=0, return_dict=True)["accuracy"]
    print(f"odd or even, accuracy on 200 digits: {before:.3f} before, {after:.3f} after")
    return after


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=5)
    main(parser.parse_args().epochs)

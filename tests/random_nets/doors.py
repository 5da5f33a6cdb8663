"""The doors through which a net is computed: each takes a model and some batches, and gives blobs of each batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import keras_caffe
from keras_caffe import pycaffe
from keras_caffe.converters.model import output_name
from tests.random_nets.feeds import Arrays, Fed
from tests.random_nets.net import RandomNet

FORMATS = ("channels_first", "channels_last")
Results = list[Arrays]
Door = Callable[[Any, Sequence[Arrays]], Results]
PHASES = {"TRAIN": pycaffe.TRAIN, "TEST": pycaffe.TEST}


def load(fed: Fed, data_format: str, batch: int, dtype: str = "float32") -> keras_caffe.CaffeModel:
    """The net as a Keras model, with the sizes of one of its batches where it must know them."""
    net, shapes = fed.net, fed.net.shapes(batch)
    arguments: dict[str, Any] = {"input_shapes": shapes, "data_format": data_format, "dtype": dtype}
    model = keras_caffe.load(net.text, phase=net.phase, **arguments)
    model.set_caffe_params(fed.params)
    return model


def eager(model: Any, batches: Sequence[Arrays]) -> Results:
    """All blobs, layer by layer."""
    blobs, training = model.extract(list(model.blobs)), model.net.phase == "TRAIN"
    return _run(model, lambda fed: blobs(fed, training=training), batches)


def compiled(model: Any, batches: Sequence[Arrays]) -> Results:
    """A `tf.function` of all blobs or, channels last, of the outputs: where nobody looks, TensorFlow fuses layers."""
    part, training = model.extract(list(model.blobs)) if _shows_all(model) else model, model.net.phase == "TRAIN"
    function = tf.function(lambda fed: _named(model, part(fed, training=training)), autograph=False)
    return _run(model, function.get_concrete_function(_specs(model)), batches)


def predict(model: Any, batches: Sequence[Arrays]) -> Results:
    """`predict` of the outputs or, channels last, `predict_on_batch` of all blobs."""
    if not _shows_all(model):
        return _run(model, model.extract(list(model.blobs)).predict_on_batch, batches)

    def run(fed: Any) -> Any:
        dataset = tf.data.Dataset.from_generator(lambda: [fed], output_signature=_specs(model))
        dataset = dataset.apply(tf.data.experimental.assert_cardinality(1))
        return _named(model, model.predict(dataset, verbose=0))

    return _run(model, run, batches)


def keras_file(model: Any, batches: Sequence[Arrays], folder: Path) -> Results:
    """All blobs of the model saved and loaded again."""
    model.save(folder / "net.keras")
    return eager(keras.models.load_model(folder / "net.keras"), batches)


def saved_model(model: Any, batches: Sequence[Arrays], folder: Path) -> Results:
    """An export: all blobs as they are or, channels last, the outputs of the folded net."""
    names = list(model.blobs) if _shows_all(model) else None
    path = keras_caffe.export(model, folder, outputs=names, fold=names is None, warm_up=False)
    signature = tf.saved_model.load(str(path)).signatures["serving_default"]
    needed = signature.structured_input_signature[1]
    return _run(model, lambda fed: signature(**{name: fed[name] for name in needed}), batches)


def pycaffe_net(fed: Fed) -> Results:
    """All blobs of pycaffe's Net, whose inputs take the shape of each batch."""
    net, found = fed.net, []
    caffe = pycaffe.Net(net.text, PHASES[net.phase])
    for name, arrays in fed.params.items():
        for blob, values in zip(caffe.params[name], arrays, strict=True):
            blob.data[...] = values
    for inputs in fed.batches:
        for name, values in inputs.items():
            caffe.blobs[name].reshape(*values.shape)
            caffe.blobs[name].data[...] = values
        caffe.forward()
        found.append({name: blob.data.copy() for name, blob in caffe.blobs.items()})
    return found


IN_MEMORY: Mapping[str, Door] = {"eager": eager, "tf.function": compiled, "predict": predict}
IN_FILES: Mapping[str, Callable[[Any, Sequence[Arrays], Path], Results]] = {
    ".keras": keras_file,
    "SavedModel": saved_model,
}
NOT_IN_TRAINING = ("predict", "SavedModel")


def doors(net: RandomNet, folder: Path | None) -> Mapping[str, Door]:
    """Those that take a Keras model of this net; those of files only if there is a folder for them."""
    files = {name: partial(door, folder=folder) for name, door in IN_FILES.items()} if folder else {}
    left_out = NOT_IN_TRAINING if net.phase == "TRAIN" else ()
    return {name: door for name, door in {**IN_MEMORY, **files}.items() if name not in left_out}


def reset(model: Any) -> None:
    """Recurrent layers begin anew."""
    for layer in model.caffe_layers.values():
        if hasattr(layer, "reset_state"):
            layer.reset_state()


def _shows_all(model: Any) -> bool:
    return model.data_format == "channels_first"


def _named(model: Any, outputs: Any) -> Any:
    names = [output_name(model.net, value) for value in model.plan.outputs()]
    return outputs if isinstance(outputs, Mapping) else {names[0]: outputs}


def _specs(model: Any) -> dict[str, tf.TensorSpec]:
    return {tensor.name: tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in model.inputs}


def _run(model: Any, function: Callable[[Any], Mapping[str, Any]], batches: Sequence[Arrays]) -> Results:
    """What a function of {input: tensor at the model's edge} gives, in Caffe's order."""
    found, last = [], model.data_format == "channels_last"
    for inputs in batches:
        edges = {n: np.moveaxis(x, 1, -1) if last and x.ndim > 3 else x for n, x in inputs.items()}
        fed = {tensor.name: tf.constant(edges[tensor.name], tensor.dtype) for tensor in model.inputs}
        tops = {name: np.asarray(x) for name, x in function(fed).items()}
        found.append({n: np.moveaxis(x, -1, 1) if last and x.ndim > 3 else x for n, x in tops.items()})
    return found

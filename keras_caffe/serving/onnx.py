"""ONNX files, made by tf2onnx."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from keras_caffe.converters.fold import folded
from keras_caffe.converters.model import CaffeModel
from keras_caffe.errors import ExportError
from keras_caffe.ops.stock import stock_ops_only
from keras_caffe.serving.dynamic import declared_shapes, servable_model
from keras_caffe.serving.servable import net_outputs, plain_inputs, signature
from keras_caffe.serving.versions import write_whole

OPSET = 18


def to_onnx(
    model: CaffeModel,
    file: str | Path,
    *,
    outputs: Sequence[str] | str | None = None,
    data_format: str = "channels_first",
    dynamic: bool = False,
    fold: bool = True,
    opset: int = OPSET,
) -> Path:
    """Writes the model as an ONNX file whose inputs and outputs are named by Caffe's blobs.

    Args:
        model: a loaded CaffeModel; it is not changed.
        file: the file to write.
        outputs: blobs to give; default: the net's outputs.
        data_format: order of blobs at the edges; ONNX's own is Caffe's, "channels_first".
        dynamic: leave height and width open where the net allows it.
        fold: fold the net for inference first.
        opset: ONNX's version of operations.

    Raises:
        ExportError: tf2onnx is not there, or knows no counterpart of an operation.
    """
    tf2onnx = _tf2onnx()
    names = [outputs] if isinstance(outputs, str) else outputs
    with stock_ops_only():
        built = servable_model(model, folded(model, names or ()) if fold else None, data_format, dynamic)
        part = built.extract(names) if names else net_outputs(built)
        function = signature(part, plain_inputs(built, declared_shapes(model)))
        specs = list(function.structured_input_signature[1].values())
        try:
            with _copies_freed():
                proto, _ = tf2onnx.convert.from_function(_positional(function, specs), specs, opset=opset)
        except (ValueError, NotImplementedError, RuntimeError) as error:
            raise ExportError("tf2onnx cannot convert the net", received=error) from error
    return write_whole(file, proto.SerializeToString())


@contextmanager
def _copies_freed() -> Iterator[None]:
    """Frees soon what tf2onnx leaves in cycles: a copy of the net, weights and all, for each of its passes.

    What is alive already is left out of the search, which makes it cheap; the copies are few, but large, objects.
    """
    thresholds = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.collect()  # so that Python counts from here
    gc.set_threshold(200, 1, 1)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()
        gc.collect()


def _positional(function: Any, specs: Sequence[Any]) -> Any:
    import tensorflow as tf

    def call(*inputs: Any) -> Any:
        return function(**{spec.name: x for spec, x in zip(specs, inputs, strict=True)})

    return tf.function(call, autograph=False, input_signature=specs)


def _tf2onnx() -> Any:
    try:
        import tf2onnx
        import tf2onnx.convert
    except ImportError:
        raise ExportError(
            "tf2onnx is needed to write ONNX files", fix="Install it with `pip install 'keras-caffe[onnx]'`."
        ) from None
    return tf2onnx

"""`keras_caffe.dataset`: the data layers of a net as one tf.data.Dataset."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import keras
import tensorflow as tf

from keras_caffe.converters.definition import Definition, read_definition
from keras_caffe.converters.missing import TRAINED, rule_cures
from keras_caffe.converters.select import is_kept
from keras_caffe.data.caffe_dataset import CaffeDataset
from keras_caffe.data.jpeg_stream import JpegStream, PixelStream
from keras_caffe.data.sources import SOURCES, Settings, Source
from keras_caffe.data.sources.base import Form
from keras_caffe.data.stream import Share, Stream, WindowStream
from keras_caffe.errors import CaffeError, DataError
from keras_caffe.layout import DATA_FORMATS
from keras_caffe.places import Places
from keras_caffe.proto.unknown_value import refuse_unknown_values

ON_ERROR = ("raise", "skip")
DEFAULT_PREFETCH = 2
READ_NOTHING = ("Input", "Parameter")

# What makes batches of what a source delivers.
STREAMS: dict[Form, type[Stream]] = {
    "tops": Stream,
    "windows": WindowStream,
    "jpegs": PixelStream,
    "varied jpegs": JpegStream,
}


def dataset(
    prototxt: str | os.PathLike[str] | Any,
    phase: str = "TRAIN",
    *,
    level: int = 0,
    stages: Sequence[str] = (),
    base_dir: str | os.PathLike[str] | None = None,
    confine: bool = False,
    seed: int | None = None,
    reader: str = "auto",
    data_format: str | None = None,
    python_layers: Mapping[str, Any] | None = None,
    on_error: str = "raise",
    allow_python_imports: bool = False,
    arrays: Mapping[str, Any] | None = None,
    epochs: int | None = None,
    drop_remainder: bool = False,
    shard: tuple[int, int] | None = None,
    input_context: Any = None,
) -> CaffeDataset:
    """Returns the batches that a net's data layers put into its blobs, as a tf.data.Dataset.

    Args:
        prototxt: path, prototxt text, NetParameter, or a Definition that was read before.
        phase, level, stages: for include/exclude rules; in phase "TRAIN" crops are drawn, in "TEST" they are central.
        base_dir: folder that names start at; default: the working directory, then the prototxt's folder.
        confine: refuse names that leave base_dir, by `..`, an absolute path or a link.
        seed: of everything random; the same seed gives the same batches. Default: another one each time.
        reader: "lmdb" or "tensorflow-io" reads LMDBs; "auto" takes the first.
        data_format: order of the axes of images: "channels_last" or "channels_first"; default: Keras's.
        python_layers: {"module.Class": class} for data layers of type "Python"; allow_python_imports imports others.
        on_error: "raise", or "skip" to leave out records that cannot be read; `.skipped` of the result lists them.
        arrays: {top: array} for MemoryData, in Caffe's order.
        epochs, drop_remainder: passes (default: no end, as in Caffe); leave out a last batch that is not full.
        shard, input_context: (index, workers): this worker takes every record whose running number is index modulo
            workers; the same for `strategy.distribute_datasets_from_function`.

    Returns:
        A tf.data.Dataset of {top: float32 batch}. In a `tf.distribute` strategy's scope a batch holds batch_size
        records for each replica, which the strategy shares out; with `shard` or `input_context` it holds batch_size.

    Raises:
        ReadError, NetError, LayerError, DataError: what is refused of net and sources; the iterator raises others.

    Examples:
        >>> from keras_caffe import samples
        >>> digits = samples.path("db/mnist_test_lmdb")
        >>> net = f'''layer {{ name: "digits" type: "Data" top: "data" top: "label"
        ...   data_param {{ source: "{digits}" batch_size: 4 backend: LMDB }} }}'''
        >>> batch = next(iter(keras_caffe.dataset(net, data_format="channels_first")))
        >>> batch["data"].shape, batch["label"].numpy()
        (TensorShape([4, 1, 28, 28]), array([9., 9., 1., 2.], dtype=float32))

    Caffe: src/caffe/layers/*_data_layer.cpp
    """
    share = _share(shard, input_context, epochs, drop_remainder)
    definition = read_definition(prototxt).select(phase, level, stages)
    settings = Settings(
        places=Places(base_dir, definition.path, confine),
        train=definition.phase == "TRAIN",
        seed=_seed(seed, share),
        data_format=_data_format(data_format),
        reader=reader,
        python_layers=python_layers or {},
        allow_python_imports=allow_python_imports,
        arrays=arrays or {},
        skip=_choice("on_error", on_error, ON_ERROR) == "skip",
    )
    return _opened(_streams(definition, settings, share))


def _opened(streams: Sequence[Stream]) -> CaffeDataset:
    return CaffeDataset(_joined(streams), streams)


def data_layers(definition: Definition) -> list[Any]:
    """The data layers of a selected net.

    Raises:
        DataError: the net has none, or one of a type that cannot be read.
    """
    message = definition.message
    layers = [layer for layer in message.layer if not layer.bottom and layer.type not in READ_NOTHING]
    unknown = [layer for layer in layers if layer.type not in SOURCES]
    if unknown:
        raise DataError(
            f"data of a layer of type {unknown[0].type!r} cannot be read",
            where=definition.where(unknown[0].name),
            layer=unknown[0].name,
            expected=f"one of {', '.join(SOURCES)}",
        )
    if not layers:
        raise _no_data_layers(definition)
    return layers


def _no_data_layers(definition: Definition) -> DataError:
    """The error for a net without data layers; says by which rules it has some."""
    message, whole = definition.message, definition.whole or definition.message
    data = [layer for layer in whole.layer if layer.type in SOURCES and not layer.bottom]
    left_out = [layer for layer in data if not is_kept(layer, message.state)]
    cures = [TRAINED] if definition.binary else []
    return DataError(
        f"the net has no data layer in phase {definition.phase}",
        where=definition.file,
        received=", ".join(f"{layer.name} ({layer.type})" for layer in message.layer[:3]) or "no layers",
        fix=[*cures, *rule_cures(left_out, whole, message.state)] if left_out else "Give the train_val prototxt.",
    )


def open_source(layer: Any, settings: Settings, where: str | None = None) -> Source:
    """Opens a data layer.

    Args:
        layer: its LayerParameter.
        settings: how it is read.
        where: `file:line` of the layer, for errors.

    Raises:
        LayerError, DataError: the layer or what it reads is refused.
    """
    try:
        refuse_unknown_values(layer)
        source = SOURCES[layer.type](layer, settings)
        source.shapes()
        return source
    except CaffeError as error:
        raise error.at(where=where, layer=f"{layer.name!r} ({layer.type})") from None


def _streams(definition: Definition, settings: Settings, share: Share) -> list[Stream]:
    streams = []
    for number, layer in enumerate(data_layers(definition)):
        source = open_source(layer, replace(settings, seed=settings.seed + number), definition.where(layer.name))
        streams.append(STREAMS[source.delivery.form](source, share))
    return streams


def _share(shard: tuple[int, int] | None, context: Any, epochs: int | None, drop_remainder: bool) -> Share:
    replicas = 1
    if context is not None:
        shard = (context.input_pipeline_id, context.num_input_pipelines)
    elif shard is None and tf.distribute.has_strategy():
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
    index, workers = shard or (0, 1)
    if not 0 <= index < workers:
        raise DataError("no such shard", expected="(index, workers) with 0 <= index < workers", received=shard)
    if epochs is not None and epochs < 1:
        raise DataError("the number of epochs is out of range", expected="at least 1, or None", received=epochs)
    return Share(index, workers, epochs, replicas, drop_remainder)


def _joined(streams: Sequence[Stream]) -> tf.data.Dataset:
    """One data set of {top: batch} from those of the layers."""
    names = [top for stream in streams for top in stream.source.tops]
    zipped = tf.data.Dataset.zip(tuple(stream.dataset() for stream in streams))
    named = zipped.map(lambda *parts: dict(zip(names, [top for part in parts for top in part], strict=True)))
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    options.autotune.enabled = False  # Nothing is left to tune, and the tuner can hold up the end for a minute.
    ahead = [stream.source.layer.data_param.prefetch for stream in streams if stream.source.layer.type == "Data"]
    return named.prefetch(max(ahead, default=DEFAULT_PREFETCH)).with_options(options)


def _seed(seed: int | None, share: Share) -> int:
    if seed is None:  # workers must agree on the order of the records
        return 0 if share.workers > 1 else secrets.randbits(63)
    return seed


def _data_format(data_format: str | None) -> str:
    return _choice("data_format", data_format or keras.config.image_data_format(), DATA_FORMATS)


def _choice(name: str, value: str, known: Sequence[str]) -> str:
    if value not in known:
        raise DataError(f"no such {name}", expected=" or ".join(known), received=repr(value))
    return value

"""`keras_caffe.engine`: the engine that is asked for, or the fastest."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from keras_caffe.converters.keras_file import read_keras
from keras_caffe.converters.plain import as_caffe
from keras_caffe.engines import memory
from keras_caffe.engines.engine import Engine
from keras_caffe.engines.exported import ExportedFile, is_export
from keras_caffe.engines.how import How, Made, check_name
from keras_caffe.engines.loaded import LoadedNet
from keras_caffe.engines.report import Report
from keras_caffe.engines.timing import milliseconds
from keras_caffe.errors import CaffeError, ExportError
from keras_caffe.runtimes.base import threads_of

AUTO = "auto"


def engine(
    model_or_export: Any,
    name: str = AUTO,
    *,
    precision: str = "float32",
    threads: int | None = None,
    calibration: Any = None,
    outputs: Sequence[str] | str | None = None,
    cache: bool = True,
) -> Engine:
    """Returns a model in the engine that is fastest on this machine's processor, with the model's numbers.

    Each engine is compared with the model on random inputs, and refused if a blob differs by more than 1e-4 of its
    largest value in float32, 5e-2 in bfloat16, 0.5 in int8 (on the first of the calibration data).

    Args:
        model_or_export: a loaded CaffeModel; a Keras model of parts of one and layers that Caffe has too; or the path
            of a .keras file, an .onnx or .tflite file, an OpenVINO .xml, a SavedModel, or a folder of their versions.
            An engine for a file is compared with the one that the format is made for.
        name: "openvino", "onnxruntime", "litert", "tensorflow"; or "auto": those that are installed are timed for about
            half a second each on the declared input, and the fastest is taken.
        precision: "float32"; "bfloat16" on processors that have it (TensorFlow computes it on any, slowly); "int8".
        threads: how many compute; default: one for each processor. TensorFlow keeps to its own setting,
            `tf.config.threading`.
        calibration: for "int8" some hundred typical inputs: an array, a dict {input: array}, or an iterable of them,
            each a batch as the model takes it.
        outputs: blobs to give, as of `model.extract`; default: the model's outputs.
        cache: remember the times in the user's folder for caches, and measure no second time. They hold for this net
            with these values, these versions, this processor and number of threads.

    Returns:
        An `Engine`, which is called as `model.predict_on_batch`; its `report` says what was measured.

    Raises:
        ExportError: no such engine or precision; int8 without calibration data; the engine is missing, too old, cannot
            compile the net or computes something else; with "auto": no engine is left.
        ReadError: the file cannot be read. UnknownNameError: there is no such blob.

    Examples:
        >>> from keras_caffe import samples
        >>> files = samples.path("lenet.prototxt"), samples.path("lenet.caffemodel")
        >>> model = keras_caffe.load(*files, data_format="channels_first")
        >>> digits = samples.digits()[0][:2] * np.float32(samples.SCALE)
        >>> engine = keras_caffe.engine(model, "tensorflow")
        >>> engine(digits).argmax(axis=1)
        array([9, 9])
    """
    how = How(precision, threads, calibration)
    source = _source(model_or_export, [outputs] if isinstance(outputs, str) else outputs)
    check_name(name, (AUTO, *source.engines))
    if name != AUTO:
        return _engine(source, how, name, source.made(name, how))
    now = memory.situation(source.digest(), how) if cache else None
    return (now and _as_before(source, how, now)) or _fastest(source, how, now)


def _source(given: Any, outputs: Sequence[str] | None) -> LoadedNet | ExportedFile:
    if isinstance(given, (str, Path)):
        path = Path(given)
        if is_export(path):
            return ExportedFile(path, outputs)
        given = read_keras(path)
    return LoadedNet(*as_caffe(given, outputs))


def _as_before(source: LoadedNet | ExportedFile, how: How, now: Any) -> Engine | None:
    """The engine that was the fastest when they were timed; None if that is not known, or it fails now."""
    times = memory.remembered(now)
    if times is None:
        return None
    name = next(iter(times))
    try:
        return _engine(source, how, name, source.made(name, how), times=times, remembered=True)
    except ExportError:
        return None


def _fastest(source: LoadedNet | ExportedFile, how: How, now: Any) -> Engine:
    made: dict[str, Made] = {}
    refused: dict[str, str] = {}
    for name in source.engines:
        try:
            made[name] = source.made(name, how)
        except CaffeError as error:
            refused[name] = str(error)
    if not made:
        said = "; ".join(f"{name}: {why}" for name, why in refused.items())
        raise ExportError(f"no engine runs the net in {how.precision}: {said}")
    times = milliseconds({name: partial(one.runtime.run, source.probe(one.runtime)) for name, one in made.items()})
    if now:
        memory.remember(now, times)
    fastest = min(times, key=times.__getitem__)
    return _engine(source, how, fastest, made[fastest], times=times, refused=refused)


def _engine(source: LoadedNet | ExportedFile, how: How, name: str, made: Made, **found: Any) -> Engine:
    runtime, probe = made.runtime, source.probe(made.runtime)
    report = Report(
        name,
        how.precision,
        None if name == "tensorflow" else threads_of(how.threads),
        {blob: array.shape for blob, array in probe.items()},
        found.pop("times", None) or milliseconds({name: partial(runtime.run, probe)}),
        made.rows,
        kept=made.kept,
        **found,
    )
    check, without_rows = partial(source.check, runtime), partial(source.without_rows, runtime)
    return Engine(runtime, source.names(runtime), source.single, report, check, without_rows)

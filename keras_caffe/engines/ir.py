"""OpenVINO's own files: an .xml with the graph and a .bin with the values beside it."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from keras_caffe.converters.comparison import Row
from keras_caffe.converters.model import CaffeModel
from keras_caffe.errors import ExportError, unreadable
from keras_caffe.onnx.export import Settings, model_bytes, prepared, proved
from keras_caffe.onnx.subject import of_model
from keras_caffe.runtimes.base import refused
from keras_caffe.runtimes.openvino import OpenVino, read
from keras_caffe.whole import place, scratch


def write_openvino(model: CaffeModel, file: Path, settings: Settings, tolerance: float | None) -> tuple[Row, ...]:
    """Writes a net as OpenVINO's IR in float32 and, given a tolerance, runs it; one row for each output.

    Args:
        model: a loaded model.
        file: the .xml; a .bin of the same name is written beside it.
        settings: as of `to_onnx`, by which it is made.
        tolerance: greatest difference, as a part of a blob's largest value.

    Raises:
        ExportError: OpenVINO is missing or refuses the net, or computes something else. Old files are whole then.
        ReadError: the files cannot be written.
    """
    if file.suffix != ".xml":
        raise ExportError("OpenVINO's files end in .xml", received=str(file))
    try:
        with scratch(file.parent) as folder:
            written = folder / file.name
            write = partial(_write, model)
            settings = write(written, settings)
            rows = () if tolerance is None else proved(model, written, settings, tolerance, OpenVino, write)
            for part in (written.with_suffix(".bin"), written):
                place(part, file.with_name(part.name))
            return rows
    except OSError as error:
        raise unreadable(file, error, problem="the file cannot be written") from error


def _write(model: CaffeModel, file: Path, settings: Settings) -> Settings:
    """Writes the files; the settings with the names of the outputs."""
    openvino, (subject, settings) = OpenVino.library(), prepared(of_model(model), settings)
    content = model_bytes(subject.opened() if settings.dynamic else subject, settings)
    try:
        openvino.save_model(read(openvino.Core(), content), str(file), compress_to_fp16=False)
    except RuntimeError as error:
        raise refused(OpenVino.title, error) from error
    return settings

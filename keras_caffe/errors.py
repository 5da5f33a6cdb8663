"""The errors that keras_caffe raises, and how their messages are put together.

    CaffeError                        also a ValueError
    ├── ReadError                     also a RuntimeError
    ├── NetError
    │   ├── UnknownNameError          also a KeyError
    │   │   └── UnknownAttributeError also an AttributeError
    │   └── NotATopError              also a TypeError
    ├── LayerError
    │   └── ShapeError
    ├── UnknownLayerError
    ├── WeightsError
    ├── DataError
    ├── SolverError
    └── ExportError
    CaffeWarning                      also a UserWarning

An error with an OSError behind it is an instance of that OSError's class, too: `except FileNotFoundError` catches the
ReadError of a missing prototxt and the DataError of a missing database.

Every message answers: what is wrong, where (file:line, layer, blob), what was expected, what was received, what to do.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeVar

from keras_caffe.cures import Call, Cure, Flags, Option, nearest
from keras_caffe.cures import Flag as Flag
from keras_caffe.cures import instead as instead

BACKSLASH = "a backslash begins an escape in prototxt strings: write / or \\\\"


class Message(Exception):
    """What errors and warnings say.

    Args:
        problem: what is wrong, one sentence without a final stop.
        where: `file` or `file:line`.
        layer: name of the Caffe layer (its type may follow in brackets).
        expected: what would have been right.
        received: what was there instead.
        fix: what the reader can do about it: one cure or several.
        cause: what is behind it. If that is the failure to open or write a file, the message is of its class, too, and
            has its `errno` and `filename`.
    """

    def __new__(cls, *args: Any, cause: Exception | None = None, **fields: Any) -> Any:
        if not isinstance(cause, OSError) or cause.errno is None:  # without a number it is about what is in the file
            return super().__new__(cls, *args)
        kind = type(cause)
        both = _as_os_error(cls, kind)  # type: ignore[arg-type]  # mypy takes classes for unhashable
        return kind.__new__(both, cause.errno, cause.strerror, cause.filename or fields.get("where"))

    def __init__(
        self,
        problem: str,
        *,
        where: str | None = None,
        layer: str | None = None,
        expected: object = None,
        received: object = None,
        fix: Cure | Sequence[Cure] | None = None,
        cause: Exception | None = None,
    ) -> None:
        self.problem: str = problem
        self.where: str | None = where
        self.layer: str | None = layer
        self.expected: object = _as_shown(expected)
        self.received: object = _as_shown(received)
        self.fix: Cure | Sequence[Cure] | None = fix
        self.cause: Exception | None = cause if isinstance(self, OSError) else None
        super().__init__(problem)

    @property
    def cures(self) -> Sequence[Cure]:
        """The sentences of `fix`."""
        return (self.fix,) if isinstance(self.fix, (str, Option, Call)) else tuple(self.fix or ())

    def cure(self, flags: Flags | None = None) -> str:
        """What to do about it, for callers in Python or, given the flags of a command, for its users in a shell."""
        return " ".join(cure if isinstance(cure, str) else cure.text(flags) for cure in self.cures)

    def what(self) -> str:
        """What is wrong, expected and received, without place and cure."""
        parts = [self.problem]
        if self.expected is not None:
            parts.append(f"expected {self.expected}")
        if self.received is not None:
            parts.append(f"received {self.received}")
        return "; ".join(parts)

    def text(self, flags: Flags | None = None) -> str:
        """The whole message, its cure as of `cure`."""
        place = [self.where, f"layer {self.layer}" if self.layer else None]
        said = ": ".join([*filter(None, place), self.what()])
        return f"{said}. {self.cure(flags)}" if self.cures else said

    def __str__(self) -> str:
        return self.text()


class CaffeError(Message, ValueError):
    """Base of all errors that keras_caffe raises about a Caffe file, net or array; arguments as for `Message`."""

    # Keras would raise a copy with the problem only of what a layer's call raises; this makes it pass errors on.
    _keras_call_info_injected = True
    where: str | None
    layer: str | None

    def at(self, *, where: str | None = None, layer: str | None = None) -> CaffeError:
        """Adds the place to an error that was raised without one, and returns the error."""
        self.where = self.where or where
        self.layer = self.layer or layer
        return self


@cache
def _as_os_error(kind: type[Message], os_kind: type[OSError]) -> Any:
    """The class that is both; it goes by the name of the first."""

    def reduce(self: Message) -> Any:  # what is made here cannot be found by its name when it is unpickled
        return partial(kind, cause=self.cause), (self.problem,), self.__dict__

    return type(kind.__name__, (kind, os_kind), {"__module__": kind.__module__, "__reduce__": reduce})


class ReadError(CaffeError, RuntimeError):
    """A file is missing, empty or truncated, has another format, or cannot be parsed.

    Cause: a wrong path, an incomplete download, a prototxt where a caffemodel is expected, or a typo in a prototxt.
    The message names the file and, if it is text, the line.

    Example::

        keras_caffe.load("layer { name: 'data' type: }")

    Cure: compare the file's size with the original's; in a prototxt, correct the line that the message names.
    """


class NetError(CaffeError):
    """The layers do not form a net: unknown bottoms, two producers of one top, clashing rules or shared parameters.

    Cause: often a training net that is read in phase TEST, or the reverse, so that the layer that produces a blob is
    left out; or a net without inputs, whose data layer names a database that is not there.

    Example::

        keras_caffe.load('layer { name: "relu" type: "ReLU" bottom: "conv1" top: "relu" }')

    Cure: choose the phase (`phase="TRAIN"`, `--phase TRAIN`), or declare the blob that no layer produces as an input
    (`input_shapes={"data": (1, 3, 224, 224)}`, `--input-shape data=1,3,224,224`).
    """


class UnknownNameError(NetError, KeyError):
    """The net has no blob or layer of this name. It is also a KeyError, which `net.blobs[...]` would raise.

    Cause: a typo, a Keras name instead of Caffe's ("conv_1" for "conv/1"), or a blob of the other phase.

    Example::

        keras_caffe.load(samples.path("lenet.prototxt")).blobs["conv9"]

    Cure: use the name that the message suggests; `keras-caffe summary NET` lists all names.
    """


class UnknownAttributeError(UnknownNameError, AttributeError):
    """A net has no blob of this name, where blobs are attributes, as in pycaffe's NetSpec.

    Cause: the same as for an UnknownNameError.

    Example::

        keras_caffe.pycaffe.NetSpec().conv1

    Cure: assign the top before it is used: `n.conv1 = L.Convolution(...)`.
    """


class NotATopError(NetError, TypeError):
    """A layer of pycaffe's NetSpec received something other than a Top. It is also a TypeError, as in Caffe.

    Cause: a layer with several tops returns a tuple of them, and a layer without tops returns None.

    Example::

        keras_caffe.pycaffe.layers.ReLU("data")

    Cure: pass the Top itself (`n.data`), or unpack the tuple: `n.data, n.label = L.Data(..., ntop=2)`.
    """


class LayerError(CaffeError):
    """A layer's parameters are missing, contradict each other, or ask for something that cannot be computed exactly.

    Cause: a definition that Caffe refuses too, or a value that Caffe accepts but ignores.

    Example::

        keras_caffe.layers.Pooling("max", kernel_size=2, pad=2)

    Cure: the message says which values the argument or field may have; [layers.md](layers.md) lists every field.
    """


class ShapeError(LayerError):
    """A layer cannot take bottoms of these shapes.

    The message gives shapes in the order that you see: Caffe's for a file, `data_format`'s for a model's inputs.

    Cause: the input has a different size from the one the net was made for, or its axes are in the other order.

    Example::

        keras_caffe.load(samples.path("lenet.prototxt"))(np.zeros((1, 28, 20, 1)))

    Cure: resize the input, or load the net for this size with `input_shapes=` (`--input-shape`). For Caffe's order of
    axes, pass `data_format="channels_first"`.
    """


class UnknownLayerError(CaffeError):
    """The net has layer types that are not registered.

    Cause: the net was made for a fork of Caffe, or uses its author's own layer.

    Example::

        keras_caffe.load('layer { name: "x" type: "MyLayer" top: "x" }')

    Cure: write the layer as a Keras layer and pass `custom_layers={"MyLayer": MyLayer}`; for `type: "Python"`, pass
    `python_layers=`. See [extending.md](extending.md).

    Args:
        types: a `registry.UnknownType` for each, where they are known one by one; other arguments as of `Message`.
    """

    def __init__(self, problem: str, *, types: Sequence[Any] = (), **fields: Any) -> None:
        super().__init__(problem, **fields)
        self.types = types


class WeightsError(CaffeError):
    """Stored parameters do not fit the net.

    Cause: weights of another net, or a layer that was changed but kept its name. Like Caffe, we copy by name.

    Example::

        keras_caffe.load(samples.path("lenet.prototxt")).set_caffe_params({"ip2": [np.zeros((7, 500)), np.zeros(7)]})

    Cure: give the changed layer a new name, or pass `skip_mismatch=True` (`--skip-mismatch`) to leave it as filled.
    """


class DataError(CaffeError):
    """A data source is missing or broken, or it contradicts the layer that reads it.

    Cause: usually, the prototxt names a database, list or mean file by its path on the author's machine.

    Example::

        net = 'layer { name: "d" type: "Data" top: "data" data_param { source: "none_lmdb" batch_size: 1 } }'
        keras_caffe.dataset(net)

    Cure: change `source` in the prototxt, or pass the folder that contains it as `base_dir=` (`--root-dir`). See
    [data.md](data.md).
    """


class SolverError(CaffeError):
    """A solver definition is contradictory or incomplete.

    Cause: a solver without a net, an unknown `lr_policy` or `type`, or test nets without `test_iter`.

    Example::

        keras_caffe.load_solver("base_lr: 0.01 lr_policy: 'fixed' max_iter: 10")

    Cure: add the field that the message names. See [training.md](training.md).
    """


class ExportError(CaffeError):
    """A model cannot be exported as asked, or the export cannot be written.

    Cause: a layer that the format cannot express, an engine that computes other numbers, or a model that is not a net.

    Example::

        keras_caffe.to_onnx(keras_caffe.load(samples.path("lenet.prototxt")), "lenet.onnx", opset=3)

    Cure: choose another format, or cut the net before the layer with `outputs=` (`--blob`): [exports.md](exports.md).
    """


class CaffeWarning(Message, UserWarning):
    """Something in a Caffe file is unusual, ignored, or handled differently than in Caffe.

    Cause: a field that no layer knows, a layer that the weights do not fill, or a file made for a fork.

    Example::

        net = 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 } } my_field: 3 }'
        keras_caffe.load(net)

    Cure: check whether what the message says matters to you. `strict=True` (`--strict`) turns unknown fields into
    errors, and `warnings.simplefilter("error", keras_caffe.CaffeWarning)` turns every such warning into one.

    Args:
        kind: what it is about, in a word or two.
        parts: the same, said of each of several things by itself.
        **fields: arguments of `Message`.
    """

    def __init__(
        self, problem: str, *, kind: str = "warning", parts: Sequence[CaffeWarning] = (), **fields: Any
    ) -> None:
        super().__init__(problem, **fields)
        self.kind: str = kind
        self.parts: Sequence[CaffeWarning] = parts


Kind = TypeVar("Kind", bound=CaffeError)


def unreadable(
    path: str | os.PathLike[str],
    error: Exception,
    kind: type[Kind] = ReadError,  # type: ignore[assignment]
    problem: str = "the file cannot be read",
    fix: str | None = None,
) -> Kind:
    """The error for a file that cannot be opened; of a missing one it says which name may have been meant.

    `problem` and `fix` are for a file that can be opened but is not what it should be.
    """
    where = shown_path(path)[:200] or "''"
    if isinstance(error, FileNotFoundError) or getattr(error, "errno", None) == errno.ENAMETOOLONG:
        cures = escape_hint(path) or list(filter(None, [_near(Path(path))]))
        return kind("there is no such file", where=where, fix=cures, cause=error)
    if isinstance(error, IsADirectoryError):
        return kind("this is a folder", where=where, expected="a file", fix="Name a file in it.", cause=error)
    if isinstance(error, OSError) and error.errno is not None:
        return kind(f"the file cannot be read: {error.strerror or error}", where=where, cause=error)
    return kind(problem, where=where, received=error, fix=fix)


def not_found(path: str | os.PathLike[str]) -> OSError:
    """Why a file cannot be found: it is missing, as a rule, but its folder may be closed or its name too long."""
    try:
        Path(path).stat()
    except OSError as error:
        return error
    except ValueError:  # a zero byte in the name
        pass
    return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))


def shown_path(path: str | os.PathLike[str]) -> str:
    """A path as messages show it: control characters as the escapes that they come of."""
    return "".join(repr(letter)[1:-1] if letter < " " else letter for letter in str(path))


def escape_hint(path: str | os.PathLike[str]) -> list[str]:
    """The advice for a Windows path whose backslashes were read as escapes, so that it names nothing."""
    escaped = any(letter < " " for letter in str(path))
    return ["A backslash begins an escape in prototxt strings, as in Python's: write / or \\\\."] if escaped else []


def is_there(path: str | os.PathLike[str]) -> bool:
    """Whether there is such a file or folder. A name from a file may be none: too long, or with a zero byte."""
    try:
        Path(path).stat()
    except (OSError, ValueError):
        return False
    return True


def _near(path: Path) -> str | None:
    try:
        near = nearest(path.name, [entry.name for entry in path.parent.iterdir()], 1)
    except (OSError, ValueError):
        return None
    return f"Did you mean {path.parent / near[0]}?" if near else None


def _as_shown(value: object) -> object:
    """Of a `layout.Shown` the plain tuple that it prints."""
    return getattr(value, "shown", value)

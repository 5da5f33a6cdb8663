"""Runs a pycaffe-style layer class on NumPy arrays, and inside TensorFlow with its own gradient."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Container, Iterable, Iterator, MutableSequence, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from keras_caffe import proto
from keras_caffe.errors import LayerError
from keras_caffe.shapes import OldNames, Shape, Sizes, check_blob


class PythonBlob(OldNames):
    """A blob as pycaffe shows it: float32 arrays `data` and `diff` in Caffe's order, and their shape.

    They are views of the same memory as long as that is large enough: who keeps one sees what comes into it.

    Attributes:
        home: the net's blob that this one shows, once there is one: what setup has kept stays good, as in Caffe.
    """

    home: Any = None

    def __init__(self, *shape: int) -> None:
        self._data, self._diff = _zeros((0,)), _zeros((0,))
        self.reshape(*shape)

    @property
    def data(self) -> np.ndarray:
        return self._data if self.home is None else self.home.data

    @data.setter
    def data(self, values: np.ndarray) -> None:
        self.data[...] = values

    @property
    def diff(self) -> np.ndarray:
        return self._diff if self.home is None else self.home.diff

    @diff.setter
    def diff(self, values: np.ndarray) -> None:
        self.diff[...] = values

    def reshape(self, *shape: int) -> None:
        """Gives the blob another shape; as in Caffe, the memory stays as it is, unless it is too small."""
        shape = check_blob(tuple(map(int, shape)))
        if self.home is not None:
            self.home.reshape(*shape)
        else:
            self._data, self._diff = _reshaped(self._data, shape), _reshaped(self._diff, shape)

    def set(self, data: np.ndarray, diff: np.ndarray | None = None) -> None:
        """Takes copies of the values; the diff is 0 if none is given."""
        self.reshape(*np.shape(data))
        self.data[...] = data
        self.diff[...] = 0 if diff is None else np.reshape(diff, self.shape)

    def move_to(self, home: Any) -> tuple[np.ndarray, np.ndarray]:
        """Shows the net's blob from now on.

        Returns:
            The memory of data and diff, flat, whose views setup may have kept.
        """
        left = self._data.base, self._diff.base
        self.home, self._data, self._diff = home, _zeros((0,)), _zeros((0,))
        return left  # type: ignore[return-value]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.data.shape

    @property
    def count(self) -> int:
        return self.data.size


def _zeros(shape: Sequence[int]) -> np.ndarray:
    """A view of flat memory, which is the array's base."""
    return np.zeros(np.prod(shape, dtype=np.int64), "float32").reshape(shape)


def _reshaped(array: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    size, memory = np.prod(shape, dtype=np.int64), array.base
    return memory[:size].reshape(shape) if size <= memory.size else _zeros(shape)  # type: ignore[index,union-attr]


class BlobVec(MutableSequence[Any]):
    """A layer's blobs as pycaffe shows them; the layer uses the blobs that the vector holds at the time.

    Args:
        blobs: the first.

    Attributes:
        take: given by a net: what becomes of the blobs that a change would leave in it. It may refuse them.
    """

    take: Callable[[list[Any]], list[Any]] | None = None

    def __init__(self, blobs: Iterable[Any] = ()) -> None:
        self._blobs = list(blobs)

    def add_blob(self, *shape: int) -> None:
        """Adds a blob of zeros."""
        self.append(PythonBlob(*shape))

    def __getitem__(self, place: Any) -> Any:
        return self._blobs[place]

    def __len__(self) -> int:
        return len(self._blobs)

    def __setitem__(self, place: Any, blob: Any) -> None:
        self._change(lambda blobs: blobs.__setitem__(place, blob))

    def __delitem__(self, place: Any) -> None:
        self._change(lambda blobs: blobs.__delitem__(place))

    def insert(self, index: int, value: Any) -> None:
        self._change(lambda blobs: blobs.insert(index, value))

    def _change(self, change: Callable[[list[Any]], None]) -> None:
        blobs = list(self._blobs)
        change(blobs)
        self._blobs = self.take(blobs) if self.take else blobs


class Phase(int):
    """Caffe's number of a phase, 0 TRAIN and 1 TEST. Its text is the name, as in the Caffe of Faster R-CNN.

    Its layers look up their settings by `str(self.phase)`.
    """

    def __str__(self) -> str:
        return ("TRAIN", "TEST")[self]


class Runner:
    """One instance of a pycaffe-style class with its bottoms, tops and blobs.

    Args:
        cls: has setup, reshape, forward and, for gradients, backward.
        param_str: the attribute that Caffe sets before setup.
        phase: Caffe's number: 0 TRAIN, 1 TEST.
        bottoms: the bottoms' shapes.
        tops: number of tops.
        propagate_down: for each bottom whether backward shall give its diff.
        in_place: the tops that are one blob with the bottom of their number.

    Raises:
        LayerError: the class, its setup or its reshape fails; names the reason.
    """

    def __init__(
        self,
        cls: type,
        param_str: str,
        phase: int,
        bottoms: Sequence[Sizes],
        tops: int,
        propagate_down: Sequence[bool],
        in_place: Container[int] = (),
    ) -> None:
        self.layer: Any = _guarded(f"{cls.__name__} cannot be made", _made, cls)
        self.layer.param_str = self.layer.param_str_ = param_str  # the latter in Caffe before 2015
        self.layer.phase, self.layer.blobs = Phase(phase), BlobVec()
        self.bottom: list[Any] = [PythonBlob(*shape) for shape in bottoms]
        self.top: list[Any] = [self.bottom[i] if i in in_place else PythonBlob() for i in range(tops)]
        self.propagate_down: list[bool] = list(propagate_down)
        self.lock: threading.RLock = threading.RLock()
        self.serial: int = 0
        _guarded(f"setup of {cls.__name__} fails", self.layer.setup, self.bottom, self.top)
        self.reshape(bottoms)

    @property
    def blobs(self) -> BlobVec:
        return self.layer.blobs

    def reshape(self, bottoms: Sequence[Sizes]) -> list[Shape]:
        """The tops' shapes for bottoms of these shapes."""
        with self.lock:
            for blob, shape in zip(self.bottom, bottoms, strict=True):
                blob.reshape(*shape)
            name = type(self.layer).__name__
            _guarded(f"reshape of {name} fails", self.layer.reshape, self.bottom, self.top)
            self._asked = [tuple(shape) for shape in bottoms], [blob.shape for blob in self.top]
            return self._asked[1]

    def tops_for(self, bottoms: Sequence[Sizes]) -> list[Shape]:
        """The same; a class that counts its calls is asked only if the last question was another one."""
        asked, tops = self._asked
        return tops if asked == [tuple(shape) for shape in bottoms] else self.reshape(bottoms)

    def forward(self, bottoms: Sequence[np.ndarray], params: Sequence[np.ndarray]) -> tuple[int, list[np.ndarray]]:
        """The number of this pass, and the tops."""
        with self.lock:
            for blob, array in zip([*self.bottom, *self.blobs], [*bottoms, *params], strict=True):
                blob.set(array)
            try:
                self.run()
                if len(self.blobs) != len(params):
                    raise LayerError(
                        f"{type(self.layer).__name__} has another number of blobs after forward than after setup",
                        expected=len(params),
                        received=len(self.blobs),
                        fix="Add all blobs in setup; only a net of keras_caffe.pycaffe takes further ones.",
                    )
            except Exception as error:
                vars(error).update(_keras_call_info_injected=True)  # or Keras would raise a copy with other arguments
                raise
            self.serial += 1
            return self.serial, [blob.data.copy() for blob in self.top]

    def backward(
        self, serial: int, bottoms: Sequence[np.ndarray], params: Sequence[np.ndarray], diffs: Sequence[np.ndarray]
    ) -> list[np.ndarray]:
        """The diffs of bottoms and blobs for the given diffs of the tops, after the forward pass of this number.

        What forward leaves in attributes is that of the last pass; if that was another one, it is run again.
        """
        with self.lock:
            if serial != self.serial:
                self.forward(bottoms, params)
            for blob in [*self.bottom, *self.blobs]:
                blob.diff = 0
            for blob, diff in zip(self.top, diffs, strict=True):  # afterwards: it may be a bottom, too
                blob.diff = np.reshape(diff, blob.shape)
            self.run_backward()
            return [blob.diff.copy() for blob in [*self.bottom, *self.blobs]]

    def use(self, bottoms: Iterable[Any], tops: Iterable[Any]) -> None:
        """Works on these blobs of a net from now on; what setup has kept shows them, and what it has left stays."""
        for mine, theirs in ((self.bottom, list(bottoms)), (self.top, list(tops))):
            for added, blob in zip(mine, theirs, strict=True):
                if added.shape == blob.shape:
                    blob.data[...] = added.data
                added.move_to(blob)
            mine[:] = theirs

    def run(self) -> None:
        """Forward on what the blobs hold."""
        self.layer.reshape(self.bottom, self.top)
        self.layer.forward(self.bottom, self.top)

    def run_backward(self) -> None:
        """Backward on what the blobs hold."""
        self.layer.backward(self.top, self.propagate_down, self.bottom)


def run(
    runner: Runner,
    bottoms: Sequence[Any],
    variables: Sequence[Any],
    shapes: Callable[[], Sequence[Shape]],
) -> list[Any]:
    """The tops of a pycaffe-style layer as tensors; their gradient is what its backward computes.

    Args:
        runner: the layer.
        bottoms: float32 tensors in Caffe's order.
        variables: the Keras variables of its blobs; what forward or backward change in the blobs is written to them.
        shapes: gives what is known of the tops' shapes.

    Raises:
        LayerError: Keras runs on another backend than TensorFlow.
    """
    if keras.backend.backend() != "tensorflow":
        raise LayerError("layers of type Python run with Keras's TensorFlow backend only")
    import tensorflow as tf

    count, tops, eager = len(bottoms), len(runner.top), tf.executing_eagerly()

    def forward(*arrays: np.ndarray) -> list[np.ndarray]:
        serial, values = runner.forward(arrays[:count], arrays[count:])
        if not eager:
            _write_back(runner, arrays[count:], variables)
        return [np.int64(serial), *values]

    def backward(serial: Any, *arrays: np.ndarray) -> list[np.ndarray]:
        given = len(arrays) - tops
        diffs = runner.backward(int(serial), arrays[:count], arrays[count:given], arrays[given:])
        _write_back(runner, arrays[count:given], variables)
        return diffs

    @tf.custom_gradient
    def call(*args: Any) -> Any:
        serial, *values = _in_numpy(forward, args, [tf.int64] + [tf.float32] * tops)

        def gradient(*diffs: Any) -> list[Any]:
            gradients = _in_numpy(backward, [serial, *args, *diffs], [tf.float32] * len(args))
            return [tf.ensure_shape(diff, arg.shape) for diff, arg in zip(gradients, args, strict=True)]

        return values, gradient

    params = [tf.identity(variable.value) for variable in variables]
    values = list(call(*bottoms, *params))
    if eager:  # Inside `call` TensorFlow would take the variables for its inputs.
        _write_back(runner, [param.numpy() for param in params], variables)
    else:
        for value, shape in zip(values, shapes(), strict=True):
            value.set_shape(shape)
    return values


def _in_numpy(function: Callable[..., list[np.ndarray]], args: Sequence[Any], types: Sequence[Any]) -> list[Any]:
    import tensorflow as tf

    if not tf.executing_eagerly():
        return tf.numpy_function(function, args, types)
    # Not so here, because TensorFlow copies in a way that NumPy 2 warns about.
    results = function(*(arg.numpy() for arg in args))
    return [tf.constant(result, type) for result, type in zip(results, types, strict=True)]


def _write_back(runner: Runner, before: Sequence[np.ndarray], variables: Sequence[Any]) -> None:
    for blob, old, variable in zip(runner.blobs, before, variables, strict=True):
        if not np.array_equal(blob.data, old, equal_nan=True):
            variable.assign(blob.data)


def _made(cls: type) -> Any:
    """An instance. Caffe hands a LayerParameter, in which Python sees nothing, to a constructor that takes one."""
    try:
        inspect.signature(cls).bind()
    except TypeError:
        return cls(proto.LayerParameter(type="Python"))
    return cls()


@contextmanager
def own_exceptions() -> Iterator[None]:
    """Lets out what a Python layer raised, as it was raised, in place of the LayerError about it."""
    try:
        yield
    except LayerError as error:
        if error.__cause__ is None:
            raise
        raise error.__cause__ from None


def _guarded(problem: str, function: Any, *args: Any) -> Any:
    try:
        return function(*args)
    except Exception as error:
        raise LayerError(f"{problem}: {type(error).__name__}: {error}") from error

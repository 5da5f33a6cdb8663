"""Blobs as pycaffe shows them: NumPy arrays in Caffe's order that stay the same objects while nets run."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any
from weakref import WeakValueDictionary

import numpy as np

from keras_caffe.layers.base import BoundBlob
from keras_caffe.layout import Order, caffe_order, inverse
from keras_caffe.ops.python_layer import PythonBlob
from keras_caffe.shapes import OldNames, Shape, check_blob, count


class Memory:
    """The values that blobs look at.

    What a net computes stays a tensor until somebody asks for the array. From then on the array is kept and filled
    anew after each run, so that whoever holds it sees the new values, as with Caffe's own memory.
    """

    def __init__(self, size: int, initial: float = 0) -> None:
        self.capacity: int = size
        self.initial: float = initial
        self._array: np.ndarray | None = None
        self._pending: Callable[[], np.ndarray] | None = None
        self._left: Callable[[], np.ndarray] | None = None

    @property
    def array(self) -> np.ndarray:
        """All values, flat, perhaps more than a blob has; what is written into them counts."""
        if self._array is None:
            self._array = np.full(self.capacity, self.initial, np.float32)
            self._fill()
        return self._array

    def holds(self, view: np.ndarray) -> bool:
        """Whether what is written into this array is written into the memory."""
        return view.base is not None and view.base is self._array

    @property
    def handed_out(self) -> bool:
        """Whether somebody may have changed the values since they were computed."""
        return self._array is not None

    def put(self, values: Callable[[], np.ndarray]) -> None:
        """Takes new values, which are asked for at once only if the array is in use."""
        self._pending = values
        if self._array is not None:
            self._fill()

    def note(self, values: Callable[[], np.ndarray]) -> None:
        """Remembers what a pass read here or left here, for `changed`."""
        self._left = values

    @property
    def changed(self) -> bool:
        """Whether a script has written other values into the array since `note`."""
        if self._array is None or self._left is None:
            return self._array is not None
        left = self._left()
        return not np.array_equal(self._array[: left.size].reshape(left.shape), left, equal_nan=True)

    def references(self) -> int:
        """How many references to the array there are; every view of it is one."""
        return sys.getrefcount(self._array)

    def reserve(self, size: int) -> None:
        """Room for this many values; as in Caffe, the memory stays, with all that it holds, unless it is too small."""
        if size > self.capacity:
            self.capacity, self._array, self._pending, self._left = size, None, None, None

    def adopt(self, array: np.ndarray) -> None:
        """Keeps the values in this array from now on, a flat one of which somebody holds views."""
        self._array, self.capacity = array, array.size
        self._fill()

    def _fill(self) -> None:
        if self._pending is not None:
            values, self._pending = self._pending, None
            array = values()
            np.copyto(self._array[: array.size].reshape(array.shape), array)  # type: ignore[index]


def _alone() -> int:
    """The references to an array that only its memory holds, as this Python counts them."""
    memory = Memory(1)
    memory.array.fill(0)
    return memory.references()


ALONE = _alone()


class ParamMemory(Memory):
    """The values of a layer's blob, which a variable holds."""

    def __init__(self, bound: BoundBlob) -> None:
        super().__init__(count(bound.blob.shape) or 0)
        self.bound = bound
        self.put(bound.get)

    def push(self) -> None:
        """What was written into the array goes into the variable.

        To find out costs as much as a pass over all values. An array that nobody holds any more, not even a part of it,
        is therefore given up after that: who asks for it again gets one with the same values. One that a script has
        made larger is kept, for the variable has not all of its values.
        """
        if self._array is not None:
            size = count(self.bound.blob.shape)
            self._push(self._array[:size].reshape(self.bound.blob.shape))
            if self.capacity == size and self.references() <= ALONE:
                self._array = None
                self.pull()

    def _push(self, values: np.ndarray) -> None:
        if not np.array_equal(values, self.bound.get()):
            self.bound.set(values.copy())

    def pull(self) -> None:
        """The array gets what the variable holds."""
        self.put(self.bound.get)


class NetBlob(OldNames):
    """pycaffe's Blob: `data` and `diff` are float32 arrays of shape `shape`, in Caffe's order; assign into them.

    Args:
        shape: as planned.
        data: the memory of the data; default: its own.
        diff: the memory of the diff, or what its own begins with.
        below: the blob whose data it shares.
    """

    def __init__(
        self, shape: Shape, data: Memory | None = None, diff: Memory | float = 0, below: NetBlob | None = None
    ) -> None:
        self._shape, self._below = _known(shape), below
        self.data_memory = data or Memory(self.count)
        self.diff_memory: Memory = diff if isinstance(diff, Memory) else Memory(self.count, diff)
        self._views: WeakValueDictionary[str, np.ndarray] = WeakValueDictionary()

    @property
    def data_memory(self) -> Memory:
        """The memory of the blob below, which a Split or Flatten hands on, while that has as many values."""
        below = self._below
        return self._data_memory if below is None or below.count != self.count else below.data_memory

    @data_memory.setter
    def data_memory(self, memory: Memory) -> None:
        self._data_memory = memory

    @property
    def data(self) -> np.ndarray:
        return self._view("data", self.data_memory)

    @property
    def diff(self) -> np.ndarray:
        return self._view("diff", self.diff_memory)

    def _view(self, name: str, memory: Memory) -> np.ndarray:
        view = self._views.get(name)
        if view is None or not memory.holds(view) or view.shape != self._shape:
            view = self._views[name] = memory.array[: self.count].reshape(self._shape)
        return view

    @property
    def shape(self) -> tuple[int, ...]:
        return self._shape

    @property
    def count(self) -> int:
        return math.prod(self._shape)

    def reshape(self, *dims: int) -> None:
        """Another shape; the values stay, unless there are more than ever. A net takes it over when it runs next."""
        self.take_shape(check_blob(tuple(map(int, dims))))

    def put(self, tensor: Any, order: Order, shape: Shape) -> None:
        """What a layer computed, stored in `order`; the blob takes its shape, which is `shape` in Caffe's order."""
        self.take_shape(shape)
        self.data_memory.put(lambda: in_caffe_order(tensor, order))

    def note(self, tensor: Any, order: Order) -> None:
        """What a pass read here or left here, stored in `order`; by it the blob knows later if a script changed it."""
        self.data_memory.note(lambda: in_caffe_order(tensor, order))

    def put_diff(self, tensor: Any, order: Order) -> None:
        """The diff that a layer computed, stored in `order`."""
        self.diff_memory.put(lambda: in_caffe_order(tensor, order))

    def take_shape(self, shape: Shape) -> None:
        """A shape that a plan or a run gives."""
        if shape == self._shape:
            return
        self._shape = _known(shape)
        for memory in (self._data_memory, self.diff_memory):
            memory.reserve(self.count)


class ParamBlob(NetBlob):
    """A blob of a layer, whose values a variable holds. A Python layer has it among its `blobs`."""

    data_memory: ParamMemory


def of_a_net(blob: PythonBlob) -> NetBlob:
    """The net's blob in place of one that a layer has made; both show the same values from now on."""
    if blob.home is None:
        home = NetBlob(blob.shape)
        for memory, array in zip((home.data_memory, home.diff_memory), blob.move_to(home), strict=True):
            memory.adopt(array)
    return blob.home


def _known(shape: Shape) -> tuple[int, ...]:
    """A planned shape; sizes that only a run tells are 1 before it."""
    return tuple(1 if size is None else int(size) for size in shape)


def in_caffe_order(tensor: Any, order: Order) -> np.ndarray:
    """A stored tensor as an array with Caffe's axes."""
    array = np.asarray(tensor)
    return array if order == caffe_order(len(order)) else array.transpose(inverse(order))

"""The CUDA kernels by their plain C interface (ops/*/*.h): arrays of NumPy in and out, copied to and from a memory."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from ctypes import c_float, c_int32, c_int64, c_void_p
from pathlib import Path
from typing import Any

import numpy as np

METHODS = ("SGD", "Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam")  # in the order of KerasCaffeSolverMethod


class PoolShape(ctypes.Structure):
    _fields_ = [(name, c_int64) for name in ("batch", "channels", "height", "width", "out_height", "out_width")]
    _fields_ += [(name, c_int32) for name in ("kernel_h", "kernel_w", "stride_h", "stride_w", "pad_h", "pad_w")]
    _fields_ += [("channels_last", c_int32)]

    @property
    def top(self) -> tuple[int, ...]:
        return tuple(ordered((self.batch, self.channels, self.out_height, self.out_width), self.channels_last))


class LrnShape(ctypes.Structure):
    _fields_ = [(name, c_int64) for name in ("batch", "channels", "height", "width")]
    _fields_ += [("local_size", c_int32), ("alpha", c_float), ("beta", c_float), ("k", c_float)]
    _fields_ += [("within_channel", c_int32), ("channels_last", c_int32)]


class SolverUpdate(ctypes.Structure):
    _fields_ = [("method", c_int32), ("l1", c_int32)]
    _fields_ += [(name, c_float) for name in ("rate", "decay", "scale", "momentum", "decay2", "delta")]


class PixelShape(ctypes.Structure):
    _fields_ = [(name, c_int64) for name in ("batch", "channels", "height", "width", "means")]
    _fields_ += [("scale", c_float), ("channels_last", c_int32)]

    @property
    def top(self) -> tuple[int, ...]:
        return tuple(ordered((self.batch, self.channels, self.height, self.width), self.channels_last))


IMAGE = np.dtype([("pixels", "u8"), ("width", "i8"), ("mirror", "i4"), ("top", "i4"), ("left", "i4")], align=True)


def ordered(shape: tuple[int, ...], channels_last: Any) -> tuple[int, ...]:
    return (shape[0], *shape[2:], shape[1]) if channels_last else shape


class Library:
    """The kernels of one library on one memory."""

    def __init__(self, path: Path, memory: Any) -> None:
        self.functions, self.memory = ctypes.CDLL(str(path)), memory

    def call(self, name: str, *arguments: Any) -> None:
        """Starts a kernel; structures go by address, arrays of the memory by their pointers.

        Raises:
            RuntimeError: the kernel was not started.
        """
        given = map(self._argument, arguments)
        error = getattr(self.functions, f"keras_caffe_{name}")(*given, c_void_p(self.memory.stream))
        if error:
            raise RuntimeError(f"keras_caffe_{name} gave CUDA's error {error}")

    def _argument(self, value: Any) -> Any:
        if isinstance(value, ctypes.Structure):
            return ctypes.byref(value)
        if isinstance(value, bool):
            return c_int32(value)
        if isinstance(value, int):
            return c_int64(value)
        return c_void_p(None if value is None else self.memory.pointer(value))

    def run(self, name: str, first: list[Any], inputs: list[np.ndarray | None], tops: list[tuple]) -> list[np.ndarray]:
        """The arrays that a kernel writes: `tops` are their shapes and types, which follow the inputs."""
        held = [None if array is None else self.memory.put(array) for array in inputs]
        written = [self.memory.empty(*top) for top in tops]
        self.call(name, *first, *held, *written)
        return [self.memory.get(array) for array in written]

    def max_pool(self, shape: PoolShape, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        y, mask = self.run("max_pool", [shape], [x], [(shape.top, np.float32), (shape.top, np.int32)])
        return y, mask

    def max_pool_alone(self, shape: PoolShape, x: np.ndarray) -> np.ndarray:
        held, y = self.memory.put(x), self.memory.empty(shape.top)
        self.call("max_pool", shape, held, y, None)
        return self.memory.get(y)

    def mask_pool_grad(self, shape: PoolShape, dy: np.ndarray, mask: np.ndarray, bottom: tuple) -> np.ndarray:
        return self.run("mask_pool_grad", [shape], [dy, mask], [(bottom, np.float32)])[0]

    def average_pool(self, shape: PoolShape, x: np.ndarray) -> np.ndarray:
        return self.run("average_pool", [shape], [x], [(shape.top, np.float32)])[0]

    def average_pool_grad(self, shape: PoolShape, dy: np.ndarray, bottom: tuple) -> np.ndarray:
        return self.run("average_pool_grad", [shape], [dy], [(bottom, np.float32)])[0]

    def stochastic_pool(self, shape: PoolShape, x: np.ndarray, uniform: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        tops = [(shape.top, np.float32), (shape.top, np.int32)]
        y, mask = self.run("stochastic_pool", [shape], [x, uniform], tops)
        return y, mask

    def stochastic_mean_pool(self, shape: PoolShape, x: np.ndarray) -> np.ndarray:
        return self.run("stochastic_mean_pool", [shape], [x], [(shape.top, np.float32)])[0]

    def stochastic_mean_pool_grad(self, shape: PoolShape, x: np.ndarray, dy: np.ndarray) -> np.ndarray:
        return self.run("stochastic_mean_pool_grad", [shape], [x, dy], [(x.shape, np.float32)])[0]

    def lrn(self, shape: LrnShape, x: np.ndarray) -> np.ndarray:
        return self.run("lrn", [shape], [x], [(x.shape, np.float32)])[0]

    def lrn_grad(self, shape: LrnShape, x: np.ndarray, dy: np.ndarray) -> np.ndarray:
        return self.run("lrn_grad", [shape], [x, dy], [(x.shape, np.float32)])[0]

    def hinge_loss(self, scores: np.ndarray, labels: np.ndarray, squared: bool) -> tuple[np.ndarray, np.ndarray]:
        tops = [((), np.float32), (scores.shape, np.float32)]
        loss, gradient = self.run("hinge_loss", [*scores.shape, squared], [scores, labels], tops)
        return loss, gradient

    def solver_update(self, update: SolverUpdate, gradient: np.ndarray, *state: np.ndarray) -> list[np.ndarray]:
        """Weights and histories after the update; `state` is what they were before."""
        held = [self.memory.put(array) for array in (gradient, *state)]
        second = [None] * (4 - len(held))
        self.call("solver_update", update, gradient.size, *held, *second)
        return [self.memory.get(array) for array in held[1:]]

    def images(self, pixels: Sequence[Any], widths: Sequence[int], windows: np.ndarray) -> Any:
        """What says of each image where its pixels lie in the memory, and what is kept of it."""
        records = np.zeros(len(windows), IMAGE)
        records["pixels"] = [self.memory.pointer(image) for image in pixels]
        records["width"] = widths
        records["mirror"], records["top"], records["left"] = windows.T
        return self.memory.put(records.view(np.int32))

    def pixel_batch(
        self, shape: PixelShape, pixels: Sequence[np.ndarray], windows: np.ndarray, mean: np.ndarray | None
    ) -> np.ndarray:
        held = [self.memory.put(image) for image in pixels]
        images = self.images(held, [image.shape[1] for image in pixels], windows)
        top, mean = self.memory.empty(shape.top), None if mean is None else self.memory.put(mean)
        self.call("pixel_batch", shape, images, mean, top)
        return self.memory.get(top)

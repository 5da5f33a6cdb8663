"""Where kernels work: a GPU's memory by PyTorch or CuPy, or this machine's for kernels that are emulated."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

GUARD = 64  # values before and after an array of the host that nothing may read or write


class Guarded(NamedTuple):
    """An array, and the same with its guards."""

    array: np.ndarray
    around: np.ndarray


class HostMemory:
    """Arrays between guards: what reads them gets a number that shows, what writes them is found out.

    Args:
        shift: bytes by which arrays miss an address that is a multiple of 16.
    """

    name = "the CPU"
    stream = None

    def __init__(self, shift: int = 0) -> None:
        self.shift = shift

    def put(self, array: np.ndarray) -> Guarded:
        held = self.empty(array.shape, array.dtype)
        held.array[...] = array
        return held

    def empty(self, shape: tuple[int, ...], dtype: Any = np.float32) -> Guarded:
        dtype = np.dtype(dtype)
        size = int(np.prod(shape)) + 2 * GUARD
        raw = np.empty(size * dtype.itemsize + 32, np.uint8)
        begin = (-(raw.ctypes.data + GUARD * dtype.itemsize)) % 16 + self.shift
        around = raw[begin : begin + size * dtype.itemsize].view(dtype)
        around[...] = guard_value(dtype)
        return Guarded(around[GUARD : size - GUARD].reshape(shape), around)

    def get(self, held: Guarded) -> np.ndarray:
        edges = np.concatenate([held.around[:GUARD], held.around[-GUARD:]])
        np.testing.assert_array_equal(edges, guard_value(edges.dtype), "written beside an array")
        return held.array.copy()

    def pointer(self, held: Guarded) -> int:
        return held.around.ctypes.data + GUARD * held.around.itemsize


def guard_value(dtype: np.dtype) -> Any:
    return dtype.type(3e38 if dtype.kind == "f" else 201)


class TorchMemory:
    """A GPU's memory, by PyTorch."""

    def __init__(self) -> None:
        import torch

        self.torch = torch
        self.name = torch.cuda.get_device_name()
        self.stream = torch.cuda.current_stream().cuda_stream

    def put(self, array: np.ndarray) -> Any:
        return self.torch.from_numpy(np.ascontiguousarray(array)).cuda()

    def empty(self, shape: tuple[int, ...], dtype: Any = np.float32) -> Any:
        kind = {"float32": self.torch.float32, "int32": self.torch.int32, "uint8": self.torch.uint8}
        return self.torch.empty(shape, dtype=kind[np.dtype(dtype).name], device="cuda")

    def get(self, held: Any) -> np.ndarray:
        return held.cpu().numpy()

    def pointer(self, held: Any) -> int:
        return held.data_ptr()

    def copy(self, source: Any, target: Any) -> None:
        target.copy_(source)

    def seconds(self, call: Callable[[], Any], times: int) -> float:
        """Of one call, when `times` follow each other."""
        start, end = (self.torch.cuda.Event(enable_timing=True) for _ in range(2))
        call()
        start.record()
        for _ in range(times):
            call()
        end.record()
        end.synchronize()
        return start.elapsed_time(end) / 1000 / times


class CupyMemory:
    """A GPU's memory, by CuPy."""

    def __init__(self) -> None:
        import cupy

        self.cupy = cupy
        self.name = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)["name"].decode()
        self.stream = cupy.cuda.get_current_stream().ptr

    def put(self, array: np.ndarray) -> Any:
        return self.cupy.asarray(np.ascontiguousarray(array))

    def empty(self, shape: tuple[int, ...], dtype: Any = np.float32) -> Any:
        return self.cupy.empty(shape, dtype)

    def get(self, held: Any) -> np.ndarray:
        return held.get()

    def pointer(self, held: Any) -> int:
        return held.data.ptr

    def copy(self, source: Any, target: Any) -> None:
        target[...] = source

    def seconds(self, call: Callable[[], Any], times: int) -> float:
        """Of one call, when `times` follow each other."""
        start, end = self.cupy.cuda.Event(), self.cupy.cuda.Event()
        call()
        start.record()
        for _ in range(times):
            call()
        end.record()
        end.synchronize()
        return self.cupy.cuda.get_elapsed_time(start, end) / 1000 / times


def gpu_memory() -> TorchMemory | CupyMemory | str:
    """The memory of this machine's GPU, or why there is none."""
    reasons = []
    for package, memory in (("torch", TorchMemory), ("cupy", CupyMemory)):
        if importlib.util.find_spec(package) is None:
            reasons.append(f"{package} is not installed")
            continue
        try:
            return memory()
        except Exception as error:  # what these raise without a GPU or a driver is their own
            reasons.append(f"{package} finds no GPU: {error}")
    return "; ".join(reasons)

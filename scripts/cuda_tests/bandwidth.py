"""How fast the CUDA kernels go through memory, as a share of a copy within the device that moves as many bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from .library import METHODS, Library, LrnShape, PixelShape, PoolShape, SolverUpdate
from .reference import Windows

TIMES = 50
LAYOUTS = ("channels_first", "channels_last")

POOLS = {  # (N, C, H, W) and windows
    "3x3/2, CaffeNet pool1": ((256, 96, 55, 55), Windows((3, 3), (2, 2))),
    "2x2/2, VGG pool2": ((64, 128, 112, 112), Windows((2, 2), (2, 2))),
    "3x3/1, GoogLeNet 3b": ((128, 256, 28, 28), Windows((3, 3), (1, 1), (1, 1))),
    "7x7, GoogLeNet pool5": ((1024, 1024, 7, 7), Windows((7, 7), (1, 1))),
}
LRNS = {
    "5 channels, CaffeNet norm1": ((256, 96, 27, 27), 5, False),
    "5 channels, GoogLeNet norm2": ((64, 192, 56, 56), 5, False),
    "3x3 pixels, cifar10_full norm1": ((1024, 32, 16, 16), 3, True),
}
HINGE = (1 << 16, 1000)  # samples and classes
PARAMETERS = 60_965_224  # CaffeNet's
RECORDS = ((512, 3, 256, 256), (227, 227))  # and their windows


class Work(NamedTuple):
    """A kernel on some sizes: the bytes that it must read and write, and the call that does."""

    kernel: str
    sizes: str
    bytes: int
    call: Callable[[], Any]


def measure(library: Library) -> list[tuple[Any, ...]]:
    """Rows: kernel, sizes, MB, microseconds, GB/s, percent of a copy's speed."""
    rows = []
    for work in works(library):
        half = work.bytes // 2
        source, target = (library.memory.empty((half,), np.uint8) for _ in range(2))
        copy = library.memory.seconds(lambda s=source, t=target: library.memory.copy(s, t), TIMES)
        seconds = library.memory.seconds(work.call, TIMES)
        speed = work.bytes / seconds / 1e9
        percent = 100 * copy / seconds
        rows.append((work.kernel, work.sizes, work.bytes / 1e6, seconds * 1e6, speed, percent))
    return rows


def works(library: Library) -> Iterator[Work]:
    for name, (size, windows) in POOLS.items():
        for last in (False, True):
            yield from pools(library, f"{name}, {LAYOUTS[last]}", windows.shape(size, windows.out(size[2:]), last))
    for name, (size, local_size, within) in LRNS.items():
        for last in (False, True):
            shape = LrnShape(*size, local_size, 1e-4, 0.75, 1, within, last)
            yield from lrns(library, f"{name}, {LAYOUTS[last]}", shape, size)
    yield from hinges(library)
    yield from solvers(library)
    yield from pixels(library)


def pools(library: Library, sizes: str, shape: PoolShape) -> Iterator[Work]:
    bottom, top = shape.batch * shape.channels, shape.batch * shape.channels
    bottom, top = bottom * shape.height * shape.width, top * shape.out_height * shape.out_width
    x, dx, y = (library.memory.empty((size,)) for size in (bottom, bottom, top))
    mask = library.memory.empty((top,), np.int32)
    yield _work(library, "max_pool", sizes, 4 * (bottom + 2 * top), shape, x, y, mask)
    yield _work(library, "mask_pool_grad", sizes, 4 * (bottom + 2 * top), shape, y, mask, dx)
    yield _work(library, "average_pool", sizes, 4 * (bottom + top), shape, x, y)
    yield _work(library, "average_pool_grad", sizes, 4 * (bottom + top), shape, y, dx)


def lrns(library: Library, sizes: str, shape: LrnShape, size: tuple[int, ...]) -> Iterator[Work]:
    count = int(np.prod(size))
    x, y, dx = (library.memory.empty((count,)) for _ in range(3))
    yield _work(library, "lrn", sizes, 8 * count, shape, x, y)
    yield _work(library, "lrn_grad", sizes, 12 * count, shape, x, y, dx)


def hinges(library: Library) -> Iterator[Work]:
    samples, classes = HINGE
    scores, gradient = (library.memory.empty((samples, classes)) for _ in range(2))
    labels, loss = library.memory.put(np.zeros(samples, np.float32)), library.memory.empty(())
    for squared in (False, True):
        sizes = f"{samples} x {classes}, {'L2' if squared else 'L1'}"
        arguments = (samples, classes, squared, scores, labels, loss, gradient)
        yield _work(library, "hinge_loss", sizes, 8 * samples * classes, *arguments)


def solvers(library: Library) -> Iterator[Work]:
    size = PARAMETERS
    arrays = [library.memory.put(np.zeros(size, np.float32)) for _ in range(4)]
    for method, name in enumerate(METHODS):
        update = SolverUpdate(method, 0, 0.01, 0.0005, 1, 0.9, 0.99, 1e-8)
        histories = 2 if method > 3 else 1
        second = arrays[3] if histories == 2 else None
        moved = 4 * size * (3 + 2 * histories)
        yield _work(library, "solver_update", f"{name}, CaffeNet", moved, update, size, *arrays[:3], second)


def pixels(library: Library) -> Iterator[Work]:
    size, out = RECORDS
    image = library.memory.put(np.zeros((*size[2:], size[1]), np.uint8))
    windows = np.tile(np.array([[1, 14, 14]], np.int32), (size[0], 1))
    images = library.images([image] * size[0], [size[3]] * size[0], windows)
    mean = library.memory.put(np.zeros(size[1], np.float32))
    values = size[0] * size[1] * out[0] * out[1]
    batch = library.memory.empty((values,))
    for last in (False, True):
        shape = PixelShape(*size[:2], *out, size[1], 1, last)
        sizes = f"{out[0]} of {size[2]}, {LAYOUTS[last]}"
        yield _work(library, "pixel_batch", sizes, 5 * values, shape, images, mean, batch)


def _work(library: Library, kernel: str, sizes: str, moved: int, *arguments: Any) -> Work:
    return Work(kernel, sizes, moved, lambda: library.call(kernel, *arguments))

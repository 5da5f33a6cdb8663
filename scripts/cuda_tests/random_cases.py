"""Drawn shapes and values, the CUDA kernels against the formulas in NumPy, in both layouts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from . import reference
from .goldens import FORWARD, GRADIENT, from_layout, to_layout
from .library import METHODS, Library, LrnShape, PixelShape, SolverUpdate
from .reference import Windows

LARGE = 1 << 18  # values from which kernels take four at a time


def close(got: np.ndarray, want: np.ndarray, tolerance: tuple[float, float], what: Any) -> None:
    finite = want[np.isfinite(want)]
    scale = max(1.0, float(np.abs(finite).max())) if finite.size else 1.0
    np.testing.assert_allclose(got, want, tolerance[0], tolerance[1] * scale, err_msg=str(what))


def _windows(random: np.random.Generator, count: int) -> Iterator[tuple[Windows, tuple[int, ...], tuple[int, int]]]:
    """Pooling windows, an input and the number of windows; some inputs are empty, some windows large."""
    while count:
        kernel = tuple(int(k) for k in random.integers(1, random.choice([4, 4, 4, 9]), 2))
        if random.random() < 0.5:
            kernel = (kernel[0], kernel[0])
        pad = tuple(int(random.integers(0, k)) for k in kernel) if random.random() < 0.5 else (0, 0)
        stride = tuple(int(s) for s in random.integers(1, 5, 2))
        windows = Windows(kernel, stride, pad, bool(random.integers(2)))
        x = tuple(int(n) for n in (random.integers(0, 4), random.choice([1, 2, 3, 4, 8]), *random.integers(1, 15, 2)))
        out = windows.out(x[2:])
        if min(out) >= 0:
            count -= 1
            yield windows, x, out


_LARGE_WINDOWS = [
    (Windows((3, 3), (1, 1), (1, 1)), (4, 64, 33, 32), (33, 32)),
    (Windows((2, 2), (2, 2)), (4, 256, 32, 32), (16, 16)),
    (Windows((3, 2), (2, 2)), (4, 256, 33, 33), (16, 17)),
    (Windows((7, 6), (1, 1)), (2, 300, 7, 6), (1, 1)),
]


def pooling(library: Library, count: int = 200) -> int:
    random = np.random.default_rng(1)
    for number, (windows, x, out) in enumerate([*_windows(random, count), *_LARGE_WINDOWS]):
        values = (random.integers(-20, 20, x) / 8).astype(np.float32)  # with ties
        if number % 3 == 0 and values.size < LARGE:
            values[random.random(x) < 0.2] = random.choice([np.nan, np.inf, -np.inf, -reference.FLT_MAX])
        dy = random.normal(size=(*x[:2], *out)).astype(np.float32)
        for last in (False, True):
            _max_pool(library, windows, values, dy, last)
            _average_pool(library, windows, np.nan_to_num(values, posinf=3, neginf=-3), dy, last)
    return 2 * (count + len(_LARGE_WINDOWS))


def _max_pool(library: Library, windows: Windows, x: np.ndarray, dy: np.ndarray, last: bool) -> None:
    shape, bottom, top = windows.shape(x.shape, dy.shape[2:], last), to_layout(x, last), to_layout(dy, last)
    y, mask = library.max_pool(shape, bottom)
    wanted = reference.max_pool(x, windows, dy.shape[2:])
    np.testing.assert_array_equal(from_layout(y, last), wanted[0], f"{windows} {x.shape}")
    np.testing.assert_array_equal(from_layout(mask, last), wanted[1], f"{windows} {x.shape}")
    np.testing.assert_array_equal(library.max_pool_alone(shape, bottom), y)
    dx = library.mask_pool_grad(shape, top, mask, bottom.shape)
    close(from_layout(dx, last), reference.mask_pool_grad(dy, wanted[1], x.shape), GRADIENT, windows)


def _average_pool(library: Library, windows: Windows, x: np.ndarray, dy: np.ndarray, last: bool) -> None:
    x = np.clip(x, -3, 3)
    shape, bottom, top = windows.shape(x.shape, dy.shape[2:], last), to_layout(x, last), to_layout(dy, last)
    y, dx = library.average_pool(shape, bottom), library.average_pool_grad(shape, top, bottom.shape)
    close(from_layout(y, last), reference.average_pool(x, windows, dy.shape[2:]), FORWARD, windows)
    close(from_layout(dx, last), reference.average_pool_grad(dy, windows, x.shape), GRADIENT, windows)


def stochastic_pooling(library: Library, count: int = 100) -> int:
    random = np.random.default_rng(2)
    for windows, x, out in _windows(random, count):
        values = np.maximum(random.integers(-4, 20, x) / 8, 0).astype(np.float32)
        uniform, dy = random.random((2, *x[:2], *out), np.float32)
        wanted = reference.stochastic_pool(values, uniform, windows, out)
        for last in (False, True):
            shape, bottom = windows.shape(x, out, last), to_layout(values, last)
            drawn = library.stochastic_pool(shape, bottom, to_layout(uniform, last))
            for got, want in zip(drawn, wanted, strict=True):
                np.testing.assert_array_equal(from_layout(got, last), want, str(windows))
            y = library.stochastic_mean_pool(shape, bottom)
            close(from_layout(y, last), reference.stochastic_mean_pool(values, windows, out), FORWARD, windows)
            dx = library.stochastic_mean_pool_grad(shape, bottom, to_layout(dy, last))
            close(from_layout(dx, last), reference.stochastic_mean_pool_grad(values, dy, windows), GRADIENT, windows)
    return 2 * count


def lrn(library: Library, count: int = 200) -> int:
    random = np.random.default_rng(3)
    for number in range(count):
        x = tuple(int(n) for n in (random.integers(0, 4), random.integers(1, 41), *random.integers(1, 12, 2)))
        size, within = int(random.choice([1, 3, 5, 7, 9, 11, 17])), bool(number % 2)
        alpha, k = float(random.choice([1e-4, 0.5, 2])), float(random.choice([1, 2, 0.5, 0]))
        beta = float(random.choice([0.75, 0.5, 1, 0.3]))
        values, dy = random.normal(size=(2, *x)).astype(np.float32)
        if size > 1 and x[1] > 1:
            values[:, 0] = 0  # beyond the channels there is nothing, not even with k = 0
        wanted = reference.lrn(values, dy, size, alpha, beta, k, within)
        for last in (False, True):
            shape = LrnShape(*x, size, alpha, beta, k, within, last)
            got = library.lrn(shape, to_layout(values, last))
            close(from_layout(got, last), wanted[0], FORWARD, (x, size, alpha, beta, k, within))
            got = library.lrn_grad(shape, to_layout(values, last), to_layout(dy, last))
            close(from_layout(got, last), wanted[1], GRADIENT, (x, size, alpha, beta, k, within))
    return 2 * count


def hinge(library: Library, count: int = 60) -> int:
    random = np.random.default_rng(4)
    for number in range(count):
        samples, classes = int(random.integers(1, 30)), int(random.integers(1, 20))
        if number % 10 == 0:
            samples, classes = 37, 1001  # several parts, which begin within a sample
        scores = random.normal(size=(samples, classes)).astype(np.float32)
        labels = random.integers(0, classes, samples) + random.choice([0, 0.9])
        labels[labels < 1] -= random.choice([0, 0.9])  # -0.9 is truncated to 0
        if number % 7 == 0:
            labels[random.integers(samples)] = random.choice([-1, classes, np.nan, 1e30])
        labels = labels.astype(np.float32)
        loss, gradient = library.hinge_loss(scores, labels, bool(number % 2))
        wanted = reference.hinge_loss(scores, labels, bool(number % 2))
        close(loss, wanted[0], FORWARD, (samples, classes))
        close(gradient, wanted[1], FORWARD, (samples, classes))
        again = library.hinge_loss(scores, labels, bool(number % 2))[0]
        np.testing.assert_array_equal(again, loss, "the sum depends on more than the values")
    empty = library.hinge_loss(np.zeros((0, 3), np.float32), np.zeros(0, np.float32), False)
    np.testing.assert_array_equal(empty[0], np.nan)
    return count + 1


def solvers(library: Library) -> int:
    random, count = np.random.default_rng(5), 0
    for method, name in enumerate(METHODS):
        for size in (0, 1, 3, 4, 1001, 70000):
            for l1 in (False, True):
                numbers = (0.01, float(random.choice([0, 0.05])), float(random.choice([1, 0.25])), 0.9, 0.99, 1e-4)
                update = SolverUpdate(method, l1, *numbers)
                gradient, w, h, s = random.normal(size=(4, size)).astype(np.float32)
                w[: size // 4] = 0  # whose sign is 0
                h, s = (h if method in (0, 1, 5) else np.abs(h)), np.abs(s)
                given = (w, h, s) if method > 3 else (w, h)
                got = library.solver_update(update, gradient, *given)
                wanted = reference.solver_update(update, gradient, w, h, s)
                for what, a, b in zip(("weights", "history", "second"), got, wanted, strict=False):
                    close(a, b, (1e-5, 1e-6), f"{name} {what}")
                count += 1
    return count


def pixel_batches(library: Library, count: int = 60) -> int:
    random = np.random.default_rng(7)
    for number in range(count):
        n, c = int(random.integers(1, 5)), int(random.choice([1, 3]))
        height, width = (int(size) for size in random.integers(1, 20, 2))
        pixels, windows = [], []
        for _ in range(n):
            more = random.integers(0, 4, 2)
            pixels.append(random.integers(0, 256, (height + more[0], width + more[1], c), np.uint8))
            windows.append([random.integers(2), *random.integers(0, more + 1)])
        shape = [(), (1, 1, 1), (c, 1, 1), (c, height, width)][number % 4]
        mean = random.uniform(0, 200, shape).astype(np.float32) if shape else None
        scale = np.float32(random.choice([1, 0.00390625, 0.017]))
        wanted = np.empty((n, c, height, width), np.float32)
        for image, (mirror, top, left), out in zip(pixels, windows, wanted, strict=True):
            window = image[top : top + height, left : left + width, ::-1].transpose(2, 0, 1)
            window = (window.astype(np.float32) - (0 if mean is None else mean)) * scale
            out[...] = window[:, :, ::-1] if mirror else window
        for last in (False, True):
            given = mean.transpose(1, 2, 0) if last and mean is not None else mean
            sizes = PixelShape(n, c, height, width, 0 if mean is None else mean.size, scale, last)
            got = library.pixel_batch(sizes, pixels, np.array(windows, np.int32), given)
            np.testing.assert_array_equal(from_layout(got, last), wanted)
    return 2 * count


CHECKS: dict[str, Any] = {
    "pooling": pooling,
    "stochastic pooling": stochastic_pooling,
    "LRN": lrn,
    "hinge loss": hinge,
    "solver updates": solvers,
    "pixel batches": pixel_batches,
}

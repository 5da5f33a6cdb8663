"""The formulas once more in NumPy, (N, C, H, W), in the plainest way there is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .library import PoolShape, SolverUpdate

FLT_MAX = np.finfo(np.float32).max


@dataclass(frozen=True)
class Windows:
    """Pooling windows, (height, width) each; `ceil` and `clip` as in Caffe."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    pad: tuple[int, int] = (0, 0)
    ceil: bool = True

    def out(self, size: tuple[int, ...]) -> tuple[int, int]:
        """How many windows there are; may be 0 or less."""
        counts = []
        for n, k, s, p in zip(size, self.kernel, self.stride, self.pad, strict=True):
            span = n + 2 * p - k
            count = (-(-span // s) if self.ceil else span // s) + 1
            counts.append(count - (any(self.pad) and (count - 1) * s >= n + p))
        return counts[0], counts[1]

    def shape(self, x: tuple[int, ...], out: tuple[int, ...], last: bool) -> PoolShape:
        """For x (N, C, H, W)."""
        return PoolShape(*x, *out, *self.kernel, *self.stride, *self.pad, last)

    def cells(self, size: tuple[int, ...], out: tuple[int, ...]) -> Iterator[tuple[int, int, slice, slice, float]]:
        """(row, column, cells down, cells across, what an average is divided by) of each window."""
        for row in range(out[0]):
            for column in range(out[1]):
                spans, area = [], 1
                for i, n, k, s, p in zip((row, column), size, self.kernel, self.stride, self.pad, strict=True):
                    start = i * s - p
                    area *= min(start + k, n + p) - start
                    spans.append(slice(max(start, 0), max(min(start + k, n), max(start, 0))))
                yield row, column, *spans, area


def max_pool(x: np.ndarray, windows: Windows, out: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """The first maximum and its index; NaN is none."""
    y = np.full((*x.shape[:2], *out), -FLT_MAX, np.float32)
    mask = np.full(y.shape, -1, np.int32)
    for row, column, down, across, _ in windows.cells(x.shape[2:], out):
        for h in range(down.start, down.stop):
            for w in range(across.start, across.stop):
                larger = x[:, :, h, w] > y[:, :, row, column]
                y[:, :, row, column][larger] = x[:, :, h, w][larger]
                mask[:, :, row, column][larger] = h * x.shape[3] + w
    return y, mask


def mask_pool_grad(dy: np.ndarray, mask: np.ndarray, bottom: tuple[int, ...]) -> np.ndarray:
    planes, windows = bottom[0] * bottom[1], dy.shape[2] * dy.shape[3]
    dx = np.zeros((planes, bottom[2] * bottom[3]))
    flat, tops = mask.reshape(planes, windows), dy.reshape(planes, windows)
    for plane in range(planes):
        named = flat[plane] >= 0
        np.add.at(dx[plane], flat[plane][named], tops[plane][named])
    return dx.reshape(bottom)


def average_pool(x: np.ndarray, windows: Windows, out: tuple[int, int]) -> np.ndarray:
    y = np.zeros((*x.shape[:2], *out))
    for row, column, down, across, area in windows.cells(x.shape[2:], out):
        with np.errstate(invalid="ignore"):
            y[:, :, row, column] = x[:, :, down, across].sum((2, 3), np.float64) / np.float64(area)
    return y


def average_pool_grad(dy: np.ndarray, windows: Windows, bottom: tuple[int, ...]) -> np.ndarray:
    dx = np.zeros(bottom)
    for row, column, down, across, area in windows.cells(bottom[2:], dy.shape[2:]):
        if area:
            dx[:, :, down, across] += dy[:, :, row, column, None, None].astype(np.float64) / area
    return dx


def stochastic_pool(
    x: np.ndarray, uniform: np.ndarray, windows: Windows, out: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """In float32 and the same order, because a cell is chosen by a comparison of sums."""
    y, mask = np.zeros((*x.shape[:2], *out), np.float32), np.full((*x.shape[:2], *out), -1, np.int32)
    for row, column, down, across, _ in windows.cells(x.shape[2:], out):
        cells = x[:, :, down, across]
        if not cells.size:
            continue
        cells = cells.reshape(*x.shape[:2], cells.shape[2] * cells.shape[3])
        running = np.cumsum(cells, axis=2, dtype=np.float32)
        reached = running >= (uniform[:, :, row, column] * running[:, :, -1])[:, :, None]
        chosen = reached.argmax(2)
        any_reached = reached.any(2)
        index = (down.start + chosen // (across.stop - across.start)) * x.shape[3] + across.start
        index += chosen % (across.stop - across.start)
        y[:, :, row, column] = np.where(any_reached, np.take_along_axis(cells, chosen[:, :, None], 2)[:, :, 0], 0)
        mask[:, :, row, column] = np.where(any_reached, index, -1)
    return y, mask


def stochastic_mean_pool(x: np.ndarray, windows: Windows, out: tuple[int, int]) -> np.ndarray:
    y = np.zeros((*x.shape[:2], *out))
    for row, column, down, across, _ in windows.cells(x.shape[2:], out):
        cells = x[:, :, down, across].astype(np.float64)
        total = cells.sum((2, 3))
        y[:, :, row, column] = np.where(total > 0, (cells**2).sum((2, 3)) / np.where(total > 0, total, 1), 0)
    return y


def stochastic_mean_pool_grad(x: np.ndarray, dy: np.ndarray, windows: Windows) -> np.ndarray:
    dx = np.zeros(x.shape)
    y = stochastic_mean_pool(x, windows, dy.shape[2:])
    for row, column, down, across, _ in windows.cells(x.shape[2:], dy.shape[2:]):
        cells = x[:, :, down, across].astype(np.float64)
        total, top, mean = (
            a[:, :, None, None] for a in (cells.sum((2, 3)), dy[:, :, row, column], y[:, :, row, column])
        )
        positive = total > 0
        dx[:, :, down, across] += np.where(positive, top * (2 * cells - mean) / np.where(positive, total, 1), 0)
    return dx


def lrn(
    x: np.ndarray, dy: np.ndarray, size: int, alpha: float, beta: float, k: float, within: bool
) -> tuple[np.ndarray, np.ndarray]:
    """y, and dx."""
    x, dy, radius = x.astype(np.float64), dy.astype(np.float64), (size - 1) // 2
    axes = (2, 3) if within else (1,)
    factor = alpha / size ** len(axes)
    base = (1.0 if within else k) + factor * _sums(x * x, axes, radius)
    power = base**-beta
    ratios = _sums(dy * x * power / base, axes, radius)
    return x * power, dy * power - 2 * beta * factor * x * ratios


def _sums(x: np.ndarray, axes: tuple[int, ...], radius: int) -> np.ndarray:
    """Over 2 radius + 1 places along each axis."""
    for axis in axes:
        pads = [(radius, radius) if a == axis else (0, 0) for a in range(x.ndim)]
        padded = np.moveaxis(np.pad(x, pads), axis, 0)
        x = np.moveaxis(sum(padded[d : d + x.shape[axis]] for d in range(2 * radius + 1)), 0, axis)
    return x


def hinge_loss(scores: np.ndarray, labels: np.ndarray, squared: bool) -> tuple[np.ndarray, np.ndarray]:
    labels = np.trunc(labels)
    sign = np.where(np.arange(scores.shape[1]) == labels[:, None], 1.0, -1.0)
    hinge = np.maximum(1 - sign * scores, 0)
    gradient = -sign * (2 * hinge if squared else hinge > 0) / len(scores)
    valid = ((labels >= 0) & (labels < scores.shape[1])).all()
    return np.where(valid, (hinge**2 if squared else hinge).sum() / len(scores), np.nan), gradient


def solver_update(u: SolverUpdate, gradient: np.ndarray, w: np.ndarray, h: np.ndarray, s: np.ndarray) -> list:
    """Weights and both histories afterwards."""
    g, w, h, s = (a.astype(np.float64) for a in (gradient, w, h, s))
    g = u.scale * g + u.decay * (np.sign(w) if u.l1 else w)
    if u.method in (0, 1):  # SGD, Nesterov
        h = u.momentum * h - u.rate * g
        w = w + (u.momentum * h - u.rate * g if u.method else h)
    elif u.method in (2, 3):  # AdaGrad, RMSProp
        h = h + g**2 if u.method == 2 else u.decay2 * h + (1 - u.decay2) * g**2
        w = w - u.rate * g / (np.sqrt(h) + u.delta)
    elif u.method == 4:  # AdaDelta
        h = u.momentum * h + (1 - u.momentum) * g**2
        step = g * np.sqrt((s + u.delta) / (h + u.delta))
        s = u.momentum * s + (1 - u.momentum) * step**2
        w = w - u.rate * step
    else:  # Adam
        h = u.momentum * h + (1 - u.momentum) * g
        s = u.decay2 * s + (1 - u.decay2) * g**2
        w = w - u.rate * h / (np.sqrt(s) + u.delta)
    return [w, h, s]

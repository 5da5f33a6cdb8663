"""Boxes of objects through crops and mirrors, and the crops that are drawn for them (SSD's bbox_util.cpp, sampler.cpp).

A box is a row (xmin, ymin, xmax, ymax) of an array, in parts of the image's sides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

WHOLE = np.array([0, 0, 1, 1], np.float32)


@dataclass
class Boxes:
    """The objects of an image: their boxes, labels, instance numbers, and whether they are difficult."""

    corners: np.ndarray
    facts: np.ndarray  # (n, 3): label, instance, difficult

    def seen_from(self, window: np.ndarray, emit: Any = None) -> Boxes:
        """What is left of them in a window, in parts of its sides; `emit` is an EmitConstraint or None."""
        size = np.tile(window[2:] - window[:2], 2)
        moved = (self.corners - np.tile(window[:2], 2)) / size
        clipped = moved.clip(0, 1)
        inside = (moved[:, :2] < 1).all(1) & (moved[:, 2:] > 0).all(1) & (area(clipped) > 0)
        if emit is not None:
            inside &= self._emitted(window, emit)
        return Boxes(clipped[inside].astype(np.float32), self.facts[inside])

    def mirrored(self) -> Boxes:
        """As they lie in the image mirrored from left to right."""
        return Boxes(
            np.stack([1 - self.corners[:, 2], self.corners[:, 1], 1 - self.corners[:, 0], self.corners[:, 3]], 1),
            self.facts,
        )

    def _emitted(self, window: np.ndarray, emit: Any) -> np.ndarray:
        if emit.emit_type == type(emit).CENTER:
            centres = (self.corners[:, :2] + self.corners[:, 2:]) / 2
            return (centres >= window[:2]).all(1) & (centres <= window[2:]).all(1)
        return covered(self.corners, window) > emit.emit_overlap


def area(boxes: np.ndarray) -> np.ndarray:
    """The areas of boxes; 0 for those turned inside out."""
    return np.prod((boxes[..., 2:] - boxes[..., :2]).clip(0), axis=-1)


def common(boxes: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The areas that boxes have in common with one box."""
    return area(np.concatenate([np.maximum(boxes[:, :2], other[:2]), np.minimum(boxes[:, 2:], other[2:])], 1))


def covered(boxes: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Which part of each box lies in the other one."""
    return common(boxes, other) / np.maximum(area(boxes), 1e-12)


def sample(samplers: Sequence[Any], boxes: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A window as SSD's batch_samplers draw it: one of all that meet their constraints, or the whole image."""
    windows = [window for sampler in samplers for window in _windows(sampler, boxes, random)]
    return windows[random.integers(len(windows))] if windows else WHOLE


def _windows(sampler: Any, boxes: np.ndarray, random: np.random.Generator) -> list[np.ndarray]:
    windows: list[np.ndarray] = []
    for _ in range(sampler.max_trials):
        if sampler.HasField("max_sample") and len(windows) >= sampler.max_sample:
            break
        window = _window(sampler.sampler, random)
        if _meets(sampler.sample_constraint, window, boxes):
            windows.append(window)
    return windows


def _window(sampler: Any, random: np.random.Generator) -> np.ndarray:
    scale = random.uniform(sampler.min_scale, sampler.max_scale)
    low, high = max(sampler.min_aspect_ratio, scale**2), min(sampler.max_aspect_ratio, 1 / scale**2)
    ratio = np.sqrt(random.uniform(min(low, high), high))
    size = np.array([scale * ratio, scale / ratio]).clip(max=1)
    start = random.uniform(0, 1 - size)
    return np.concatenate([start, start + size]).astype(np.float32)


def _meets(constraint: Any, window: np.ndarray, boxes: np.ndarray) -> bool:
    """Whether some object meets all that the constraint asks for."""
    shared = common(boxes, window)
    figures = {
        "jaccard_overlap": shared / np.maximum(area(boxes) + area(window) - shared, 1e-12),
        "sample_coverage": shared / max(area(window), 1e-12),
        "object_coverage": covered(boxes, window),
    }
    asked, good = False, np.ones(len(boxes), bool)
    for name, values in figures.items():
        for bound, holds in (("min", np.greater_equal), ("max", np.less_equal)):
            if constraint.HasField(f"{bound}_{name}"):
                asked, good = True, good & holds(values, getattr(constraint, f"{bound}_{name}"))
    return not asked or bool(good.any())

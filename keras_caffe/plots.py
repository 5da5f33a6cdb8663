"""Figures of what a net holds, computes and learns, drawn with matplotlib in one style.

`pip install 'keras-caffe[view]'` brings matplotlib and Pillow. Every function returns a `matplotlib.figure.Figure`,
which a notebook shows by itself and `.savefig("file.png")` writes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from keras_caffe.converters.comparison import computed_blobs
from keras_caffe.converters.model import CaffeModel
from keras_caffe.errors import DataError
from keras_caffe.page.images import prepared
from keras_caffe.page.pictures import filter_maps, planes, tiled

COLOURS = ("#2563a8", "#c2571a", "#2e8056", "#8a4aa8", "#a8324a", "#6b6b6b")
STYLE: Any = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#888888",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e4e4",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "legend.frameon": False,
    "figure.dpi": 110,
}
Series = Mapping[str, tuple[Sequence[float], Sequence[float]]]
"""{curve: (iterations, values)}"""
File: TypeAlias = str | os.PathLike[str]
Log: TypeAlias = File | Series | Mapping[str, Series]


def grid(array: Any, *, per_map: bool = True, columns: int | None = None, title: str = "") -> Any:
    """Maps side by side.

    Args:
        array: (K, H, W), or (K, H, W, 3) in colours; a blob of one image (1, C, H, W) is taken as its C maps.
        per_map: each map takes all shades (True), or all maps together (False).
        columns: how many stand in a row; default: about as many as rows.
        title: stands above.

    Raises:
        ShapeError: these are no maps. DataError: matplotlib is missing.

    Examples:
        >>> from keras_caffe import samples
        >>> keras_caffe.plots.grid(samples.digits()[0][:20, 0], columns=10).savefig("digits.png")
    """
    maps = np.asarray(array)
    maps = maps[0] if maps.ndim == 4 and len(maps) == 1 and maps.shape[-1] != 3 else maps
    picture = tiled(maps, per_map=per_map, columns=columns)
    height, width = picture.shape[:2]
    figure = _figure((6, max(0.5, 6 * height / max(width, 1)) + 0.3 * bool(title)))
    axes = figure.add_axes((0, 0, 1, 1 - 0.3 / figure.get_figheight() * bool(title)))
    axes.imshow(picture, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    axes.set_axis_off()
    axes.set_title(title, fontsize=9)
    return figure


def filters(model: CaffeModel, layer: str, *, per_map: bool = False) -> Any:
    """Draws a layer's weights: as colour pictures if it has three inputs, otherwise as planes of the kernel's size.

    Args:
        model: a loaded net.
        layer: name of a layer with weights, such as "conv1".
        per_map: each filter takes all shades (False: all filters share one scale, so that they can be compared).

    Raises:
        UnknownNameError: no such layer, or it has no weights.

    Examples:
        >>> from keras_caffe import samples
        >>> model = keras_caffe.load(samples.path("lenet.prototxt"), samples.path("lenet.caffemodel"))
        >>> keras_caffe.plots.filters(model, "conv1").axes[0].get_title()
        'conv1: weights 20x1x5x5'
    """
    weights = model.get_caffe_params()[layer][0]
    return grid(filter_maps(weights), per_map=per_map, title=f"{layer}: weights {_shape(weights)}")


def feature_maps(model: CaffeModel, image: Any, blob: str, *, per_map: bool = True, **preparation: Any) -> Any:
    """Draws what a blob holds for a picture: its maps side by side, or bars if it is a vector.

    Args:
        model: a loaded net.
        image: a picture's path, or an array (C, H, W) as the net takes it.
        blob: name of the blob, such as "conv2".
        per_map: each map takes all shades (True), or all maps together (False).
        **preparation: `mean`, `scale`: what is subtracted from a picture's 0 to 255, and the factor then.

    Raises:
        UnknownNameError: no such blob. DataError, ReadError, NetError: the picture does not suit the net.

    Examples:
        >>> from keras_caffe import samples
        >>> model = keras_caffe.load(samples.path("lenet.prototxt"), samples.path("lenet.caffemodel"))
        >>> digit = samples.digits()[0][0] * samples.SCALE
        >>> keras_caffe.plots.feature_maps(model, digit, "pool1").axes[0].get_title()
        'pool1 20x12x12'
    """
    model.net.check_blobs([blob])
    name, values = prepared(model, image, **preparation)
    array = computed_blobs(model, [blob], {name: values})[blob][0]
    title = f"{blob} {_shape(array)}"
    return (
        _bars(array.ravel(), title)
        if array.size == max(array.shape, default=1)
        else grid(planes(array), per_map=per_map, title=title)
    )


def training(log: Log | Sequence[File], *, logarithmic: bool = False) -> Any:
    """Draws training curves: one panel per curve, with several runs on top of each other.

    Args:
        log: a log's path (what Caffe or `keras-caffe train` has written), or several; or {curve: (iterations, values)}
            of one run, or {run: {curve: (iterations, values)}} of several.
        logarithmic: the values' axis is logarithmic.

    Raises:
        DataError: there is no curve. ReadError: a log cannot be read.

    Examples:
        >>> losses = [2.3, 1.1, 0.6]
        >>> keras_caffe.plots.training({"loss": ([0, 100, 200], losses)}).savefig("loss.png")
    """
    runs = _runs(log)
    curves = list(dict.fromkeys(curve for run in runs.values() for curve in run))
    if not curves:
        raise DataError("there is nothing to draw", expected="at least one curve", received="none")
    figure = _figure((7, 1.0 + 1.9 * len(curves)))
    with _style():
        panels = figure.subplots(len(curves), 1, sharex=True, squeeze=False)[:, 0]
        for panel, curve in zip(panels, curves, strict=True):
            for number, (run, series) in enumerate(runs.items()):
                if curve in series:
                    panel.plot(*series[curve], color=COLOURS[number % len(COLOURS)], label=run, linewidth=1.2)
            panel.set_title(curve)
            panel.set_yscale("log" if logarithmic else "linear")
        panels[-1].set_xlabel("iteration")
        if len(runs) > 1:
            panels[0].legend()
    figure.align_ylabels()
    return figure


def _runs(log: Any) -> Mapping[str, Series]:
    """{run: its curves} of what `training` takes."""
    if isinstance(log, Mapping):
        return log if any(isinstance(value, Mapping) for value in log.values()) else {"": log}
    from keras_caffe.solver.log import read_log

    files = [Path(file) for file in dict.fromkeys([log] if isinstance(log, str | os.PathLike) else log)]
    stems = [file.stem for file in files]
    return {str(file) if stems.count(file.stem) > 1 else file.stem: read_log(file) for file in files}


def _bars(values: np.ndarray, title: str) -> Any:
    figure = _figure((7, 2.4))
    with _style():
        axes = figure.subplots()
        axes.bar(np.arange(len(values)), values, width=1.0 if len(values) > 100 else 0.8, color=COLOURS[0])
        axes.set_title(title)
    return figure


def _shape(array: np.ndarray) -> str:
    return "x".join(map(str, array.shape))


def _figure(size: tuple[float, float]) -> Any:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise DataError(
            "matplotlib is needed to draw figures", fix="Install it with `pip install 'keras-caffe[view]'`."
        ) from None
    with _style():
        return Figure(figsize=size, layout=None if size[0] == 6 else "constrained", facecolor="white")


def _style() -> Any:
    import matplotlib

    return matplotlib.rc_context(STYLE)  # only while a figure is drawn: the user's own style stays

"""Figures of what a net holds, computes and learns."""

from __future__ import annotations

import io

import numpy as np
import pytest

from keras_caffe import load, plots, samples
from keras_caffe.errors import DataError, ReadError, ShapeError, UnknownNameError
from keras_caffe.page.pictures import filter_maps, shades, tiled

pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def lenet():
    return load(samples.path("lenet.prototxt"), samples.path("lenet.caffemodel"))


def drawn(figure) -> np.ndarray:
    """The pixels of the picture in a figure, which can be written as a PNG."""
    file = io.BytesIO()
    figure.savefig(file, format="png")
    assert file.getvalue().startswith(b"\x89PNG")
    return figure.axes[0].images[0].get_array()


def test_maps_stand_side_by_side_each_in_all_shades() -> None:
    picture = tiled(np.array([[[0.0, 1.0]], [[2.0, 4.0]], [[5.0, 5.0]]]), columns=2)
    assert picture.tolist() == [[0, 255, 255, 0, 255], [255] * 5, [128, 128, 255, 255, 255]]


def test_all_maps_in_one_scale() -> None:
    picture = tiled(np.array([[[0.0, 1.0]], [[2.0, 4.0]]]), per_map=False, columns=1, gap=0)
    assert picture.tolist() == [[0, 63], [127, 255]]


def test_what_is_no_number_is_black() -> None:
    assert shades(np.array([[[np.nan, 1.0, 2.0, np.inf]]])).tolist() == [[[0, 0, 255, 0]]]
    assert shades(np.full((1, 1, 2), np.nan)).tolist() == [[[0, 0]]]


def test_shades_of_the_greatest_numbers() -> None:
    ends = np.finfo("float32").max * np.array([[[-1, 0, 1]]], "float32")
    assert shades(ends).tolist() == [[[0, 127, 255]]]


def test_one_map_leaves_no_empty_place() -> None:
    assert tiled(np.zeros((1, 9, 3))).shape == (9, 3)
    assert tiled(np.zeros((2, 9, 3)), columns=12).shape == (9, 7)


@pytest.mark.parametrize("dtype", ["uint8", "int64", "bool", "float16"])
def test_maps_of_any_numbers(dtype: str) -> None:
    picture = drawn(plots.grid(np.array([[[0, 1], [1, 0]]], dtype)))
    assert picture.tolist() == [[0, 255], [255, 0]]


def test_filters_of_three_inputs_are_red_first() -> None:
    weights = np.arange(24, dtype="float32").reshape(2, 3, 2, 2)
    assert filter_maps(weights).shape == (2, 2, 2, 3)
    assert filter_maps(weights)[0, 0, 0].tolist() == [8.0, 4.0, 0.0]
    assert filter_maps(weights[:, :2]).shape == (4, 2, 2)


def test_filters(lenet) -> None:
    figure = plots.filters(lenet, "conv1")
    assert drawn(figure).shape == (4 * 6 - 1, 5 * 6 - 1)
    assert figure.axes[0].get_title() == "conv1: weights 20x1x5x5"
    with pytest.raises(UnknownNameError, match="no layer with parameters 'pool1'"):
        plots.filters(lenet, "pool1")


def test_feature_maps(lenet) -> None:
    digit = samples.digits()[0][0] * np.float32(samples.SCALE)
    maps = drawn(plots.feature_maps(lenet, digit, "conv2", per_map=False))
    assert maps.shape == (7 * 9 - 1, 8 * 9 - 1)
    bars = plots.feature_maps(lenet, digit, "prob").axes[0].patches
    assert np.argmax([bar.get_height() for bar in bars]) == samples.digits()[1][0]
    with pytest.raises(UnknownNameError, match="the net has no blob 'conv9'"):
        plots.feature_maps(lenet, digit, "conv9")
    with pytest.raises(ShapeError, match="does not fit the net's input"):
        plots.feature_maps(lenet, digit[:, 1:], "conv2")


def test_a_picture_of_another_size_and_colour(lenet, tmp_path) -> None:
    image = pytest.importorskip("PIL.Image")
    for mode in ("L", "RGB", "RGBA", "P"):
        image.new(mode, (50, 40)).save(tmp_path / f"{mode}.png")
        figure = plots.feature_maps(lenet, tmp_path / f"{mode}.png", "conv1", mean=33, scale=0.00390625)
        assert drawn(figure).ndim == 2


def test_grid_refuses_what_are_no_maps() -> None:
    assert drawn(plots.grid(np.zeros((1, 5, 4, 4)))).shape == (2 * 5 - 1, 3 * 5 - 1)
    with pytest.raises(ShapeError, match="these are no maps"):
        plots.grid(np.zeros(5))


def test_one_run_and_several() -> None:
    run = {"loss": ([0, 10], [2.0, 1.0]), "lr": ([0, 10], [0.1, 0.01])}
    one = plots.training(run)
    assert [axes.get_title(loc="left") for axes in one.axes] == ["loss", "lr"]
    assert one.axes[0].lines[0].get_ydata().tolist() == [2.0, 1.0]
    two = plots.training({"first": run, "second": {"loss": ([0], [3.0])}}, logarithmic=True)
    assert [len(axes.lines) for axes in two.axes] == [2, 1]
    assert two.axes[0].get_yscale() == "log"
    assert [text.get_text() for text in two.axes[0].get_legend().get_texts()] == ["first", "second"]
    with pytest.raises(DataError, match="there is nothing to draw"):
        plots.training({})


def test_logs(tmp_path) -> None:
    for name in ("first", "second"):
        (tmp_path / f"{name}.log").write_text("Iteration 0, loss = 2\nIteration 0, lr = 0.1\nIteration 10, loss = 1\n")
    one = plots.training(tmp_path / "first.log")
    assert one.axes[0].lines[0].get_ydata().tolist() == [2.0, 1.0]
    both = plots.training([tmp_path / "first.log", tmp_path / "second.log"])
    assert [text.get_text() for text in both.axes[0].get_legend().get_texts()] == ["first", "second"]
    with pytest.raises(ReadError, match="there is no such file"):
        plots.training(tmp_path / "none.log")


def test_logs_of_one_name_are_two_runs(tmp_path) -> None:
    files = [tmp_path / run / "train.log" for run in ("a", "b")]
    for file in files:
        file.parent.mkdir()
        file.write_text("Iteration 0, loss = 2\n")
    legend = plots.training(files).axes[0].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == [str(file) for file in files]

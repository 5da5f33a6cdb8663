"""Native kernels against their twins: random shapes and settings, values and gradients, ties, NaN, what is refused."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from keras_caffe import optimizers
from keras_caffe.data.augment import Augment, Placement
from keras_caffe.ops import native, native_status, pooling
from keras_caffe.ops.losses import hinge_loss, hinge_loss_twin
from keras_caffe.ops.lrn import lrn, lrn_twin
from keras_caffe.ops.pixel_batch import pixel_batch, pixel_batch_twin
from keras_caffe.ops.pool_axis import Axis
from keras_caffe.ops.window import transform_window
from tests.randoms import generators

STATUS = native_status()
pytestmark = pytest.mark.skipif(not STATUS.loaded, reason=f"no native operations: {STATUS.reason}")


@pytest.fixture(autouse=True)
def forced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Native operations also where their twins are faster."""
    monkeypatch.setenv(native.SWITCH, "1")


CASES = 200  # of each test: a few thousand together
ONLY_ROUNDING = {"rtol": 1e-5, "atol": 1e-6}  # float32 sums in another order


FACES = {
    "Pool": [
        lambda x: pooling.max_pool(x, [Axis(1, 1, 0)] * 2),
        lambda x: pooling.max_pool_with_index(x, [Axis(1, 1, 0)] * 2),
        lambda x: pooling.average_pool(x, [Axis(1, 1, 0)] * 2),
        lambda x: pooling.stochastic_pool(x, [Axis(1, 1, 0)] * 2),
    ],
    "Lrn": [lambda x: lrn(x, 3, 1.0, 0.75, 1.0), lambda x: lrn(x, 3, 1.0, 0.75, 1.0, "WITHIN_CHANNEL")],
    "HingeLoss": [lambda x: hinge_loss(tf.reshape(x, (1, -1)), tf.zeros(1))],
}


@pytest.mark.parametrize("name", FACES)
def test_what_is_compared_here_are_native_operations(name: str) -> None:
    for face in FACES[name]:
        graph = tf.function(face).get_concrete_function(tf.TensorSpec((1, 2, 2, 3))).graph
        assert f"KerasCaffe>{name}" in {op.type for op in graph.get_operations()}


def with_gradient(function: Callable[[Any], Any], x: tf.Tensor) -> tuple[np.ndarray, np.ndarray]:
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = function(x)
        total = tf.reduce_sum(y * weights(y.shape))
    return y.numpy(), tape.gradient(total, x, unconnected_gradients=tf.UnconnectedGradients.ZERO).numpy()


def weights(shape: tf.TensorShape) -> tf.Tensor:
    return tf.reshape(tf.sin(tf.range(int(np.prod(shape)), dtype="float32")), shape)


def agree(native_face: Callable[[Any], Any], twin: Callable[[Any], Any], x: np.ndarray, **tolerance: float) -> None:
    x = tf.constant(x)
    for got, want in zip(with_gradient(native_face, x), with_gradient(twin, x), strict=True):
        np.testing.assert_allclose(got, want, **(tolerance or ONLY_ROUNDING))


def geometry(random: np.random.Generator, pads: bool = True) -> tuple[list[Axis], tuple[int, int]]:
    """Windows that Caffe accepts, each of them over some input, and the sizes of the input."""
    while True:
        kernel, stride = random.integers(1, 6, 2), random.integers(1, 5, 2)
        pad = random.integers(0, kernel) if pads and random.random() < 0.6 else np.zeros(2, int)
        sizes = tuple(int(n) for n in random.integers(1, 12, 2))
        ceil, clip = bool(random.integers(2)), bool(pad.any())
        axes = [Axis(int(k), int(s), int(p), ceil, clip) for k, s, p in zip(kernel, stride, pad, strict=True)]
        outs = [axis.output(size) for axis, size in zip(axes, sizes, strict=True)]
        starts = [(out - 1) * axis.stride - axis.pad for out, axis in zip(outs, axes, strict=True)]
        if min(outs) > 0 and all(start < size for start, size in zip(starts, sizes, strict=True)):
            return axes, sizes


def images(random: np.random.Generator, sizes: tuple[int, int]) -> np.ndarray:
    """Few different values, so that there are ties."""
    shape = (int(random.integers(1, 4)), *sizes, int(random.integers(1, 40)))
    return random.integers(-3, 4, shape).astype("float32")


def test_max_pool() -> None:
    for random in generators(1, CASES):
        axes, sizes = geometry(random)
        x = images(random, sizes)
        agree(lambda x, a=axes: pooling.max_pool(x, a, training=bool(len(a))), lambda x, a=axes: first_maxima(x, a), x)


def first_maxima(x: tf.Tensor, axes: list[Axis]) -> tf.Tensor:
    return pooling.max_pool_with_index_twin(x, axes)[0]


def test_max_pool_without_a_mask_kept_for_the_gradient() -> None:
    for random in generators(2, CASES):
        axes, sizes = geometry(random)
        agree(lambda x, a=axes: pooling.max_pool(x, a), lambda x, a=axes: first_maxima(x, a), images(random, sizes))


def test_the_twin_of_max_pool_gives_the_gradient_to_the_first_maximum_too() -> None:
    for random in generators(3, CASES):
        axes, sizes = geometry(random)
        x = images(random, sizes)
        agree(lambda x, a=axes: pooling.max_pool_twin(x, a), lambda x, a=axes: first_maxima(x, a), x)


def test_masks() -> None:
    for random in generators(4, CASES):
        axes, sizes = geometry(random)
        x = tf.constant(images(random, sizes))
        got, want = pooling.max_pool_with_index(x, axes), pooling.max_pool_with_index_twin(x, axes)
        for one, other in zip(got, want, strict=True):
            np.testing.assert_array_equal(one, other)


def test_average_pool() -> None:
    for random in generators(5, CASES):
        axes, sizes = geometry(random)
        x = images(random, sizes)
        agree(lambda x, a=axes: pooling.average_pool(x, a), lambda x, a=axes: pooling.average_pool_twin(x, a), x)


def test_stochastic_pool_in_inference() -> None:
    for random in generators(6, CASES):
        axes, sizes = geometry(random, pads=False)
        x = np.abs(images(random, sizes))
        agree(lambda x, a=axes: pooling.stochastic_pool(x, a), lambda x, a=axes: pooling.stochastic_pool_twin(x, a), x)


def test_stochastic_pool_in_training() -> None:
    for random in generators(7, CASES):
        axes, sizes = geometry(random, pads=False)
        x = np.abs(images(random, sizes)) + 1
        outs = [axis.output(size) for axis, size in zip(axes, sizes, strict=True)]
        uniform = tf.constant(random.random((x.shape[0], *outs, x.shape[3]), "float32"))
        agree(
            lambda x, a=axes, u=uniform: pooling.stochastic_pool(x, a, u),
            lambda x, a=axes, u=uniform: pooling.stochastic_pool_twin(x, a, u),
            x,
        )


@pytest.mark.parametrize("region", ["ACROSS_CHANNELS", "WITHIN_CHANNEL"])
def test_lrn(region: str) -> None:
    for random in generators(8, CASES):
        shape = [int(n) for n in (random.integers(1, 3), *random.integers(1, 9, 2), random.integers(1, 40))]
        beta = float(random.choice([0.75, 0.5, 1.0, 0.3]))
        settings = 2 * int(random.integers(0, 6)) + 1, float(random.random() * 2), beta, float(random.random() + 0.5)
        x = random.standard_normal(shape, "float32")
        agree(
            lambda x, s=settings: lrn(x, *s, region),
            lambda x, s=settings: lrn_twin(x, *s, region),
            x,
            rtol=1e-4,
            atol=1e-5,
        )


@pytest.mark.parametrize("norm", ["L1", "L2"])
def test_hinge_loss(norm: str) -> None:
    for random in generators(9, CASES):
        samples, classes = int(random.integers(1, 20)), int(random.integers(1, 50))
        labels = tf.constant(random.integers(0, classes, samples), "int32")
        scores = random.standard_normal((samples, classes), "float32")
        scores[random.random(scores.shape) < 0.1] = -1.0  # at the kink
        agree(lambda x, t=labels: hinge_loss(x, t, norm), lambda x, t=labels: hinge_loss_twin(x, t, norm), scores)


def test_a_label_out_of_range_makes_the_loss_nan_in_a_graph() -> None:
    graph = tf.function(lambda scores, labels: hinge_loss(scores, labels))
    assert np.isnan(graph(tf.zeros((2, 3)), tf.constant([0.0, 3.0])))
    assert graph(tf.zeros((2, 3)), tf.constant([0.0, 2.0])) == 3


METHODS = ("SGD", "Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam")


@pytest.mark.parametrize("method", METHODS)
def test_solver_update(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for random in generators(10, CASES // len(METHODS) + 1):
        settings = {
            "weight_decay": float(random.choice([0.0, 0.1])),
            "regularization_type": str(random.choice(["L1", "L2"])),
            "clip_gradients": float(random.choice([-1.0, 0.5])),
            "iter_size": int(random.integers(1, 4)),
        }
        start = [random.standard_normal(int(random.integers(1, 300)), "float32") for _ in range(2)]
        steps = [[random.standard_normal(len(w), "float32") for w in start] for _ in range(3)]
        found = {}
        for switch in "10":
            monkeypatch.setenv(native.SWITCH, switch)
            found[switch] = trained(getattr(optimizers, method)(0.05, **settings), start, steps)
        for one, other in zip(found["1"], found["0"], strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def trained(optimizer: Any, start: list[np.ndarray], steps: list[list[np.ndarray]]) -> list[np.ndarray]:
    """Weights and histories after some steps."""
    import keras

    variables = [keras.Variable(w) for w in start]
    optimizer.build(variables)
    optimizer.multipliers = {variables[0].path: (2.0, 0.5)}
    for gradients in steps:
        optimizer.apply([tf.constant(g) for g in gradients], variables)
    slots = [history for slot in optimizer.slots for history in getattr(optimizer, slot)]
    return [np.array(variable) for variable in [*variables, *slots]]


def test_a_value_that_was_read_before_an_update_stays_as_it_was() -> None:
    import keras

    variable = keras.Variable(np.ones(10, "float32"))
    optimizer = optimizers.SGD(0.5)
    optimizer.build([variable])
    before = tf.identity(variable.value)
    kept = variable.value.read_value()
    optimizer.apply([tf.ones(10)], [variable])
    np.testing.assert_array_equal(before, np.ones(10))
    np.testing.assert_array_equal(kept, np.ones(10))
    np.testing.assert_array_equal(variable, np.full(10, 0.5))


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_pixel_batch(data_format: str) -> None:
    for random in generators(12, CASES // 5):
        size = [int(random.choice([1, 3])), *(int(n) for n in random.integers(1, 9, 2))]
        images, windows = [], []
        for _ in range(random.integers(1, 5)):
            more = random.integers(0, 4, 2)
            pixels = random.integers(0, 256, (size[1] + more[0], size[2] + more[1], size[0]), np.uint8)
            images.append(tf.constant(pixels))
            windows.append([random.integers(2), *random.integers(0, more + 1)])
        whole = size if data_format == "channels_first" else [*size[1:], size[0]]
        mean = random.random([(0,), (1,), (size[0],), whole][random.integers(4)], "float32")
        got = pixel_batch(images, windows, mean if mean.size else None, size=size, scale=0.5, data_format=data_format)
        want = pixel_batch_twin(images, tf.constant(windows), mean, size, 0.5, data_format)
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("planes", [True, False])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_a_window_in_one_pass_has_the_bits_of_numpys(
    data_format: str, planes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for random in generators(14, CASES // 5):
        channels, *free = int(random.choice([1, 2, 3, 4])), *random.integers(0, 4, 2)
        crop = tuple(int(size) for size in random.integers(1, 40, 2))
        shape = (channels, *(int(a + b) for a, b in zip(crop, free, strict=True)))
        pixels = random.integers(0, 256, shape if planes else (*shape[1:], channels), np.uint8)
        image = pixels if planes else pixels[..., ::-1].transpose(2, 0, 1)
        means = {0: None, 1: (1, 1, 1), 2: (channels, 1, 1), 3: shape}[int(random.integers(4))]
        mean = None if means is None else random.uniform(90, 130, means).astype("float32")
        augment = Augment(crop, True, float(random.choice([1, 0.3])), mean, True)
        placement = Placement(bool(random.integers(2)), *(int(random.integers(0, f + 1)) for f in free))
        got, want = (
            np.empty((*crop, channels) if data_format == "channels_last" else (channels, *crop), "f") for _ in "ab"
        )
        for out, switch in ((got, "1"), (want, "0")):
            monkeypatch.setenv(native.SWITCH, switch)
            augment.apply(image, placement, out.transpose(2, 0, 1) if data_format == "channels_last" else out)
        np.testing.assert_array_equal(got, want)


def test_what_one_pass_cannot_take_is_left_to_numpy() -> None:
    out, window = np.zeros((1, 4, 5), np.float32), np.ones((1, 4, 5), np.uint8)
    how = {"mirror": False, "scale": 2.0, "last": False}
    assert not transform_window(window.astype(np.float32), None, out, **how)
    assert not transform_window(window[:, :, ::2], None, out[:, :, ::2], **how) and not out.any()
    assert not transform_window(np.ones((1, 5, 5), np.uint8), None, out, **how)
    assert not transform_window(np.ones((3, 4, 5), np.uint8), None, out, **how)
    for mean in (np.zeros((1, 4, 4), "f"), np.zeros((1, 3, 5), "f"), np.zeros((1, 4, 10), "f")[:, :, ::2]):
        assert not transform_window(window, mean, out, **how) and not out.any()
    assert transform_window(window, None, out, **how) and (out == 2).all()


@pytest.mark.parametrize(
    ("windows", "mean", "size", "message"),
    [
        ([[0, 1, 0]], None, (3, 4, 5), "window at .1, 0. lies outside of the image"),
        ([[0, 0, -1]], None, (3, 2, 2), "window at .0, -1. lies outside of the image"),
        ([[0, 0, 0]], [1, 2], (3, 4, 5), "the mean .* does not fit the window"),
        ([[0, 0, 0]], None, (1, 4, 5), r"takes images .height, width, 1., not \[4,5,3\]"),
        ([[0, 0]], None, (3, 4, 5), r"takes windows .N, 3., not \[1,2\]"),
        ([[0, 0, 0]], None, (3, 0, 5), "all positive"),
    ],
)
def test_pixel_batches_that_make_no_sense(windows: list, mean: list | None, size: tuple, message: str) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        pixel_batch([tf.zeros((4, 5, 3), tf.uint8)], windows, mean, size=size)


@pytest.mark.parametrize("axes", [[Axis(3, 2, 1, clip=True), Axis(2, 1, 0, clip=True)], [Axis(2, 2, 0)] * 2])
def test_bfloat16_is_pooled_as_float32_and_rounded(axes: list[Axis]) -> None:
    x = tf.random.stateless_normal((2, 7, 6, 5), (1, 2))
    x = tf.cast(tf.cast(x, tf.bfloat16), tf.float32)
    for function in (pooling.max_pool, pooling.average_pool, lambda x, _: lrn(x, 5, 1.0, 0.75, 1.0)):
        rounded = function(tf.cast(x, tf.bfloat16), axes)
        assert rounded.dtype == tf.bfloat16
        np.testing.assert_array_equal(rounded, tf.cast(function(x, axes), tf.bfloat16))


def test_nan_is_never_the_maximum_and_infinity_may_be() -> None:
    x = np.full((1, 2, 3, 1), np.nan, "float32")
    x[0, 0, 1], x[0, 1, 2] = 2.0, np.inf
    y, mask = pooling.max_pool_with_index(tf.constant(x), [Axis(2, 1, 0), Axis(1, 1, 0)])
    np.testing.assert_array_equal(np.ravel(y), [-pooling.FLT_MAX, 2.0, np.inf])
    np.testing.assert_array_equal(np.ravel(mask), [-1, 1, 5])


def test_a_window_beyond_the_input_is_empty() -> None:
    axes = [Axis(1, 3, 0)] * 2
    y, mask = pooling.max_pool_with_index(tf.ones((1, 3, 3, 1)), axes)
    np.testing.assert_array_equal(y[0, :, :, 0], [[1, -pooling.FLT_MAX], [-pooling.FLT_MAX] * 2])
    np.testing.assert_array_equal(mask[0, :, :, 0], [[0, -1], [-1, -1]])
    assert np.isnan(pooling.average_pool(tf.ones((1, 3, 3, 1)), axes)[0, 1, 1, 0])


def test_empty_batches() -> None:
    axes = [Axis(2, 1, 0)] * 2
    x = tf.zeros((0, 4, 4, 3))
    assert pooling.max_pool(x, axes).shape == (0, 3, 3, 3)
    assert lrn(x, 5, 1.0, 0.75, 1.0).shape == x.shape
    for function in (lambda x: pooling.max_pool(x, axes), lambda x: lrn(x, 5, 1.0, 0.75, 1.0)):
        assert with_gradient(function, x)[1].shape == x.shape


REFUSED = [
    ({"kernel_size": [2, 2], "stride": [1, 1], "pad": [2, 0]}, "pad must be smaller than kernel_size"),
    ({"kernel_size": [0, 2], "stride": [1, 1], "pad": [0, 0]}, "kernel_size and stride must be positive"),
    ({"kernel_size": [2, 2], "stride": [1, 0], "pad": [0, 0]}, "kernel_size and stride must be positive"),
    ({"kernel_size": [2, 2], "stride": [1, 1], "pad": [0, -1]}, "pad not negative"),
    ({"kernel_size": [2], "stride": [1, 1], "pad": [0, 0]}, "take two numbers, height and width"),
    ({"kernel_size": [9, 9], "stride": [1, 1], "pad": [0, 0]}, "the input is too small; 3 with kernel_size 9"),
    ({"kernel_size": [2, 2], "stride": [1, 1], "pad": [1, 1], "pool": "STOCHASTIC"}, "STOCHASTIC takes no pad"),
]


@pytest.mark.parametrize("in_graph", [True, False], ids=["graph", "eager"])
@pytest.mark.parametrize(("attributes", "message"), REFUSED)
def test_windows_that_make_no_sense_are_refused(attributes: dict, message: str, in_graph: bool) -> None:
    kernel = native.operation("Pool")
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError), match=message), graph_if(in_graph):
        kernel(x=tf.zeros((1, 3, 3, 1)), uniform=tf.zeros((0,)), **attributes)


def graph_if(in_graph: bool) -> Any:
    return tf.Graph().as_default() if in_graph else contextlib.nullcontext()


@pytest.mark.parametrize("in_graph", [True, False], ids=["graph", "eager"])
def test_an_even_local_size_is_refused(in_graph: bool) -> None:
    with (
        pytest.raises((ValueError, tf.errors.InvalidArgumentError), match="local_size must be odd"),
        graph_if(in_graph),
    ):
        native.operation("Lrn")(x=tf.zeros((1, 2, 2, 3)), local_size=4)


def test_shapes_are_known_in_a_graph() -> None:
    axes = [Axis(3, 2, 1, clip=True)] * 2
    spec = tf.TensorSpec((None, 8, None, 5), "float32")
    pooled = tf.function(lambda x: pooling.max_pool(x, axes)).get_concrete_function(spec)
    assert pooled.output_shapes.as_list() == [None, 5, None, 5]


@pytest.mark.parametrize("face", [FACES["Pool"][0], FACES["Lrn"][0], FACES["HingeLoss"][0]])
def test_what_began_natively_goes_back_natively(face: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the switch says by then."""
    x = tf.ones((1, 2, 2, 3))
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = face(x)
        monkeypatch.setenv(native.SWITCH, "0")
        gradient = tape.gradient(y, x)
    assert np.abs(gradient).sum() > 0


def test_gradients_have_gradients() -> None:
    x = tf.constant(np.random.default_rng(0).standard_normal((1, 5, 5, 6)).astype("float32"))
    axes = [Axis(3, 2, 0)] * 2

    def curvature(function: Callable[[Any], Any]) -> tf.Tensor:
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                loss = tf.reduce_sum(tf.square(function(x)))
            squared = tf.reduce_sum(tf.square(inner.gradient(loss, x)))
        return outer.gradient(squared, x)

    for face, twin in [
        (lambda x: pooling.max_pool(x, axes), lambda x: pooling.max_pool_twin(x, axes)),
        (lambda x: pooling.average_pool(x, axes), lambda x: pooling.average_pool_twin(x, axes)),
        (lambda x: lrn(x, 5, 1.0, 0.75, 1.0), lambda x: lrn_twin(x, 5, 1.0, 0.75, 1.0, "ACROSS_CHANNELS")),
    ]:
        np.testing.assert_allclose(curvature(face), curvature(twin), rtol=1e-4, atol=1e-4)

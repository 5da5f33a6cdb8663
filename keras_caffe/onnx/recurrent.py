"""Recurrent layers, time first: their steps, as ONNX's own layers cannot begin a sequence anew where `cont` is 0."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from keras_caffe import layers
from keras_caffe.layers.ctc import class_index
from keras_caffe.onnx.detection import top
from keras_caffe.onnx.graph import Tensor
from keras_caffe.onnx.registry import writes
from keras_caffe.onnx.site import Length, Site

UNROLLED = 128
"""Up to this many steps follow each other; more, or an unknown number, run in a loop that not every engine knows."""

States = list[Tensor]
Step = Callable[..., States]
"""(states (1, N, H), what comes in (1, N, ...), cont (1, N, 1) if there are flags) -> the states after it"""


@writes(layers.LSTM)
def lstm(site: Site, *bottoms: Tensor) -> Sequence[Tensor]:
    return _run(site, _cell_step(site, len(site.weights) - 1))


@writes(layers.Lstm)
def joined_lstm(site: Site, x: Tensor, *flags: Tensor) -> Tensor:
    """The forks' LSTM, whose state begins with zeros as a file remembers nothing from run to run."""
    together, (steps, streams) = site.layer.batch_size, site.sizes()[:2]
    if together:
        steps, streams = site.calculate("Div", steps, together), together
    inputs = site.values(0).shape[1]
    x = x if site.rank == 3 and not together else site.reshape(x, [steps, streams, inputs])
    gates = site.op("Add", site.op("MatMul", x, _turned(site, 0)), site.weight(2))
    cont = [site.reshape(one, [steps, streams, 1]) for one in flags]
    history, _ = _over_time(site, steps, _cell_step(site, 1), _zeros(site, 2, streams), [gates, *cont])
    return site.op("Reshape", history, [-1, site.layer.num_output]) if together else history


@writes(layers.RNN)
def rnn(site: Site, *bottoms: Tensor) -> Sequence[Tensor]:
    number = len(site.weights)
    hidden = _turned(site, number - 3)

    def step(states: States, inner: Tensor, cont: Tensor) -> States:
        return [site.op("Tanh", site.op("Add", inner, _again(site, cont, states[0], hidden)))]

    h, *last = _run(site, step)
    out = site.op("MatMul", h, _turned(site, number - 2))
    return [site.op("Tanh", site.op("Add", out, site.weight(number - 1))), *last]


@writes(layers.LSTMUnit)
def lstm_unit(site: Site, c: Tensor, gates: Tensor, cont: Tensor) -> Sequence[Tensor]:
    return _cell(site, c, gates, site.op("Unsqueeze", cont, [-1]))


@writes(layers.ContinuationIndicator)
def continuation_indicator(site: Site, *bottoms: Tensor) -> Tensor:
    layer = site.layer
    times = (np.arange(layer.time_step) > 0).astype("float32")[:, None]
    sequences = layer.batch_size or site.sizes()[site.axis(layer.axis)]
    return site.op("Expand", times, site.vector([layer.time_step, sequences]))


@writes(layers.CTCGreedyDecoder, precise=True)
def ctc_greedy_decoder(site: Site, scores: Tensor, *labels: Tensor) -> Tensor:
    if labels:
        site.refuse("with labels it measures how far sequences are apart, entry by entry, which is for training")
    steps, streams, classes = site.sizes()[:3]
    flat = scores if site.rank == 3 else site.reshape(scores, [steps, streams, classes])
    best = site.op("ArgMax", site.op("Transpose", flat, perm=[1, 0, 2]), axis=2, keepdims=0)
    path, _ = packed(site, best, steps, _blank(site), merge=site.layer.ctc_merge_repeated)
    return site.reshape(site.cast(path, "float"), [streams, steps, 1, 1])


def packed(site: Site, labels: Tensor, steps: Length, blank: int, merge: bool) -> tuple[Tensor, Tensor]:
    """(N, steps) labels without blanks at the front of their rows and -1 behind, and how many they are, (N, 1).

    Args:
        merge: a label that stands in the step before, too, does not count.
    """
    keep = site.op("Not", site.op("Equal", labels, site.length(blank)))
    if merge:
        before = site.op("Pad", site.slice(labels, 1, 0, site.calculate("Sub", steps, 1)), [0, 1, 0, 0], np.int64(-1))
        keep = site.op("And", keep, site.op("Not", site.op("Equal", labels, before)))
    place = site.op("Add", site.range(steps), [0])
    late = site.where(keep, place, site.op("Add", place, site.length(steps)))
    _, order = top(site, site.cast(site.op("Neg", late), "float"), steps, 1)
    count = site.reduce("ReduceSum", site.cast(keep, "int64"), [1])
    path = site.where(site.op("Less", place, count), site.op("GatherElements", labels, order, axis=1), [-1])
    return path, count


def _blank(site: Site) -> int:
    (classes,) = site.known(site.bottoms[0][2:3], "the number of classes")
    return class_index(site.layer.blank, classes)


def _cell_step(site: Site, index: int) -> Step:
    """A step of an LSTM; `index` is that of the weights for its last output."""
    hidden = _turned(site, index)

    def step(states: States, gates: Tensor, cont: Tensor | None = None) -> States:
        h, c = states
        c, h = _cell(site, c, site.op("Add", gates, _again(site, cont, h, hidden)), cont)
        return [h, c]

    return step


def _cell(site: Site, c: Tensor, gates: Tensor, cont: Tensor | None) -> tuple[Tensor, Tensor]:
    """c' = cont f c + i g and h' = o tanh(c') of gates that stand in the order i, f, o, g."""
    size = [site.layer.num_output] * 4 if hasattr(site.layer, "num_output") else [_unit_size(site)] * 4
    i, f, o, g = site.op("Split", gates, size, axis=-1, outputs=4)
    i, f, o = (site.op("Sigmoid", gate) for gate in (i, f, o))
    kept = site.op("Mul", site.op("Mul", cont, f) if cont else f, c)
    c = site.op("Add", kept, site.op("Mul", i, site.op("Tanh", g)))
    return c, site.op("Mul", o, site.op("Tanh", c))


def _unit_size(site: Site) -> int:
    return site.known(site.bottoms[0][-1:], "the size of the state")[0]


def _again(site: Site, cont: Tensor | None, h: Tensor, weights: Tensor) -> Tensor:
    """What the last output adds, unless a sequence begins."""
    return site.op("MatMul", site.op("Mul", cont, h) if cont else h, weights)


def _turned(site: Site, index: int) -> Tensor:
    """A weight blob as a product from the right takes it."""
    name, values = site.weights[index]
    return site.graph.weight(name, values.T)


def _run(site: Site, step: Step) -> list[Tensor]:
    """The first state after each step, (T, N, H), and the last states if they are exposed."""
    x, cont, *rest = site.inputs
    times, streams = site.sizes()[:2]
    if site.rank != 3:
        x = site.reshape(x, [times, streams, site.values(0).shape[1]])
    inner = site.op("Add", site.op("MatMul", x, _turned(site, 0)), site.weight(1))
    if site.layer.static_input:
        inner = site.op("Add", inner, site.op("MatMul", _static(site, rest.pop(0)), _turned(site, 2)))
    states = rest if site.layer.expose_hidden else _zeros(site, site.layer.states, streams)
    cont = site.op("Unsqueeze", cont, [-1])
    history, last = _over_time(site, times, step, states, [inner, cont])
    return [history, *(last if site.layer.expose_hidden else [])]


def _static(site: Site, static: Tensor) -> Tensor:
    return static if len(site.bottoms[2]) == 2 else site.op("Flatten", static, axis=1)


def _zeros(site: Site, count: int, streams: Length) -> States:
    """The states before the first step: a file remembers nothing from run to run."""
    if not isinstance(streams, int):
        return [site.zeros([1, streams, site.layer.num_output])] * count
    return [site.graph.constant(np.zeros((1, streams, site.layer.num_output), "float32"))] * count


def _over_time(site: Site, times: Length, step: Step, states: States, inputs: list[Tensor]) -> tuple[Tensor, States]:
    """The first state after each step, (T, N, H), and the last states."""
    if isinstance(times, int) and 0 < times <= UNROLLED:
        return _unroll(site, times, step, states, inputs)
    return _loop(site, step, states, inputs)


def _unroll(site: Site, times: int, step: Step, states: States, inputs: list[Tensor]) -> tuple[Tensor, States]:
    parts = [site.op("Split", x, [1] * times, axis=0, outputs=times) if times > 1 else [x] for x in inputs]
    history = []
    for now in zip(*parts, strict=True):
        states = step(states, *now)
        history.append(states[0])
    return (site.op("Concat", *history, axis=0) if times > 1 else history[0]), states


def _loop(site: Site, step: Step, states: States, inputs: list[Tensor]) -> tuple[Tensor, States]:
    with site.graph.body(len(states) + len(inputs)) as body:
        before, now = body.inputs[: len(states)], body.inputs[len(states) :]
        after = step(before, *(site.op("Unsqueeze", x, [0]) for x in now))
        body.outputs = [*(site.op("Identity", state) for state in after), site.op("Squeeze", after[0], [0])]
    tops = site.op("Scan", *states, *inputs, body=body, num_scan_inputs=len(inputs), outputs=len(states) + 1)
    return tops[-1], list(tops[:-1])

"""What `caffe time` logs: a line for each layer of the net, its data layers and Caffe's Split layers among them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from statistics import fmean
from time import perf_counter
from typing import Any

import keras_caffe
from keras_caffe import proto
from keras_caffe.cli.programs.glog import WARNING, log
from keras_caffe.converters.definition import Definition
from keras_caffe.converters.graph import Node
from keras_caffe.converters.model import CaffeModel
from keras_caffe.converters.splits import with_splits
from keras_caffe.errors import CaffeError
from keras_caffe.serving import layer_times, passes
from keras_caffe.serving.timing import random_inputs
from keras_caffe.solver.opener import FED

PLACE = "caffe.cpp:373"


def benchmark(
    model: CaffeModel, definition: Definition, iterations: int, options: dict[str, Any]
) -> Iterator[tuple[str, str]]:
    """The lines and where Caffe logs them.

    Args:
        model: the net.
        definition: what it was loaded from, with the layers of its phase alone.
        iterations: how often it runs.
        options: of `keras_caffe.dataset`, which reads its data.
    """
    yield "Performing Forward", "caffe.cpp:361"
    sources = Sources(model, definition, options)
    yield f"Initial loss: {_loss(model, sources.read()):.6g}", "caffe.cpp:366"
    yield "Performing Backward", "caffe.cpp:367"
    yield "*** Benchmark begins ***", PLACE
    yield f"Testing for {iterations} iterations.", PLACE
    forward, backward = [], []
    for number, (there, back) in enumerate(passes(model, iterations), 1):
        sources.read()
        forward.append(there + sum(ms[-1] for ms in sources.ms.values() if ms))
        backward.append(back or 0.0)
        yield f"Iteration: {number} forward-backward time: {forward[-1] + backward[-1]:.6g} ms.", PLACE
    yield "Average time per layer: ", PLACE
    for name, there, back in _with_splits(definition, _layer_times(model, sources, iterations)):
        yield f"{name:>10}\tforward: {there:.6g} ms.", PLACE
        yield f"{name:>10}\tbackward: {back:.6g} ms.", PLACE
    yield f"Average Forward pass: {fmean(forward):.6g} ms.", PLACE
    yield f"Average Backward pass: {fmean(backward):.6g} ms.", PLACE
    yield f"Average Forward-Backward: {fmean(forward) + fmean(backward):.6g} ms.", PLACE
    yield f"Total Time: {sum(forward) + sum(backward):.6g} ms.", PLACE
    yield "*** Benchmark ends ***", PLACE


class Sources:
    """The data layers of a net, read one after the other.

    Args:
        model: the net. Where the data of a layer cannot be read, a warning says so, and it takes no time.
        definition: what it was loaded from; files are looked for beside it, too.
        options: of `keras_caffe.dataset`.
    """

    def __init__(self, model: CaffeModel, definition: Definition, options: dict[str, Any]) -> None:
        self._definition = definition
        self._options = {"data_format": model.data_format, "phase": model.net.phase} | options
        nodes = [source.node for source in model.plan.sources.values()]
        self._batches = {node.index: self._open(node.message) for node in nodes if node.type not in FED}
        self.ms: dict[int, list[float]] = {node.index: [] for node in nodes}

    def _open(self, layer: proto.LayerParameter) -> Iterator[dict[str, Any]]:
        net = proto.NetParameter(layer=[layer])
        for rules in ("include", "exclude"):  # it is there, whatever levels and stages they ask for
            net.layer[0].ClearField(rules)
        try:
            yield from keras_caffe.dataset(replace(self._definition, message=net, whole=None), **self._options)
        except (CaffeError, OSError) as error:
            log(f"Random numbers are timed in place of the net's data: {error}", "caffe.cpp:361", WARNING)

    def read(self) -> dict[str, Any]:
        """The next batch of each layer."""
        found: dict[str, Any] = {}
        for index, batches in self._batches.items():
            start = perf_counter()
            found |= next(batches, {})
            self.ms[index].append(1e3 * (perf_counter() - start))
        return found


def _loss(model: CaffeModel, data: dict[str, Any]) -> float:
    """The loss of what the data layers have read; of random numbers where they could not."""
    model(random_inputs(model) | data, training=model.net.phase == "TRAIN")
    return float(sum(model.losses))


def _layer_times(model: CaffeModel, sources: Sources, iterations: int) -> Iterator[tuple[Node, float, float]]:
    """(layer, ms forward, ms backward) in the net's order, without Split layers."""
    timed = layer_times(model, iterations)
    for node in model.net.nodes:
        if node.index in sources.ms:
            later = sources.ms[node.index][1:]  # the first batch was read with the data's opening
            yield node, fmean(later or [0.0]), 0.0
        else:
            layer = next(timed)
            yield node, layer.forward, layer.backward or 0.0


def _with_splits(
    definition: Definition, times: Iterable[tuple[Node, float, float]]
) -> Iterator[tuple[str, float, float]]:
    """The times by the names of Caffe's layers: its Split layers, which do nothing here, take none."""
    layers = iter(with_splits(definition.message, definition.where, definition.bottom_cures).layer)
    for node, forward, backward in times:
        for layer in layers:
            if layer.name == node.name and (layer.type == node.type or not layer.type.startswith("Split")):
                break
            yield layer.name, 0.0, 0.0
        yield node.name, forward, backward
    yield from ((layer.name, 0.0, 0.0) for layer in layers)

"""A net in two parts: an engine computes the first, Keras the layers that the engine cannot and what is behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from keras_caffe.converters.tail import Tail
from keras_caffe.runtimes import Arrays, Runtime
from keras_caffe.shapes import Shape


class Cut(Runtime):
    """An engine for the first part of a net, and Keras for the rest.

    Args:
        head: runs the first part; its outputs are what the tail reads.
        names: {input blob: its name in the head}.
        tail: the rest.
        outputs: names of all outputs.
    """

    def __init__(self, head: Runtime, names: Mapping[str, str], tail: Tail, outputs: Sequence[str]) -> None:
        self._head, self._names, self._tail = head, names, tail
        self.title: str = f"{head.title} with Keras behind it"
        self.inputs: Mapping[str, Shape] = {**tail.inputs, **{blob: head.inputs[name] for blob, name in names.items()}}
        self.outputs: Sequence[str] = list(outputs)

    def call(self, fed: Arrays) -> dict[str, np.ndarray]:
        found = self._tail.run(fed, self._head.call({name: fed[blob] for blob, name in self._names.items()}))
        return {name: found[name] for name in self.outputs}

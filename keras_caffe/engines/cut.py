"""A net in two parts: an engine computes the first, Keras the layers that the engine cannot and what is behind them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from keras_caffe.converters.tail import Tail
from keras_caffe.runtimes import Arrays, Runtime


class Cut(Runtime):
    """An engine for the first part of a net, and Keras for the rest.

    Args:
        head: runs the first part; its outputs are what the tail reads.
        tail: the rest.
        outputs: names of all outputs.
    """

    def __init__(self, head: Runtime, tail: Tail, outputs: Sequence[str]) -> None:
        self._head, self._tail = head, tail
        self.title = f"{head.title} with Keras behind it"
        self.inputs = {**tail.inputs, **head.inputs}
        self.outputs = list(outputs)

    def call(self, fed: Arrays) -> dict[str, np.ndarray]:
        found = self._tail.run(fed, self._head.call(fed))
        return {name: found[name] for name in self.outputs}

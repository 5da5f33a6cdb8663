"""Recurrent layers, laid out step by step."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from keras import ops

from keras_caffe.layers.lstm import LSTM
from keras_caffe.layers.lstm_clipped import Lstm
from keras_caffe.layers.rnn import RNN
from keras_caffe.plain.registry import turns
from keras_caffe.plain.site import Site
from keras_caffe.plain.traced import recorded, symbolic


@turns(LSTM, RNN)
def recurrent(site: Site, x: Any, cont: Any, *static: Any) -> Any:
    """Each call begins with zeros, as Keras's layers do; Caffe's go on where the last batch ended unless cont is 0."""
    if site.layer.expose_hidden:
        return None
    layer: Any = symbolic(site)
    state = tuple(np.zeros((x.shape[1], layer.num_output), "float32") for _ in range(layer.states))

    def compute() -> Any:
        rows = ops.reshape(x, (*x.shape[:2], math.prod(x.shape[2:])))
        still = ops.expand_dims(ops.stop_gradient(cont), -1)
        return layer.run(rows, still, static[0] if static else None, tuple(map(ops.convert_to_tensor, state)))[1]

    return recorded(site, [x, cont, *static], compute)


@turns(Lstm)
def older_lstm(site: Site, *bottoms: Any) -> Any:
    """As above: no state is carried from batch to batch."""
    layer: Any = symbolic(site)
    layer.carried = []
    return recorded(site, bottoms, lambda: layer.call(list(bottoms)))

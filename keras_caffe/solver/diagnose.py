"""Where a loss that is no number comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from keras_caffe.converters.model import CaffeModel
from keras_caffe.errors import CaffeError, Cure


class Bad(NamedTuple):
    """What is wrong first, as a rule a blob that is not finite, in which layer, and what can be done."""

    what: str
    layer: str | None
    expected: object = "a finite loss"
    received: object = None
    cures: Sequence[Cure] = ("Try a lower base_lr, or clip_gradients.",)


def first_bad_blob(model: CaffeModel, batches: tuple[Mapping[str, Any], ...] | None) -> Bad | None:
    """Runs the batches again and looks at parameters and blobs in the net's order; None if all are finite."""
    for name, arrays in model.get_caffe_params().items():
        for index, array in enumerate(arrays):
            if not np.isfinite(array).all():
                return Bad(f"first in parameter {index} of layer {name!r}", _title(model, name))
    before = model.get_caffe_params()
    try:
        for batch in batches or ():
            bad = _in_batch(model, batch)
            if bad is not None:
                return bad
    except CaffeError as error:  # some layers see more when they run outside a compiled function
        return Bad(error.problem, error.layer, error.expected, error.received, error.cures)
    finally:
        model.set_caffe_params(before)
    return None


def _in_batch(model: CaffeModel, batch: Mapping[str, Any]) -> Bad | None:
    values = sorted(model.net.values.values(), key=lambda value: (value.producer, value.index))
    names = [value.id for value in values]
    part = model.extract(names)
    outputs = part({name: batch[name] for name in part.input_names}, training=True)
    for value in values:
        if not np.isfinite(np.asarray(outputs[value.id], "float32")).all():
            node = model.net.nodes[value.producer]
            return Bad(f"first in blob {value.blob!r}", f"{node.name!r} ({node.type})")
    return None


def _title(model: CaffeModel, name: str) -> str:
    return f"{name!r} ({model.net.node(name).type})"

"""Names of Keras layers and inputs from Caffe's."""

from __future__ import annotations

import re
from collections.abc import Mapping

from keras_caffe.converters.graph import Net, Node
from keras_caffe.layers.source import SourceLayer


def keras_name(name: str) -> str:
    """A Caffe name without what Keras forbids in names."""
    return re.sub(r"[^\w.\-]", "_", name)


class KerasNames:
    """Keras layer names from Caffe's: unique, and without what Keras forbids."""

    def __init__(self, net: Net, classes: Mapping[str, type]) -> None:
        sources = [node for node in net.nodes if issubclass(classes[node.type], SourceLayer)]
        self.used: set[str] = {keras_name(net.values[value].blob) for node in sources for value in node.outputs}

    def __call__(self, node: Node) -> str:
        base = keras_name(node.name) or node.type.lower()
        name, number = base, 1
        while name in self.used:
            number += 1
            name = f"{base}_{number}"
        self.used.add(name)
        return name

"""Takes out layers that pass their bottom on unchanged in inference.

Before: x -> Dropout -> y -> ...      After: x -> ...
Before: x -> Split -> y_0, y_1, ...   After: x is read by all
"""

from __future__ import annotations

from keras_caffe.converters.trained import Edit, Trained

IDENTITIES = {"Dropout", "Split"}


def run(trained: Trained) -> Trained:
    edit = Edit(trained)
    for node in trained.net.nodes:
        if node.type in IDENTITIES and edit.can_drop(node):
            edit.drop(node)
    return edit.done()

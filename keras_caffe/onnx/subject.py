"""What is exported: a loaded model, or a net's files without a model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from keras_caffe import fillers, layers
from keras_caffe.converters.definition import check_not_swapped, read_definition, weight_files
from keras_caffe.converters.fold import trained
from keras_caffe.converters.graph import Net
from keras_caffe.converters.infer import Plan, infer
from keras_caffe.converters.load import PlanSettings, plan
from keras_caffe.converters.model import CaffeModel
from keras_caffe.converters.passes import MERGING, run_all
from keras_caffe.converters.rebuild import NodeBlobs, node_blobs, plan_again
from keras_caffe.converters.sample_shapes import declared_shapes
from keras_caffe.converters.weights import MatchedBlobs, match
from keras_caffe.errors import CaffeError
from keras_caffe.layers.context import LoadContext, loading
from keras_caffe.shapes import Shape

CAFFE = "channels_first"


@dataclass(frozen=True)
class Subject:
    """A planned net with its blobs.

    Args:
        plan: of the net.
        blobs: for each node its blobs in Caffe's shape and order; views where they are in a file.
        again: plans an edited net for inputs of these shapes.
        fork: the Caffe that the net is made for.
        files: where it comes from.
    """

    plan: Plan
    blobs: NodeBlobs
    again: Callable[[Net, Mapping[str, Shape]], Plan]
    fork: str | None
    files: Sequence[Path]

    @property
    def shapes(self) -> dict[str, Shape]:
        """{input blob: declared shape in Caffe's order}."""
        return declared_shapes(self.plan)

    def predictions(self) -> list[str]:
        """What losses and accuracies are computed of, and the outputs that have nothing to do with them, as value ids.

        Empty if the net computes nothing of labels.
        """
        plan = self.plan
        judging: set[str] = set()
        judged: list[str] = []
        for planned in plan.layers.values():
            judges = planned.layer.is_loss or isinstance(planned.layer, (layers.Accuracy, layers.DetectionEvaluate))
            if judges or not judging.isdisjoint(planned.node.inputs):
                judging.update(planned.node.outputs)
                judged += planned.node.inputs
        if not judging:
            return []
        computed = [value for value in judged if value not in judging and value not in plan.inputs]
        return list(dict.fromkeys([*(v for v in plan.outputs() if v not in judging | set(plan.inputs)), *computed]))

    def folded(self, keep: Iterable[str]) -> Subject:
        """The net without what inference does not need; `keep` names blobs that stay beside the outputs."""
        with loading(LoadContext(self.fork)):
            after = run_all(trained(self.plan, self.blobs, keep), MERGING)
        if after.net is self.plan.net:
            return self
        shapes = {name: shape for name, shape in self.shapes.items() if name in after.net.blobs}
        return replace(self, plan=self.again(after.net, shapes), blobs=after.blobs)

    def opened(self) -> Subject:
        """The net for images of any height and width; itself if some layer must know them."""
        fed = [source.node for source in self.plan.sources.values() if source.defaults is None]
        names = {self.plan.net.values[value].blob for node in fed for value in node.outputs}
        shapes = {n: (*s[:2], None, None) if len(s) == 4 and n in names else s for n, s in self.shapes.items()}
        try:
            after = self.again(self.plan.net, shapes)
        except CaffeError:
            return self
        return replace(self, plan=after) if after.dynamic and self.plan.differs_in_sizes_alone(after) else self


def of_model(model: CaffeModel) -> Subject:
    """A loaded model."""

    def again(net: Net, shapes: Mapping[str, Shape]) -> Plan:
        return plan_again(model, net, shapes, CAFFE)

    return Subject(model.plan, node_blobs(model), again, model.recipe.fork, model.files)


def of_files(prototxt: Any, weights: Any, options: Mapping[str, Any]) -> Subject:
    """A net's definition and trained values, of which no model is built.

    Args:
        prototxt, weights: as `load` takes them.
        options: further arguments of `load`; `data_format` and `dtype` are about the model that is not built.
    """
    chosen = {name: value for name, value in options.items() if name not in ("data_format", "dtype")}
    reading = {name: chosen.pop(name) for name in ("strict", "fork") if name in chosen}
    selection = {name: chosen.pop(name) for name in ("phase", "level", "stages") if name in chosen}
    skip_mismatch = chosen.pop("skip_mismatch", False)
    settings = PlanSettings.of(**chosen, fork=reading.get("fork"), data_format=CAFFE, dtype="float32")
    check_not_swapped(prototxt, weights)
    definition = read_definition(prototxt, **reading).select(**selection)
    planned, recipe = plan(definition, settings)
    files = weight_files(weights)
    matched, _ = match(planned, files, skip_mismatch=skip_mismatch)

    def again(net: Net, shapes: Mapping[str, Shape]) -> Plan:
        context = LoadContext(recipe.fork, settings.python_layers, settings.allow_python_imports, recipe.files)
        with loading(context):
            return infer(
                net, data_format=CAFFE, input_shapes=shapes, custom_layers=settings.custom_layers, dtype="float32"
            )

    read = [*filter(None, [definition.path]), *files]
    return Subject(planned, _values(planned, matched), again, recipe.fork, read)


def _values(planned: Plan, matched: MatchedBlobs) -> NodeBlobs:
    """Each node's blobs: as stored, as the layer that owns them has them, or as the filler fills them."""
    values: list[list[np.ndarray]] = []
    for node in planned.net.nodes:
        values.append([])
        for index, blob in enumerate(planned.blobs(node.index)):
            stored = matched.get(node.index, {}).get(index)
            if (node.index, index) in planned.owners:
                owner, owned = planned.owners[node.index, index]
                array = values[owner][owned]
            else:
                array = stored.blob.array if stored else np.asarray(fillers.get(blob.filler)(blob.shape))
            values[-1].append(array.reshape(blob.shape))
    return values

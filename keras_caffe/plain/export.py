"""CaffeModel -> a functional Keras model of nothing but Keras's own layers and operations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import keras

from keras_caffe.converters.fold import fold as folded
from keras_caffe.converters.infer import Plan, PlannedLayer
from keras_caffe.converters.model import CaffeModel, output_name
from keras_caffe.converters.preprocessing import Preprocessing
from keras_caffe.converters.tensors import ANCHOR, Tensors
from keras_caffe.converters.unique_names import make_unique
from keras_caffe.errors import CaffeError, ExportError, Option
from keras_caffe.layers.context import LoadContext, loading
from keras_caffe.plain.edges import turned_first, with_pictures
from keras_caffe.plain.learned import Learned
from keras_caffe.plain.registry import turner_of
from keras_caffe.plain.site import Part, Site
from keras_caffe.plain.table import CANNOT
from keras_caffe.plain.traced import NotPlain, traced


def to_keras(
    model: CaffeModel,
    *,
    fold: bool = False,
    rgb: bool = False,
    preprocessing: Any = None,
    allow: Sequence[str] | str = (),
) -> keras.Model:
    """Returns the net as a functional model of only `keras.layers` and `keras.ops`; its files do not need keras_caffe.

    Layers keep their names, inputs and outputs theirs, their shapes and their order of axes. Random numbers are drawn
    by Dropout alone. In training BatchNorm is Keras's BatchNormalization: it keeps averages instead of Caffe's sums,
    and of the biased variance. Losses are outputs; the model adds none by itself.

    Args:
        model: a loaded CaffeModel; it is not changed.
        fold: fold it for inference first, see `fold`.
        rgb: pictures come red first; the first convolutions' weights are turned for that.
        preprocessing: as of `export`: the model takes pictures, red-green-blue from 0 to 255, and prepares them itself.
        allow: names of layers that may stay keras_caffe's; the model's files then need `import keras_caffe`.

    Returns:
        A functional keras.Model with weights of its own.

    Raises:
        ExportError: some layers cannot be said exactly: it names all of them; or a name in `allow` is no layer's.

    Examples:
        >>> from keras_caffe import samples
        >>> model = keras_caffe.load(samples.path("lenet.prototxt"), samples.path("lenet.caffemodel"))
        >>> plain = keras_caffe.to_keras(model)
        >>> {type(layer).__module__.partition(".")[0] for layer in plain.layers}
        {'keras'}
    """
    return with_parts(model, fold=fold, rgb=rgb, preprocessing=preprocessing, allow=allow)[0]


def with_parts(
    model: CaffeModel,
    *,
    fold: bool = False,
    rgb: bool = False,
    preprocessing: Any = None,
    allow: Sequence[str] | str = (),
) -> tuple[keras.Model, dict[int, Part]]:
    """What `to_keras` gives, and {id of a tensor in it: what it is made by} of tensors that functions make."""
    if not isinstance(model, CaffeModel):
        raise ExportError("to_keras turns loaded Caffe nets", expected="a CaffeModel", received=type(model).__name__)
    allow = [allow] if isinstance(allow, str) else list(allow)
    unknown = sorted(set(allow) - {node.name for node in model.net.nodes})
    if unknown:
        raise ExportError("no layer has this name", received=", ".join(unknown), expected="names of layers in `allow`")
    source = folded(model) if fold else model
    with loading(LoadContext(source.recipe.fork, files=source.recipe.files)):
        try:
            turning = _Turning(source.plan, source, allow, rgb, preprocessing)
            return turning.model(), turning.parts
        except ExportError:
            if not source.plan.dynamic:
                raise
        fixed = replace(source.plan, dynamic=False)  # Some layers can be said where they know the size of the batch.
        turning = _Turning(fixed, source, allow, rgb, preprocessing)
        return turning.model(), turning.parts


class _Turning:
    """One net on its way; `made` says which Keras layers a node has become."""

    def __init__(self, plan: Plan, model: CaffeModel, allow: Iterable[str], rgb: bool, preprocessing: Any) -> None:
        self.source, self.plan, self.allow = model, plan, set(allow)
        self.tensors = Tensors(self.plan)
        self.made: dict[int, Site] = {}
        self.parts: dict[int, Part] = {}
        self.mains: set[int] = set()
        self.problems: list[str] = []
        self.edges: dict[str, Any] = {}
        for source in self.plan.sources.values():
            self.tensors.add_inputs(source.node.outputs, source.defaults)
        self.arrays = {i: [bound.get() for bound in self.plan.bound_blobs(i)] for i in self.plan.layers}
        self._take_pictures(rgb, preprocessing)
        self.taken = {planned.layer.name for planned in self.plan.layers.values()} | self._inputs().keys()
        self.learned = Learned(self.tensors.anchor(), self.taken)

    def _take_pictures(self, rgb: bool, preprocessing: Any) -> None:
        if rgb or preprocessing is not None:
            fitted = None if preprocessing is None else Preprocessing.of(preprocessing)
            blue_first = fitted is None or fitted.bgr
            turned = rgb and blue_first and turned_first(self.plan, self.arrays)
            self.edges = with_pictures(self.tensors, fitted, flip=rgb and not turned, turned=turned)

    def model(self) -> keras.Model:
        """The whole model. Raises ExportError with all layers that cannot be turned."""
        refused: set[str] = set()
        for index, planned in self.plan.layers.items():
            if refused & set(planned.node.inputs):
                refused |= set(planned.node.outputs)
                continue
            try:
                tops = self._tops(index, planned)
            except CaffeError as error:
                self.problems.append(f"{planned.node.name!r} ({planned.node.type}): {error.problem}")
                refused |= set(planned.node.outputs)
                continue
            behind = (top._keras_history.operation for top in tops)
            self.mains |= {id(operation) for operation in behind if operation.name == planned.layer.name}
            for value, top in zip(planned.node.outputs, tops, strict=True):
                self.tensors[value] = top
        if self.problems:
            raise ExportError(
                "Keras's own layers and operations cannot express some layers exactly",
                received="; ".join(self.problems),
                fix=Option("allow", ..., "with their names to keep them as they are; such files need keras_caffe"),
            )
        return self._finished()

    def _tops(self, index: int, planned: PlannedLayer) -> list[Any]:
        bottoms = self.tensors.bottoms(planned) or [self.tensors.anchor()]
        if planned.node.name in self.allow:
            return self._kept(planned, bottoms)
        site = self.made[index] = self._site(index, planned)
        whole = self._whole_owner(index)
        if whole is not None:
            site.lent = self.made[whole].made
        if planned.node.type in CANNOT:
            raise NotPlain(CANNOT[planned.node.type])
        turner = turner_of(type(planned.layer), site.shared)
        tops = turner(site, *bottoms) if turner else None
        if tops is None:
            return traced(site, bottoms, lambda values: self.learned.constant(site.name, values))
        return tops if isinstance(tops, list) else [tops]

    def _kept(self, planned: PlannedLayer, bottoms: list[Any]) -> list[Any]:
        """The layer itself, once more."""
        layer = type(planned.layer).from_config(planned.layer.get_config())
        tops = layer(bottoms[0] if len(bottoms) == 1 else bottoms)
        layer.set_weights(planned.layer.get_weights())
        return list(tops) if isinstance(tops, (list, tuple)) else [tops]

    def _site(self, index: int, planned: PlannedLayer) -> Site:
        blobs = planned.layer.caffe_blobs

        def learned(number: int) -> Any:
            owner = self.plan.owners.get((index, number), (index, number))
            array = self.arrays[owner[0]][owner[1]]
            name = self.plan.layers[owner[0]].layer.name
            trainable = blobs[number].blob.trainable and owner not in self.plan.frozen
            return self.learned.tensor((name, owner[1]), array, blobs[number].blob, trainable)

        pairs = self.plan.owners.items()
        partly = any(index in (user[0], owner[0]) for user, owner in pairs) and not self._as_a_whole(index)
        return Site(planned.layer, self.arrays[index], learned, partly, taken=self.taken, parts=self.parts)

    def _whole_owner(self, index: int) -> int | None:
        """The node all of whose blobs this one uses, in a layer of the same arguments."""
        owners = {owner[0] for user, owner in self.plan.owners.items() if user[0] == index}
        if len(owners) != 1 or not self._as_a_whole(index):
            return None
        return owners.pop()

    def _as_a_whole(self, index: int) -> bool:
        """Whether all who share with this node, or the one that owns its blobs, share all of them, in equal layers."""
        pairs = {(user[0], owner[0]) for user, owner in self.plan.owners.items()}
        group = {index, *(owner for user, owner in pairs if user == index)}
        return all(_twins(self.plan, *pair) for pair in pairs if group.intersection(pair))

    def _inputs(self) -> dict[str, Any]:
        return {**self.tensors.inputs(self.plan.inputs), **self.edges}

    def _finished(self) -> keras.Model:
        plan, net = self.plan, self.plan.net
        outputs = {output_name(net, v): self.tensors.at_edge_as(net.held(v), v) for v in plan.outputs()}
        if not outputs:
            outputs = {ANCHOR: self.tensors.anchor()}
        inputs = self._inputs()
        make_unique(outputs.values(), self.mains | {id(x._keras_history.operation) for x in inputs.values()})
        return keras.Model(_single(inputs), _single(outputs), name=self.source.name)


def _twins(plan: Plan, user: int, owner: int) -> bool:
    """Whether a node uses all blobs of another one, by which a Keras layer of its own stands for it."""
    pairs = {(u[1], o) for u, o in plan.owners.items() if u[0] == user}
    same = pairs == {(number, (owner, number)) for number in range(len(plan.blobs(owner)))}
    mine, theirs = plan.layers[user], plan.layers[owner]
    alike = [{**p.layer.get_config(), "name": ""} for p in (mine, theirs)]
    shapes = [[plan.shapes[v] for v in p.node.inputs] for p in (mine, theirs)]
    single = len(mine.node.inputs) == 1
    return (
        same and single and type(mine.layer) is type(theirs.layer) and alike[0] == alike[1] and shapes[0] == shapes[1]
    )


def _single(named: dict[str, Any]) -> Any:
    return next(iter(named.values())) if len(named) == 1 else named

"""A net in one phase, as far as it can be planned: what cannot be is drawn all the same."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from keras_caffe import registry
from keras_caffe.converters.definition import Definition
from keras_caffe.converters.infer import Plan, PlannedLayer
from keras_caffe.converters.load import PlanSettings, plan
from keras_caffe.converters.recipe import Recipe
from keras_caffe.errors import CaffeError, CaffeWarning, Message

ATTEMPTS = 12  # layers that are refused one after the other, each after a plan of the whole rest


@dataclass(frozen=True)
class Scene:
    """A net in one phase.

    Args:
        layers: all of its layers, in the file's order.
        plan: what is known of those that can be planned; None: of none.
        nodes: {place of a layer in `layers`: index of its node in the plan}.
        recipe: what a model of the plan keeps of its files.
        problems: why the others cannot.
        where: layer name -> `file:line`.
    """

    layers: Sequence[Any]
    plan: Plan | None = None
    recipe: Recipe | None = None
    nodes: Mapping[int, int] = field(default_factory=dict)
    problems: Sequence[Exception] = ()
    where: Any = lambda layer: None

    @cached_property
    def origins(self) -> list[list[int | None]]:
        """Of each layer, the places of the layers that wrote its bottoms last; None: nobody."""
        last: dict[str, int] = {}
        found = []
        for place, layer in enumerate(self.layers):
            found.append([last.get(bottom) for bottom in layer.bottom])
            last |= dict.fromkeys(layer.top, place)
        return found

    @property
    def missed(self) -> frozenset[str]:
        """The blobs that layers without a plan read: where the planned part ends, not the net."""
        left = (layer for place, layer in enumerate(self.layers) if place not in self.nodes)
        return frozenset(blob for layer in left for blob in layer.bottom)

    def planned(self, place: int) -> PlannedLayer | None:
        """A layer's part of the plan; sources and what could not be planned have none."""
        return self.plan.layers.get(self.nodes.get(place, -1)) if self.plan else None

    def values(self, place: int) -> Sequence[str]:
        """The ids of the values that a layer writes, if it is planned."""
        return self.plan.net.nodes[self.nodes[place]].outputs if self.plan and place in self.nodes else ()


def of_plan(planned: Plan, where: Any = lambda layer: None) -> Scene:
    """The scene of a net that is planned already, as a loaded model's."""
    nodes = {place: place for place in range(len(planned.net.nodes))}
    return Scene(planned.net.message.layer, planned, nodes=nodes, where=where)


def scene(
    definition: Definition,
    settings: PlanSettings,
    phase: str,
    level: int,
    stages: Sequence[str],
    planned: tuple[Plan, Recipe] | None = None,
) -> Scene:
    """The net of a definition in one phase, planned without the layers that cannot be, and without what needs them.

    `planned` is the plan of the whole net, if that is known.
    """
    selected = definition.select(phase, level, stages).with_inputs(settings.input_shapes or {})
    whole = Scene(selected.message.layer, where=definition.where)
    if planned:
        return _with_plan(whole, planned, range(len(whole.layers)))
    left = _without(whole, (i for i, layer in enumerate(whole.layers) if not _is_known(layer.type, settings)))
    problems: list[Exception] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CaffeWarning)  # `check` says them
        for _ in range(ATTEMPTS):
            if not left:
                break
            try:
                planned = plan(_part(selected, left), settings)
            except (CaffeError, OSError) as error:
                problems.append(error)
                refused = list(_named(error, whole, left))
                left = _without(whole, {*range(len(whole.layers))} - {*left} | {*refused}) if refused else []
            else:
                return replace(_with_plan(whole, planned, left), problems=problems)
    return replace(whole, problems=problems)


def _with_plan(whole: Scene, planned: tuple[Plan, Recipe], places: Sequence[int]) -> Scene:
    """The scene with the plan of the layers at some places."""
    nodes = {place: index for index, place in enumerate(places)}
    return replace(whole, plan=planned[0], recipe=planned[1], nodes=nodes)


def _is_known(name: str, settings: PlanSettings) -> bool:
    return name in (settings.custom_layers or ()) or registry.class_of(name) is not None


def _part(selected: Definition, places: Sequence[int]) -> Definition:
    """The definition with some of its layers."""
    message = type(selected.message)()
    message.CopyFrom(selected.message)
    del message.layer[:]
    message.layer.extend(selected.message.layer[place] for place in places)
    return replace(selected, message=message)


def behind(scene: Scene, places: Iterable[int]) -> set[int]:
    """The places of some layers, and of all that need one of them."""
    found = set(places)
    for place, origins in enumerate(scene.origins):
        if found.intersection(origins):
            found.add(place)
    return found


def _without(whole: Scene, refused: Iterable[int]) -> list[int]:
    """The places of the layers that need none of the refused ones."""
    gone = behind(whole, refused)
    return [place for place in range(len(whole.layers)) if place not in gone]


def _named(error: Exception, whole: Scene, left: Sequence[int]) -> Iterator[int]:
    """The places of the layers that an error is about."""
    about = (error.layer or "") if isinstance(error, Message) else ""
    for place in left:
        layer = whole.layers[place]
        if about in (repr(layer.name), f"{layer.name!r} ({layer.type})"):
            yield place

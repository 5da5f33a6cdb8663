"""A net that grows layer by layer, each checked by the plan before it is kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from keras_caffe.converters.definition import read_definition
from keras_caffe.converters.infer import Plan
from keras_caffe.converters.load import PlanSettings, plan
from keras_caffe.shapes import Shape
from tests.nets import input_layer, layer

Choose = Callable[[Sequence[Any]], Any]
"""Picks one of several options: a hypothesis strategy, or `random.Random(seed).choice`."""

CHANNELS = (1, 2, 3, 4, 6, 8, 9)
SIZES = (1, 2, 3, 5, 6, 7, 9, 11)


class Unfit(Exception):
    """The net has no room for this layer; another one is drawn."""


@dataclass(frozen=True)
class Blob:
    """A blob of the net.

    Args:
        name: as in the prototxt.
        shapes: in Caffe's order, for the first and for the second batch.
        open: values decide its number of rows.
    """

    name: str
    shapes: tuple[Shape, Shape]
    open: bool = False

    @property
    def shape(self) -> Shape:
        return self.shapes[0]


@dataclass(frozen=True)
class Feed:
    """What an input blob is fed: see `feeds.KINDS`; `limits` bounds integers, one for each batch."""

    blob: Blob
    kind: str = "values"
    limits: tuple[int, int] = (0, 0)


def planned(text: str, shapes: dict[str, Shape] | None = None, phase: str = "TEST") -> Plan:
    """The plan of a net; raises CaffeError if it is refused."""
    definition = read_definition(text).select(phase, 0, ())
    return plan(definition, PlanSettings(data_format="channels_first", input_shapes=shapes))[0]


@dataclass
class Draft:
    """The net so far.

    Args:
        choose: decides.
        batches: the batch size of new inputs, for the first and the second batch.
    """

    choose: Choose
    batches: tuple[int, int]
    blobs: dict[str, Blob] = field(default_factory=dict)
    feeds: dict[str, Feed] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)
    types: list[str] = field(default_factory=list)

    def copy(self) -> Draft:
        return Draft(self.choose, self.batches, {**self.blobs}, {**self.feeds}, [*self.texts], [*self.types])

    def maybe(self) -> bool:
        return self.choose((False, True))

    def fields(self, **options: Sequence[Any]) -> str:
        """Fields of a message, each with one of its values; None leaves it out."""
        chosen = {name: self.choose(values) for name, values in options.items()}
        return " ".join(f"{name}: {value}" for name, value in chosen.items() if value is not None)

    def input(
        self, shape: Sequence[int], second: Sequence[int], kind: str = "values", limits: tuple[int, int] = (0, 0)
    ) -> Blob:
        """A new input with these shapes in the first and the second batch."""
        blob = Blob(f"in{len(self.feeds)}", (tuple(shape), tuple(second)))
        self.texts.append(input_layer(blob.name, *shape))
        self.blobs[blob.name], self.feeds[blob.name] = blob, Feed(blob, kind, limits)
        return blob

    def batch_input(self, *rest: int, kind: str = "values", limit: int = 0) -> Blob:
        """A new input of shape (N, *rest)."""
        first, second = self.batches
        return self.input((first, *rest), (second, *rest), kind, (limit, limit))

    def fixed_input(self, *shape: int, kind: str = "values", limit: int = 0) -> Blob:
        """A new input that has one shape in both batches."""
        return self.input(shape, shape, kind, (limit, limit))

    def image(self, kind: str = "values") -> Blob:
        return self.batch_input(self.choose(CHANNELS), self.choose(SIZES), self.choose(SIZES), kind=kind)

    def fresh(self, rank: int) -> Blob:
        """A new input with so many axes."""
        sizes = [self.choose(CHANNELS), *(self.choose(SIZES) for _ in range(rank - 2))][: rank - 1]
        return self.batch_input(*sizes)

    def bottom(self, *ranks: int, fits: Callable[[Shape], bool] = bool, open: bool = False) -> Blob:
        """A blob of the net that has one of these numbers of axes and fits; if there is none, a new input."""
        known = [b for b in self.blobs.values() if len(b.shape) in ranks and (open or not b.open) and fits(b.shape)]
        known = [b for b in known if self.feeds.get(b.name, Feed(b)).kind == "values"]
        if known and (len(known) > 2 or self.choose((True, True, True, False))):
            return self.choose([*known, *known[-2:], *known[-1:]])  # The latest more often: nets grow long.
        blob = self.fresh(self.choose(ranks))
        if not fits(blob.shape):
            raise Unfit
        return blob

    def like(self, blob: Blob) -> Blob:
        """A blob of the same shape: the same one, another one, or a new input."""
        same = [b for b in self.blobs.values() if b.shapes == blob.shapes and b.open == blob.open]
        same = [b for b in same if self.feeds.get(b.name, Feed(b)).kind == "values"]
        return self.choose(same) if self.maybe() else self.input(*blob.shapes)

    def add(
        self,
        type: str,
        bottoms: Sequence[Blob],
        more: str = "",
        tops: int = 1,
        in_place: bool = False,
        open: bool = False,
    ) -> list[Blob]:
        """A layer on these bottoms; returns its tops.

        Raises:
            CaffeError: the plan refuses it.
            Unfit: it cannot take the second batch.
        """
        name = f"{type.lower()}{len(self.types)}"
        names = [name if tops == 1 else f"{name}_{top}" for top in range(tops)]
        first, second = (self._tops(type, bottoms, more, names, batch) for batch in (0, 1))
        if first[1] != second[1]:
            raise Unfit  # Its parameters depend on the batch.
        if in_place:
            names = [bottoms[0].name]
        self.texts.append(layer(name, type, " ".join(b.name for b in bottoms), " ".join(names), more))
        self.types.append(type)
        is_open = open or any(b.open for b in bottoms)
        made = [Blob(n, pair, is_open) for n, pair in zip(names, zip(first[0], second[0], strict=True), strict=True)]
        self.blobs.update({blob.name: blob for blob in made})
        return made

    def _tops(self, type: str, bottoms: Sequence[Blob], more: str, tops: Sequence[str], batch: int) -> Any:
        """The shapes of a layer's tops and parameters for one of the batches, from a net with this layer alone."""
        shapes = {blob.name: blob.shapes[batch] for blob in bottoms}
        text = "".join(input_layer(name, *shape) for name, shape in shapes.items())
        text += layer("layer", type, " ".join(b.name for b in bottoms), " ".join(tops), more)
        found = planned(text)
        layer_index = len(shapes)
        return [found.shapes[found.net.blobs[top]] for top in tops], [b.shape for b in found.blobs(layer_index)]

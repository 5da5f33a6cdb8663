"""Random nets of three to eight layers."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hypothesis import strategies as st

from keras_caffe.converters.backward import check_gradients
from keras_caffe.converters.definition import read_definition
from keras_caffe.converters.graph import graph
from keras_caffe.errors import CaffeError
from tests.layers.cases import stated
from tests.random_nets import parts_boxes, parts_images, parts_losses, parts_shapes, parts_simple
from tests.random_nets.draft import Choose, Draft, Feed, Unfit, planned

PARTS = {
    **parts_simple.PARTS,
    **parts_images.PARTS,
    **parts_shapes.PARTS,
    **parts_losses.PARTS,
    **parts_boxes.PARTS,
    **dict(part for parts in stated("PARTS") for part in parts.items()),  # newer types: in their own test files
}
SHORTEST, LONGEST = 3, 8  # layers beside the inputs
DRAWN = sorted([*PARTS, *(PARTS.keys() - parts_boxes.PARTS.keys())])  # Half as often: what suppresses boxes is slow.
NOT_HERE = {  # type -> why no random net has it
    "HDF5Output": "it writes a file and gives no blob",
    "Python": "its class is no part of a net",
    "RegionLoss": "rounding decides which box is to predict a truth",
    "MultiStageMeanfield": "rounding decides between which lattice points a pixel lies",
    "Yolov3": "rounding decides which box is to predict a truth",
}
SPECIAL = (math.nan, math.inf, -math.inf)
FINITE = {"LRN"}  # Without its native kernel NaN spreads over the channels, as docs/layers.md says.
RANDOM = {"Dropout", "Insanity", "Pooling", "RReLU", "SPP"}  # may draw random numbers in training


@dataclass(frozen=True)
class RandomNet:
    """A net, and what it is fed.

    Args:
        seed: of the arrays.
        text: the prototxt, with the sizes of the first batch.
        feeds: {input: what it is fed}, with the sizes of both batches.
        types: the layer types in it.
        phase: "TEST" or "TRAIN".
        special: numbers among the inputs and parameters that are not finite.
    """

    seed: int
    text: str
    feeds: Mapping[str, Feed]
    types: Sequence[str]
    phase: str
    special: Sequence[float]

    def shapes(self, batch: int) -> dict[str, tuple[int, ...]]:
        """{input: its shape in Caffe's order} in batch 0 or 1."""
        return {name: feed.blob.shapes[batch] for name, feed in self.feeds.items()}

    def __str__(self) -> str:
        head = f"# seed {self.seed}, phase {self.phase}, {', '.join(map(str, self.special)) or 'all finite'}"
        second = ", ".join(f"{name} {shape}" for name, shape in self.shapes(1).items())
        return f"{head}\n# second batch: {second}\n{self.text}"


def random_net(choose: Choose, seed: int, first: str | None = None) -> RandomNet:
    """A net whose every decision is one of `choose`; `seed` is that of its arrays, `first` a part to begin with."""
    draft = Draft(choose, choose(((2, 3), (1, 4), (3, 1), (4, 2), (2, 5))))
    draft.image()
    length = choose(range(SHORTEST, LONGEST + 1))
    draft = _longer(draft, PARTS[first]) if first else draft
    while len(draft.types) < length:
        draft = _longer(draft, PARTS[choose(DRAWN)])
    special = choose(((), (), (), SPECIAL[:1], SPECIAL))
    special = () if FINITE & set(draft.types) else special
    phase = "TRAIN" if choose((False,) * 5 + (True,)) and _trains(draft) else "TEST"
    return RandomNet(seed, "".join(draft.texts), draft.feeds, draft.types, phase, special)


def net_of_seed(seed: int, first: str | None = None) -> RandomNet:
    """The net with this number, the same one with every version of hypothesis."""
    return random_net(random.Random(seed).choice, seed, first)


def nets() -> st.SearchStrategy[RandomNet]:
    """The same nets, drawn by hypothesis."""

    @st.composite
    def net(draw: st.DrawFn) -> RandomNet:
        state = (
            random.getstate()
        )  # Layers that draw numbers take a seed when they are planned, which hypothesis forbids.
        try:
            return random_net(lambda options: draw(st.sampled_from(list(options))), draw(st.integers(0, 2**32 - 1)))
        finally:
            random.setstate(state)

    return net()


def _longer(draft: Draft, part: parts_simple.Part) -> Draft:
    """The draft with one more part, or as it was if the part is refused."""
    longer = draft.copy()
    try:
        part(longer)
        graph(read_definition("".join(longer.texts)).message)  # Refuses what reads a blob that is overwritten in place.
    except (Unfit, CaffeError):
        return draft
    return longer if len(longer.types) <= LONGEST else draft


def _trains(draft: Draft) -> bool:
    """Whether the net can be trained, with nothing random in it."""
    if RANDOM & set(draft.types):
        return False
    plan = planned("".join(draft.texts), phase="TRAIN")
    try:
        check_gradients(plan.net, plan.backward(), plan.classes, losses_only=True)
    except CaffeError:
        return False
    return True

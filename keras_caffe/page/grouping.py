"""Which layers are drawn as one box, and which boxes fold into one block."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import igraph

from keras_caffe.page.scene import Scene

MOST = 0.6  # a block of more than this part of all boxes says nothing


@dataclass(frozen=True)
class Boxes:
    """The boxes of a drawing.

    Args:
        layers: of each box, the places of its layers: the one that makes the blob, then those that work in place.
        edges: pairs of boxes; the second reads what the first makes.
        blocks: {prefix: its boxes} of those that fold.
    """

    layers: Sequence[Sequence[int]]
    edges: Sequence[tuple[int, int]]
    blocks: Mapping[str, Sequence[int]]


def boxes(scene: Scene) -> Boxes:
    """The boxes of a net, in the file's order."""
    chains: list[list[int]] = []
    box_of: dict[int, int] = {}
    for place, (layer, origins) in enumerate(zip(scene.layers, scene.origins, strict=True)):
        if list(layer.top) == list(layer.bottom) and len(layer.top) == 1 and origins[0] is not None:
            box_of[place] = box_of[origins[0]]
            chains[box_of[place]].append(place)
        else:
            box_of[place] = len(chains)
            chains.append([place])
    found = {
        (box_of[origin], box_of[place]): None
        for place, origins in enumerate(scene.origins)
        for origin in origins
        if origin is not None and box_of[origin] != box_of[place]
    }
    return Boxes(chains, list(found), _blocks([scene.layers[chain[0]].name for chain in chains], list(found)))


def _blocks(names: Sequence[str], edges: Sequence[tuple[int, int]]) -> dict[str, list[int]]:
    """Boxes whose names begin alike, without those whose block would feed itself."""
    found: dict[str, list[int]] = {}
    for box, name in enumerate(names):
        found.setdefault(prefix(name), []).append(box)
    found = {name: members for name, members in found.items() if 1 < len(members) <= max(2, MOST * len(names))}
    while circular := _circular(len(names), edges, found):
        found = {name: members for name, members in found.items() if name not in circular}
    return found


def _circular(count: int, edges: Sequence[tuple[int, int]], blocks: Mapping[str, Sequence[int]]) -> set[str]:
    """The blocks that lie on a circle once each is one point."""
    points = list(range(count))
    names = dict(enumerate(blocks, count))
    for point, members in zip(names, blocks.values(), strict=True):
        for box in members:
            points[box] = point
    merged = {(points[a], points[b]) for a, b in edges} - {(point, point) for point in names}
    graph = igraph.Graph(count + len(blocks), sorted(merged), directed=True)
    circles = [circle for circle in graph.connected_components(mode="strong") if len(circle) > 1]
    return {names[point] for circle in circles for point in circle if point in names}


def prefix(name: str) -> str:
    """What a block's layers have in common: `inception_3a/1x1` -> `inception_3a`, `res2a_branch1` -> `res2a`."""
    outer, slash, _ = name.partition("/")
    return outer.rpartition(".")[0] if "." in outer else outer if slash else outer.partition("_")[0]

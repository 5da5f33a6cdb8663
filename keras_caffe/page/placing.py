"""Where boxes stand: Sugiyama's layered drawing, by igraph.

A block is placed as one point among the others, and its boxes among themselves; the page puts the two together, for it
alone knows which blocks are unfolded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import igraph

from keras_caffe.page.grouping import Boxes

Edge = tuple[int, int]
ENTRY, EXIT = -1, -2  # in a block: what comes from outside, and what goes there
SWEEPS = 24  # of igraph's search for fewer crossings
MANY = 2500  # ranks that edges run through, all together: fewer sweeps then


def placed(boxes: Boxes) -> dict[str, Any]:
    """The drawing as plain values: `items` (numbers of boxes, names of blocks), their `rank` and `x`, and `edges`.

    `edges` are [from, to, [[rank, x], ...]] with the points on the way; from and to are places in `items`. `blocks` are
    {name: the same of its boxes}, with -1 for what comes into the block and -2 for what leaves it.
    """
    block_of = {box: name for name, members in boxes.blocks.items() for box in members}
    items: dict[Any, int] = {}
    for box in range(len(boxes.layers)):
        items.setdefault(block_of.get(box, box), len(items))
    outer = {(items[block_of.get(a, a)], items[block_of.get(b, b)]) for a, b in boxes.edges}
    return {
        **_drawing(list(items), sorted(edge for edge in outer if edge[0] != edge[1])),
        "blocks": {name: _block(members, boxes.edges) for name, members in boxes.blocks.items()},
    }


def _block(members: Sequence[int], edges: Sequence[Edge]) -> dict[str, Any]:
    items = {ENTRY: 0, **{box: number for number, box in enumerate(members, 1)}, EXIT: len(members) + 1}
    found = {(items.get(a, 0), items.get(b, items[EXIT])) for a, b in edges if a in items or b in items}
    return _drawing(list(items), sorted(found))


def _drawing(items: Sequence[Any], edges: Sequence[Edge]) -> dict[str, Any]:
    ranks = _ranks(len(items), edges)
    graph = igraph.Graph(len(items), edges, directed=True)
    length = sum(ranks[b] - ranks[a] for a, b in edges)
    layout = graph.layout_sugiyama(layers=ranks, maxiter=SWEEPS if length < MANY else 2)
    ways = [[[round(y), round(x, 2)] for x, y in way] for way in layout.edge_routing]
    return {
        "items": items,
        "rank": ranks,
        "x": [round(x, 2) for x, _ in layout.coords],
        "edges": [[*edge, way] for edge, way in zip(edges, ways, strict=True)],
    }


def _ranks(count: int, edges: Sequence[Edge]) -> list[int]:
    """The longest way from an input; what has no inputs, as a label, stands right above its first reader."""
    readers: Mapping[int, list[int]] = {item: [] for item in range(count)}
    fed = set()
    for a, b in edges:
        readers[a].append(b)
        fed.add(b)
    ranks = [0] * count
    graph = igraph.Graph(count, edges, directed=True)
    for item in graph.topological_sorting():
        for reader in readers[item]:
            ranks[reader] = max(ranks[reader], ranks[item] + 1)
    for item, own in readers.items():
        if own and item not in fed:
            ranks[item] = min(ranks[reader] for reader in own) - 1
    return ranks

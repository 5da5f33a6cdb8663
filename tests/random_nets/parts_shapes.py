"""Layers that move, join, cut, sum or multiply whatever they are given."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from tests.random_nets.draft import Blob, Draft, Unfit
from tests.random_nets.parts_simple import FLAG, Part

SOME = (2, 3, 4)


def axis_of(draft: Draft, blob: Blob, first: int = 0) -> int:
    """An axis of the blob, counted from the front or from the end."""
    axis = draft.choose(range(first, len(blob.shape)))
    return axis - len(blob.shape) if draft.maybe() else axis


def reshape(draft: Draft) -> None:
    """All axes but the first anew, or a range of axes merged, or split in two."""
    bottom = draft.bottom(*SOME)
    rest = bottom.shape[1:]
    axis = draft.choose(range(1, len(bottom.shape)))
    factor = draft.choose([n for n in range(1, bottom.shape[axis] + 1) if bottom.shape[axis] % n == 0])
    ways = (
        "shape { dim: 0 dim: -1 }",
        f"shape {{ dim: 0 dim: {prod(rest)} dim: 1 dim: 1 }}",
        "shape { dim: -1 }",
        f"axis: {axis} num_axes: 1 shape {{ dim: {factor} dim: -1 }}",
        f"axis: {axis} num_axes: 0 shape {{ dim: 1 }}",
        f"axis: 1 shape {{ dim: {factor} dim: -1 }}",
    )
    draft.add("Reshape", [bottom], f"reshape_param {{ {draft.choose(ways)} }}")


def flatten(draft: Draft) -> None:
    bottom = draft.bottom(*SOME)
    first = draft.choose((1, 1, *range(len(bottom.shape))))
    last = draft.choose((-1, -1, *range(first, len(bottom.shape))))
    draft.add("Flatten", [bottom], f"flatten_param {{ axis: {first} end_axis: {last} }}")


def permute(draft: Draft) -> None:
    bottom = draft.bottom(3, 4)
    left, order = list(range(len(bottom.shape))), []
    if draft.choose((True, True, True, False)):
        order.append(left.pop(0))  # The batch mostly stays in front.
    while left:
        order.append(left.pop(draft.choose(range(len(left)))))
    draft.add("Permute", [bottom], "permute_param { " + " ".join(f"order: {axis}" for axis in order) + " }")


def tile(draft: Draft) -> None:
    bottom = draft.bottom(*SOME)
    fields = f"axis: {axis_of(draft, bottom, 1)} tiles: {draft.choose((1, 2, 3))}"
    draft.add("Tile", [bottom], f"tile_param {{ {fields} }}")


def slice_(draft: Draft) -> None:
    bottom = draft.bottom(*SOME)
    axis = draft.choose(range(1, len(bottom.shape)))
    size = bottom.shape[axis]
    if size == 1:
        raise Unfit
    point = draft.choose(range(1, size))
    if size % 2 == 0 and draft.maybe():
        draft.add("Slice", [bottom], f"slice_param {{ axis: {axis} }}", 2)
    else:
        draft.add("Slice", [bottom], f"slice_param {{ axis: {axis} slice_point: {point} }}", 2)


def split(draft: Draft) -> None:
    draft.add("Split", [draft.bottom(*SOME)], tops=draft.choose((2, 3)))


def concat(draft: Draft) -> None:
    first = draft.bottom(*SOME)
    axis = draft.choose(range(1, len(first.shape)))
    bottoms = [first]
    for _ in range(draft.choose((1, 1, 2))):
        size = draft.choose((1, 2, 5))
        shapes = [(*shape[:axis], size, *shape[axis + 1 :]) for shape in first.shapes]
        bottoms.append(draft.like(first) if draft.maybe() else draft.input(*shapes))
    draft.add("Concat", bottoms, f"concat_param {{ axis: {axis} }}")


def eltwise(draft: Draft) -> None:
    first = draft.bottom(1, 2, 3, 4, 5)
    bottoms = [first, *(draft.like(first) for _ in range(draft.choose((1, 1, 2))))]
    operation = draft.choose(("PROD", "SUM", "MAX", None))
    fields = f"operation: {operation}" if operation else ""
    if operation == "SUM":
        fields += "".join(f" coeff: {draft.choose((1, -1, 0.5, 2))}" for _ in bottoms)
    draft.add("Eltwise", bottoms, f"eltwise_param {{ {fields} }}")


def scale_by_blob(draft: Draft) -> None:
    """Scale and Bias with a second bottom, which fits some axes of the first."""
    first, type = draft.bottom(*SOME), draft.choose(("Scale", "Bias"))
    axis = draft.choose(range(len(first.shape)))
    end = draft.choose(range(axis + 1, len(first.shape) + 1))
    factor = draft.input(*(shape[axis:end] for shape in first.shapes))
    draft.add(type, [first, factor], f"{type.lower()}_param {{ axis: {axis} }}", in_place=draft.maybe())


def reduction(draft: Draft) -> None:
    bottom = draft.bottom(*SOME)
    fields = draft.fields(operation=("SUM", "ASUM", "SUMSQ", "MEAN", None), coeff=(0.5, -2, None))
    axis = draft.choose((0, *range(1, len(bottom.shape)), -1))
    draft.add("Reduction", [bottom], f"reduction_param {{ axis: {axis} {fields} }}")


def inner_product(draft: Draft) -> None:
    bottom = draft.bottom(*SOME)
    axis = draft.choose((1, 1, *range(1, len(bottom.shape)), -1))
    fields = draft.fields(num_output=(1, 2, 3, 6), bias_term=FLAG, transpose=FLAG)
    tops = draft.add("InnerProduct", [bottom], f"inner_product_param {{ axis: {axis} {fields} }}")
    if draft.maybe():
        draft.add("ReLU", tops, in_place=True)


def arg_max(draft: Draft) -> None:
    """It chooses: its bottom holds distinct values."""
    bottom = draft.image(kind="distinct")
    axis = draft.choose((None, 1, 2, -1))
    fields = draft.fields(axis=(axis,), top_k=(1, 1, 2), out_max_val=FLAG)
    draft.add("ArgMax", [bottom], f"argmax_param {{ {fields} }}")


def batch_reindex(draft: Draft) -> None:
    x = draft.bottom(*SOME)
    rows = (draft.choose((1, 2, 5)), draft.choose((1, 3, 4)))
    index = draft.input(rows[:1], rows[1:], "integers", (x.shapes[0][0], x.shapes[1][0]))
    draft.add("BatchReindex", [x, index])


def embed(draft: Draft) -> None:
    count = draft.choose((1, 3, 7))
    index = draft.batch_input(*draft.choose(((), (3,), (2, 3))), kind="integers", limit=count)
    fields = f"input_dim: {count} {draft.fields(num_output=(1, 4, 5), bias_term=FLAG)}"
    draft.add("Embed", [index], f"embed_param {{ {fields} }}")


def filter_(draft: Draft) -> None:
    """Its tops have as many rows as the values say; a layer after it takes any number."""
    x = draft.bottom(*SOME)
    selector = draft.input(*((shape[0], 1) for shape in x.shapes), "integers", (2, 2))
    (kept,) = draft.add("Filter", [x, selector], open=True)
    if draft.maybe():
        draft.add("ReLU", [kept], in_place=draft.maybe())


def silence(draft: Draft) -> None:
    draft.add("Silence", [draft.bottom(*SOME) for _ in range(draft.choose((1, 2)))], tops=0)


def parameter(draft: Draft) -> None:
    dims = " ".join(f"dim: {draft.choose((1, 3, 5))}" for _ in range(draft.choose((1, 2, 4))))
    draft.add("Parameter", [], f"parameter_param {{ shape {{ {dims} }} }}")


PARTS: Mapping[str, Part] = {
    "ArgMax": arg_max,
    "BatchReindex": batch_reindex,
    "Concat": concat,
    "Eltwise": eltwise,
    "Embed": embed,
    "Filter": filter_,
    "Flatten": flatten,
    "InnerProduct": inner_product,
    "Parameter": parameter,
    "Permute": permute,
    "Reduction": reduction,
    "Reshape": reshape,
    "Scale, Bias with a second bottom": scale_by_blob,
    "Silence": silence,
    "Slice": slice_,
    "Split": split,
    "Tile": tile,
}

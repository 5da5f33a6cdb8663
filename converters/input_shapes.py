"""The shapes of a net's inputs: what the caller gives, else what the layers tell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

from keras_caffe.converters.graph import Net, Node
from keras_caffe.errors import CaffeError, Cure, Option, ShapeError
from keras_caffe.layers.base import CaffeLayer
from keras_caffe.layers.source import SourceLayer
from keras_caffe.shapes import Shape, Size

Given = Mapping[str, Sequence[Size]]


def source_shapes(net: Net, node: Node, cls: type[SourceLayer], given: Given) -> dict[str, Sequence[Size] | None]:
    """{blob: shape in Caffe's order} of the tops of a layer without bottoms; None where nothing tells it."""
    declared: Sequence[Shape | None] = cls.declared_shapes(node.message)
    blobs = [net.values[value].blob for value in node.outputs]
    return {blob: given.get(blob, shape) for blob, shape in zip(blobs, declared, strict=True)}


def shapes_missing(net: Net, first: Node, classes: Mapping[str, type[CaffeLayer]], given: Given) -> ShapeError:
    """The error for inputs whose shapes nothing tells: it says what to pass for all of them.

    Args:
        net: the graph.
        first: the first layer with such inputs.
        classes: {type: class} of all types in the net.
        given: {blob: shape} that the caller passes already.
    """
    passed: dict[str, Sequence[int | str]] = {}
    before: list[Cure] = []
    after: list[Cure] = []
    for node in net.nodes[first.index :]:
        with suppress(CaffeError):  # what else is wrong with a layer below comes up once the shapes are there
            cls = classes[node.type].for_layer(node.message)
            if not issubclass(cls, SourceLayer):
                continue
            shapes = source_shapes(net, node, cls, given)
            if None in shapes.values():
                better, as_good = cls.cures(node.message)
                before += [cure for cure in better if cure not in before]
                after += as_good
            known = zip(shapes.items(), cls.known_sizes(node.message), strict=False)
            passed |= {blob: sizes for (blob, shape), sizes in known if shape is None}
    return shapes_not_known(passed, before, after)


def shapes_not_known(
    passed: Mapping[str, Iterable[int | str]], before: Sequence[Cure] = (), after: Sequence[Cure] = ()
) -> ShapeError:
    """The error for inputs of which so much is known: sizes, and letters for what the caller must pass.

    Args:
        passed: {blob: what is known}.
        before, after: what would tell the shapes beside `input_shapes`, in the order in which the reader shall try.
    """
    what = "shape of input" if len(passed) == 1 else "shapes of inputs"
    shapes = {blob: tuple(sizes) for blob, sizes in passed.items()}
    return ShapeError(
        f"the {what} {', '.join(map(repr, passed))} {'is' if len(passed) == 1 else 'are'} not known",
        expected="a shape in Caffe's order (N, C, H, W)" + ("" if len(passed) == 1 else " for each"),
        fix=[*before, Option("input_shapes", shapes, "with numbers for the letters"), *after],
    )

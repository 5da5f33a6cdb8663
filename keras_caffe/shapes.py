"""Caffe's integer shape rules. A size of `None` is not known yet (a dynamic batch, height, width) and stays unknown."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from keras_caffe.errors import LayerError, ShapeError

Size = int | None
Shape = tuple[Size, ...]
Sizes = tuple[int, ...]
_S = TypeVar("_S", int, Size)  # a rule about known sizes has a known result

INT_MAX = 2**31 - 1
MAX_AXES = 32


class Shown(tuple[Any, ...]):
    """A stored shape that prints in another order: layers calculate with the one, readers of errors know the other.

    Args:
        sizes: one entry per tensor axis.
        axes: the tensor axes in the order in which they are printed.
    """

    axes: tuple[int, ...]

    def __new__(cls, sizes: Iterable[Any], axes: tuple[int, ...]) -> Shown:
        shape = super().__new__(cls, sizes)
        shape.axes = axes
        return shape

    @property
    def shown(self) -> tuple[Any, ...]:
        """The sizes as they are printed."""
        return tuple(self[axis] for axis in self.axes)

    def __repr__(self) -> str:
        return repr(self.shown)

    def __getnewargs__(self) -> tuple[Any, ...]:
        return tuple(self), self.axes


class OldNames:
    """The names that blobs' axes had when all blobs had four; axes that are missing have size 1.

    Raises:
        ShapeError: the blob has more than 4 axes.
    """

    @property
    def shape(self) -> Sizes:
        """In Caffe's order."""
        raise NotImplementedError

    @property
    def num(self) -> int:
        """Size of axis 0, by its old name."""
        return self._of_four(0)

    @property
    def channels(self) -> int:
        """Size of axis 1, by its old name."""
        return self._of_four(1)

    @property
    def height(self) -> int:
        """Size of axis 2, by its old name."""
        return self._of_four(2)

    @property
    def width(self) -> int:
        """Size of axis 3, by its old name."""
        return self._of_four(3)

    def _of_four(self, axis: int) -> int:
        if len(self.shape) > 4:
            raise ShapeError(
                "num, channels, height and width need at most 4 axes", received=self.shape, fix="Use shape."
            )
        return self.shape[axis] if axis < len(self.shape) else 1


def shown_as(shape: Sequence[Size], sizes: Sequence[Size]) -> Shape:
    """`sizes`, one per tensor axis of `shape`, to be printed in the same order."""
    return Shown(sizes, shape.axes) if isinstance(shape, Shown) else tuple(sizes)


def shown_axis(shape: Sequence[Any], axis: int) -> int:
    """The place at which `shape` prints the size of a tensor axis."""
    axis %= len(shape)
    return shape.axes.index(axis) if isinstance(shape, Shown) else axis


def known(shape: Sequence[Size]) -> Sizes:
    """The shape, of which every size must be known. Raises ShapeError if one is not."""
    sizes = tuple(size for size in shape if size is not None)
    if len(sizes) < len(shape):
        raise ShapeError("a size is not known", received=shown_as(shape, shape))
    return sizes


def check_blob(shape: Sequence[_S]) -> tuple[_S, ...]:
    """Refuses what Caffe's Blob refuses: over 32 axes, negative sizes, sizes and counts above INT_MAX (blob.cpp).

    Raises:
        ShapeError: the shape is not a blob's.
    """
    if len(shape) > MAX_AXES:
        raise ShapeError("a blob has too many axes", expected=f"at most {MAX_AXES}", received=len(shape))
    known = [size for size in shape if size is not None]
    if any(size < 0 for size in known):
        raise ShapeError("a blob has a negative size", expected="sizes of 0 or more", received=tuple(shape))
    if max(math.prod(known), *known, 0) > INT_MAX:
        raise ShapeError(
            "a blob is larger than Caffe allows", expected=f"at most {INT_MAX} values", received=tuple(shape)
        )
    return tuple(shape)


def count(shape: Sequence[_S]) -> _S:
    """The number of values in a blob of this shape."""
    return None if None in shape else math.prod(shape)  # type: ignore[arg-type, return-value]


def total_count(shapes: Iterable[Sequence[Size]]) -> int:
    """The number of values in several blobs together; a blob with an unknown size adds nothing."""
    return sum(count(shape) or 0 for shape in shapes)


def canonical_axis(axis: int, rank: int, name: str = "axis") -> int:
    """`axis` counted from the front; negative axes count from the end (Blob::CanonicalAxisIndex).

    Raises:
        LayerError: the axis is out of range.
    """
    if not -rank <= axis < rank:
        raise LayerError(f"{name} is out of range", expected=f"{-rank} <= {name} < {rank}", received=axis)
    return axis % rank


def conv_output(size: _S, kernel: int, stride: int, pad: int, dilation: int) -> _S:
    """o = trunc((i + 2p - (d(k-1)+1)) / s) + 1 (conv_layer.cpp); C's division truncates toward zero."""
    if size is None:
        return None
    span = size + 2 * pad - (dilation * (kernel - 1) + 1)
    return int(span / stride) + 1


def deconv_output(size: _S, kernel: int, stride: int, pad: int, dilation: int) -> _S:
    """o = s(i-1) + d(k-1)+1 - 2p (deconv_layer.cpp)."""
    return None if size is None else stride * (size - 1) + dilation * (kernel - 1) + 1 - 2 * pad


def ceil_div(a: Any, b: Any) -> Any:
    """a / b rounded up, for integers and integer tensors; a > -b, so that no operand of `//` is negative.

    ONNX and C cut the quotient of a negative number toward zero: there -(-9 // 2) is 4.
    """
    return (a + b - 1) // b


def windows(size: Any, window: int, stride: int) -> Any:
    """floor((i - w) / s) + 1, the number of windows that fit into i pixels, for integers and integer tensors."""
    return (size - window + stride) // stride  # The 1 is inside: `//` of a negative number depends on the reader.


def pool_output(size: Any, kernel: Any, stride: int, pad: int, *, ceil: bool = True, clip: bool = False) -> Any:
    """P = ceil((i + 2p - k) / s) + 1, but only windows that start before i + p (pooling_layer.cpp).

    Args:
        size: i, an integer, an integer tensor, or None; k may be a tensor too.
        ceil: round up, otherwise down.
        clip: apply the second half of the rule; Caffe does so on both axes as soon as either has padding.

    Raises:
        ShapeError: the stride is not positive, or the kernel not larger than its padding.
    """
    if size is None:
        return None
    if isinstance(size, int) and not (stride > 0 and 0 <= pad < kernel):
        raise ShapeError(
            "pooling needs a positive stride and a kernel larger than its pad",
            received=f"kernel {kernel}, stride {stride}, pad {pad}",
        )
    if not ceil:
        return windows(size + 2 * pad, kernel, stride)  # All of them start before i + p, as k > p.
    # ceil((i + p + rest) / s) is the formula; ceil((i + p) / s) windows start before i + p.
    rest = pad - kernel + stride
    return ceil_div(size + pad + (min(rest, 0) if clip else rest), stride)


def flatten(shape: Sequence[Size], axis: int = 1, end_axis: int = -1) -> Shape:
    """Axes `axis` to `end_axis` become one (flatten_layer.cpp)."""
    start, end = canonical_axis(axis, len(shape)), canonical_axis(end_axis, len(shape), "end_axis")
    if end < start - 1:
        raise LayerError("end_axis lies before axis", expected=f"end_axis >= {start}", received=end)
    return (*shape[:start], count(shape[start : end + 1]), *shape[end + 1 :])


def reshape(shape: Sequence[Size], dims: Sequence[int], axis: int = 0, num_axes: int = -1) -> Shape:
    """The dims replace axes [axis, axis + num_axes): 0 copies the size there, -1 is inferred (reshape_layer.cpp).

    Raises:
        LayerError, ShapeError: axes out of range, a 0 beyond the replaced axes, or another number of values.
    """
    start, end = reshape_range(len(shape), axis, num_axes)
    middle: list[Size] = []
    for i, dim in enumerate(dims):
        if dim == 0 and start + i >= len(shape):
            raise ShapeError(
                f"dim {i} of reshape_param is 0 but the bottom has no axis {start + i} to copy",
                received=f"bottom {tuple(shape)}",
            )
        middle.append(shape[start + i] if dim == 0 else dim)
    if -1 in middle:
        middle[middle.index(-1)] = _inferred(shape, [*shape[:start], *middle, *shape[end:]])
    top = (*shape[:start], *middle, *shape[end:])
    if None not in shape and None not in top and count(shape) != count(top):
        raise ShapeError(
            "Reshape changes the number of values",
            expected=f"{count(shape)} values of bottom {tuple(shape)}",
            received=f"{count(top)} values of top {top}",
        )
    return top


def reshape_range(rank: int, axis: int, num_axes: int) -> tuple[int, int]:
    """First and one-past-last of the axes that Reshape replaces; a negative axis counts from after the last one."""
    start = axis if axis >= 0 else rank + axis + 1
    if not 0 <= start <= rank:
        raise LayerError("axis is out of range", expected=f"{-rank - 1} <= axis <= {rank}", received=axis)
    end = rank if num_axes == -1 else start + num_axes
    if end > rank:
        raise LayerError("axis + num_axes is beyond the bottom", expected=f"at most {rank}", received=end)
    return start, end


def _inferred(bottom: Sequence[Size], top: Sequence[Size]) -> Size:
    # Unknown sizes that are copied stand on both sides; what is left decides whether -1 can be known.
    have, rest = list(bottom), [d for d in top if d != -1]
    for dim in [d for d in rest if d is None]:
        have.remove(dim)
        rest.remove(dim)
    if None in have:
        return None
    total, known = count(have), count(rest)
    if not known or total % known:  # type: ignore[operator]
        raise ShapeError(
            "the dim of -1 cannot be inferred", expected=f"a divisor of {total}", received=f"other dims {tuple(rest)}"
        )
    return total // known  # type: ignore[operator]


def fits(first: Shape, other: Shape) -> bool:
    """Whether two shapes agree in every known size."""
    return len(first) == len(other) and all(a == b or None in (a, b) for a, b in zip(first, other, strict=True))


def same_shape(first: Shape, other: Shape, what: str) -> None:
    """Raises ShapeError unless the two shapes agree in every known size."""
    if not fits(first, other):
        raise ShapeError(what, expected=first, received=other)


def merge_shapes(first: Shape, other: Shape, what: str) -> Shape:
    """The one shape that both are, as far as either is known. Raises ShapeError if they differ."""
    same_shape(first, other, what)
    return shown_as(first, [b if a is None else a for a, b in zip(first, other, strict=True)])

"""What every Caffe layer has in common as a Keras layer."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from inspect import Signature, getfullargspec, signature
from typing import Any, NamedTuple, Protocol, TypeAlias

import keras
import numpy as np

from keras_caffe import fillers
from keras_caffe._keras import Initializer, Layer
from keras_caffe.errors import CaffeError, Cure, LayerError, NetError
from keras_caffe.layers.not_quantized import NotQuantized
from keras_caffe.layers.serializable import serializable as serializable
from keras_caffe.layout import Order, caffe_order, channels_last, inverse, tensor_axis
from keras_caffe.ops.memory import adopt, unscoped
from keras_caffe.ops.refusals import Place, at_place
from keras_caffe.shapes import Shape, Shown, Sizes, canonical_axis, total_count

ALL: Sequence[int] = range(2**31)
"""The indices of any number of bottoms."""

Arity: TypeAlias = tuple[int, int | None]
"""The least and the greatest number of bottoms or tops; None = any."""


class Blob(NamedTuple):
    """One row of a layer's blob table; it serves building, import, export and the size check.

    Args:
        name: attribute and variable name on the Keras layer.
        shape: shape in Caffe's order, as in a caffemodel.
        filler: what fills it when no file does (see `keras_caffe.fillers`).
        permutation: transposition from Caffe's order to the variable's; None = stored as Caffe stores it.
        trainable: False for statistics.
    """

    name: str
    shape: Sizes
    filler: fillers.Filler = "constant"
    permutation: tuple[int, ...] | None = None
    trainable: bool = True

    def to_keras(self, array: np.ndarray) -> np.ndarray:
        return array if self.permutation is None else array.transpose(self.permutation)

    def to_caffe(self, array: np.ndarray) -> np.ndarray:
        return array if self.permutation is None else array.transpose(inverse(self.permutation))

    def check(self) -> None:
        """Raises LayerError if the filler cannot fill the blob."""
        fillers.check(self.filler, self.shape)

    @property
    def keras_shape(self) -> Sizes:
        return self.shape if self.permutation is None else tuple(self.shape[a] for a in self.permutation)


class StoredValues(Protocol):
    """The values of a blob somewhere else, as in a file; nothing is read before `copy`."""

    def copy(self, permutation: tuple[int, ...] | None = None) -> np.ndarray:
        """The values as float32 in memory of their own, transposed from Caffe's order by `permutation`."""


class BoundBlob(NamedTuple):
    """A blob and the variable (or `SharedView`) that holds it."""

    blob: Blob
    variable: Any

    def get(self) -> np.ndarray:
        """The values in Caffe's shape and order."""
        return self.blob.to_caffe(np.asarray(self.variable.numpy()))

    def set(self, array: np.ndarray) -> None:
        """Sets the values, given in Caffe's shape and order; the array's memory may become the variable's."""
        self.variable.assign(adopt(np.asarray(self.blob.to_keras(array), order="C")))

    def read(self, stored: StoredValues) -> None:
        """Sets the values to stored ones, as those of a file."""
        self.variable.assign(adopt(stored.copy(self.blob.permutation)))

    def seen_as(self, blob: Blob) -> Any:
        """What another layer with the row `blob` uses in place of a variable of its own."""
        same = (self.blob.shape, self.blob.permutation) == (blob.shape, blob.permutation)
        return self.variable if same else SharedView(self, blob)


class SharedView:
    """A variable that another layer owns, seen in another shape: the same values in Caffe's memory order.

    Caffe allows that with `share_mode: PERMISSIVE`.
    """

    def __init__(self, owner: BoundBlob, blob: Blob) -> None:
        self.owner: BoundBlob = owner
        self.blob: Blob = blob
        self.shape: Sizes = blob.keras_shape
        self.dtype: Any = owner.variable.dtype

    @property
    def value(self) -> Any:
        """The tensor in this view's shape."""
        own, view = self.owner.blob, self.blob
        tensor = keras.ops.convert_to_tensor(self.owner.variable)
        if own.permutation is not None:
            tensor = keras.ops.transpose(tensor, inverse(own.permutation))
        tensor = keras.ops.reshape(tensor, view.shape)
        return tensor if view.permutation is None else keras.ops.transpose(tensor, view.permutation)

    def __tf_tensor__(self, dtype: Any = None, name: str | None = None) -> Any:
        return keras.ops.cast(self.value, dtype) if dtype is not None else self.value

    def __jax_array__(self) -> Any:
        return self.value

    def __add__(self, other: Any) -> Any:
        return self.value + other

    __radd__ = __add__

    def __mul__(self, other: Any) -> Any:
        return self.value * other

    __rmul__ = __mul__

    def numpy(self) -> np.ndarray:
        return np.asarray(keras.ops.convert_to_numpy(self.value))

    def assign(self, array: np.ndarray) -> None:
        """Sets the owner's values from an array in this view's stored shape."""
        self.owner.set(self.blob.to_caffe(np.asarray(array)).reshape(self.owner.blob.shape))


FirstValues = Mapping[int, StoredValues | BoundBlob]
"""{blob index: the blob's first values, or the blob of another layer whose variable it shares}"""


@dataclass(frozen=True)
class _Preset:
    """What `preset` said. Keras looks for variables in tuples and dicts that are set on a layer, but not in here."""

    values: FirstValues = field(default_factory=dict)
    frozen: Container[int] = ()


@dataclass(frozen=True)
class Bottom:
    """An input of a Caffe layer as `from_caffe` sees it: the blob's shape in Caffe's order, and how it is stored."""

    shape: Shape
    order: Order

    @property
    def rank(self) -> int:
        return len(self.shape)

    def axis(self, axis: int, name: str = "axis") -> int:
        """The tensor axis of a Caffe axis, which may count from the end. Raises LayerError if out of range."""
        return tensor_axis(self.order, canonical_axis(axis, self.rank, name))


class CaffeLayer(NotQuantized, Layer):
    """Base of the layers that compute what one Caffe layer type computes.

    A subclass gives plain keyword arguments (checked and normalised with `keras_caffe.layers.arguments` and kept under
    their own names, from which the config is written), `call`, `top_shapes` if tops differ from bottoms in shape,
    `blob_table` if it has parameters, and `from_caffe`.

    Class attributes state the facts of Caffe's layer.

    Attributes:
        bottoms, tops: least and greatest number of them.
        stores: how it wants its bottoms stored: "channels_last", "caffe" order, or "any" (all alike).
        is_loss: whether the top adds to the loss by default.
        one_image: whether it refuses batches of several images, which shows only when it runs.
        has_gradient: whether Caffe's layer has one at all.
        no_gradient: indices of the bottoms to which Caffe refuses to propagate; -1 is the last.
        not_forced: indices of the bottoms that `force_backward` leaves alone.
        kept_bottoms: indices of the bottoms of which Caffe's backward uses what its forward kept, not what they hold
            by then.
        kept_in_place: whether it keeps bottom 0, too, where its top overwrites it.
        reads_top: whether Caffe's backward reads the top: then `gradient_from_top` computes the same.
        overwrites_blobs: whether a pass overwrites learned blobs, as forks do that normalise their weights.
        other_blobs: what to do where a file has another number of blobs for it.
        flops_per_top_value: what it computes, see `flops`.
    """

    bottoms: Arity = (1, 1)
    tops: Arity = (1, 1)
    stores: str = "any"
    is_loss: bool = False
    one_image: bool = False
    has_gradient: bool = True
    no_gradient: Sequence[int] = ()
    not_forced: Sequence[int] = ()
    kept_bottoms: Sequence[int] = ()
    kept_in_place: bool = False
    reads_top: bool = False
    overwrites_blobs: bool = False
    other_blobs: Sequence[Cure] = ("Check bias_term and the layer's type.",)
    flops_per_top_value: int | None = None
    shown_axes: Sequence[Order] = ()  # of each bottom, in the order of the model's edges; () outside a CaffeModel
    place: Place | None = None  # in a CaffeModel: what errors call the layer and its bottoms

    _preset: _Preset = _Preset()
    _table: tuple[Blob, ...] = ()

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        layer = super().__new__(cls, *args, **kwargs)
        own_class: Any = cls
        accepted, rest = _accepted(own_class)
        given = accepted.bind(layer, *args, **kwargs)
        given.apply_defaults()
        _, *own = given.arguments.items()
        more = given.arguments.get(rest, {}) if rest else {}
        # Past Keras's __setattr__, which would wrap the dict, and lists and dicts in it, to look for variables.
        layer.__dict__["_given"] = {**{name: value for name, value in own if name != rest}, **more}
        return layer

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments as the layer keeps them, normalised, and Keras's own (name, trainable, dtype)."""
        own = {name: getattr(self, name, value) for name, value in self._given.items()}
        fillers = {name: keras.initializers.serialize(v) for name, v in own.items() if isinstance(v, Initializer)}
        return {**own, **fillers, **super().get_config()}

    @classmethod
    def for_layer(cls, layer: Any) -> type[CaffeLayer]:
        """The class that computes this LayerParameter; another one if what it holds decides."""
        return cls

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        """The Keras layer for a LayerParameter; refuses what cannot be exact.

        Args:
            layer: the Caffe LayerParameter.
            bottoms: the bottoms, already in the order that `bottom_orders` asked for.
            **kwargs: Keras's own arguments (name, dtype).
        """
        return cls(**kwargs)

    @classmethod
    def bottom_orders(cls, layer: Any, bottoms: Sequence[Bottom]) -> list[Order]:
        """How this layer wants its bottoms stored."""
        if cls.stores == "any":
            first = bottoms[0].order if bottoms else ()
            return [first if b.rank == len(first) else caffe_order(b.rank) for b in bottoms]
        order = channels_last if cls.stores == "channels_last" else caffe_order
        return [order(b.rank) for b in bottoms]

    def top_orders(self, orders: Sequence[Order], ranks: Sequence[int]) -> list[Order]:
        """How the tops come out stored, given the bottoms' orders and the tops' numbers of axes."""
        if self.stores == "any":
            return [orders[0]] * len(ranks)
        return [(channels_last if self.stores == "channels_last" else caffe_order)(rank) for rank in ranks]

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        """The tops' shapes as stored, given the bottoms' shapes as stored; unknown sizes are None."""
        return [shapes[0]]

    def blob_table(self, *shapes: Shape) -> list[Blob]:
        """The learnable blobs in Caffe's order, given the bottoms' shapes as stored."""
        return []

    def gradient_from_top(self, bottom: Any, top: Any, diff: Any) -> Any:
        """The gradient for the bottom, given the top that backward finds in place of the one that was computed."""
        raise NotImplementedError

    def flops(self, bottoms: Sequence[Sizes], tops: Sequence[Sizes]) -> int | None:
        """Operations of one forward pass; an addition, product, comparison or value of a function counts 1 each.

        This rule: `flops_per_top_value` for each value of the tops, 0 for a layer that only moves values.

        Args:
            bottoms, tops: shapes in Caffe's order, all sizes known.

        Returns:
            The number, or None if it is not known or depends on the values.
        """
        each = self.flops_per_top_value
        return None if each is None else each * total_count(tops)

    def memory(self, tops: Sequence[Shape]) -> int:
        """Bytes of the tops in float32, their shapes given in Caffe's order; 0 for a layer that hands its bottom on."""
        return 4 * total_count(tops)

    def compute_output_shape(self, input_shape: Any) -> Any:
        with self._located():
            tops = [tuple(top) for top in self.top_shapes(*self._shown(input_shape))]
        return tops[0] if len(tops) == 1 else tops

    def _shown(self, input_shape: Any) -> list[Shape]:
        """The bottoms' stored shapes, printed in errors as `shown_axes` says."""
        shapes = shape_list(input_shape)
        return [Shown(*pair) for pair in zip(shapes, self.shown_axes, strict=True)] if self.shown_axes else shapes

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with self._located():
            return super().__call__(*args, **kwargs)

    @contextmanager
    def _located(self) -> Iterator[None]:
        """Adds this layer's name to an error."""
        place = self.place or Place(repr(self.name))
        try:
            with at_place(place):
                yield
        except CaffeError as error:
            raise error.at(layer=place.layer) from None

    def preset(self, values: FirstValues, frozen: Container[int] = ()) -> None:
        """Says, before the layer is built, what its blobs begin with and which of them are not trained.

        Args:
            values: of some blobs; fillers fill the others.
            frozen: indices of blobs that are not trainable (lr_mult 0).
        """
        # The initializers copy the values while Keras makes the variables, so no filler runs and no array exists twice.
        self._preset = _Preset(values, frozen)

    def build(self, input_shape: Any) -> None:
        preset, self._preset = self._preset, _Preset()  # Stored values hold a mapped file open: let go of them.
        if self.bottoms != (0, 0):  # Keras calls those on any tensor
            check_count("bottoms", len(shape_list(input_shape)), self.bottoms)
        self.compute_output_shape(input_shape)  # Refuses bottoms that do not fit; eagerly nothing else asks for it.
        table = self.blob_table(*self._shown(input_shape))
        for index, blob in enumerate(table):
            blob.check()
            value = preset.values.get(index)
            trainable = blob.trainable and index not in preset.frozen
            variable = value.seen_as(blob) if isinstance(value, BoundBlob) else self._add_blob(blob, value, trainable)
            setattr(self, blob.name, variable)
        self._table = tuple(table)
        self.built = True

    def _add_blob(self, blob: Blob, stored: StoredValues | None, trainable: bool) -> Any:
        def initial(shape: Any, dtype: Any = None) -> Any:
            if stored is not None:
                return keras.ops.cast(adopt(stored.copy(blob.permutation)), dtype)
            values = np.asarray(fillers.get(blob.filler)(blob.shape))
            return keras.ops.cast(adopt(np.asarray(blob.to_keras(values), order="C")), dtype)

        with unscoped():
            return self.add_weight(
                shape=blob.keras_shape,
                initializer=initial,
                trainable=trainable,
                autocast=blob.trainable,  # Statistics keep their precision under mixed policies.
                name=blob.name,
            )

    @property
    def caffe_blobs(self) -> Sequence[BoundBlob]:
        """The blob table with the variables that hold the blobs, once built."""
        return tuple(BoundBlob(blob, getattr(self, blob.name)) for blob in self._table)


@cache
def _accepted(cls: Any) -> tuple[Signature, str | None]:
    """The signature of a class's constructor, and the name of its last arguments' dict, if it has one."""
    return signature(cls.__init__), getfullargspec(cls.__init__).varkw


def takes_training(layer: keras.layers.Layer) -> bool:
    """Whether a layer computes in training otherwise than not, as its `call` says."""
    return "training" in signature(layer.call).parameters


def shape_list(input_shape: Any) -> list[Shape]:
    """Keras's `input_shape`, one shape or a list of them, as a list of tuples."""
    if not input_shape or isinstance(input_shape[0], (int, type(None))):
        return [tuple(input_shape)]
    return [tuple(shape) for shape in input_shape]


def check_count(what: str, number: int, allowed: Arity) -> None:
    """Raises NetError unless a layer takes so many bottoms or tops (`what`); `allowed` are the least and the most."""
    low, high = allowed
    if number < low or (high is not None and number > high):
        wanted = f"{low}" if low == high else f"{low} to {high}" if high is not None else f"{low} or more"
        raise NetError(f"wrong number of {what}", expected=wanted, received=number)


def enum_name(message: Any, field: str) -> str:
    """The name of an enum field's value, as prototxt writes it."""
    return message.DESCRIPTOR.fields_by_name[field].enum_type.values_by_number[getattr(message, field)].name


def required(message: Any, field: str) -> Any:
    """The value of a field without which Caffe refuses the layer. Raises LayerError if the file does not set it."""
    if not message.HasField(field):
        raise LayerError(f"{field} is missing", fix=f"Set {field} in {message.DESCRIPTOR.name}.")
    return getattr(message, field)

"""pycaffe's net_spec: nets written in Python (python/caffe/net_spec.py).

n = NetSpec()
n.data = layers.Input(shape={"dim": [1, 3, 8, 8]})
n.conv = layers.Convolution(n.data, num_output=4, kernel_size=3)
n.relu = layers.ReLU(n.conv, in_place=True)
n.to_proto()
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from keras_caffe import proto
from keras_caffe.converters.read_binary import parameter_of
from keras_caffe.errors import CaffeError, NetError, NotATopError, UnknownAttributeError, instead
from keras_caffe.named import unknown
from keras_caffe.pycaffe.proto import caffe_pb2 as caffe_pb2


class Top:
    """One output of a layer, `fn`, by its number `n`."""

    def __init__(self, fn: Function, n: int) -> None:
        self.fn: Function = fn
        self.n: int = n

    def to_proto(self) -> Any:
        """The net that computes this top."""
        return to_proto(self)


class Function:
    """A layer that is to be.

    Args:
        type_name: its Caffe type.
        inputs: its bottoms.
        params: fields of its parameter message, or of the layer; and `ntop`, the number of its tops (1), `in_place`.

    Raises:
        NotATopError: a bottom is no Top, such as the tuple that a layer with several tops gives.
    """

    def __init__(self, type_name: str, inputs: Sequence[Top], params: Mapping[str, Any]) -> None:
        for number, top in enumerate(inputs):
            if not isinstance(top, Top):
                # Scripts look for these words.
                raise NotATopError(f"{type_name} input {number} is not a Top (type is {type(top)})")
        self.type_name: str = type_name
        self.inputs: tuple[Top, ...] = tuple(inputs)
        self.params: dict[str, Any] = dict(params)
        self.ntop: Any = self.params.pop("ntop", 1)
        self.in_place: Any = self.params.pop("in_place", False)
        self.tops: tuple[Top, ...] = tuple(Top(self, n) for n in range(self.ntop))

    def message(self) -> Any:
        """Its LayerParameter, as yet without names.

        Raises:
            NetError: a parameter is no field, or a field cannot have this value.
        """
        layer = proto.LayerParameter(type=self.type_name)
        for name, value in self.params.items():
            assign_proto(self._holder(layer, name), name, value)
        return layer

    def _holder(self, layer: Any, name: str) -> Any:
        """The layer's parameter message if it has the field, otherwise the layer itself."""
        own = parameter_of(layer.type)
        fields = getattr(layer, own).DESCRIPTOR.fields_by_name if own is not None else {}
        if name in fields and not name.endswith("param"):
            return getattr(layer, own)  # type: ignore[arg-type]
        if name not in layer.DESCRIPTOR.fields_by_name:
            raise _no_field(f"a {self.type_name} layer", name, [*fields, *layer.DESCRIPTOR.fields_by_name])
        return layer


class _Names:
    """Names of tops and layers: those that the caller gave, or type and number."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self.tops: dict[Any, str] = {top: name for name, top in given.items()}
        self.layers: OrderedDict[Function, Any] = OrderedDict()
        self.counts: Counter[str] = Counter()

    def of(self, item: Top | Function) -> str:
        if item not in self.tops:
            type_name = item.fn.type_name if isinstance(item, Top) else item.type_name
            self.counts[type_name] += 1
            self.tops[item] = f"{type_name}{self.counts[type_name]}"
        return self.tops[item]

    def add(self, function: Function) -> Any:
        """The function's LayerParameter, after those of its inputs."""
        if function in self.layers:
            return self.layers[function]
        bottoms = [self.add(top.fn).top[top.n] for top in function.inputs]
        layer = function.message()
        layer.bottom.extend(bottoms)
        layer.top.extend(bottoms if function.in_place else [self.of(top) for top in function.tops])
        name = self.of(function.tops[0] if function.tops else function)
        layer.name = layer.name or name
        self.layers[function] = layer
        return layer


def assign_proto(message: Any, name: str, value: Any) -> None:
    """Sets a field from a number, text, dict or list of these."""
    if name not in message.DESCRIPTOR.fields_by_name:
        raise _no_field(message.DESCRIPTOR.name, name, message.DESCRIPTOR.fields_by_name)
    try:
        field = getattr(message, name)
        if hasattr(field, "extend"):
            values = value if isinstance(value, (list, tuple)) else [value]
            for item in values:
                _merge(field.add(), item) if hasattr(field, "add") else field.append(item)
        elif isinstance(value, Mapping):
            _merge(field, value)
        else:
            setattr(message, name, value)
    except CaffeError:  # about a field inside
        raise
    except (TypeError, ValueError) as error:
        fix = "Write // where Python 2's / gave a whole number." if isinstance(value, float) else None
        raise NetError(f"{name} cannot be {value!r}: {error}", fix=fix) from None


def param_name_dict() -> dict[str, str]:
    """{layer type: name of its parameter field without `_param`}, of all fields that have such a message."""
    fields = [field for field in proto.LayerParameter.DESCRIPTOR.fields if field.name.endswith("_param")]
    kinds = [field.message_type.name.removesuffix("Parameter") for field in fields]
    return dict(zip(kinds, (field.name.removesuffix("_param") for field in fields), strict=True))


def _no_field(what: str, name: str, known: Iterable[str]) -> UnknownAttributeError:
    return UnknownAttributeError(f"{what} has no field {name!r}", **instead([name], known))


def _merge(message: Any, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        assign_proto(message, name, value)


def to_proto(*tops: Top) -> Any:
    """The NetParameter with the layers that compute these tops."""
    return _net(tops, _Names({}))


def _net(functions: Sequence[Any], names: _Names) -> Any:
    for item in functions:
        names.add(item.fn if isinstance(item, Top) else item)
    return proto.NetParameter(layer=names.layers.values())


class NetSpec:
    """A net whose tops are its attributes; their names are those of blobs and layers."""

    def __init__(self) -> None:
        super().__setattr__("tops", OrderedDict())

    def __setattr__(self, name: str, value: Top | Function) -> None:
        self.tops[name] = value

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # Python asks for those itself
            raise AttributeError(name)
        if name not in self.tops:
            raise unknown("top", [name], self.tops, UnknownAttributeError)
        return self.tops[name]

    def __delattr__(self, name: str) -> None:
        getattr(self, name)
        del self.tops[name]

    __setitem__ = __setattr__
    __getitem__ = __getattr__
    __delitem__ = __delattr__

    def keys(self) -> list[str]:
        """The names of the tops so far (the SSD fork's addition, as are `vals` and `update`)."""
        return list(self.tops)

    def vals(self) -> list[Top | Function]:
        """The tops so far."""
        return list(self.tops.values())

    def update(self, name: str, params: Mapping[str, Any]) -> None:
        """Sets further parameters of the layer that gives a top."""
        item = self[name]
        (item.fn if isinstance(item, Top) else item).params.update(params)

    def to_proto(self) -> Any:
        """The net as a NetParameter."""
        return _net(list(self.tops.values()), _Names(self.tops))


class Layers:
    """`layers.Convolution(bottom, num_output=4)` -> its Top; with ntop a tuple of tops; with ntop=0 the Function."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)

        def layer(*inputs: Top, **params: Any) -> Any:
            function = Function(name, inputs, params)
            if function.ntop == 0:
                return function
            return function.tops[0] if function.ntop == 1 else function.tops

        return layer


class Parameters:
    """`params.Pooling.MAX`: the values of a parameter message's enums."""

    def __getattr__(self, name: str) -> Any:
        return getattr(proto, f"{name}Parameter")


layers: Layers = Layers()
params: Parameters = Parameters()
_param_names = param_name_dict()

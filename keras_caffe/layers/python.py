"""Python: a layer that the caller wrote as a class for pycaffe (include/caffe/layers/python_layer.hpp)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_caffe.errors import CaffeWarning, LayerError, ShapeError
from keras_caffe.layers.arguments import flag, items, whole, wholes
from keras_caffe.layers.base import Arity, Blob, Bottom, CaffeLayer, serializable
from keras_caffe.layers.python_class import PythonSourceLayer, check_stand_in, class_name, filled, find_class, is_own
from keras_caffe.ops.python_layer import Runner, run
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, Sizes, known


@serializable
@register_layer("Python")
class Python(CaffeLayer):
    """Runs a class with setup(bottom, top), reshape, forward and backward(top, propagate_down, bottom) as pycaffe does.

    Bottoms and tops have data, diff, shape, num, channels, height, width, count and reshape(*dims), in Caffe's order;
    the instance has param_str, phase (0 TRAIN, 1 TEST) and blobs, to which setup may add with blobs.add_blob(*dims).
    It runs eagerly and in a `tf.function`, not under XLA and not in an exported model. A class that is a `CaffeLayer`
    itself stands for the layer; a layer without bottoms whose class is not given is a source of inputs.

    Args:
        python_class: "module.Class" as the file names it. The class comes from the `python_layers` of the call that
            loads, from Keras's custom objects of that name, or, if the caller allows imports, from the module.
        param_str: the text handed to the class ("").
        phase: 0 TRAIN, 1 TEST (1).
        bottom_shapes: the bottoms' shapes at set-up, in Caffe's order.
        num_tops: number of tops (1).
        propagate_down: for each bottom whether backward shall compute its diff; default: all. A net with a loss says it
            for itself.
        in_place: the tops that are one blob with the bottom of their number (none).

    Shapes: as the class says. Without bottoms, the first axis of the tops may change from one pass to the next.

    Raises:
        UnknownLayerError: no class of that name. LayerError: its setup or reshape fails.

    Caffe: include/caffe/layers/python_layer.hpp, python/caffe/_caffe.cpp
    """

    bottoms: Arity = (0, None)
    tops: Arity = (0, None)
    stores = "caffe"
    reads_top = True
    flops_per_top_value: int | None = None  # the class decides

    def __init__(
        self,
        python_class: str,
        param_str: str = "",
        phase: int = 1,
        bottom_shapes: Sequence[Sequence[int]] = (),
        num_tops: int = 1,
        propagate_down: Sequence[bool] | None = None,
        in_place: Sequence[int] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        for name, value in {"python_class": python_class, "param_str": param_str}.items():
            if not isinstance(value, str):
                raise LayerError(f"{name} must be a text", received=repr(value))
        self.python_class: str = python_class
        self.param_str: str = param_str
        self.phase: int = whole("phase", phase, 0, 1)
        self.num_tops: int = whole("num_tops", num_tops, 0)
        self.bottom_shapes: list[Sizes] = [wholes("bottom_shapes", shape, 0) for shape in items(bottom_shapes)]
        downs = (() if propagate_down is None else items(propagate_down)) or [True] * len(self.bottom_shapes)
        self.propagate_down: list[bool] = [flag("propagate_down", down) for down in downs]
        if (received := len(self.propagate_down)) != (expected := len(self.bottom_shapes)):
            raise LayerError("propagate_down must be given once per bottom", expected=expected, received=received)
        self.in_place: list[int] = [whole("in_place", i, 0) for i in items(in_place)]
        self.autocast = self.supports_jit = False
        rest = self.phase, self.bottom_shapes, self.num_tops, self.propagate_down, self.in_place
        self.runner: Runner = Runner(find_class(python_class), param_str, *rest)
        if not self.num_tops:
            warnings.warn(f"Python layer {python_class!r} has no tops, so that a model never runs it", CaffeWarning, 2)

    def call(self, inputs: Any) -> Any:
        inputs = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
        bottoms = [ops.cast(x, "float32") for x in inputs[: len(self.bottom_shapes)]]
        variables = [variable for _, variable in self.caffe_blobs]
        tops = run(self.runner, bottoms, variables, lambda: self._call_shapes(*(tuple(x.shape) for x in bottoms)))
        tops = [ops.cast(top, self.compute_dtype) for top in tops]
        return tops[0] if self.num_tops == 1 else tops

    def compute_output_shape(self, input_shape: Any) -> Any:
        if self.bottom_shapes:
            return super().compute_output_shape(input_shape)
        tops = self._call_shapes()
        return tops[0] if self.num_tops == 1 else tops

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        return super().compute_output_spec(*args, **kwargs) if self.num_tops else []

    def _call_shapes(self, *shapes: Shape) -> list[Shape]:
        tops = self.top_shapes(*shapes)
        return tops if shapes else [(None, *top[1:]) if top else top for top in tops]

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        """Sizes that are not known are tried with two values; sizes of the tops that change are not known either."""
        first = self.runner.tops_for(filled(shapes, self.bottom_shapes, 0))
        if not any(None in shape for shape in shapes):
            return first
        other = self.runner.reshape(filled(shapes, self.bottom_shapes, 1))
        self.runner.reshape(self.bottom_shapes)
        if [len(shape) for shape in first] != [len(shape) for shape in other]:
            raise ShapeError(f"the number of axes that {self.python_class} gives depends on sizes that are not known")
        pairs = zip(first, other, strict=True)
        return [tuple(a if a == b else None for a, b in zip(*pair, strict=True)) for pair in pairs]

    def blob_table(self, *shapes: Shape) -> list[Blob]:
        values = enumerate(blob.data for blob in self.runner.blobs)
        return [Blob(f"blob_{i}", data.shape, keras.initializers.Constant(data.copy())) for i, data in values]

    @classmethod
    def for_layer(cls, layer: Any) -> type[CaffeLayer]:
        if layer.bottom and not (layer.python_param.module and layer.python_param.layer):
            raise LayerError("python_param names no class", expected='module: "..." layer: "..."')
        named = find_class(class_name(layer), required=bool(layer.bottom))
        if named is None:
            return PythonSourceLayer
        if is_own(named):
            check_stand_in(layer, named)
        return named if issubclass(named, CaffeLayer) else cls

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        return cls(
            python_class=class_name(layer),
            param_str=layer.python_param.param_str,
            phase=layer.phase,
            bottom_shapes=[known(bottom.shape) for bottom in bottoms],
            num_tops=len(layer.top),
            propagate_down=list(layer.propagate_down),
            in_place=[i for i, names in enumerate(zip(layer.bottom, layer.top, strict=False)) if len({*names}) == 1],
            **kwargs,
        )

    def propagate_to(self, bottoms: Sequence[bool]) -> None:
        """Lets backward compute the diffs of these bottoms."""
        self.propagate_down = self.runner.propagate_down = list(bottoms)

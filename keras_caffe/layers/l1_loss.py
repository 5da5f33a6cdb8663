"""L1Loss (lmb-freiburg/flownet2: l1loss_layer.cpp; NVIDIA/caffe: l1_loss_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe.errors import LayerError, ShapeError
from keras_caffe.layers.arguments import flag, number, whole
from keras_caffe.layers.base import Arity, Bottom, CaffeLayer, serializable
from keras_caffe.layers.context import load_context
from keras_caffe.layers.loss import LossLayer
from keras_caffe.layers.loss_bottoms import check_rank
from keras_caffe.ops.distances import l1_loss, l2_per_location_loss
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, same_shape, total_count


@serializable
@register_layer("L1Loss")
class L1Loss(LossLayer):
    """sum |d| / Z with d = a - b, or a alone; or `l2_per_location`: sum over places of sqrt(s + epsilon) / Z.

    s is the sum of d^2 over the channels. Where d is NaN it counts as 0: there is no ground truth. Both bottoms get a
    gradient. A file with l1_loss_param or a single bottom is FlowNet2's. Any other may be NVIDIA's, for DetectNet: it
    computes the same, but a gradient of 0 where a = b, which is taken then. With fork="nvcaffe" NaN stays NaN, too.

    Args:
        l2_per_location: see above (False).
        l2_prescale_by_channels: s is the mean of d^2 (False).
        normalize_by_num_entries: Z is the number of values that are not NaN over that of channels; else N (False).
        epsilon: added to s (0.01).
        plateau: |d|, or sqrt(s), below which there is no loss (with s: sqrt(epsilon)) and no gradient (0).
        sign_of_zero: the gradient of |d| at d = 0: -1 (default), 0 or 1.
        skip_nan: False lets NaN pass (True).

    Shapes: a (N, C, ...)[, b alike] -> ().

    Raises:
        LayerError: arguments that are impossible. ShapeError: bottoms that differ, or have no channels.

    Caffe: src/caffe/layers/l1loss_layer.cu (lmb-freiburg/flownet2; NVIDIA/caffe)
    """

    bottoms: Arity = (1, 2)
    not_forced: Sequence[int] = ()
    kept_bottoms: Sequence[int] = (0, 1)

    def __init__(
        self,
        l2_per_location: bool = False,
        l2_prescale_by_channels: bool = False,
        normalize_by_num_entries: bool = False,
        epsilon: float = 1e-2,
        plateau: float = 0.0,
        sign_of_zero: int = -1,
        skip_nan: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.l2_per_location: bool = flag("l2_per_location", l2_per_location)
        self.l2_prescale_by_channels: bool = flag("l2_prescale_by_channels", l2_prescale_by_channels)
        self.normalize_by_num_entries: bool = flag("normalize_by_num_entries", normalize_by_num_entries)
        self.epsilon: float = number("epsilon", epsilon)
        self.plateau: float = number("plateau", plateau)
        self.sign_of_zero: int = whole("sign_of_zero", sign_of_zero, -1, 1)
        self.skip_nan: bool = flag("skip_nan", skip_nan)

    def call(self, inputs: Any) -> Any:
        difference = inputs[0] - inputs[1] if isinstance(inputs, (list, tuple)) else inputs
        missing = ops.isnan(difference)
        count = self._count(difference, missing)
        if self.skip_nan:
            difference = ops.where(missing, 0, difference)
        if not self.l2_per_location:
            return l1_loss(difference, count=count, plateau=self.plateau, sign_of_zero=self.sign_of_zero)
        mean = self.l2_prescale_by_channels
        return l2_per_location_loss(difference, count=count, plateau=self.plateau, epsilon=self.epsilon, mean=mean)

    def _count(self, difference: Any, missing: Any) -> Any:
        if not self.normalize_by_num_entries:
            return ops.cast(ops.shape(difference)[0], difference.dtype)
        return ops.sum(ops.cast(~missing, difference.dtype)) / difference.shape[1]

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        check_rank(shapes)
        for other in shapes[1:]:
            same_shape(shapes[0], other, "both bottoms of L1Loss must have one shape")
        if len(shapes[0]) < (2 if self.l2_per_location or self.normalize_by_num_entries else 1):
            raise ShapeError("L1Loss lacks an axis", expected="(N, C, ...)", received=shapes[0])
        return [()]

    def flops(self, bottoms: Sequence[Shape], tops: Sequence[Shape]) -> int:
        return (len(bottoms) + 1) * total_count(bottoms[:1])  # difference; magnitude or square, sum

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        param = layer.l1_loss_param
        nvidia = load_context().fork == "nvcaffe"
        flownet = layer.HasField("l1_loss_param") or len(bottoms) == 1
        if nvidia and flownet:
            received = "l1_loss_param" if layer.HasField("l1_loss_param") else "1 bottom"
            raise LayerError(
                "L1Loss is FlowNet2's here, the net NVIDIA's", expected="2 bottoms alone", received=received
            )
        names = ("l2_per_location", "l2_prescale_by_channels", "normalize_by_num_entries", "epsilon", "plateau")
        return cls(
            **{name: getattr(param, name) for name in names},
            sign_of_zero=-1 if flownet else 0,
            skip_nan=not nvidia,
            **kwargs,
        )

"""BatchNorm (src/caffe/layers/batch_norm_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe import fillers
from keras_caffe.errors import LayerError, ShapeError
from keras_caffe.layers.arguments import filler, flag, number, one_of, optional
from keras_caffe.layers.base import Blob, Bottom, CaffeLayer, serializable
from keras_caffe.layers.bn_forks import MIN_EPS, is_affine, keeps_averages
from keras_caffe.ops.normalize import normalize
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, known, total_count


@serializable
@register_layer("BatchNorm")
class BatchNorm(CaffeLayer):
    """y = (x - mean) / sqrt(variance + eps) per channel, with the batch's statistics or the stored ones.

    The three blobs are the state as Caffe keeps it: sums of means and of variances, and the factor they are to be
    divided by. A forward pass on batch statistics updates them: factor <- f factor + 1, mean <- f mean + batch mean,
    variance <- f variance + m/(m-1) batch variance, with m values per channel. With factor 0 (nothing stored) mean and
    variance are 0.

    NVCaffe keeps averages: mean <- f mean + (1 - f) batch mean, variance likewise of biased batch variance + eps, after
    two passes that store the batch's own. Its factor (1) and use_global_stats do nothing; eps is at least 1e-5.

    Args:
        use_global_stats: True or False pins the mode; None (default): batch statistics in training, stored ones else.
        moving_average_fraction: f (0.999).
        eps: added to the variance (1e-5).
        scale_bias: two more blobs (False): y is multiplied by `scale` and shifted by `bias`, as NVCaffe may do.
        scale_filler, bias_filler: fillers of these two (1, 0).
        statistics: "sums", or NVCaffe's "averages"; None (default): averages with scale_bias, sums without.

    Shapes: (N, ..., C) -> the same.

    Raises:
        LayerError, ShapeError: unknown statistics, fewer than 2 axes.

    Examples:
        >>> np.asarray(keras_caffe.layers.BatchNorm()(np.float32([[1], [3]]), training=True)).ravel().round(3)
        array([-1.,  1.], dtype=float32)

    Caffe: src/caffe/layers/batch_norm_layer.cpp, also of NVIDIA/caffe
    """

    stores = "channels_last"
    kept_bottoms: Sequence[int] = (0,)
    passes: Any

    def __init__(
        self,
        use_global_stats: bool | None = None,
        moving_average_fraction: float = 0.999,
        eps: float = 1e-5,
        scale_bias: bool = False,
        scale_filler: fillers.Filler = fillers.ONE,
        bias_filler: fillers.Filler = "constant",
        statistics: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.use_global_stats = optional(flag, "use_global_stats", use_global_stats)
        self.moving_average_fraction: float = number("moving_average_fraction", moving_average_fraction)
        self.eps: float = number("eps", eps)
        self.scale_bias: bool = flag("scale_bias", scale_bias)
        self.scale_filler: fillers.Filler = filler("scale_filler", scale_filler if self.scale_bias else fillers.ONE)
        self.bias_filler: fillers.Filler = filler("bias_filler", bias_filler if self.scale_bias else "constant")
        default = "averages" if self.scale_bias else "sums"
        self.statistics: str = one_of("statistics", default if statistics is None else statistics, ("sums", "averages"))
        if self.statistics == "averages":
            self.use_global_stats, self.eps = None, max(self.eps, MIN_EPS)

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        if self.statistics == "averages":
            self.passes = self.add_weight(shape=(), initializer="zeros", trainable=False, name="passes")

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        stored = not training if self.use_global_stats is None else self.use_global_stats
        x = ops.cast(inputs, self.variable_dtype)
        mean, variance = self._stored_statistics() if stored else self._batch_statistics(x)
        learned = [ops.cast(blob, x.dtype) for blob in (self.scale, self.bias)] if self.scale_bias else []
        return ops.cast(normalize(x, mean, variance, self.eps, *learned, constant=stored), self.compute_dtype)

    def _stored_statistics(self) -> tuple[Any, Any]:
        if self.statistics == "averages":
            return self.mean, self.variance
        scale = ops.divide_no_nan(1.0, self.factor)
        return self.mean * scale, self.variance * scale

    def _batch_statistics(self, x: Any) -> tuple[Any, Any]:
        axes = tuple(range(len(x.shape) - 1))
        mean = ops.mean(x, axis=axes)
        variance = ops.mean(ops.square(x - mean), axis=axes)
        (self._average if self.statistics == "averages" else self._add_up)(x, mean, variance)
        return mean, variance

    def _average(self, x: Any, mean: Any, variance: Any) -> None:
        fraction = self.moving_average_fraction
        for blob, new in ((self.mean, mean), (self.variance, variance + self.eps)):
            average = fraction * blob + (1 - fraction) * new
            blob.assign(ops.stop_gradient(ops.where(self.passes < 2, new, average)))
        self.passes.assign(self.passes + 1)

    def _add_up(self, x: Any, mean: Any, variance: Any) -> None:
        count = ops.cast(ops.size(x) // ops.size(mean), x.dtype)
        unbiased = ops.where(count > 1, count / ops.maximum(count - 1, 1.0), 1.0)
        self.factor.assign(self.factor * self.moving_average_fraction + 1)
        for blob, new in ((self.mean, mean), (self.variance, variance * unbiased)):
            blob.assign(blob * self.moving_average_fraction + ops.stop_gradient(new))

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        if len(shapes[0]) < 2:  # Caffe's set-up takes one axis for one channel, but its Reshape then looks for axis 1.
            raise ShapeError("BatchNorm needs a channel axis", expected="2 or more axes", received=shapes[0])
        return [shapes[0]]

    def blob_table(self, *shapes: Shape) -> list[Blob]:
        channels = known(shapes[0][-1:])
        first = fillers.ONE if self.statistics == "averages" else "constant"
        statistics = [Blob("mean", channels), Blob("variance", channels), Blob("factor", (1,), first)]
        learned = [Blob("scale", channels, self.scale_filler), Blob("bias", channels, self.bias_filler)]
        return [blob._replace(trainable=False) for blob in statistics] + learned * self.scale_bias

    def flops(self, bottoms: Sequence[Shape], tops: Sequence[Shape]) -> int:
        return (4 if self.scale_bias else 2) * total_count(tops)  # with the stored statistics

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        param = layer.batch_norm_param
        rates = [spec.lr_mult for spec in layer.param[:3]]
        if any(rates):
            cure = "lr_mult: 0 in each of its param entries"
            raise LayerError("the statistics of BatchNorm cannot be trained", expected=cure, received=rates)
        return cls(
            use_global_stats=param.use_global_stats if param.HasField("use_global_stats") else None,
            moving_average_fraction=param.moving_average_fraction,
            eps=param.eps,
            scale_bias=is_affine(param),
            scale_filler=fillers.from_caffe(param.scale_filler) if param.HasField("scale_filler") else fillers.ONE,
            bias_filler=fillers.from_caffe(param.bias_filler),
            statistics="averages" if keeps_averages(param) else "sums",
            **kwargs,
        )

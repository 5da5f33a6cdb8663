"""MultiBoxLoss (weiliu89/caffe ssd, src/caffe/layers/multibox_loss_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Any

from keras import ops

from keras_caffe.errors import LayerError, ShapeError
from keras_caffe.layers.arguments import each_axis, flag, number, one_of, optional, whole
from keras_caffe.layers.base import ALL, Arity, Bottom, CaffeLayer, enum_name, required, serializable
from keras_caffe.layers.context import load_context
from keras_caffe.layers.detection_bottoms import check_detection_shapes, check_own_predictions, refuse_polygons
from keras_caffe.layers.loss import LossLayer, loss_arguments
from keras_caffe.ops.boxes import CODE_TYPES
from keras_caffe.ops.compiled import compiled
from keras_caffe.ops.losses import NORMALIZATIONS
from keras_caffe.ops.multibox import MultiBoxRules, check_own, multibox_loss
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, count


@serializable
@register_layer("MultiBoxLoss")
class MultiBoxLoss(LossLayer):
    """Loss of a single-shot detector: locations of the priors matched to ground truth, classes of these and of others.

    Matching: the best pairs of prior and ground truth first, then ("PER_PREDICTION") every prior with an overlap of at
    least overlap_threshold. Mining: "MAX_NEGATIVE" takes for each image neg_pos_ratio times as many unmatched priors as
    there are matches, those of greatest class loss; "HARD_EXAMPLE" the sample_size priors of greatest loss, matched or
    not; "NONE" all. L = (loc_weight sum smooth_l1(location - target) + sum class loss) / normaliser.

    RefineDet's layer takes scores and shifts of the priors, too: a prior whose own score is below `objectness_score` is
    never mined, and the shifted priors are matched, which locations are then relative to. No gradient goes to either.

    Args:
        num_classes: with the background.
        parts: which of the two losses count (location, class).
        **kwargs: the other fields of `keras_caffe.ops.multibox.MultiBoxRules`, named as in MultiBoxLossParameter.

    Shapes: locations (N, priors * 4 [* classes]), scores (N, priors * classes), priors (1, 2, priors * 4), ground truth
    (1, 1, G, 8) of rows (image, label, instance, xmin, ymin, xmax, ymax, difficult), image -1 = no box[, own scores of
    the priors (N, priors * 2)[, their locations (N, priors * 4)]] -> ().

    Raises:
        LayerError: parameters that Caffe refuses. ShapeError: sizes that contradict each other.

    Caffe: src/caffe/layers/multibox_loss_layer.cpp (weiliu89/caffe, branch ssd; sfzhang15/RefineDet)
    """

    bottoms: Arity = (4, 6)
    flops_per_top_value: int | None = None  # the values decide how many priors count
    no_gradient: Sequence[int] = (2, 3)
    kept_bottoms = ALL

    def __init__(self, num_classes: int, parts: Sequence[bool] = (True, True), **kwargs: Any) -> None:
        rules = {name: kwargs.pop(name) for name in DEFAULTS.keys() & kwargs}
        super().__init__(**kwargs)
        self.rules: MultiBoxRules = multibox_rules(num_classes, **rules)
        self.parts: tuple[bool, ...] = tuple(flag("parts", counts) for counts in each_axis("parts", parts, 2))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **asdict(self.rules)}

    @compiled
    def call(self, inputs: Any) -> Any:
        losses = multibox_loss(self.rules, *inputs)
        return sum((loss for loss, counts in zip(losses, self.parts, strict=True) if counts), ops.zeros_like(losses[0]))

    def check_shapes(self, *shapes: Shape) -> None:
        rules = self.rules
        check_detection_shapes(shapes, rules.num_classes, rules.share_location)
        check_own_predictions([*shapes[:3], *shapes[4:]], rules.share_location)
        if shapes[4:]:
            check_own(rules)
        values = count(shapes[3])
        if values is not None and values % 8:
            raise ShapeError("ground truth needs rows of 8 numbers", expected="(1, 1, G, 8)", received=shapes[3])

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        param = layer.multibox_loss_param
        refuse_polygons(param)
        _check_file(layer, param)
        own: dict[str, Any] = {
            "parts": [*layer.propagate_down[:2]] or [True, True],
            "normalization": loss_arguments(layer)["normalization"],
            "nms_threshold": param.nms_param.nms_threshold if param.HasField("nms_param") else None,
            "top_k": param.nms_param.top_k,
            "objects_alike": load_context().fork == "refinedet" and param.num_classes == 2,
        }
        enums: dict[str, Any] = {name: enum_name(param, name) for name in CHOICES.keys() - own.keys()}
        plain = {name: getattr(param, name) for name in DEFAULTS.keys() - own.keys() - enums.keys()}
        return cls(num_classes=required(param, "num_classes"), **plain, **enums, **own, **kwargs)


DEFAULTS = {field.name: field.default for field in fields(MultiBoxRules) if field.name != "num_classes"}
CHOICES: dict[str, Sequence[str]] = {
    "loc_loss_type": ("L2", "SMOOTH_L1"),
    "conf_loss_type": ("SOFTMAX", "LOGISTIC"),
    "match_type": ("BIPARTITE", "PER_PREDICTION"),
    "mining_type": ("NONE", "MAX_NEGATIVE", "HARD_EXAMPLE"),
    "code_type": CODE_TYPES,
    "normalization": NORMALIZATIONS,
}


def multibox_rules(num_classes: int, **rules: Any) -> MultiBoxRules:
    """The checked rules. Raises LayerError for values that are none of a rule's, and for rules that contradict."""
    given = asdict(MultiBoxRules(num_classes, **rules))
    checked = MultiBoxRules(**{name: _checked(name, value) for name, value in given.items()})
    _check_together(checked)
    return checked


def _checked(name: str, value: Any) -> Any:
    if name in CHOICES:
        return one_of(name, value, CHOICES[name])
    default = DEFAULTS.get(name, 0)
    if isinstance(default, bool):
        return flag(name, value)
    if isinstance(default, int):
        return whole(name, value)
    return number(name, value) if default is not None else optional(number, name, value)


def _check_together(rules: MultiBoxRules) -> None:
    mining = rules.mining_type != "NONE"
    problems = {
        "num_classes must be positive": rules.num_classes < 1,
        "mining needs share_location": mining and not rules.share_location,
        "background_label_id is none of the classes": (mining or rules.conf_loss_type == "SOFTMAX")
        and not 0 <= rules.background_label_id < rules.num_classes,
        "map_object_to_agnostic needs two classes, the background first": rules.map_object_to_agnostic
        and (rules.num_classes, rules.background_label_id) != (2, 0),
        "objects_alike needs two classes": rules.objects_alike and rules.num_classes != 2,
        "sample_size must be positive": rules.mining_type == "HARD_EXAMPLE" and rules.sample_size < 1,
    }
    for problem, holds in problems.items():
        if holds:
            raise LayerError(problem)


def _check_file(layer: Any, param: Any) -> None:
    if param.HasField("do_neg_mining") and param.do_neg_mining != (enum_name(param, "mining_type") != "NONE"):
        raise LayerError("do_neg_mining contradicts mining_type")
    if True in layer.propagate_down[2:4]:
        raise LayerError("priors and ground truth have no gradient")

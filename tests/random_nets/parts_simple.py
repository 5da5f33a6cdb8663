"""Layers of one bottom that keep its shape."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.random_nets.draft import Draft

ANY = (0, 1, 2, 3, 4, 5)
Part = Callable[[Draft], Any]


def simple(
    type: str,
    param: str = "",
    ranks: Sequence[int] = ANY,
    in_place: bool = True,
    open: bool = False,
    **options: Sequence[Any],
) -> Part:
    """The part of a type whose parameters are free.

    Args:
        type: the layer type.
        param: the name of its message; "" for none.
        ranks: numbers of axes of the bottom.
        in_place: whether Caffe computes it in place.
        open: whether it takes a bottom whose rows are not known.
        **options: the values of each field of the message.
    """

    def part(draft: Draft) -> None:
        bottom = draft.bottom(*ranks, open=open)
        more = f"{param} {{ {draft.fields(**options)} }}" if param else ""
        draft.add(type, [bottom], more, in_place=in_place and draft.maybe())

    return part


FLAG = ("false", "true", None)


def fill(blob: str) -> str:
    return f'{blob}_filler {{ type: "gaussian" std: 0.5 }}'


def dropout(draft: Draft) -> None:
    ratio = draft.fields(dropout_ratio=(0.3, 0.5, None))
    draft.add("Dropout", [draft.bottom(*ANY)], f"dropout_param {{ {ratio} }}", in_place=draft.maybe())


def scale(draft: Draft) -> None:
    bottom = draft.bottom(2, 3, 4, 5)
    axis = draft.choose(range(1, len(bottom.shape)))
    count = draft.choose((1, 1, 2, -1))
    more = f"axis: {axis} num_axes: {count} {draft.fields(bias_term=FLAG)}"
    draft.add("Scale", [bottom], f"scale_param {{ {more} }}", in_place=draft.maybe())


def of_two(type: str) -> Part:
    def add(draft: Draft) -> None:
        bottom = draft.bottom(2, 3, 4, 5)
        draft.add(type, [bottom, draft.like(bottom)])

    return add


def bias(draft: Draft) -> None:
    bottom = draft.bottom(2, 3, 4, 5)
    axis = draft.choose(range(1, len(bottom.shape)))
    count = draft.choose((1, 1, 2, -1))
    draft.add("Bias", [bottom], f"bias_param {{ axis: {axis} num_axes: {count} }}", in_place=draft.maybe())


def softmax(draft: Draft) -> None:
    bottom = draft.bottom(1, 2, 3, 4)
    axis = draft.choose(range(-1, len(bottom.shape)))
    draft.add("Softmax", [bottom], f"softmax_param {{ axis: {axis} }}", in_place=draft.maybe())


def bn(draft: Draft) -> None:
    segnet = "bn_mode: " + draft.choose(("LEARN", "INFERENCE"))
    pspnet = draft.fields(momentum=(0.8, None), eps=(0.01, None), frozen=FLAG)
    older = "moving_average: true " + draft.fields(var_eps=(0.1,), decay=(0.3, None))
    draft.add("BN", [draft.bottom(4)], f"bn_param {{ {draft.choose((segnet, pspnet, older))} }}")


POWER = {"power": (2, 3, 1, 0, None), "scale": (0.5, -2, 0, None), "shift": (1, None)}
LRN = {"local_size": (1, 3, 5), "alpha": (0.1, 1, None), "beta": (0.75, 0.5, None), "k": (2, None)}

PARTS: Mapping[str, Part] = {
    "Div": of_two("Div"),
    "Mul": of_two("Mul"),
    "AbsVal": simple("AbsVal", open=True),
    "BNLL": simple("BNLL"),
    "BN": bn,
    "BatchNorm": simple("BatchNorm", "batch_norm_param", (2, 3, 4, 5), eps=(0.1, 0.001), use_global_stats=FLAG),
    "Bias": bias,
    "Clip": simple("Clip", "clip_param", min=(-1.5, -0.3), max=(0.4, 2)),
    "Dropout": dropout,
    "ELU": simple("ELU", "elu_param", alpha=(0.5, 2, None)),
    "Exp": simple("Exp", "exp_param", base=(2, 0.5, None), scale=(0.5, -1, None), shift=(1, -1, None)),
    "L2Norm": simple("L2Norm", ranks=(2, 3, 4), in_place=False),
    "LRN": simple("LRN", "lrn_param", (4,), False, norm_region=("WITHIN_CHANNEL", None), **LRN),
    "Log": simple("Log", "log_param", base=(2, 10, None), scale=(0.5, 2, None), shift=(3, 5)),
    "MVN": simple("MVN", "mvn_param", (2, 3, 4), False, normalize_variance=FLAG, across_channels=FLAG, eps=(0.1, 0.01)),
    "Normalize": simple("Normalize", "norm_param", (2, 3, 4), False, across_spatial=FLAG, channel_shared=FLAG),
    "PReLU": simple("PReLU", "prelu_param", (2, 3, 4, 5), channel_shared=FLAG),
    "Power": simple(
        "Power", "power_param", power=(2, 3, 1, 0, None), scale=(0.5, -2, 0, None), shift=(1, None), open=True
    ),
    "ReLU": simple("ReLU", "relu_param", negative_slope=(0.1, -0.5, None, None, None), open=True),
    "ReLU6": simple("ReLU6", "relu_param", negative_slope=(0.1, None)),
    "Scale": scale,
    "Sigmoid": simple("Sigmoid", open=True),
    "Softmax": softmax,
    "Swish": simple("Swish", "swish_param", beta=(0.5, 2, None)),
    "TanH": simple("TanH"),
    "Threshold": simple("Threshold", "threshold_param", threshold=(0.21, -0.37)),
}

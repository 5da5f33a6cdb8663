"""PriorBox in SSD and in its forks: the fields of its message, which go together, and the boxes of a cell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from keras_caffe.errors import LayerError
from keras_caffe.layers.context import load_context
from keras_caffe.ops import priors

if TYPE_CHECKING:
    from keras_caffe.layers.prior_box import PriorBox

MOST = 10_000  # boxes of all densities: a file must not take memory by a number
RULES = ("ssd", "textboxes", "textboxes++", "faceboxes")
FORKS = {"faceboxes": "faceboxes", "textboxes": "textboxes"}
"""{dialect: rule} of those that no field tells"""


def fields(param: Any) -> dict[str, Any]:
    """The arguments of PriorBox that a PriorBoxParameter states, as the dialect of the load has them."""
    rule = "textboxes++" if param.denser_prior_boxes else FORKS.get(load_context().fork or "", "ssd")
    lists = ("min_size", "max_size", "aspect_ratio", "fixed_size", "density", "fixed_ratio")
    return {
        **{name: getattr(param, name) for name in lists},
        **placing(param),
        "flip": param.flip,
        "clip": param.clip or (rule == "textboxes" and not param.HasField("clip")),
        "rule": rule,
    }


def placing(param: Any) -> dict[str, Any]:
    """The arguments that do not say which boxes a cell has."""
    return {
        "clip": param.clip,
        "variance": param.variance,
        "img_size": _both(param, "img_size", "img_h", "img_w"),
        "step": _both(param, "step", "step_h", "step_w"),
        "offset": param.offset,
    }


def _both(param: Any, name: str, height: str, width: str) -> list[Any] | None:
    """(height, width) given as one number or as two; None if not given."""
    given = {n for n in (name, height, width) if param.HasField(n)}
    if not given:
        return None
    if name in given and len(given) > 1:
        raise LayerError(f"{name} is given together with {height} or {width}", fix="Use one of the two forms.")
    return [getattr(param, n) for n in ((name, name) if name in given else (height, width))]


def cell_priors(layer: PriorBox) -> list[priors.Prior]:
    """The boxes of a cell."""
    given = layer.min_size, layer.max_size, layer.aspect_ratio, layer.flip
    if layer.fixed_size:
        return priors.dense_priors(layer.fixed_size, layer.density, layer.fixed_ratio, *given[2:])
    if layer.rule.startswith("textboxes"):
        return priors.textboxes_priors(*given, whole=layer.rule == "textboxes++")
    return (priors.faceboxes_priors if layer.rule == "faceboxes" else priors.ssd_priors)(*given)


def check_sizes(layer: PriorBox) -> None:
    """Raises LayerError for sizes that do not go together."""
    _check_fixed(layer)
    least, greatest = layer.min_size, layer.max_size
    if not least and not layer.fixed_size:
        raise LayerError("min_size is missing", expected="one or more sizes in pixels")
    if greatest and (len(greatest) != len(least) or not all(b > a for a, b in zip(least, greatest, strict=True))):
        raise LayerError(
            "max_size does not fit min_size",
            expected="none, or one for each min_size and greater",
            received=f"min_size {least}, max_size {greatest}",
        )
    if layer.rule == "textboxes" and len(least) > 1:
        raise LayerError("TextBoxes has one min_size and one max_size", received=f"min_size {least}")
    if layer.rule == "faceboxes":
        _check_faceboxes(layer)


def _check_fixed(layer: PriorBox) -> None:
    sizes, densities = layer.fixed_size, layer.density
    boxes = sum(density**2 for density in densities)
    if boxes > MOST:
        raise LayerError("density asks for too many boxes in a cell", expected=f"at most {MOST}", received=f"{boxes:g}")
    if not sizes and (densities or layer.fixed_ratio):
        raise LayerError("density and fixed_ratio are for fixed_size", expected="fixed_size", received="none")
    problems = {
        f"min_size {layer.min_size}": bool(layer.min_size),
        f"density {densities} for {len(sizes)} sizes": len(densities) != len(sizes),
        f"density {densities}, not whole": any(density % 1 for density in densities),
        f"{len(layer.fixed_ratio)} of fixed_ratio": len(layer.fixed_ratio) > 1,
        "fixed_ratio beside aspect_ratio": bool(layer.fixed_ratio and layer.aspect_ratio),
        f'rule "{layer.rule}"': layer.rule != "ssd",
    }
    for problem, holds in problems.items():
        if sizes and holds:
            raise LayerError(
                "fixed_size does not go with the other fields: faceboxes_lqy, whose field it is, writes another number "
                "of boxes than it has room for",
                expected="no min_size, one whole density for each fixed_size, and aspect_ratio or one fixed_ratio",
                received=problem,
            )


def _check_faceboxes(layer: PriorBox) -> None:
    squares = 21 if len(layer.min_size) == 3 else len(layer.min_size)
    ratios = len(priors.distinct_ratios(layer.aspect_ratio, layer.flip))
    room = (squares if len(layer.min_size) == 3 else squares * ratios) + len(layer.max_size)
    if len(layer.priors) != room:
        raise LayerError(
            "FaceBoxes writes another number of boxes for these sizes than it has room for",
            expected="min_size 32, 64 and 128, or neither 32 nor 64 nor three sizes",
            received=f"min_size {layer.min_size}, {len(layer.priors)} boxes in the room of {room}",
        )

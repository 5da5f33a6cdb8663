"""All there is to say about a net before it is loaded; nothing is built."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keras_caffe.converters.definition import Definition, Weights, check_not_swapped, read_definition, weight_files
from keras_caffe.converters.infer import Plan
from keras_caffe.converters.load import PlanSettings, check_training, plan
from keras_caffe.converters.recipe import Recipe
from keras_caffe.converters.weights import MatchedBlobs, Report, match
from keras_caffe.errors import (
    CaffeError,
    CaffeWarning,
    DataError,
    Flags,
    LayerError,
    Message,
    NetError,
    ReadError,
    ShapeError,
    UnknownLayerError,
    WeightsError,
    is_there,
)
from keras_caffe.forks.dialects import named, taken
from keras_caffe.known import recognise
from keras_caffe.places import Places
from keras_caffe.registry import type_cures

FILES = ("source", "mean_file", "label_map_file", "root_folder")
KINDS: Mapping[type[Message], str] = {
    ReadError: "file",
    NetError: "net",
    ShapeError: "shape",  # a LayerError, too
    LayerError: "layer",
    UnknownLayerError: "unknown type",
    WeightsError: "weights",
    DataError: "data",
    Message: "net",
}
_LINE = re.compile(r":(\d+)(?::\d+)?$")
_LAYER = re.compile(r"(?:layer )?'([^']*)'")
SOME = 5  # names that a cure lists


@dataclass(frozen=True)
class Finding:
    """One thing to know about a net.

    Attributes:
        kind: "generation", "known net", "dialect", "unknown type", "unknown field", "field", "weights",
            "batch statistics", "in-place", "missing source", "warning", or what an error is about: "file", "net",
            "layer", "shape", "data".
        severity: "error" (the net would not load), "warning" or "note".
        layer: name of the layer, if it is about one.
        line: the layer's line in the prototxt, or a nearer one, where that is known.
        text: what there is.
        cure: what to do about it; "" if there is nothing to do.
    """

    kind: str
    severity: str
    layer: str | None
    line: int | None
    text: str
    cure: str = ""


def check(
    prototxt: str | Path | Any,
    weights: Weights = None,
    *,
    phase: str = "TEST",
    level: int = 0,
    stages: Sequence[str] = (),
    strict: bool = False,
    skip_mismatch: bool = False,
    flags: Flags | None = None,
    **settings: Any,
) -> tuple[Finding, ...]:
    """Returns all findings about a net at once, in the order in which loading would meet them.

    Goes the way of `load` up to where memory would be taken: the net loads unless a finding is an "error".

    Args:
        prototxt, weights, phase, level, stages, strict, skip_mismatch: as `load` takes them.
        flags: of a command, so that cures name them.
        **settings: `input_shapes`, `data_format`, `custom_layers`, `python_layers`, `fork`, `dtype`,
            `allow_python_imports`, `base_dir` and `confine`, as `load` takes them.

    Examples:
        >>> net = 'layer { name: "act" type: "ReLU" bottom: "x" top: "y" }'
        >>> for finding in keras_caffe.check(net):
        ...     print(finding.severity, finding.layer, finding.text)
        note None V2
        note None bvlc (nothing in the file points to another Caffe)
        error act bottom 'x' is not the top of any layer; expected the top of a layer higher up in the file
    """
    of_load = {"strict": strict, "skip_mismatch": skip_mismatch}
    return examined(prototxt, weights, flags, phase=phase, level=level, stages=stages, **of_load, **settings).findings


def examined(
    prototxt: Any,
    weights: Weights,
    flags: Flags | None = None,
    *,
    phase: str = "TEST",
    level: int = 0,
    stages: Sequence[str] = (),
    strict: bool = False,
    skip_mismatch: bool = False,
    **settings: Any,
) -> Examination:
    """What `check` finds, with the plan and the matched weights that it found it by; arguments as of `check`."""
    following = Examination(flags)
    wanted = PlanSettings.of(**settings)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always", CaffeWarning)
        try:
            following.read(prototxt, weights, strict, wanted.fork)
            following.select(phase, level, stages, wanted.places)
            following.plan(wanted, weights, skip_mismatch)
        except (CaffeError, OSError) as error:
            following.add("error", error)
    said = dict.fromkeys(one.message for one in warned if isinstance(one.message, CaffeWarning))
    following.notes += following.of_warnings(said)
    return following


class Examination:
    """The steps of a load up to where memory would be taken, and what was found so far.

    Attributes:
        planned: the whole net's plan and recipe; None where it is refused.
        matched: what weight files have for it, and the report; None without files.
    """

    def __init__(self, flags: Flags | None) -> None:
        self.flags: Flags | None = flags
        self.definition: Definition = Definition(None)
        self.notes: list[Finding] = []
        self.found: list[Finding] = []
        self.planned: tuple[Plan, Recipe] | None = None
        self.matched: tuple[MatchedBlobs, Report] | None = None

    @property
    def findings(self) -> tuple[Finding, ...]:
        return (*self.notes, *self.found)

    def read(self, source: Any, weights: Weights, strict: bool, fork: str | None) -> None:
        check_not_swapped(source, weights)
        self.definition = read_definition(source, strict=strict, fork=fork)
        self.notes.append(Finding("generation", "note", None, None, self.definition.generation))
        found = recognise(self.definition.message)
        if found is not None:
            self.notes.append(Finding("known net", "note", None, None, f"looks like {found}"))

    def select(self, phase: str, level: int, stages: Sequence[str], places: Places) -> None:
        self.definition = self.definition.select(phase, level, stages)
        self.found += [*missing_sources(self.definition, places), *batch_statistics(self.definition)]

    def plan(self, settings: PlanSettings, weights: Weights, skip_mismatch: bool) -> None:
        fork = taken(self.definition.whole, named(settings.fork), self.definition.where)
        self.notes.append(Finding("dialect", "note", None, None, str(fork)))
        self.planned = plan(self.definition, settings)
        check_training(self.planned[0])
        files = weight_files(weights)
        if files:
            self.matched = match(self.planned[0], files, skip_mismatch=True)
            self.found += of_report(self.matched[1], "warning" if skip_mismatch else "error", self.definition.lines)

    def of_warnings(self, said: Mapping[CaffeWarning, None]) -> Iterator[Finding]:
        for message in said:
            yield from (self.finding("warning", part) for part in message.parts or [message])

    def add(self, severity: str, error: Exception) -> None:
        if isinstance(error, UnknownLayerError) and error.types:
            self.found += self.unknown_types(error)
        elif isinstance(error, Message):
            self.found.append(self.finding(severity, error))
        else:
            self.found.append(Finding("file", severity, None, None, str(error)))

    def unknown_types(self, error: UnknownLayerError) -> Iterator[Finding]:
        for one in error.types:
            layer, where = one.layers[0]
            also = f", which {len(one.layers)} layers have" if len(one.layers) > 1 else ""
            text = f"unknown layer type {one.name!r}{also}{one.known and '; '}{one.known}"
            cure = " ".join(c if isinstance(c, str) else c.text(self.flags) for c in type_cures([one.name]))
            yield Finding(KINDS[UnknownLayerError], "error", layer, _line(where), text, cure)

    def finding(self, severity: str, message: Message) -> Finding:
        """A message as a finding. What does not state its layer begins with it; what states no line has the layer's."""
        found = _LAYER.match(message.layer or message.problem)
        layer = found[1] if found else message.layer
        line = _line(message.where) or (self.definition.lines.get(layer) if layer else None)
        kind = message.kind if isinstance(message, CaffeWarning) else _kind(message)
        return Finding(kind, severity, layer, line, message.what(), message.cure(self.flags))


def _kind(message: Message) -> str:
    return next(kind for error, kind in KINDS.items() if isinstance(message, error))


def _line(where: str | None) -> int | None:
    found = _LINE.search(where or "")
    return int(found[1]) if found else None


def missing_sources(definition: Definition, places: Places) -> Iterator[Finding]:
    """The files that layers name and that are not there."""
    for layer in definition.message.layer:
        for known, param in layer.ListFields():
            for name in FILES:
                if known.name.endswith("_param") and name in getattr(known.message_type, "fields_by_name", {}):
                    path = getattr(param, name)
                    if isinstance(path, str) and path and not is_there(places.find(path)):
                        line = definition.lines.get(layer.name)
                        text = f"there is no {path}, which {known.name}.{name} names"
                        cure = "Put it there, or feed the layer's tops yourself."
                        yield Finding("missing source", "warning", layer.name, line, text, cure)


def batch_statistics(definition: Definition) -> Iterator[Finding]:
    """The BatchNorm layers that normalise with the batch's statistics in the TEST phase too."""
    for layer in definition.message.layer if definition.phase == "TEST" else ():
        param = layer.batch_norm_param
        if layer.type == "BatchNorm" and param.HasField("use_global_stats") and not param.use_global_stats:
            text = "use_global_stats: false holds in phase TEST too: the outputs of an image depend on the others"
            cure = "Delete use_global_stats, and the phase decides."
            yield Finding("batch statistics", "warning", layer.name, definition.lines.get(layer.name), text, cure)


def of_report(report: Report, misfit: str, lines: Mapping[str, int]) -> Iterator[Finding]:
    """What weights leave as it is, do not fit (of severity `misfit`), or have too much; layers stand in `lines`."""
    cure = "Train the layer, or give a further file that fills it."
    if report.ignored:
        names = ", ".join(map(repr, report.ignored[:SOME])) + (", ..." if len(report.ignored) > SOME else "")
        cure = f"Give it the name that it has in the file, if it is one of these, which the net lacks: {names}. {cure}"
    for name, why in report.skipped.items():
        yield Finding("weights", misfit, name, lines.get(name), f"its blobs do not fit: {why}")
    for name in report.kept:
        if name not in report.skipped:
            yield Finding("weights", "warning", name, lines.get(name), "no file fills it", cure)
    for name in report.ignored:
        yield Finding("weights", "note", name, None, "the file has this layer, the net has not")

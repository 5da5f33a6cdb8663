"""All there is to say about a net before it is loaded; nothing is built."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from keras_caffe.converters.definition import Weights, check_not_swapped, read_definition, weight_files
from keras_caffe.converters.infer import Plan
from keras_caffe.converters.load import PlanSettings, plan
from keras_caffe.converters.weights import match
from keras_caffe.errors import CaffeError, CaffeWarning, Message, is_there
from keras_caffe.forks.dialects import Fork, named, taken


class Finding(NamedTuple):
    """One thing to know: `kind` is "error" (it would not load), "warning" or "note"; `about` says what it is about."""

    kind: str
    about: str
    text: Message | str


@dataclass
class Findings:
    """What `check` found.

    Args:
        generation: "V0", "V1" or "V2"; None if the file cannot be read.
        fork: the dialect, and why; None if the check did not come so far.
        found: the rest, in the order in which loading would come upon it.
    """

    generation: str | None = None
    fork: Fork | None = None
    found: list[Finding] = field(default_factory=list)

    @property
    def loads(self) -> bool:
        """Whether the net would load."""
        return all(one.kind != "error" for one in self.found)


def check(source: Any, weights: Weights, reading: Mapping[str, Any], selection: Mapping[str, Any]) -> Findings:
    """Goes the way of `load` up to where memory would be taken, and notes what it meets.

    Args:
        source, weights: as `load` takes them.
        reading: `strict`, and what `PlanSettings` takes.
        selection: `phase`, `level` and `stages`.
    """
    findings = Findings()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always", CaffeWarning)
        try:
            _follow(findings, source, weights, dict(reading), selection)
        except (CaffeError, OSError) as error:
            findings.found.append(
                Finding("error", type(error).__name__, error if isinstance(error, Message) else str(error))
            )
    said = [one.message for one in warned if isinstance(one.message, CaffeWarning)]
    findings.found[:0] = [Finding("warning", "reading", message) for message in dict.fromkeys(said)]
    return findings


def _follow(
    findings: Findings, source: Any, weights: Weights, reading: dict[str, Any], selection: Mapping[str, Any]
) -> None:
    check_not_swapped(source, weights)
    strict = reading.pop("strict")
    definition = read_definition(source, strict=strict, fork=reading.get("fork"))
    findings.generation = definition.generation
    selected = definition.select(**selection)
    findings.found += [*missing_sources(selected), *batch_statistics(selected)]
    findings.fork = taken(definition.message, named(reading.get("fork")), definition.where)
    findings.found += not_filled(plan(selected, PlanSettings(**reading))[0], weights)


def missing_sources(definition: Any) -> Iterator[Finding]:
    """The files that layers name and that are not there."""
    for layer in definition.message.layer:
        for known, param in layer.ListFields():
            for name in ("source", "mean_file", "label_map_file"):
                if known.name.endswith("_param") and name in getattr(known.message_type, "fields_by_name", {}):
                    path = getattr(param, name)
                    if isinstance(path, str) and path and not is_there(path):
                        text = (
                            f"{definition.where(layer.name)}: layer {layer.name!r} ({layer.type}): there is no {path}"
                        )
                        yield Finding("warning", f"{known.name}.{name}", text)


def batch_statistics(definition: Any) -> Iterator[Finding]:
    """The BatchNorm layers that normalise with the batch's statistics in the TEST phase too."""
    for layer in definition.message.layer if definition.phase == "TEST" else ():
        param = layer.batch_norm_param
        if layer.type == "BatchNorm" and param.HasField("use_global_stats") and not param.use_global_stats:
            text = "use_global_stats: false holds in phase TEST too: the outputs of an image depend on the others"
            yield Finding("warning", "BatchNorm", f"{definition.where(layer.name)}: layer {layer.name!r}: {text}")


def not_filled(planned: Plan, weights: Weights) -> Sequence[Finding]:
    """What the weights leave as it is, do not fit, or have too much."""
    files = weight_files(weights)
    if not files:
        return []
    report = match(planned, files, skip_mismatch=True)[1]
    found = [Finding("error", "weights", f"layer {name!r}: {why}") for name, why in report.skipped.items()]
    found += [Finding("warning", "weights", f"no file fills layer {name!r}") for name in report.kept]
    return found + [Finding("note", "weights", f"the net has no layer {name!r} of the file") for name in report.ignored]

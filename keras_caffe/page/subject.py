"""What a page is about: a loaded model, or a net's files, brought to one form."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from keras_caffe.converters.check import Examination, Finding, batch_statistics, check, examined, of_report
from keras_caffe.converters.definition import Definition, Weights, check_not_swapped, read_definition, weight_files
from keras_caffe.converters.infer import Plan
from keras_caffe.converters.load import PlanSettings, load, model_of
from keras_caffe.converters.model import CaffeModel
from keras_caffe.converters.read import path_of
from keras_caffe.converters.select import PHASES, phase_name, phase_number
from keras_caffe.converters.weights import MatchedBlobs, Report, match
from keras_caffe.errors import CaffeWarning, Flags, Message, ReadError
from keras_caffe.page.scene import Scene, of_plan, scene
from keras_caffe.page.weights import Values, of_files, of_model

READING = ("strict", "skip_mismatch")  # arguments of `load` that are no settings of a plan
_POSITION = re.compile(r":\d+:\d+$")  # line and column


@dataclass(frozen=True)
class Filling:
    """What is known of the weights in one phase.

    Args:
        values: the weights.
        report: which layers the files fill; None without files.
    """

    values: Values
    report: Report | None = None


@dataclass
class Subject:
    """A net to be shown.

    Args:
        name: the net's name, or its file's.
        phase: the phase to begin with.
        scenes: {phase: the net in it}.
        fillings: {phase: what fills it} of those whose weights are known.
        findings: what `check` says.
        model: the loaded model; None until `loaded` is asked for.
        files: the arguments of `load`.
        flags: of the command that makes the page, so that cures name them.
    """

    name: str
    phase: str
    scenes: Mapping[str, Scene]
    fillings: Mapping[str, Filling] = field(default_factory=dict)
    findings: Sequence[Finding] = ()
    model: CaffeModel | None = None
    files: Mapping[str, Any] = field(default_factory=dict)
    flags: Flags | None = None

    @property
    def scene(self) -> Scene:
        return self.scenes[self.phase]

    @property
    def values(self) -> Values | None:
        return self.fillings[self.phase].values if self.phase in self.fillings else None

    def loaded(self) -> CaffeModel:
        """The model of what the page has drawn: of the part that could be planned, if that is not all.

        Raises:
            CaffeError: nothing could be.
        """
        if self.model is None:
            self.model = self._planned() or load(**{**self.files, "skip_mismatch": True})
        return self.model

    def _planned(self) -> CaffeModel | None:
        shown = self.scene
        if shown.plan is None or shown.recipe is None:
            return None
        path = self.files["prototxt"].path
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CaffeWarning)  # the page has it
            return model_of(shown.plan, shown.recipe, self.files["weights"], path, skip_mismatch=True)

    def values_of(self, files: Weights) -> Values:
        """What other weight files have for this net."""
        plan = self.scene.plan
        return filling(plan, weight_files(files)).values if plan else of_files({})

    def said(self, error: Exception) -> str:
        """An error in words, whose cures name what the reader has used: Python or the command."""
        return error.text(self.flags) if isinstance(error, Message) else str(error)


def subject(source: Any, weights: Weights, options: Mapping[str, Any], flags: Flags | None = None) -> Subject:
    """What to show of a model or a net's files.

    Args:
        source: CaffeModel, or what `load` takes for a prototxt.
        weights: as `load` takes them; none for a model.
        options: further arguments of `load`.
        flags: of a command.

    Raises:
        ReadError: a file cannot be read.
    """
    return _of_model(source, flags) if isinstance(source, CaffeModel) else _of_files(source, weights, options, flags)


def _of_model(model: CaffeModel, flags: Flags | None) -> Subject:
    net, report = model.net, model.load_report if model.files else None
    found = [*batch_statistics(Definition(net.message)), *(of_report(report, "warning", {}) if report else ())]
    filled = {net.phase: Filling(of_model(model), report)}
    scenes = {net.phase: of_plan(model.plan)}
    return Subject(net.name or model.name, net.phase, scenes, filled, found, model, flags=flags)


def _of_files(source: Any, weights: Weights, options: Mapping[str, Any], flags: Flags | None) -> Subject:
    check_not_swapped(source, weights)
    try:
        definition = read_definition(source, strict=options.get("strict", False), fork=options.get("fork"))
    except ReadError as error:
        return _unreadable(source, error, options, flags)
    selection = {name: options.get(name, default) for name, default in (("level", 0), ("stages", ()))}
    phase = phase_name(phase_number(options.get("phase", "TEST")))
    settings = PlanSettings.of(**{k: v for k, v in options.items() if k not in (*READING, *selection, "phase")})
    found = examined(definition, weights, flags, **options)
    scenes, fillings = {}, {}
    for one in _phases(definition, phase, selection):
        known = found if one == phase else Examination(flags)  # `examined` has planned that phase
        scenes[one] = scene(definition, settings, one, **selection, planned=known.planned)
        plan = scenes[one].plan
        if plan and weight_files(weights):
            fillings[one] = filling(plan, weight_files(weights), known.matched)
    name = definition.message.name or (Path(definition.path).stem if definition.path else "net")
    files = {"prototxt": definition, "weights": weights, **options}
    return Subject(name, phase, scenes, fillings, found.findings, None, files, flags)


def filling(plan: Plan, files: Sequence[Path], matched: tuple[MatchedBlobs, Report] | None = None) -> Filling:
    """What weight files have for a plan; `matched` if that is known."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CaffeWarning)  # the page has it
        blobs, report = matched or match(plan, files, skip_mismatch=True)
    return Filling(of_files(blobs), report)


def _phases(definition: Definition, phase: str, selection: Mapping[str, Any]) -> list[str]:
    """The phase asked for, and the other one if other layers are in it."""
    layers = {}
    for one in PHASES:
        net = definition.select(one, **selection).message
        for layer in net.layer:
            layer.ClearField("phase")  # `select` has set it
        layers[one] = list(net.layer)
    return [phase] + [one for one in PHASES if layers[one] and layers[one] != layers[phase]]


def _unreadable(source: Any, error: ReadError, options: Mapping[str, Any], flags: Flags | None) -> Subject:
    """A text with a place from which on it is no net: its page has no layers, and says where and why.

    Raises:
        ReadError: the file is not there, or no text.
    """
    path = path_of(source)
    if path is None or not _POSITION.search(error.where or ""):
        raise error
    phase = options.get("phase", "TEST")
    files = {"prototxt": source, **options}  # of which `loaded` says the same
    found = check(source, flags=flags, **options)
    return Subject(path.stem, phase, {phase: Scene(())}, findings=found, files=files, flags=flags)

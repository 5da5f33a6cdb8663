"""What a page is about: a loaded model, or a net's files, brought to one form."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from keras_caffe.converters.check import Finding, batch_statistics, check, of_report
from keras_caffe.converters.definition import Definition, Weights, check_not_swapped, read_definition, weight_files
from keras_caffe.converters.load import PlanSettings, load, model_of
from keras_caffe.converters.model import CaffeModel
from keras_caffe.converters.read import path_of
from keras_caffe.converters.select import PHASES, phase_name, phase_number
from keras_caffe.converters.weights import Report, match
from keras_caffe.errors import CaffeWarning, ReadError
from keras_caffe.page.scene import Scene, of_plan, scene
from keras_caffe.page.weights import Values, of_files, of_model

READING = ("strict", "skip_mismatch")  # arguments of `load` that are no settings of a plan
_POSITION = re.compile(r":\d+:\d+$")  # line and column


@dataclass
class Subject:
    """A net to be shown.

    Args:
        name: the net's name, or its file's.
        phase: the phase to begin with.
        scenes: {phase: the net in it}.
        values: what is known of the weights.
        report: which layers the files fill; None without files.
        findings: what `check` says.
        model: the loaded model; None until `loaded` is asked for.
        files: the arguments of `load`.
    """

    name: str
    phase: str
    scenes: Mapping[str, Scene]
    values: Values | None = None
    report: Report | None = None
    findings: Sequence[Finding] = ()
    model: CaffeModel | None = None
    files: Mapping[str, Any] = field(default_factory=dict)

    @property
    def scene(self) -> Scene:
        return self.scenes[self.phase]

    def loaded(self) -> CaffeModel:
        """The model, loaded if it is not yet.

        Raises:
            CaffeError: the net cannot be loaded.
        """
        if self.model is None:
            self.model = self._planned() or load(**{**self.files, "skip_mismatch": True})
        return self.model

    def _planned(self) -> CaffeModel | None:
        """The model of the plan that the page has drawn, if that is of the whole net."""
        shown = self.scene
        if shown.plan is None or shown.recipe is None or len(shown.nodes) < len(shown.layers):
            return None
        path = self.files["prototxt"].path
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CaffeWarning)  # the page has it
            return model_of(shown.plan, shown.recipe, self.files["weights"], path, skip_mismatch=True)

    def values_of(self, files: Weights) -> Values:
        """What other weight files have for this net."""
        plan = self.scene.plan
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CaffeWarning)
            return of_files(match(plan, weight_files(files), skip_mismatch=True)[0] if plan else {})


def subject(source: Any, weights: Weights, options: Mapping[str, Any]) -> Subject:
    """What to show of a model or a net's files.

    Args:
        source: CaffeModel, or what `load` takes for a prototxt.
        weights: as `load` takes them; none for a model.
        options: further arguments of `load`.

    Raises:
        ReadError: a file cannot be read.
    """
    return _of_model(source) if isinstance(source, CaffeModel) else _of_files(source, weights, dict(options))


def _of_model(model: CaffeModel) -> Subject:
    net, report = model.net, model.load_report if model.files else None
    found = [*batch_statistics(Definition(net.message)), *(of_report(report, "warning", {}) if report else ())]
    return Subject(
        net.name or model.name, net.phase, {net.phase: of_plan(model.plan)}, of_model(model), report, found, model
    )


def _of_files(source: Any, weights: Weights, options: dict[str, Any]) -> Subject:
    check_not_swapped(source, weights)
    try:
        definition = read_definition(source, strict=options.get("strict", False), fork=options.get("fork"))
    except ReadError as error:
        return _unreadable(source, error, options)
    selection = {name: options.get(name, default) for name, default in (("level", 0), ("stages", ()))}
    phase = phase_name(phase_number(options.get("phase", "TEST")))
    settings = PlanSettings.of(**{k: v for k, v in options.items() if k not in (*READING, *selection, "phase")})
    phases = _phases(definition, phase, selection)
    scenes = {one: scene(definition, settings, one, **selection) for one in phases}
    name = definition.message.name or (Path(definition.path).stem if definition.path else "net")
    found = check(definition, weights, **options)
    shown = Subject(
        name, phase, scenes, None, None, found, None, {"prototxt": definition, "weights": weights, **options}
    )
    if weight_files(weights) and shown.scene.plan:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CaffeWarning)  # the page has it
            matched, shown.report = match(shown.scene.plan, weight_files(weights), skip_mismatch=True)
        shown.values = of_files(matched)
    return shown


def _phases(definition: Definition, phase: str, selection: Mapping[str, Any]) -> list[str]:
    """The phase asked for, and the other one if other layers are in it."""
    layers = {}
    for one in PHASES:
        net = definition.select(one, **selection).message
        for layer in net.layer:
            layer.ClearField("phase")  # `select` has set it
        layers[one] = list(net.layer)
    return [phase] + [one for one in PHASES if layers[one] and layers[one] != layers[phase]]


def _unreadable(source: Any, error: ReadError, options: Mapping[str, Any]) -> Subject:
    """A text with a place from which on it is no net: its page has no layers, and says where and why.

    Raises:
        ReadError: the file is not there, or no text.
    """
    path = path_of(source)
    if path is None or not _POSITION.search(error.where or ""):
        raise error
    phase = options.get("phase", "TEST")
    files = {"prototxt": source, **options}  # of which `loaded` says the same
    return Subject(path.stem, phase, {phase: Scene(())}, findings=check(source, **options), files=files)

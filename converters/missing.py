"""What a selected net lacks and why: layers that rules leave out, inputs that no layer states.

The functions take the net with all of its layers, so that they can tell what `select` has left out.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from google.protobuf import text_format

from keras_caffe import proto
from keras_caffe.converters.select import is_kept, phase_name
from keras_caffe.errors import Cure, NetError, Option

TRAINED = (
    "A caffemodel holds the net that was trained: give the prototxt of the net to load, and this file as its weights."
)


def bottom_cures(blob: str, whole: Any, state: Any, where: Callable[[str], str | None]) -> Iterator[Cure]:
    """What brings a bottom that no layer of the selected net makes.

    Args:
        blob: the bottom.
        whole: the net before `select`.
        state: the NetState that it was selected for.
        where: layer name -> `file:line`.
    """
    makers = [layer for layer in whole.layer if blob in layer.top and not is_kept(layer, state)]
    for layer in makers[:1]:
        place = where(layer.name)
        yield f"Layer {layer.name!r}{f' ({place})' if place else ''} makes it; {_left_out(layer, state, whole)}."
    yield from rule_cures(makers, whole, state)
    yield Option("input_shapes", {blob: tuple("NCHW")}, "with numbers for the letters to make it an input of the net")


def declare_inputs(net: Any, shapes: Mapping[str, object]) -> Any:
    """The net with an Input layer for the blobs in `shapes` that are read before a layer makes them; `net` as it is.

    Caffe drops an `input` field without a shape, and a net whose data layers the rules leave out has no inputs.
    """
    made: set[str] = set()
    inputs: dict[str, None] = {}
    for layer in net.layer:
        inputs |= dict.fromkeys(blob for blob in layer.bottom if blob in shapes and blob not in made)
        made.update(layer.top)
    if not inputs:
        return net
    new = proto.NetParameter()
    new.CopyFrom(net)
    del new.layer[:]
    new.layer.add(name="input", type="Input", top=inputs, phase=net.state.phase)
    new.layer.extend(net.layer)
    return new


def no_layers(whole: Any, state: Any, file: str) -> NetError:
    """The error for a net whose rules leave all layers out."""
    return NetError(
        f"the net has no layers in {_state(state, whole)}",
        where=file,
        expected="include and exclude rules that keep a layer",
        received="rules that leave all of them out",
        fix=list(rule_cures(whole.layer, whole, state)),
    )


def rule_cures(layers: Sequence[Any], whole: Any, state: Any) -> Iterator[Cure]:
    """The phases and stages to select one of the layers by, and the stages that the file knows."""
    stages = _stages(whole)
    if stages:
        yield f"Stages in the file: {', '.join(map(repr, stages))}."
    rules = [rule for layer in layers for rule in layer.include]
    wanted = [stage for rule in rules for stage in rule.stage if stage not in state.stage]
    purpose = "to keep the layer" if len(layers) == 1 else "to keep one of these layers"
    if wanted:
        yield Option("stages", wanted[:1], purpose)
    phases = {rule.phase for rule in rules if rule.HasField("phase")}
    if phases and state.phase not in phases:
        yield Option("phase", phase_name(min(phases)), purpose)


def _left_out(layer: Any, state: Any, whole: Any) -> str:
    """Why a layer is left out, as its rules say."""
    rules = [f"{kind} {{ {_line(rule)} }}" for kind in ("include", "exclude") for rule in getattr(layer, kind)]
    return f"{' '.join(rules)} leaves it out in {_state(state, whole)}"


def _stages(net: Any) -> Collection[str]:
    """The stages that the rules of a net name, in their order."""
    rules = [rule for layer in net.layer for rule in (*layer.include, *layer.exclude)]
    return dict.fromkeys(chain.from_iterable([*rule.stage, *rule.not_stage] for rule in rules))


def _state(state: Any, net: Any) -> str:
    """A NetState in words; without stages it says so only where the net has some."""
    words = f"phase {phase_name(state.phase)}"
    if state.level:
        words += f" at level {state.level}"
    if state.stage or _stages(net):
        words += f" with stage {', '.join(map(repr, state.stage))}" if state.stage else " without a stage"
    return words


def _line(message: Any) -> str:
    return text_format.MessageToString(message, as_one_line=True).strip()

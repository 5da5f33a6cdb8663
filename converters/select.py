"""Keeps the layers that a phase, a level and stages ask for. Caffe: Net::FilterNet, Net::StateMeetsRule in net.cpp."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from keras_caffe import proto
from keras_caffe.errors import NetError, instead

PHASES: dict[str, int] = {
    phase.name: phase.number for phase in proto.NetState.DESCRIPTOR.fields_by_name["phase"].enum_type.values
}


def select(
    net: proto.NetParameter,
    phase: str | int = "TEST",
    level: int = 0,
    stages: Iterable[str] = (),
    where: Callable[[str], str | None] = lambda layer: None,
) -> proto.NetParameter:
    """A new net with the layers whose include/exclude rules are met, each with its phase; `net` stays as it is.

    Args:
        net: an upgraded net.
        phase: "TRAIN" or "TEST" (or Caffe's 0 and 1); replaces the phase in the net's own `state`.
        level: replaces the level in the net's own `state`.
        stages: added to the stages in the net's own `state`.
        where: layer name -> `file:line`, for errors.

    Raises NetError for a layer with both include and exclude rules, and for what is no phase, level or stage.
    """
    state = proto.NetState()
    state.CopyFrom(net.state)
    state.phase = phase_number(phase)
    add_rules(state, level, stages)
    return select_state(net, state, where)


def add_rules(state: proto.NetState, level: int, stages: Iterable[str] | str) -> None:
    """Gives a state a caller's level and further stages. Raises NetError for what is neither."""
    try:
        state.level = level
        state.stage.extend([stages] if isinstance(stages, str) else stages)
    except (TypeError, ValueError):
        raise NetError(
            "the level or the stages are of the wrong kind",
            expected="level: an integer; stages: a list of strings",
            received=f"level {level!r}, stages {stages!r}",
        ) from None


def select_state(
    net: proto.NetParameter, state: proto.NetState, where: Callable[[str], str | None] = lambda layer: None
) -> proto.NetParameter:
    """`select` for a complete NetState, which replaces the net's own."""
    new = proto.NetParameter()
    new.CopyFrom(net)
    new.ClearField("layer")
    new.state.CopyFrom(state)
    new.layer.extend(layer for layer in net.layer if is_kept(layer, state, where))
    for layer in new.layer:
        if not layer.HasField("phase"):
            layer.phase = state.phase
    return new


def solver_state(phase: str | int, net: proto.NetParameter, state: proto.NetState | None = None) -> proto.NetState:
    """The NetState of a solver's net: `phase`, overridden by the net's own state, then by train_state or test_state."""
    merged = proto.NetState(phase=phase_number(phase))
    merged.MergeFrom(net.state)
    if state is not None:
        merged.MergeFrom(state)
    return merged


def phase_name(number: int) -> str:
    """Name of a phase given as Caffe's number."""
    return {value: name for name, value in PHASES.items()}[number]


def phase_number(phase: str | int) -> int:
    """Caffe's number of a phase given as "TRAIN", "TEST", 0 or 1."""
    for name, number in PHASES.items():
        if phase in (name, number):
            return number
    near = instead([phase], PHASES).get("fix")
    raise NetError("no such phase", expected='"TRAIN" or "TEST"', received=repr(phase), fix=near)


def is_kept(
    layer: proto.LayerParameter, state: proto.NetState, where: Callable[[str], str | None] = lambda layer: None
) -> bool:
    """Whether a layer's include and exclude rules keep it in a state; NetError if it has both."""
    if layer.include and layer.exclude:
        raise NetError(
            "has both include and exclude rules",
            where=where(layer.name),
            layer=f"{layer.name!r} ({layer.type})",
            expected="rules of one kind",
            received=f"{len(layer.include)} include and {len(layer.exclude)} exclude",
            fix="A rule holds when all its parts hold; several rules of one kind are alternatives.",
        )
    if layer.include:
        return any(_is_met(rule, state) for rule in layer.include)
    return not any(_is_met(rule, state) for rule in layer.exclude)


def _is_met(rule: proto.NetStateRule, state: proto.NetState) -> bool:
    stages = set(state.stage)
    return (
        (not rule.HasField("phase") or rule.phase == state.phase)
        and (not rule.HasField("min_level") or rule.min_level <= state.level)
        and (not rule.HasField("max_level") or state.level <= rule.max_level)
        and stages.issuperset(rule.stage)
        and stages.isdisjoint(rule.not_stage)
    )

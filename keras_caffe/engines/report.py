"""What was found out about engines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from keras_caffe.converters.comparison import Row


@dataclass(frozen=True)
class Report:
    """What was measured about an engine, and why it was chosen.

    Args:
        engine, precision: what runs.
        threads: how many it computes with; None: as many as TensorFlow has in this process.
        inputs: {input: shape} of the probe, as the model takes it.
        milliseconds: {engine: ms of a call on the probe, the lower quartile}, of the engines that were timed.
        rows: the largest differences from the model, one row for each output.
        refused: {engine: why it was not taken}, of those that are missing or fail.
        kept: layers that stay in Keras, behind the engine.
        remembered: an earlier measurement on this machine chose the engine.
    """

    engine: str
    precision: str
    threads: int | None
    inputs: Mapping[str, tuple[int, ...]]
    milliseconds: Mapping[str, float]
    rows: Sequence[Row] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    kept: Sequence[str] = ()
    remembered: bool = False

    @property
    def worst(self) -> Row | None:
        """The output that differs most from the model's."""
        return max(self.rows, key=lambda row: row.relative, default=None)

    def __str__(self) -> str:
        lines = [f"{self.engine}, {self.precision}" + (", as measured before" if self.remembered else "")]
        lines += [f"  {name}: {ms:.3g} ms" for name, ms in sorted(self.milliseconds.items(), key=lambda pair: pair[1])]
        if self.worst:
            lines.append(f"  largest difference: {self.worst.relative:.2g} of the largest value of {self.worst.blob!r}")
        if self.kept:
            lines.append(f"  in Keras, behind the engine: {', '.join(self.kept)}")
        return "\n".join([*lines, *(f"  not {name}: {why}" for name, why in self.refused.items())])

"""A net's definition as everybody reads it: from path, text or message to Caffe's current form."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

from keras_caffe.converters.missing import TRAINED, bottom_cures, declare_inputs
from keras_caffe.converters.read import NetFile, Readable, is_text_file, path_of, read_net
from keras_caffe.converters.select import phase_name, select
from keras_caffe.converters.upgrade import upgrade
from keras_caffe.converters.upgrade_v0 import is_v0
from keras_caffe.errors import Cure, ReadError
from keras_caffe.forks.dialects import named

File: TypeAlias = str | os.PathLike[str]
Weights: TypeAlias = File | Sequence[File] | None


@dataclass(frozen=True)
class Definition(NetFile):
    """A net in Caffe's current form, and where it was read; taken wherever a prototxt is.

    `keras_caffe.load` and the others select by their own phase, level and stages, so give them one with all layers.

    Attributes:
        message: the NetParameter (V2): all of its layers, or those that `select` has left.
        generation: which of Caffe's formats it was written in: "V0", "V1" or "V2".
        whole: the net with all of its layers once `select` has left some; else None.
        file, lines, path, binary, where: as of what was read.
    """

    generation: str = "V2"
    whole: Any = None

    @property
    def phase(self) -> str:
        """The phase that `select` was asked for."""
        return phase_name(self.message.state.phase)

    def select(self, phase: str | int = "TEST", level: int = 0, stages: Sequence[str] = ()) -> Definition:
        """The definition with the layers that survive, see `keras_caffe.converters.select`."""
        return replace(self, message=select(self.message, phase, level, stages, where=self.where), whole=self.message)

    def with_inputs(self, shapes: Mapping[str, object]) -> Definition:
        """The definition with the inputs that no layer states; see `declare_inputs`."""
        return replace(self, message=declare_inputs(self.message, shapes))

    def bottom_cures(self, blob: str) -> Iterator[Cure]:
        """What the reader of an error can do about a bottom that no layer makes."""
        if self.binary:
            yield TRAINED
        yield from bottom_cures(blob, self.whole or self.message, self.message.state, self.where)


def read_definition(source: Readable | Definition, *, strict: bool = False, fork: str | None = None) -> Definition:
    """Reads a net's definition, of any generation.

    Args:
        source: path, text or NetParameter; or what this function has returned before, which is returned.
        strict, fork: as of `keras_caffe.converters.read.read_net`.

    Raises:
        ReadError: there is no such file, or it is not a net definition.
        LayerError: no such fork.
        NetError: an old net cannot be brought to the current form.
    """
    if isinstance(source, Definition):
        return source
    net = read_net(source, strict=strict, fork=named(fork))
    generation = "V0" if is_v0(net.message) else "V1" if net.message.layers else "V2"
    return Definition(**{**vars(net), "message": upgrade(net.message, net.where)}, generation=generation)


def check_not_swapped(source: Readable | Definition, weights: Weights) -> None:
    """Refuses trained values and definition that have each other's place.

    Raises:
        ReadError: `source` is a binary file, and there is a text among the weights.
    """
    path = path_of(source)
    texts = [file for file in weight_files(weights) if file.is_file() and is_text_file(file)]
    if texts and path is not None and path.is_file() and not is_text_file(path):
        raise ReadError(
            "the definition and the trained values are swapped",
            expected="the prototxt first, then the caffemodel",
            received=f"{path}, then {texts[0]}",
            fix="Give them the other way round.",
        )


def weight_files(weights: Weights) -> list[Path]:
    """One file of trained values, several, or none, as a list."""
    return [Path(weights)] if isinstance(weights, str | os.PathLike) else [*map(Path, weights or ())]

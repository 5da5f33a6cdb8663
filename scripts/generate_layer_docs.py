#!/usr/bin/env python3
"""Writes docs/layers.md from the registry, the schema, docstrings and goldens; `--check` only says if it is stale."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from textwrap import dedent
from typing import Any, NamedTuple

import numpy as np
from google.protobuf.descriptor import FieldDescriptor

from keras_caffe import layers, proto
from keras_caffe.layers.base import CaffeLayer
from keras_caffe.layers.records import RecordLayer
from keras_caffe.layers.source import SourceLayer

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from scripts import generated_page  # noqa: E402
from tests.layers.cases import declared, own_types  # noqa: E402 (the tests say what checks a layer)

PAGE = ROOT / "docs" / "layers.md"
GOLDENS = ROOT / "tests" / "goldens" / "layers"

DERIVED = "the formula in NumPy, forward and backward, in tests/goldens/layers"
DATA_LAYER = "shapes in tests/layers, values in tests/goldens/data"
# Messages of LayerParameter that no layer here reads.
UNREAD: dict[str, str] = {}

INTRODUCTION = """\
# Layers

<!-- Written by scripts/generate_layer_docs.py; run it after a change. -->

Every Caffe layer type that `keras_caffe.load` builds. Each is also a Keras layer, `keras_caffe.layers.<Type>`, for
models without any Caffe file. What to do about a type that is not here: [extending.md](extending.md).

- *Values*: **exact** means compared with arrays that Caffe computed, forward and backward, within float32 rounding
  (movement of data, indices and maxima: bit for bit).
- *Gradient*: **exact** as above; **formula**: the derivative of the formula; **none**: Caffe has none either.
- *Stored*: how the layer wants its bottoms: **channels last**, in **Caffe**'s order (N, C, H, W), or **any**, as they
  come. A transposition is made only where a blob is stored otherwise.
- *From*: BVLC Caffe 1.0, or the fork whose definition holds.
"""


SCALARS = {number: name[5:].lower() for name, number in vars(FieldDescriptor).items() if name.startswith("TYPE_")}


class Arrays(NamedTuple):
    """What tests/goldens/layers has of a type: anything, from Caffe itself (not from its formula), gradients."""

    there: bool
    from_caffe: bool
    gradients: bool


@cache
def goldens(kind: str) -> Arrays:
    arrays = [np.load(path) for path in GOLDENS.glob("*.npz") if path.stem.split("_")[0] == kind]
    keys = [key for array in arrays for key in array.files]
    oracles = {str(array[key]) for array in arrays for key in array.files if key.endswith("/oracle")}
    gradients = any("/bottom_diff/" in key or "/param_diff/" in key for key in keys)
    return Arrays(bool(arrays), bool(oracles - {"DERIVED"}), gradients)


def parameters(name: str, cls: type[CaffeLayer]) -> list[Any]:
    """The fields of LayerParameter that a type reads, as descriptors."""
    functions = [getattr(cls, key) for key in dir(cls) if callable(getattr(cls, key)) and key not in dir(object)]
    read = set().union(*(_read(getattr(f, "__func__", f), frozenset()) for f in functions))
    if issubclass(cls, RecordLayer):
        read.add(cls.param)
    fields = proto.LayerParameter.DESCRIPTOR.fields
    read |= {f.name for f in fields if f.name.replace("_", "") == f"{name.lower()}param"} - set(UNREAD)
    return [field for field in fields if field.name in read]


def _read(function: Any, seen: frozenset[Any]) -> set[str]:
    """The `layer.<field>_param` in a function of this package and in those it calls by name."""
    if not inspect.isfunction(function) or function in seen or not function.__module__.startswith(layers.__name__):
        return set()
    found = set(re.findall(r"\blayer\.(\w+_param)\b", inspect.getsource(function)))
    called = (function.__globals__.get(name) for name in function.__code__.co_names)
    return found.union(*(_read(other, seen | {function}) for other in called))


def values(name: str, cls: type[CaffeLayer]) -> str:
    if goldens(name).there:
        return "exact" if goldens(name).from_caffe else DERIVED
    checked = next((case.values for case in declared().get(name, ()) if case.values), None)
    if checked is None and not issubclass(cls, SourceLayer):
        test = f"tests/layers/test_{cls.__module__.rpartition('.')[2]}.py"
        raise SystemExit(
            f"{test}: no `values` in the Case of {name} says what checks it, and {GOLDENS} has no {name}.npz"
        )
    return checked or DATA_LAYER


def gradient(name: str, cls: type[CaffeLayer]) -> str:
    if not cls.has_gradient:
        return "none"
    return "exact" if goldens(name).from_caffe and goldens(name).gradients else "formula"


def stored(cls: type[CaffeLayer]) -> str:
    return (
        "–"
        if issubclass(cls, SourceLayer)
        else {"caffe": "Caffe", "channels_last": "channels last"}.get(cls.stores, "any")
    )


def origin(cls: type) -> tuple[str, str]:
    """Who defined the layer, and its source file: "Caffe: path (fork)", BVLC where no fork is named."""
    line = re.search(r"^Caffe: (.*?)(?: \((.*)\))?$", inspect.getdoc(cls) or "", re.M)
    if line is None:
        raise SystemExit(f"{cls.__module__}.{cls.__name__}: the docstring has no line `Caffe: path (fork)`")
    return line[2] or "BVLC", line[1]


def page() -> str:
    found = own_types()
    messages: dict[str, Any] = {}
    sections = [section(name, cls, messages) for name, cls in found.items()]
    shared = [f"### {name}\n\n{table(message)}" for name, message in sorted(messages.items())]
    head = "| Type | Parameters | Values | Gradient | Stored | From |\n|---|---|---|---|---|---|"
    rows = "\n".join(row(name, cls) for name, cls in found.items())
    parts = [INTRODUCTION, f"{head}\n{rows}\n", *sections, "## Messages inside parameters\n", *shared]
    return "\n".join(parts).replace("][, ", "]\\[, ")  # no link: two optional tops


def row(name: str, cls: type[CaffeLayer]) -> str:
    fields = ", ".join(f"`{field.name}`" for field in parameters(name, cls)) or "–"
    exact = "exact" if values(name, cls) == "exact" else "see below"
    return (
        f"| [{name}](#{name.lower()}) | {fields} | {exact} | {gradient(name, cls)} | {stored(cls)} | {origin(cls)[0]} |"
    )


def section(name: str, cls: type[CaffeLayer], messages: dict[str, Any]) -> str:
    fork, path = origin(cls)
    text = [f"## {name}\n", *prose(inspect.getdoc(cls) or "")]
    text.append(f"*Values*: {values(name, cls)}. *Gradient*: {gradient(name, cls)}. *Source*: {fork}, `{path}`.\n")
    for field in parameters(name, cls):
        _collect(field.message_type, messages)
        text.append(f"`{field.name}`:\n\n{table(field.message_type)}")
    return "\n".join(text)


def prose(doc: str) -> Iterator[str]:
    """A docstring as Markdown; the line of the source file is left out, for it is shown elsewhere."""
    for block in doc.split("\n\n"):
        head, _, rest = block.partition("\n")
        if head.startswith("Caffe: "):
            continue
        if head == "Args:":
            yield "As a Keras layer:\n"
            rest = re.sub(r"^ {4}(?! )([\w*, ]+): ", r"- `\1`: ", rest, flags=re.M)
            yield re.sub(r"^ {5,}", "  ", rest, flags=re.M) + "\n"
        elif head == "Examples:":
            yield f"```pycon\n{dedent(rest)}\n```\n"
        elif head == "Raises:":
            yield "*Raises*: " + " ".join(line.strip() for line in rest.splitlines()) + "\n"
        else:
            yield re.sub(r"^([A-Z]\w+(?:, [A-Z]\w+)*):", r"*\1*:", block) + "\n"


def table(message: Any) -> str:
    rows = [f"| `{field.name}` | {kind(field)} | {default(field)} |" for field in message.fields]
    return "\n".join(["| Field | Type | Default |", "|---|---|---|", *rows]) + "\n"


def kind(field: Any) -> str:
    many = "list of " if _repeated(field) else ""
    if field.enum_type is not None:
        return many + " / ".join(value.name for value in field.enum_type.values)
    if field.message_type is not None:
        return f"{many}[{field.message_type.name}](#{field.message_type.name.lower()})"
    return many + SCALARS[field.type]


def default(field: Any) -> str:
    if _repeated(field):
        return "empty"
    if field.message_type is not None or not field.has_default_value:
        return "not set"
    if field.enum_type is not None:
        return f"`{field.enum_type.values_by_number[field.default_value].name}`"
    return f"`{field.default_value!r}`" if not isinstance(field.default_value, float) else f"`{field.default_value:g}`"


def _repeated(field: Any) -> bool:
    return field.default_value == []


def _collect(message: Any, messages: dict[str, Any]) -> None:
    for field in message.fields:
        if field.message_type is not None and field.message_type.name not in messages:
            messages[field.message_type.name] = field.message_type
            _collect(field.message_type, messages)


if __name__ == "__main__":
    sys.exit(generated_page.write(PAGE, page(), __doc__))

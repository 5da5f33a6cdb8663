"""CaffeModel -> the text of a Python file."""

from __future__ import annotations

import builtins
import inspect
import keyword
import re
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import keras
from keras import layers, ops

from keras_caffe.code.blocks import Block, Call, Line, common, found_blocks
from keras_caffe.code.layout import WIDTH, fitted, outside_strings
from keras_caffe.code.literals import f_string, index_text, plain_text, string, text_of
from keras_caffe.code.loops import looped
from keras_caffe.code.netspec import netspec
from keras_caffe.code.statements import Ref, Statement, construction, statements
from keras_caffe.converters.choices import STYLES
from keras_caffe.converters.model import CaffeModel
from keras_caffe.errors import ExportError
from keras_caffe.known import recognise
from keras_caffe.plain.export import with_parts
from keras_caffe.plain.site import Part

RESERVED = {"keras", "layers", "ops", "np", "x", "inputs", "build_model", "model", "name"}


def to_code(model: CaffeModel, style: str = "keras") -> str:
    """Returns a Python file that builds the net: one line per layer, and a function for each part that repeats.

    Args:
        model: a loaded CaffeModel.
        style: "keras": `build_model()` of Keras's own layers, as `to_keras` makes them, with the same weights in the
            same places. "caffe": pycaffe's NetSpec, which writes the net again.

    Raises:
        ExportError: no such style, or a layer that Keras's own layers and operations cannot say.

    Examples:
        >>> from keras_caffe import samples
        >>> model = keras_caffe.load(samples.path("lenet.prototxt"), samples.path("lenet.caffemodel"))
        >>> next(line for line in keras_caffe.to_code(model).splitlines() if "Conv2D" in line)
        '    x = layers.Conv2D(20, 5, name="conv1")(data)'
    """
    if style not in STYLES:
        raise ExportError("no such style", expected=" or ".join(STYLES), received=style)
    if style == "caffe":
        return netspec(model.net.message)
    return _File(model, *with_parts(model)).text()


class _File:
    """One file on its way."""

    def __init__(self, model: CaffeModel, plain: keras.Model, parts: Mapping[int, Part]) -> None:
        self.source, self.plain = model, plain
        outputs = [id(x) for x in plain.outputs]
        found = statements(plain, parts)
        self.called = {line.function: None for line in found if line.function}
        self.lines, self.blocks = found_blocks(found, outputs)
        self.outputs, self.taken = outputs, RESERVED | {function.__name__ for function in self.called}
        self.functions = [_Function(block, self.taken) for block in self.blocks]
        held = [line for line in self.lines if isinstance(line, Statement) and line.held is not None]
        self.held = {id(line.held): line.held for line in held}
        titles = {id(line.held): line.held.name if line.function else f"the_{line.title}" for line in held}
        self.held_names = {key: _identifier(titles[key], self.taken) for key in self.held}

    def text(self) -> str:
        parts = [inspect.getsource(function).rstrip() for function in self.called]
        parts += [function.text() for function in self.functions]
        models = {key: held for key, held in self.held.items() if isinstance(held, keras.Model)}
        parts += [_nested(model, self.held_names[key]) for key, model in models.items()]
        body = "\n\n\n".join([*parts, self._build_model(), self._main()])
        code = "".join(sign for _, sign in outside_strings(body))
        numpy = "import numpy as np\n" if re.search(r"\bnp\.", code) else ""
        used = [name for name in ("layers", "ops") if re.search(rf"\b{name}\.", code)]
        imports = f"import keras\n{numpy}" + (f"from keras import {', '.join(used)}\n" if used else "")
        return f"{self._docstring()}\n\n{imports}\n\n{body}\n"

    def _docstring(self) -> str:
        known = recognise(self.source)
        lines = [f"{plain_text(self.plain.name)}: a Caffe net in Keras's own layers, written by keras_caffe.", ""]
        lines += [f"Input: {plain_text(x.name)} {tuple(x.shape)}." for x in self.plain.inputs]
        if known is not None:
            lines += ["", *_wrapped(f"Its publishers' pictures, if this is what it looks like: {known}.")]
        lines += ["", "Weights: `model.load_weights(file)`, of a file that `keras-caffe code --weights` wrote."]
        return '"""' + "\n".join(lines) + '\n"""'

    def _build_model(self) -> str:
        names = {id(x): _identifier(x.name, self.taken) for x in self.plain.inputs}
        out = []
        for x in self.plain.inputs:
            out += fitted(f"{names[id(x)]} = keras.Input(batch_shape={tuple(x.shape)}, name={string(x.name)})")
        for key, held in self.held.items():
            made = f"build_{self.held_names[key]}()" if isinstance(held, keras.Model) else _constructed(held)
            out += fitted(f"{self.held_names[key]} = {made}")
        place = {key: len(self.lines) for key in self.outputs}
        names |= _variables(self.lines, place, self.taken)
        out += looped([self._line(line, names) for line in self.lines])
        inputs, ends = [names[id(x)] for x in self.plain.inputs], [names[key] for key in self.outputs]
        outputs: Any = self.plain.output
        end = ends[0] if not isinstance(outputs, dict) else _dict(outputs, names)
        start = inputs[0] if len(inputs) == 1 else f"[{', '.join(inputs)}]"
        if isinstance(self.plain.input, dict):
            start = _dict(self.plain.input, names)
        out += fitted(f"return keras.Model({start}, {end}, name={string(self.plain.name)})")
        return "\n".join(["def build_model() -> keras.Model:", '    """The net, its weights as initialised."""', *out])

    def _line(self, line: Line, names: Mapping[int, str]) -> str:
        if isinstance(line, Call):
            targets = ", ".join(names[key] for key in line.keys)
            return f"{targets} = {self.functions[line.block].call(line, [names[key] for key in line.entries])}"
        if line.held is not None:
            held = self.held_names[id(line.held)]
            if line.function:
                return f"{names[line.key]} = {line.callee}({', '.join(names[key] for key in line.refs())}, {held})"
            line = replace(line, callee=held)
        return _text(line, names, string(line.title))

    def _main(self) -> str:
        shapes = [tuple(x.shape) for x in self.plain.outputs]
        return "\n".join(
            [
                'if __name__ == "__main__":',
                *fitted(f"expected = {shapes}"),
                "    shapes = [tuple(output.shape) for output in build_model().outputs]",
                "    if shapes != expected:",
                '        raise SystemExit(f"the outputs have other shapes: {shapes}")',
                '    print("the shapes are right:", shapes)',
            ]
        )


def _nested(model: keras.Model, name: str) -> str:
    """The function that builds a model inside the model, which is called several times."""
    lines = statements(model)
    names = {id(x): f"inputs[{number}]" for number, x in enumerate(model.inputs)}
    names |= _variables(lines, {id(model.output): len(lines)}, RESERVED)
    made = ", ".join(f"keras.Input(batch_shape={tuple(x.shape)})" for x in model.inputs)
    return "\n".join(
        [
            f"def build_{name}() -> keras.Model:",
            '    """A part that is called again and again."""',
            *fitted(f"inputs = [{made}]"),
            *looped([_text(line, names, "") for line in lines]),
            f"    return keras.Model(inputs, {names[id(model.output)]})",
        ]
    )


class _Function:
    """A repeated part of the net as a function of what differs between its uses."""

    def __init__(self, block: Block, taken: set[str]) -> None:
        self.block = block
        self.parameters: dict[tuple[Any, ...], str] = {}
        self._names: set[str] = {"x", "inputs"}
        self.titles = [self._title([body[place] for body in block.bodies]) for place in range(len(block.body))]
        self.body = [self._generic(place) for place in range(len(block.body))]
        first = next((line.name for line in block.body if line.name), "block")
        names = [next((line.name for line in body if line.name), "block") for body in block.bodies]
        if first == "block":  # of operations, which are named after the layer whose they are
            first = common([line.title for line in block.body])[0]
            names = [f"{re.sub(r'[_0-9]+$', '', first)}_step"]
        base = re.sub(r"[\d_.\-]+$", "", common(names)[0]) or re.sub(r"[\d_.\-]+.*$", "", first) or "block"
        self.name = _identifier(f"{base}_block" if base in ("conv", "res", "relu", "bn") else base, taken)

    def _title(self, lines: Sequence[Statement]) -> str:
        """How a layer's name is written: with a parameter in the middle. Operations have no name."""
        names = [line.title for line in lines]
        before, after = common(names)
        middles = tuple(name[len(before) : len(name) - len(after)] for name in names)
        return f_string(before, self._parameter(middles, "name"), after) if lines[0].name else ""

    def _parameter(self, values: tuple[Any, ...], wanted: str) -> str:
        if values not in self.parameters:
            self.parameters[values] = _identifier(wanted, self._names)
        return self.parameters[values]

    def _generic(self, place: int) -> Statement:
        lines, line = [body[place] for body in self.block.bodies], self.block.body[place]
        arguments = []
        for number, (key, value) in enumerate(line.arguments):
            values = tuple(other.arguments[number][1] for other in lines)
            plain = not isinstance(value, Ref) and isinstance(value, (int, float, str, tuple))
            if plain and any(other != value for other in values):
                value = _Name(self._parameter(values, key or _parameter_of(line.callee, number)))
            arguments.append((key, value))
        return replace(line, arguments=tuple(arguments))

    def text(self) -> str:
        entries, uses = self.block.entries[0], Counter(key for line in self.block.body for key in line.refs())
        once = uses[entries[0]] == 1 and entries[0] in set(self.block.body[0].refs())
        names = {entries[0]: "x" if once else "inputs"}
        if len(entries) > 1:
            names = {entry: _identifier(f"x{number}", self._names) for number, entry in enumerate(entries, 1)}
        bodies = zip(*self.block.bodies, strict=True)
        labels = {lines[0].key: "".join(common([line.title for line in lines])) for lines in bodies}
        exits = [self.body[place].key for place in self.block.exits]
        names |= _variables(self.body, dict.fromkeys(exits, len(self.body)), self._names | RESERVED, labels)
        rows = zip(self.body, self.titles, strict=True)
        out = looped([_text(line, names, title) for line, title in rows])
        kinds = {"name": "str"}
        typed = [f"{p}: {kinds.get(p) or type(v[0]).__name__}" for v, p in self.parameters.items()]
        head = ", ".join([*(f"{names[entry]}: keras.KerasTensor" for entry in entries), *typed])
        given = "keras.KerasTensor" if len(exits) == 1 else f"tuple[{', '.join(['keras.KerasTensor'] * len(exits))}]"
        start = fitted(f"def {self.name}({head}) -> {given}:", 0)
        count, end = len(self.block.starts), f"    return {', '.join(names[key] for key in exits)}"
        return "\n".join([*start, f'    """A part that the net has {count} times."""', *out, end])

    def arguments(self, call: Call) -> list[str]:
        return [text_of(values[call.number], {}) for values in self.parameters]

    def call(self, call: Call, entries: Sequence[str]) -> str:
        return f"{self.name}({', '.join([*entries, *self.arguments(call)])})"


class _Name(str):
    """A parameter's name among the values of a statement."""

    def __repr__(self) -> str:
        return str(self)


def _parameter_of(callee: str, number: int) -> str:
    """What an argument without a keyword is called."""
    if callee == "[]":
        return "index"
    room, _, name = callee.partition(".")
    return list(inspect.signature(getattr({"layers": layers, "ops": ops}[room], name)).parameters)[number]


def _variables(
    lines: Sequence[Line], ends: Mapping[int, int], taken: set[str], labels: Mapping[int, str] | None = None
) -> dict[int, str]:
    """{value: variable}: x where only the next line uses it, else after the layer."""
    taken, places = set(taken), {key: [place] for key, place in ends.items()}
    for place, line in enumerate(lines):
        for key in line.refs():
            places.setdefault(key, []).append(place)
    names: dict[int, str] = {}
    for place, line in enumerate(lines):
        if isinstance(line, Call) and len(line.keys) > 1:
            names |= {key: _identifier(line.title, taken) for key in line.keys}
            continue
        chained = not line.several and set(places.get(line.key, ())) == {place + 1}
        name = "x" if chained else _identifier((labels or {}).get(line.key, line.title), taken)
        names |= {key: f"{name}[{number}]" if line.several else name for number, key in enumerate(line.keys)}
    return names


def _identifier(name: str, taken: set[str]) -> str:
    """A legal variable like the name, which nothing has yet."""
    base = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_").lower() or "value"
    base = f"part_{base}" if base[0].isdigit() or keyword.iskeyword(base) or hasattr(builtins, base) else base
    found, number = base, 1
    while found in taken:
        number += 1
        found = f"{base}_{number}"
    taken.add(found)
    return found


def _text(line: Statement, names: Mapping[int, str], title: str) -> str:
    """The statement on one line."""
    values = [(key, value if isinstance(value, _Name) else text_of(value, names)) for key, value in line.arguments]
    arguments = [f"{key}={value}" if key else str(value) for key, value in values]
    if line.held is not None:
        return f"{names[line.key]} = {line.callee}({text_of(line.inputs, names)})"
    target = names[line.key].removesuffix("[0]" if line.several else "")
    if line.callee == "[]":
        index = line.arguments[1][1]
        return f"{target} = {arguments[0]}[{index if isinstance(index, _Name) else index_text(index, names)}]"
    if line.name:
        return f"{target} = {line.callee}({', '.join([*arguments, f'name={title}'])})({text_of(line.inputs, names)})"
    return f"{target} = {line.callee}({', '.join(arguments)})"


def _constructed(layer: keras.layers.Layer) -> str:
    made = construction(layer)
    values = [f"{key}={text_of(value, {})}" if key else text_of(value, {}) for key, value in made.arguments]
    return f"{made.callee}({', '.join([*values, f'name={string(layer.name)}'])})"


def _dict(tensors: Mapping[str, Any], names: Mapping[int, str]) -> str:
    return "{" + ", ".join(f"{string(name)}: {names[id(x)]}" for name, x in tensors.items()) + "}"


def _wrapped(text: str) -> list[str]:
    """A text of ours as rows of a docstring."""
    return textwrap.wrap(text, WIDTH)

"""CaffeModel -> the text of a Python file."""

from __future__ import annotations

import builtins
import keyword
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from keras_caffe.code.blocks import Block, Call, Line, common, found_blocks
from keras_caffe.code.netspec import netspec
from keras_caffe.code.statements import Ref, Statement, statements, string, text_of
from keras_caffe.converters.choices import STYLES
from keras_caffe.converters.model import CaffeModel
from keras_caffe.errors import ExportError
from keras_caffe.known import recognise
from keras_caffe.plain import to_keras

WIDTH = 120
RESERVED = {"keras", "layers", "ops", "np", "x", "inputs", "build_model", "model", "name"}


def to_code(model: CaffeModel, style: str = "keras") -> str:
    """A Python file that builds the net: one line a layer, repeated parts as functions.

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
    return _File(model, to_keras(model)).text()


class _File:
    """One file on its way."""

    def __init__(self, model: CaffeModel, plain: keras.Model) -> None:
        self.source, self.plain = model, plain
        outputs = [id(x) for x in plain.outputs]
        self.lines, self.blocks = found_blocks(statements(plain), outputs)
        self.outputs, self.taken = outputs, set(RESERVED)
        self.functions = [_Function(block, self.taken) for block in self.blocks]

    def text(self) -> str:
        parts = [function.text() for function in self.functions]
        body = "\n\n\n".join([*parts, self._build_model(), self._main()])
        numpy = "import numpy as np\n" if re.search(r"\bnp\.", body) else ""
        used = [name for name in ("layers", "ops") if re.search(rf"\b{name}\.", body)]
        imports = f"import keras\n{numpy}" + (f"from keras import {', '.join(used)}\n" if used else "")
        return f"{self._docstring()}\n\n{imports}\n\n{body}\n"

    def _docstring(self) -> str:
        known = recognise(self.source)
        lines = [f"{_plain(self.plain.name)}: a Caffe net in Keras's own layers, written by keras_caffe.", ""]
        lines += [f"Input: {_plain(x.name)} {tuple(x.shape)}." for x in self.plain.inputs]
        if known is not None:
            lines += ["", *_wrapped(f"Its publishers' pictures, if this is what it looks like: {known}.")]
        lines += ["", "Weights: `model.load_weights(file)`, of a file that `keras-caffe code --weights` wrote."]
        return '"""' + "\n".join(lines) + '\n"""'

    def _build_model(self) -> str:
        names = {id(x): _identifier(x.name, self.taken) for x in self.plain.inputs}
        out = [
            f"    {names[id(x)]} = keras.Input(batch_shape={tuple(x.shape)}, name={string(x.name)})"
            for x in self.plain.inputs
        ]
        place = {key: len(self.lines) for key in self.outputs}
        names |= _variables(self.lines, place, self.taken)
        index = 0
        while index < len(self.lines):
            run = self._run(index, names)
            out += self._loop(index, run, names) if run > 2 else self._line(self.lines[index], names)
            index += max(run, 1) if run > 2 else 1
        inputs, ends = [names[id(x)] for x in self.plain.inputs], [names[key] for key in self.outputs]
        outputs: Any = self.plain.output
        end = ends[0] if not isinstance(outputs, dict) else _dict(outputs, names)
        start = inputs[0] if len(inputs) == 1 else f"[{', '.join(inputs)}]"
        if isinstance(self.plain.input, dict):
            start = _dict(self.plain.input, names)
        out += [f"    return keras.Model({start}, {end}, name={string(self.plain.name)})"]
        return "\n".join(["def build_model() -> keras.Model:", '    """The net, its weights as initialised."""', *out])

    def _line(self, line: Line, names: Mapping[int, str]) -> list[str]:
        if isinstance(line, Call):
            return [f"    {names[line.key]} = {self.functions[line.block].call(line, names[line.entry])}"]
        return _fitted(names[line.key], line, names, string(line.name))

    def _run(self, index: int, names: Mapping[int, str]) -> int:
        """How many lines from here on are x = f(x, ...) where only the end of one text changes, by 1."""
        first = self.lines[index]
        if not isinstance(first, Call) or names[first.key] != "x" or names[first.entry] != "x":
            return 0
        function, count = self.functions[first.block], 0
        prefix, number, rest = function.counted(first)
        for line in self.lines[index:]:
            if (
                not isinstance(line, Call)
                or line.block != first.block
                or (names[line.key], names[line.entry]) != ("x", "x")
            ):
                break
            if number is None or function.counted(line) != (prefix, number + count, rest):
                break
            count += 1
        return count

    def _loop(self, index: int, count: int, names: Mapping[int, str]) -> list[str]:
        first = self.lines[index]
        assert isinstance(first, Call)  # noqa: S101  # `_run` has seen to it.
        function = self.functions[first.block]
        prefix, number, rest = function.counted(first)
        assert number is not None  # noqa: S101
        arguments = "".join(f", {value}" for value in rest)
        text = f'f"{prefix[1:-1]}{{number}}"'
        return [
            f"    for number in range({number}, {number + count}):",
            f"        x = {function.name}(x, {text}{arguments})",
        ]

    def _main(self) -> str:
        shapes = [tuple(x.shape) for x in self.plain.outputs]
        return "\n".join(
            [
                'if __name__ == "__main__":',
                "    shapes = [tuple(output.shape) for output in build_model().outputs]",
                f"    if shapes != {shapes}:",
                '        raise SystemExit(f"the outputs have other shapes: {shapes}")',
                '    print("the shapes are right:", shapes)',
            ]
        )


class _Function:
    """A repeated part of the net as a function of what differs between its uses."""

    def __init__(self, block: Block, taken: set[str]) -> None:
        self.block = block
        self.parameters: dict[tuple[Any, ...], str] = {}
        self._names: set[str] = {"x", "inputs"}
        self.titles = [self._title([body[place].name for body in block.bodies]) for place in range(len(block.body))]
        self.body = [self._generic(place) for place in range(len(block.body))]
        first = next((line.name for line in block.body if line.name), "block")
        names = [next((line.name for line in body if line.name), "block") for body in block.bodies]
        base = re.sub(r"[\d_.\-]+$", "", common(names)[0]) or re.sub(r"[\d_.\-]+.*$", "", first) or "block"
        self.name = _identifier(f"{base}_block" if base in ("conv", "res", "relu", "bn") else base, taken)

    def _title(self, names: Sequence[str]) -> str:
        """How a layer's name is written: with a parameter in the middle."""
        if not names[0]:
            return ""
        before, after = common(names)
        middles = tuple(name[len(before) : len(name) - len(after)] for name in names)
        return f'f"{before}{{{self._parameter(middles, "name")}}}{after}"'

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
                value = _Name(self._parameter(values, key or self._argument(line)))
            arguments.append((key, value))
        return Statement(line.key, line.callee, tuple(arguments), line.inputs, line.name)

    def _argument(self, line: Statement) -> str:
        """What a first argument is called."""
        return {"layers.Dense": "units", "layers.Dropout": "rate"}.get(line.callee, "filters")

    def text(self) -> str:
        entry, uses = self.block.entries[0], Counter(key for line in self.block.body for key in line.refs())
        once = uses[entry] == 1 and entry in set(self.block.body[0].refs())
        names = {entry: "x" if once else "inputs"}
        titles = {line.key: title for line, title in zip(self.body, self.titles, strict=True)}
        names |= _variables(self.body, {self.body[-1].key: len(self.body)}, self._names | RESERVED, titles)
        out = [row for line in self.body for row in _fitted(names[line.key], line, names, titles[line.key])]
        kinds = {"name": "str"}
        typed = [f"{p}: {kinds.get(p) or type(v[0]).__name__}" for v, p in self.parameters.items()]
        head = ", ".join([f"{names[entry]}: keras.KerasTensor", *typed])
        start = f"def {self.name}({head}) -> keras.KerasTensor:"
        if len(start) > WIDTH:
            rows = [f"    {head}"] if len(head) + 4 <= WIDTH else [f"    {row}," for row in head.split(", ")]
            start = "\n".join([f"def {self.name}(", *rows, ") -> keras.KerasTensor:"])
        count = len(self.block.starts)
        return "\n".join(
            [start, f'    """A part that the net has {count} times."""', *out, f"    return {names[self.body[-1].key]}"]
        )

    def arguments(self, call: Call) -> list[str]:
        return [text_of(values[call.number], {}) for values in self.parameters]

    def call(self, call: Call, x: str) -> str:
        return f"{self.name}({', '.join([x, *self.arguments(call)])})"

    def counted(self, call: Call) -> tuple[str, int | None, list[str]]:
        """The first text without the number at its end, that number, and the other arguments."""
        first, *rest = self.arguments(call) or [""]
        match = re.fullmatch(r'("[^"{}\\]*?)([1-9]\d{0,3}|0)"', first)
        return (match[1] + '"', int(match[2]), rest) if match else ("", None, rest)


class _Name(str):
    """A parameter's name among the values of a statement."""

    def __repr__(self) -> str:
        return str(self)


def _variables(
    lines: Sequence[Any], ends: Mapping[int, int], taken: set[str], titles: Mapping[int, str] | None = None
) -> dict[int, str]:
    """{value: variable}: x where only the next line uses it, else after the layer."""
    taken, places = set(taken), {key: [place] for key, place in ends.items()}
    for place, line in enumerate(lines):
        for key in line.refs():
            places.setdefault(key, []).append(place)
    names = {}
    for place, line in enumerate(lines):
        chained = set(places.get(line.key, [place + 1])) == {place + 1}
        title = (titles or {}).get(line.key) or getattr(line, "name", "") or "block"
        names[line.key] = "x" if chained else _identifier(re.sub(r'^f"|\{\w+\}|"$', "", title), taken)
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


def _fitted(target: str, line: Statement, names: Mapping[int, str], title: str) -> list[str]:
    """The line, broken where it is too long as formatters break it."""
    if line.callee == "[]":
        value, key = (text_of(value, names) for _, value in line.arguments)
        return [f"    {target} = {value}[{key}]"]
    arguments = [f"{key}={_text(v, names)}" if key else _text(v, names) for key, v in line.arguments]
    head, last = line.callee, arguments
    if line.name:
        head = f"{line.callee}({', '.join([*arguments, f'name={title}'])})"
        last = [text_of(line.inputs, names)]
    tail = f"({', '.join(last)})"
    whole = f"    {target} = {head}{tail}"
    if len(whole) <= WIDTH:
        return [whole]
    if line.name and len(f"    {target} = {head}(") > WIDTH:  # What is before the last brackets is too long by itself.
        inner = [*arguments, f"name={title}"]
        return [f"    {target} = {line.callee}(", *_rows(inner), f"    ){tail}"]
    return [f"    {target} = {head}(", *_rows(last), "    )"]


def _rows(arguments: Sequence[str]) -> list[str]:
    """What stands in brackets, on one line if that is long enough."""
    inside = f"        {', '.join(arguments)}"
    return [inside] if len(inside) <= WIDTH else [f"        {argument}," for argument in arguments]


def _text(value: Any, names: Mapping[int, str]) -> str:
    return str(value) if isinstance(value, _Name) else text_of(value, names)


def _dict(tensors: Mapping[str, Any], names: Mapping[int, str]) -> str:
    return "{" + ", ".join(f"{string(name)}: {names[id(x)]}" for name, x in tensors.items()) + "}"


def _plain(text: str) -> str:
    """A text from a file as it can stand in a docstring."""
    return re.sub(r"[^\w .,:()/+\-]", "_", text, flags=re.ASCII)


def _wrapped(text: str) -> list[str]:
    import textwrap

    return textwrap.wrap(_plain_line(text), WIDTH)


def _plain_line(text: str) -> str:
    return text.replace("\\", "/").replace('"""', "'''")

"""Nothing is left out: what every layer type must bring, and where. CONTRIBUTING.md has the same as a checklist."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from keras_caffe import layers, proto
from keras_caffe.layers.base import CaffeLayer
from keras_caffe.layers.source import SourceLayer
from scripts import generate_layer_docs as docs
from tests.layers.cases import WITHOUT_A_FILE, declared, own_types
from tests.layers.golden_case import KINDS

ROOT = Path(__file__).resolve().parents[2]
TYPES = own_types()
ARRAYS, DOCS = "tests/goldens/layers", "scripts/generate_layer_docs.py"
NO_TYPES = {"Fillers", "InPlaceChain"}  # arrays of the fillers, and of several layers in one place
WITH_ARRAYS = {kind.split("_")[0] for kind in KINDS} - NO_TYPES

every_type = pytest.mark.parametrize("name", TYPES)


def module(name: str) -> str:
    """The name of a type's module, which its test file bears too."""
    return Path(inspect.getfile(TYPES[name])).stem


def write_a_case(name: str, argument: str) -> str:
    return f"tests/layers/test_{module(name)}.py: write CASES = [Case({name!r}, {argument})], see tests/layers/cases.py"


def test_every_layer_file_is_imported() -> None:
    files = {path.stem for path in Path(layers.__file__).parent.glob("*.py") if "@register_layer" in path.read_text()}
    missing = files - {module(name) for name in TYPES}
    assert not missing, f"keras_caffe/layers/__init__.py: import the class of {sorted(missing)}, `import X as X`"
    assert set(layers.__all__) == {cls.__name__ for cls in TYPES.values()} == set(TYPES), (
        "a class bears its type's name"
    )


@every_type
def test_it_states_what_it_computes(name: str) -> None:
    own = TYPES[name].__mro__[: TYPES[name].__mro__.index(CaffeLayer)]
    assert any({"flops", "flops_per_top_value"} & set(vars(cls)) for cls in own), (
        f"keras_caffe/layers/{module(name)}.py: write `flops_per_top_value = <operations for each value of the tops>` "
        "into the class, or a method `flops` (see CaffeLayer.flops); None, with a comment, if the values decide"
    )


@every_type
def test_it_has_an_example_as_a_plain_layer(name: str) -> None:
    if not issubclass(TYPES[name], SourceLayer):
        cases = declared().get(name, [])
        assert any(case.layer or case.reason for case in cases), write_a_case(name, f"layers.{name}(...), [SHAPE]")


@every_type
def test_it_has_a_net(name: str) -> None:
    nets = name in WITH_ARRAYS or any(case.net for case in declared().get(name, []))
    assert nets or name == "Python", f"{write_a_case(name, 'net=...')}; or bring arrays of Caffe, {ARRAYS}/{name}.npz"


@every_type
def test_something_checks_its_values(name: str) -> None:
    checks = [case.values for case in declared().get(name, []) if case.values]
    if not issubclass(TYPES[name], SourceLayer):
        hint = write_a_case(name, "values='formula in tests/...'")
        assert checks or name in WITH_ARRAYS, f"{hint}; or bring arrays of Caffe, {ARRAYS}/{name}.npz"
    assert not (checks and name in WITH_ARRAYS), f"{ARRAYS} has {name}: take `values` out of its Case"
    paths = re.findall(r"tests/[\w./]*\w", " ".join(checks))
    assert all((ROOT / path).exists() for path in paths), f"the Case of {name} names a file that is not there: {paths}"


@every_type
def test_it_has_a_gradient_if_its_arrays_have(name: str) -> None:
    if docs.goldens(name).gradients:
        assert TYPES[name].has_gradient, f"keras_caffe/layers/{module(name)}.py: {ARRAYS} has its gradient"


@every_type
def test_its_case_stands_in_its_own_file(name: str) -> None:
    own = (ROOT / "tests" / "layers" / f"test_{module(name)}.py").exists()
    listed = name in {case.type for case in WITHOUT_A_FILE}
    hint = f"{write_a_case(name, '...')}, and take it out of WITHOUT_A_FILE in tests/layers/cases.py"
    assert not (own and listed), hint


def test_cases_and_arrays_are_of_types() -> None:
    assert set(declared()) <= set(TYPES), "a Case in tests/layers bears a name that is no layer type"
    assert WITH_ARRAYS <= set(TYPES), (
        f"arrays in {ARRAYS} bear a name that is no type, neither <Type> nor <Type>_<what>"
    )


def test_every_message_has_a_reader() -> None:
    fields = [f for f in proto.LayerParameter.DESCRIPTOR.fields if f.name.endswith("_param") and f.number < 30000]
    read = {field.name for name, cls in TYPES.items() for field in docs.parameters(name, cls)}
    unread = {field.name for field in fields} - read
    listed = set(docs.UNREAD)
    assert unread <= listed, (
        f"{unread - listed}: no layer reads it as `layer.<name>`, and UNREAD in {DOCS} does not say why"
    )
    assert not read & listed, f"{read & listed}: a layer reads it, take it out of UNREAD in {DOCS}"

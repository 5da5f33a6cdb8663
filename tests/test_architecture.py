"""The rules of the house, read from the source: who imports whom, how long files and functions are, what is public."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from enum import Enum
from functools import cache
from pathlib import Path

import pytest

from tests import private_names
from tests.package import PACKAGE, parse, sources
from tests.private_names import FORCED
from tests.shared_goldens import ROOT

# Imports point one way. A room may import the rooms of lower floors; on its own floor only what NEIGHBOURS lists.
FLOORS = [
    {"_keras", "cures", "deprecation", "errors", "known", "version", "requirements", "whole"},
    {"proto", "registry", "named", "shapes", "layout", "fillers", "forks", "lmdb_file", "hdf5_file", "places"},
    {"ops", "runtimes"},
    {"layers"},
    {"losses", "metrics", "optimizers"},  # Keras's classes of the same names
    {"converters"},
    {"data", "code", "onnx", "plain", "solver", "serving", "pycaffe", "samples", "cv_dnn", "engines", "page", "plots"},
    {"beam"},
    {"public"},  # keras_caffe/__init__.py
    {"cli"},
    {"__main__"},
]
NEIGHBOURS = {
    ("errors", "cures"),
    ("fillers", "proto"),
    ("serving", "onnx"),
    ("solver", "data"),
    ("pycaffe", "data"),
    ("pycaffe", "solver"),
}
NEIGHBOURS |= {("code", "plain"), ("cv_dnn", "onnx"), ("plots", "page"), ("plots", "solver"), ("registry", "forks")}
NEIGHBOURS |= {("engines", "onnx"), ("engines", "serving"), ("pycaffe", "engines")}
ONLY = {"samples": {"errors", "proto", "lmdb_file"}}  # rooms that need less than their floor allows

TENSORFLOW = {"beam", "ops", "data", "runtimes", "solver", "serving", "pycaffe", "page"}
NO_KERAS = {
    "whole",
    "cures",
    "deprecation",
    "errors",
    "version",
    "requirements",
    "proto",
    "registry",
    "shapes",
    "layout",
}
NO_KERAS |= {"forks", "hdf5_file", "lmdb_file", "named", "places", "samples"}
BEFORE_BUILD = {f"{PACKAGE}.converters.{name}" for name in ("read", "upgrade", "select", "definition", "graph")}
STEPS_OF_READING = {"read": ("read_net",), "upgrade": ("upgrade",), "select": ("select", "select_state")}

FILE_LINES, LAYER_LINES, FUNCTION_LINES, PUBLIC_LINES = 400, 150, 60, 40

# Exceptions, each with a reason. The lists may only shrink: an entry that is no longer needed fails its test.
LONG_FILES: dict[str, str] = {}
LONG_LAYERS: dict[str, str] = {}
LONG_FUNCTIONS: dict[str, str] = {}
UNTESTED_LAYERS: dict[str, str] = {}
SET_ELSEWHERE = {  # Keras and TensorFlow take only TensorFlow's own class of iterators.
    f"{PACKAGE}.data.iterators": ["iterator.__class__"]
}

CONTRACT = {"load", "save", "dataset", "load_solver", "export", "register_layer", "layers", "losses", "optimizers"}
CONTRACT |= {"check", "data", "engine", "known", "pycaffe", "ops", "plots", "to_code", "to_keras", "to_onnx", "view"}
CONTRACT |= {"beam"}
NOT_YET: set[str] = set()
BESIDE_CONTRACT = {
    "known",
    "CaffeError",
    "CaffeModel",
    "CaffeWarning",
    "__version__",
    "compare",
    "cv_dnn",
    "fold",
    "metrics",
}


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else "public"


def floor(name: str) -> int:
    return next(number for number, rooms in enumerate(FLOORS) if name in rooms)


def for_types_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """Everything below `node` but what only a type checker runs."""
    for child in ast.iter_child_nodes(node):
        if not for_types_only(child):
            yield child
            yield from statements(child)


def absolute(module: str, node: ast.ImportFrom) -> str:
    """The module that `from ... import` names, with leading dots resolved."""
    if not node.level:
        return node.module or ""
    package = module.split(".") if sources()[module].name == "__init__.py" else module.split(".")[:-1]
    return ".".join([*package[: len(package) - node.level + 1], *filter(None, [node.module])])


@cache
def imports(module: str) -> frozenset[str]:
    """The modules that `module` imports, anywhere in it; `from package import module` counts as that module."""
    found = set()
    for node in statements(parse(module)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            origin = absolute(module, node)
            names = {f"{origin}.{alias.name}" for alias in node.names}
            found |= {name if name in sources() else origin for name in names}
    return frozenset(found)


def names_imported(module: str) -> set[str]:
    """Every module and every name of a module that `module` imports, dotted."""
    nodes = list(statements(parse(module)))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    froms = [node for node in nodes if isinstance(node, ast.ImportFrom)]
    return plain | {f"{absolute(module, node)}.{alias.name}" for node in froms for alias in node.names}


def own(module: str) -> set[str]:
    return {name for name in imports(module) if name.split(".")[0] == PACKAGE}


def reachable(module: str) -> set[str]:
    """`module` and all of the package that it imports, directly or not."""
    seen, todo = set(), [module]
    while todo:
        name = todo.pop()
        if name not in seen and name in sources():
            seen.add(name)
            todo += own(name)
    return seen


def uses(module: str, library: str) -> bool:
    return any(name.split(".")[0] == library for name in imports(module))


def may_import(importer: str, imported: str) -> bool:
    if importer == imported:
        return True
    if importer in ONLY:
        return imported in ONLY[importer]
    return floor(imported) < floor(importer) or (importer, imported) in NEIGHBOURS


def excess(measured: dict[str, int], limit: int, allowed: dict[str, str]) -> str:
    """What is over the limit without an entry in the list of exceptions, or has an entry that it does not need."""
    over = {name for name, size in measured.items() if size > limit}
    new = [f"{name}: {measured[name]} lines (limit {limit})" for name in sorted(over - set(allowed))]
    return "\n".join(new + [f"{name}: strike it off the list of exceptions" for name in sorted(set(allowed) - over)])


def functions() -> dict[str, int]:
    measured = {}
    for module in sources():
        for node in ast.walk(parse(module)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                measured[f"{module}.{node.name}"] = (node.end_lineno or 0) - node.lineno + 1 - example_lines(node)
    return measured


def example_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of the example in a docstring, which makes a function longer but not harder to read."""
    found = re.search(r"\n\nExamples:\n.*?(?=\n\n|\Z)", ast.get_docstring(function) or "", re.DOTALL)
    return found[0].count("\n") if found else 0


def lines(path: Path) -> int:
    return len(path.read_text().splitlines())


def test_every_module_has_a_room() -> None:
    known = set().union(*FLOORS)
    assert {room(module) for module in sources()} <= known
    assert sum(map(len, FLOORS)) == len(known), "a room stands on two floors"


@pytest.mark.parametrize("module", sorted(sources()))
def test_imports_point_one_way(module: str) -> None:
    wrong = [name for name in sorted(own(module)) if not may_import(room(module), room(name))]
    assert not wrong, f"{module} imports {', '.join(wrong)}"


def test_no_module_imports_itself_around_a_corner() -> None:
    inner = {name for name in sources() if sources()[name].name != "__init__.py"}
    circles = [name for name in inner if any(name in reachable(other) for other in own(name) - {name})]
    assert not circles, f"in an import circle: {sorted(circles)}"


def test_tensorflow_is_imported_only_in_its_rooms() -> None:
    users = {module for module in sources() if uses(module, "tensorflow")}
    assert not [module for module in users if room(module) not in TENSORFLOW]


def test_keras_stays_out_of_what_comes_before_build() -> None:
    early = {module for module in sources() if room(module) in NO_KERAS} | (BEFORE_BUILD & set(sources()))
    offenders = {module: name for module in early for name in reachable(module) if uses(name, "keras")}
    assert not offenders, f"these import Keras (value: through which module): {offenders}"


def test_definitions_are_read_in_one_place() -> None:
    """Read, upgrade, select: the others take the Definition that converters/definition.py makes by these steps."""
    modules = {f"{PACKAGE}.converters.{step}": names for step, names in STEPS_OF_READING.items()}
    steps = {*modules, *(f"{module}.{name}" for module, names in modules.items() for name in names)}
    offenders = {name: names_imported(name) & steps for name in set(sources()) - set(modules)}
    del offenders[f"{PACKAGE}.converters.definition"]
    assert not {name: found for name, found in offenders.items() if found}, "call read_definition(...).select(...)"


def test_path_or_text_is_decided_in_one_place() -> None:
    """Nobody looks for a brace in a string, or for what Path raises of a text: converters/read.py has `path_of`."""
    asks = re.compile(r"""["']\{["'] (not )?in |\.(is_file|exists)\(\)\n\s*except \(?.*ValueError""")
    offenders = [name for name, path in sources().items() if asks.search(path.read_text())]
    assert offenders == [f"{PACKAGE}.converters.read"], "call path_of(...)"


def test_what_comes_before_build_imports_no_tensorflow() -> None:
    early = {module for module in sources() if room(module) in NO_KERAS} | (BEFORE_BUILD & set(sources()))
    assert not {module: name for module in early for name in reachable(module) if uses(name, "tensorflow")}


def test_every_module_is_type_checked() -> None:
    """mypy reads the whole package, and no module is left out."""
    settings = (ROOT / "pyproject.toml").read_text()
    assert 'files = ["keras_caffe"]' in settings
    assert "[[tool.mypy.overrides]]" not in settings


def test_test_modules_import_no_other_test_module() -> None:
    """What several tests need stands in a module of its own."""
    for path in (ROOT / "tests").rglob("test_*.py"):
        froms = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
        assert not [node.module for node in froms if ".test_" in f"{node.module}"], path


def test_nobody_imports_converters_by_its_folder() -> None:
    scripts = [path for folder in ("scripts", "tests") for path in (ROOT / folder).rglob("*.py")]
    pattern = re.compile(r"^\s*(import converters|from converters)\b", re.MULTILINE)
    assert not [path for path in [*sources().values(), *scripts] if pattern.search(path.read_text())]


def test_converters_has_one_import_path() -> None:
    link = ROOT / PACKAGE / "converters"
    assert link.is_symlink(), "keras_caffe/converters is a symlink to ../converters in a checkout"
    assert link.resolve() == ROOT / "converters"


def test_no_module_uses_the_private_names_of_another() -> None:
    """Private names belong to one module; `self` may use those of its base classes."""
    everywhere = {name for module in sources() for name in private_names.defined(parse(module))}
    wrong = []
    for module in sources():
        own_names = private_names.defined(parse(module))
        wrong += [f"{module} imports {name}" for name in private_names.imported(parse(module))]
        for owner, name in private_names.used(parse(module)):
            known = everywhere if private_names.is_self(owner) else own_names
            if name not in known | FORCED.keys():
                wrong.append(f"{module} uses {ast.unparse(owner)}.{name}")
    assert not wrong, "make the name public, or move the code:\n" + "\n".join(wrong)


def test_no_module_sets_attributes_of_what_it_imports() -> None:
    found = {m: sorted(private_names.set_elsewhere(parse(m))) for m in sources()}
    assert {module: names for module, names in found.items() if names} == SET_ELSEWHERE


@pytest.mark.parametrize("name", sorted(FORCED))
def test_the_private_names_of_others_exist(name: str) -> None:
    assert private_names.exists(name), f"{FORCED[name].owner} has no {name} any more: {FORCED[name].reason}"


def test_the_list_of_private_names_is_as_short_as_can_be() -> None:
    used = {name for module in sources() for _, name in private_names.used(parse(module))}
    used |= {name for module in sources() for name in private_names.defined(parse(module))}
    assert not sorted(FORCED.keys() - used), "strike these off FORCED in tests/private_names.py"


def test_no_private_name_of_ours_hides_one_of_a_base_class() -> None:
    assert not sorted(overridden() - FORCED.keys())


def overridden() -> set[str]:
    """Private names that classes of the package share with a base class from elsewhere."""
    classes = {
        value
        for module in sources()
        if not module.endswith("__main__")
        for value in vars(importlib.import_module(module)).values()
        if inspect.isclass(value) and str(value.__module__).startswith(f"{PACKAGE}.") and not issubclass(value, Enum)
    }
    names = set()
    for cls in classes:
        foreign = [base for base in cls.__mro__[1:-1] if not str(base.__module__).startswith(f"{PACKAGE}.")]
        names |= {name for name in vars(cls) if any(name in vars(base) for base in foreign)}
    return set(filter(private_names.is_private, names)) - {"_abc_impl", "_field_defaults", "_make", "_is_protocol"}


def test_files_are_short() -> None:
    measured = {str(path.relative_to(ROOT)): lines(path) for path in sources().values()}
    assert not excess(measured, FILE_LINES, LONG_FILES)


def test_layer_files_are_short() -> None:
    measured = {name: lines(path) for name, path in layer_files().items()}
    assert not excess(measured, LAYER_LINES, LONG_LAYERS)


def test_functions_are_short() -> None:
    assert not excess(functions(), FUNCTION_LINES, LONG_FUNCTIONS)


def layer_files() -> dict[str, Path]:
    """The files of single layers: those that register a Caffe type."""
    found = {name: path for name, path in sources().items() if name.startswith(f"{PACKAGE}.layers.")}
    return {name.split(".")[-1]: path for name, path in found.items() if registered_types(name)}


def registered_types(module: str) -> list[str]:
    """The Caffe types that a module registers with the decorator `register_layer`."""
    calls = [
        decorator
        for node in ast.walk(parse(module))
        if isinstance(node, ast.ClassDef)
        for decorator in node.decorator_list
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func).endswith("register_layer")
    ]
    return [str(ast.literal_eval(argument)) for call in calls for argument in call.args]


def test_every_layer_file_is_tested() -> None:
    """By a test file of its own, or by the arrays that Caffe computed for each of its types."""
    goldens = {path.stem for path in (ROOT / "tests" / "goldens" / "layers").glob("*.npz")}
    untested = {
        name
        for name in layer_files()
        if not (ROOT / "tests" / "layers" / f"test_{name}.py").exists()
        and not set(registered_types(f"{PACKAGE}.layers.{name}")) <= goldens
    }
    assert untested == set(UNTESTED_LAYERS)


def test_the_public_surface_is_small() -> None:
    assert lines(ROOT / PACKAGE / "__init__.py") < PUBLIC_LINES


def test_the_public_surface_is_the_contract() -> None:
    import keras_caffe

    exported = set(keras_caffe.__all__)
    assert exported - BESIDE_CONTRACT <= CONTRACT
    assert CONTRACT - exported == NOT_YET, "a name that has arrived leaves NOT_YET"
    assert all(hasattr(keras_caffe, name) for name in exported)

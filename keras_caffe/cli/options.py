"""What the commands that read a net have in common: its options, and the steps up to a plan or a model."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras_caffe
from keras_caffe.converters.select import PHASES
from keras_caffe.errors import Cure, Option, ReadError
from keras_caffe.known import recognise
from keras_caffe.layout import DATA_FORMATS
from keras_caffe.shapes import Shape

if TYPE_CHECKING:
    from keras_caffe.converters.infer import Plan


def add_net_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options that tell how a net is read. Their `dest` is the argument of `load` that they stand for."""
    add = parser.add_argument_group("how the net is read").add_argument
    add("--phase", choices=PHASES, default="TEST", help="phase for include/exclude rules (default: TEST)")
    add("--level", type=int, default=0, metavar="N", help="level for these rules (default: 0)")
    add(
        "--stage",
        dest="stages",
        action="append",
        default=[],
        metavar="NAME",
        help="a stage for these rules; may be repeated",
    )
    add("--data-format", choices=DATA_FORMATS, help="axis order of inputs and outputs (default: Keras's setting)")
    add(
        "--input-shape",
        dest="input_shapes",
        action="append",
        default=[],
        type=input_shape,
        metavar="NAME=N,C,H,W",
        help="shape of an input in Caffe's order, if the net does not state it or to override it; ? leaves a "
        "size open; may be repeated",
    )
    add("--skip-mismatch", action="store_true", help="keep the fillers' values in layers that the weights do not fit")
    add("--strict", action="store_true", help="unknown fields are an error, not a warning")
    add(
        "--fork",
        metavar="NAME",
        help="the Caffe that the net was made for, such as bvlc, ssd or nvcaffe (default: detected)",
    )
    add(
        "--allow-python-imports",
        action="store_true",
        help="import the modules that Python layers name; only for files you trust",
    )
    add_places(parser)


def add_places(parser: argparse.ArgumentParser) -> None:
    """Adds the options that tell where files that the net names are looked for."""
    add = parser.add_argument_group("where its files are").add_argument
    add(
        "--root-dir",
        dest="base_dir",
        metavar="DIR",
        help="folder of the files that the net names (default: the working directory)",
    )
    add(
        "--confine",
        action="store_true",
        help="refuse file names that leave --root-dir through .., an absolute path or a link",
    )


def places(args: argparse.Namespace) -> dict[str, Any]:
    """The arguments that the options of `add_places` stand for."""
    return {"base_dir": args.base_dir, "confine": args.confine}


def add_engine_options(parser: argparse.ArgumentParser, default: str | None = None) -> None:
    """Adds `--engine` and `--threads`."""
    add = parser.add_argument_group("what computes").add_argument
    names = ("auto", "openvino", "onnxruntime", "litert", "tensorflow")
    said = f"default: {default or 'Keras'}; auto: the fastest that is installed, as measured"
    add("--engine", choices=names, default=default, help=f"({said})")
    add("--threads", type=positive, metavar="N", help="threads for the engine (default: one per processor)")
    add(
        "--no-cache", dest="cache", action="store_false", help="with auto: measure again and do not remember the result"
    )


def engine_of(args: argparse.Namespace, model: keras_caffe.CaffeModel, outputs: Sequence[str]) -> Any:
    """The engine that `--engine` names, for these blobs; None: Keras computes."""
    if args.engine is None:
        return None
    with working("Trying engines"):
        return keras_caffe.engine(model, args.engine, threads=args.threads, outputs=outputs, cache=args.cache)


def input_shape(text: str) -> tuple[str, Shape]:
    """`NAME=N,C,H,W` as (name, shape); `?` is an open size."""
    name, _, sizes = text.rpartition("=")
    if not name or not re.fullmatch(r"(\d+|\?)(,(\d+|\?))*", sizes):
        raise argparse.ArgumentTypeError(f"expected NAME=N,C,H,W, received {text!r}")
    return name, tuple(None if size == "?" else int(size) for size in sizes.split(","))


def positive(text: str) -> int:
    """A whole number from 1 on."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 on, received {text!r}")
    return int(text)


def add_weights(parser: argparse.ArgumentParser) -> None:
    """Adds WEIGHTS, of which there must be some; `need_weights` checks that."""
    parser.add_argument("weights", metavar="WEIGHTS", nargs="*", help="caffemodel or caffemodel.h5; the later one wins")


def need_weights(args: argparse.Namespace, weights: Sequence[str]) -> None:
    """Refuses a net without trained values. Of a caffemodel alone it says what belongs in front of it.

    Raises:
        ReadError: `args.net` is a caffemodel; anything else is a wrong usage.
    """
    if weights:
        return
    from keras_caffe.converters.missing import TRAINED

    if not Path(args.net).is_file() or not args.net.endswith((".caffemodel", ".caffemodel.h5")):
        args.wrong_usage("the following arguments are required: WEIGHTS")
    cures: list[Cure] = [TRAINED]
    if "input_shapes" in args.flags:
        purpose = "and give the file twice, as NET and as WEIGHTS, to use the net that was trained"
        cures.append(Option("input_shapes", {"data": tuple("NCHW")}, purpose))
    raise ReadError(
        "this caffemodel was given without a prototxt",
        where=args.net,
        expected="the prototxt of the net (deploy.prototxt), then the caffemodel",
        fix=cures,
    )


def load(args: argparse.Namespace, weights: Sequence[str | Path]) -> keras_caffe.CaffeModel:
    """The model of `args.net`."""
    model = keras_caffe.load(args.net, weights, skip_mismatch=args.skip_mismatch, **given(args))
    suggest(args, model)
    return model


def suggest(args: argparse.Namespace, net: Any) -> None:
    """Notes what the publishers of a famous net feed it with, unless the command is told how to prepare pictures.

    `main` says so at the end of a run that went well; nothing is done about it.
    """
    told = any(getattr(args, name, None) is not None for name in ("mean", "scale", "raw_scale", "transform"))
    found = None if told else recognise(net)
    if found is not None:
        args.note = f"this looks like {found}"


def plan(args: argparse.Namespace) -> Plan:
    """The plan of `args.net`."""
    from keras_caffe.converters import load as loading
    from keras_caffe.converters.definition import read_definition

    definition = read_definition(args.net, strict=args.strict, fork=args.fork).select(**selection(args))
    return loading.plan(definition, loading.PlanSettings.of(**settings(args)))[0]


def given(args: argparse.Namespace) -> dict[str, Any]:
    """The arguments of `keras_caffe.load` that the options stand for, but `skip_mismatch`."""
    return {**selection(args), **settings(args), "strict": args.strict}


def selection(args: argparse.Namespace) -> dict[str, Any]:
    """The arguments of `Definition.select`."""
    return {"phase": args.phase, "level": args.level, "stages": args.stages}


def settings(args: argparse.Namespace) -> dict[str, Any]:
    """The arguments of `PlanSettings`."""
    return {
        "input_shapes": dict(args.input_shapes),
        "data_format": args.data_format,
        "fork": args.fork,
        "allow_python_imports": args.allow_python_imports,
        **places(args),
    }


def working(text: str) -> AbstractContextManager[Any]:
    """A sign of life for as long as it is entered; on terminals only."""
    from rich.console import Console

    return Console(stderr=True, markup=False, emoji=False).status(f"{text} ...")

"""Explains a kind of error: cause, example and cure.

KIND is the name of the error class in Python: `keras-caffe explain ReadError`. Without KIND, all are listed.
docs/errors.md has the same text.
"""

from __future__ import annotations

import argparse
import inspect

from keras_caffe import errors

COMPUTES_NOTHING = True
KINDS: dict[str, type[errors.Message]] = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, errors.Message) and kind not in (errors.Message, errors.CaffeError)
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("kind", metavar="KIND", nargs="?", choices=list(KINDS), help=f"one of {', '.join(KINDS)}")


def run(args: argparse.Namespace) -> None:
    if args.kind is None:
        width = max(map(len, KINDS))
        for name in KINDS:
            print(f"{name:<{width}}  {meaning(name).splitlines()[0]}")
        return
    parents = [kind.__name__ for kind in KINDS[args.kind].__mro__[1:] if issubclass(kind, Exception)]
    print(f"{args.kind} (also a {', '.join(name for name in parents if name not in ('Message', 'Exception'))})\n")
    print(meaning(args.kind))


def meaning(name: str) -> str:
    """The text about a kind of error: what it is, Cause, Example, Cure."""
    text, _, _ = inspect.cleandoc(KINDS[name].__doc__ or "").partition("\n\nArgs:\n")
    return text.replace("Example::", "Example:")

"""Marks what goes away in a later version; CONTRIBUTING.md states the policy."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def deprecated(
    since: str, removed: str, instead: str
) -> Callable[[Callable[Parameters, Result]], Callable[Parameters, Result]]:
    """Function decorator: each call warns that the function goes away.

    Args:
        since: the version that deprecates it.
        removed: the first version without it.
        instead: what to call in its place.
    """

    def decorate(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
        name = f"{function.__module__}.{function.__qualname__}"
        said = f"{name} is deprecated since keras_caffe {since} and goes away in {removed}: use {instead}"

        @wraps(function)
        def warned(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
            warnings.warn(said, DeprecationWarning, stacklevel=2)
            return function(*args, **kwargs)

        return warned

    return decorate

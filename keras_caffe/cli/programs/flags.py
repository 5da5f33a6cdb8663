"""The flags of Caffe's programs in gflags' grammar, and its words for what is wrong."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from absl import flags

from keras_caffe.cli.programs.glog import WARNING, log
from keras_caffe.errors import Flag

Values = flags.FlagValues
"""The flags of a program: `values.solver` is what --solver was given"""

VERSION = "1.0.0"  # of the Caffe whose programs these are
GLOG = (  # glog's flags that change nothing here: (name, its default)
    ("logtostderr", False),
    ("alsologtostderr", True),
    ("colorlogtostderr", False),
    ("log_prefix", True),
    ("stop_logging_if_full_disk", False),
    ("symbolize_stacktrace", True),
    ("stderrthreshold", 2),
    ("v", 0),
    ("logbuflevel", 0),
    ("logbufsecs", 30),
    ("max_log_size", 1800),
    ("vmodule", ""),
    ("log_link", ""),
    ("log_backtrace_at", ""),
)
HELP = ("help", "helpshort", "helpfull", "helppackage")
ALLOW = {"allow_python_imports": Flag("--allow_python_imports")}


class NoRun(Exception):
    """The flags end the program before it runs; the text says why.

    Args:
        text: what to print.
        wrong: whether it is an error.
        code: the exit code, where it is none.
    """

    def __init__(self, text: str, wrong: bool = False, code: int = 0) -> None:
        super().__init__(text)
        self.wrong, self.code = wrong, code


@dataclass(frozen=True)
class Program:
    """One of Caffe's programs.

    Args:
        usage: what --help begins with.
        run: the program: takes flags and positional arguments, returns the exit code.
        define: (name, default, help) of each flag; the default's type is the flag's.
        ignored: {flag: why it has no effect here}.
    """

    usage: str
    run: Callable[[Values, Sequence[str]], int]
    define: Sequence[tuple[str, Any, str]] = ()
    ignored: Sequence[tuple[str, str]] = ()

    def parse(self, name: str, arguments: Sequence[str]) -> tuple[Values, list[str]]:
        """The flags and the positional arguments, which may stand in any order.

        Raises:
            NoRun: a flag is wrong, or asks for help or the version.
        """
        values = self._flags()
        try:
            positional = values([name, *(_spelled(argument, values) for argument in arguments)])[1:]
        except flags.UnrecognizedFlagError as error:
            raise NoRun(f"ERROR: unknown command line flag '{error.flagname}'", wrong=True) from None
        except flags.IllegalFlagValueError as error:
            raise NoRun(_illegal(str(error), values), wrong=True) from None
        except flags.Error as error:
            raise NoRun(_missing(str(error), values), wrong=True) from None
        if values["version"].value:
            raise NoRun(f"{name} version {VERSION}")
        if any(values[flag].value for flag in HELP):
            raise NoRun(self.help(name), code=1)
        return values, positional

    def _flags(self) -> Values:
        values = Values()
        values.set_gnu_getopt(True)
        environment = os.environ.get
        own = [
            *self.define,
            *((flag, False, "show this text") for flag in HELP),
            ("version", False, "show the version"),
        ]
        own += [("minloglevel", int(environment("GLOG_minloglevel", "0")), "log messages from this level on")]
        own += [("log_dir", environment("GLOG_log_dir", ""), "folder for a log file besides standard error")]
        for flag, default, text in [*own, *((flag, default, "no effect") for flag, default in GLOG)]:
            _DEFINE[type(default)](flag, default, text, flag_values=values)
        return values

    def tell_ignored(self, values: Values) -> None:
        """One line for each flag that was given and has no effect."""
        reasons = dict.fromkeys((flag for flag, _ in GLOG), "the log goes to standard error") | dict(self.ignored)
        for flag, why in reasons.items():
            if values[flag].present:
                log(f"--{flag} has no effect: {why}", "flags.py:1", WARNING)

    def help(self, name: str) -> str:
        """What --help prints."""
        lines = [f"{name}: {self.usage}", "", f"  Flags from tools/{name}.cpp:"]
        for flag, default, text in sorted(self.define):
            shown = f'"{default}"' if isinstance(default, str) else str(default).lower()
            lines.append(f"    -{flag} ({text}) type: {_NAMES[type(default)]} default: {shown}")
        return "\n".join(lines)


_DEFINE: dict[type, Callable[..., Any]] = {
    str: flags.DEFINE_string,
    int: flags.DEFINE_integer,
    bool: flags.DEFINE_boolean,
}
_NAMES = {str: "string", int: "int32", bool: "bool"}


def _spelled(argument: str, values: Values) -> str:
    """A flag's name with _ where it has - and is not known so, as gflags looks it up."""
    found = re.match(r"(--?)([\w-]+)(.*)", argument, re.DOTALL)
    if found is None or found[2] in values or found[2].replace("-", "_") not in values:
        return argument
    return found[1] + found[2].replace("-", "_") + found[3]


def _illegal(error: str, values: Values) -> str:
    name, _, rest = error.removeprefix("flag --").partition("=")
    value = rest.partition(": ")[0]
    kind = _NAMES[type(values[name].default)]
    return f"ERROR: illegal value '{value}' specified for {kind} flag '{name}'"


def _missing(error: str, values: Values) -> str:
    name = error.rpartition(" ")[2].lstrip("-")
    return f"ERROR: flag '--{name}' is missing its argument; flag description: {values[name].help}"

"""The flags of Caffe's programs in gflags' grammar, and its words for what is wrong."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from absl import flags

from keras_caffe.cli.programs.glog import WARNING, log
from keras_caffe.cli.programs.usage import TYPES, Values, asked_for, help_text
from keras_caffe.errors import Flag

Definition = tuple[str, Any, str]
"""Name, default and help of a flag; the default's type is the flag's"""

GLOG = "src/logging.cc"
IGNORED: tuple[Definition, ...] = (  # glog's flags that change nothing here
    ("logtostderr", False, "log messages go to stderr instead of logfiles"),
    ("alsologtostderr", True, "log messages go to stderr in addition to logfiles"),
    ("colorlogtostderr", False, "color messages logged to stderr (if supported by terminal)"),
    ("log_prefix", True, "Prepend the log prefix to the start of each log line"),
    ("stop_logging_if_full_disk", False, "Stop attempting to log to disk if the disk is full."),
    ("symbolize_stacktrace", True, "Symbolize the stack trace in the tombstone"),
    ("stderrthreshold", 2, "log messages at or above this level are copied to stderr in addition to logfiles."),
    ("v", 0, "Show all VLOG(m) messages for m <= this."),
    ("logbuflevel", 0, "Buffer log messages logged at this level or lower"),
    ("logbufsecs", 30, "Buffer log messages for at most this many seconds"),
    ("max_log_size", 1800, "approx. maximum log file size (in MB)."),
    ("vmodule", "", "per-module verbose level."),
    ("log_link", "", "Put additional links to the log files in this directory"),
    ("log_backtrace_at", "", "Emit a backtrace when logging at file:linenum."),
)
FROM_ENVIRONMENT = ("fromenv", "tryfromenv")
GFLAGS: dict[str, tuple[Definition, ...]] = {
    "src/gflags.cc": (
        ("flagfile", "", "load flags from file"),
        ("fromenv", "", "set flags from the environment [use 'export FLAGS_flag1=value']"),
        ("tryfromenv", "", "set flags from the environment if present"),
        ("undefok", "", "names of flags, separated by commas, that may be given although the program has no such flag"),
    ),
    "src/gflags_reporting.cc": (
        ("help", False, "show help on all flags [tip: all flags can have two dashes]"),
        ("helpfull", False, "show help on all flags -- same as -help"),
        ("helpshort", False, "show help on only the main module for this program"),
        ("helpon", "", "show help on the modules named by this flag value"),
        ("helpmatch", "", "show help on modules whose name contains the specified substr"),
        ("helppackage", False, "show help on all modules in the main package"),
        ("helpxml", False, "produce an xml version of help"),
        ("version", False, "show version and build info and exit"),
    ),
}
ALLOW = {"allow_python_imports": Flag("--allow_python_imports")}


class NoRun(Exception):
    """The flags end the program before it runs; the text says why.

    Args:
        text: what to print.
        code: the exit code.
        wrong: whether it is an error.
    """

    def __init__(self, text: str, code: int = 1, wrong: bool = False) -> None:
        super().__init__(text)
        self.code: int = code
        self.wrong: bool = wrong


@dataclass(frozen=True)
class Program:
    """One of Caffe's programs.

    Args:
        name: its name.
        usage: what --help begins with.
        main: "module:function" of the program itself, which takes flags and positional arguments and returns the exit
            code. The module is in this package and imported for a run alone, as it needs TensorFlow.
        define: its own flags.
        ignored: {flag: why it has no effect here}.
        takes: how many positional arguments; another number ends the program with its usage.
        misused: the exit code then.
        version: what --version says.
        folder: where its source is in Caffe, as --help tells.
    """

    name: str
    usage: str
    main: str
    define: Sequence[Definition] = ()
    ignored: Sequence[tuple[str, str]] = ()
    takes: range | None = None
    misused: int = 1
    version: str = ""
    folder: str = "tools"

    def run(self, values: Values, positional: Sequence[str]) -> int:
        """Runs it; returns its exit code."""
        module, _, function = self.main.partition(":")
        run: Callable[[Values, Sequence[str]], int] = getattr(import_module(f"{__package__}.{module}"), function)
        return run(values, positional)

    def parse(self, arguments: Sequence[str]) -> tuple[Values, list[str]]:
        """The flags and the positional arguments, which may stand in any order.

        Raises:
            NoRun: a flag is wrong, or asks for help or the version, or the usage is wrong.
        """
        values = self._flags()
        try:
            positional = _parsed(values, self.name, arguments)
        except NoRun as error:
            values.mark_as_parsed()
            told = self._asked_for(values)  # gflags looks for it before it tells of errors
            raise told or error from None
        if told := self._asked_for(values):
            raise told
        if self.takes is not None and len(positional) not in self.takes:
            raise NoRun(help_text(self.name, self.usage, values, f"{self.folder}/{self.name}"), self.misused)
        return values, positional

    def _asked_for(self, values: Values) -> NoRun | None:
        answer = asked_for(self.name, self.usage, values, self.version)
        return answer and NoRun(*answer)

    def _flags(self) -> Values:
        values = Values()
        values.set_gnu_getopt(True)
        environment = os.environ.get
        log_flags = (
            ("minloglevel", int(environment("GLOG_minloglevel", "0")), "Messages of a lower level are not logged"),
            ("log_dir", environment("GLOG_log_dir", ""), "folder for a log file besides standard error"),
        )
        own = {f"{self.folder}/{self.name}.cpp": self.define, GLOG: (*log_flags, *IGNORED)}
        for file, definitions in (own | GFLAGS).items():
            for name, default, text in definitions:
                _DEFINE[type(default)](name, default, text, flag_values=values, module_name=file)
        return values

    def tell_ignored(self, values: Values) -> None:
        """One line for each flag that was given and has no effect."""
        reasons = dict.fromkeys((name for name, *_ in IGNORED), "the log goes to standard error") | dict(self.ignored)
        for flag, why in reasons.items():
            if values[flag].present:
                log(f"--{flag} has no effect: {why}", "flags.py:1", WARNING)


_DEFINE: dict[type, Callable[..., Any]] = {
    str: flags.DEFINE_string,
    int: flags.DEFINE_integer,
    bool: flags.DEFINE_boolean,
}


def _parsed(values: Values, name: str, arguments: Sequence[str], *unknown: str) -> list[str]:
    """Sets the flags, but for the unknown ones found before; returns the positional arguments."""
    try:
        read = values.read_flags_from_files([_spelled(argument, values) for argument in arguments], force_gnu=False)
        positional = values([name, f"--undefok={','.join(unknown)}", *_with_environment(read, values)])[1:]
    except flags.UnrecognizedFlagError as error:
        if error.flagname not in unknown:  # as one with a comma in its name, which --undefok cannot list
            return _parsed(values, name, arguments, *unknown, error.flagname)  # gflags names them all
    except flags.IllegalFlagValueError as error:
        raise NoRun(_illegal(str(error), values), wrong=True) from None
    except flags.CantOpenFlagFileError as error:
        missing = error.__context__
        raise NoRun(f"{getattr(missing, 'filename', '')}: {getattr(missing, 'strerror', error)}", wrong=True) from None
    except flags.Error as error:
        raise NoRun(_missing(str(error), values), wrong=True) from None
    if unknown:
        lines = [f"ERROR: unknown command line flag '{flag}'" for flag in sorted(unknown)]
        raise NoRun("\n".join(lines), wrong=True)
    return positional


def _with_environment(arguments: Sequence[str], values: Values) -> Iterator[str]:
    """The arguments; behind --fromenv and --tryfromenv those that the environment has for the flags they name."""
    rest = iter(arguments)
    for argument in rest:
        yield argument
        if argument == "--":
            yield from rest
        name, equals, listed = argument.lstrip("-").partition("=")
        if name in FROM_ENVIRONMENT and argument.startswith("-"):
            if not equals:
                listed = next(rest, "")
                yield listed
            for flag in filter(None, listed.split(",")):
                yield from _from_environment(flag, values, name == "fromenv")


def _from_environment(flag: str, values: Values, required: bool) -> list[str]:
    if flag not in values:
        raise NoRun(f"ERROR: unknown command line flag '{flag}' (via --fromenv or --tryfromenv)", wrong=True)
    value = os.environ.get(f"FLAGS_{flag}")
    if value is None and required:
        raise NoRun(f"ERROR: FLAGS_{flag} not found in environment", wrong=True)
    if value in FROM_ENVIRONMENT:
        raise NoRun(f"ERROR: infinite recursion on environment flag '{value}'", wrong=True)
    return [] if value is None else [f"--{flag}={value}"]


def _spelled(argument: str, values: Values) -> str:
    """A flag's name with _ where it has - and is not known so, as gflags looks it up."""
    found = re.match(r"(--?)([\w-]+)(.*)", argument, re.DOTALL)
    if found is None or found[2] in values or found[2].replace("-", "_") not in values:
        return argument
    return found[1] + found[2].replace("-", "_") + found[3]


def _illegal(error: str, values: Values) -> str:
    name, _, rest = error.removeprefix("flag --").partition("=")
    value = rest.partition(": ")[0]
    return f"ERROR: illegal value '{value}' specified for {TYPES[type(values[name].default)]} flag '{name}'"


def _missing(error: str, values: Values) -> str:
    name = error.rpartition(" ")[2].lstrip("-")
    return f"ERROR: flag '--{name}' is missing its argument; flag description: {values[name].help}"

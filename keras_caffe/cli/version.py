"""Prints versions; --all adds what a bug report needs: processor, native operations, engines, libraries.

Copy what `keras-caffe version --all` prints into such a report.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from keras_caffe.requirements import HAS_TENSORFLOW
from keras_caffe.version import __version__

LIBRARIES = ("tensorflow", "tensorflow-cpu", "keras", "numpy", "protobuf", "h5py", "lmdb", "absl-py", "rich")
OPTIONAL = ("tensorflow-io", "pillow", "plyvel", "pydot", "matplotlib", "jinja2", "jax", "torch")
ENGINES = ("onnx", "onnxruntime", "openvino", "ai-edge-litert", "tf2onnx", "opencv-python", "opencv-python-headless")
INSTRUCTIONS = ("avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "amx_bf16", "amx_int8")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--all", action="store_true", help="also describe the machine and all libraries")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> None:
    facts: dict[str, object] = {"keras_caffe": __version__}
    if args.all:
        facts |= everything()
    if args.json:
        print(json.dumps(facts, indent=2))
        return
    for name, fact in facts.items():
        if fact == {}:
            print(f"{name}: none")
        elif isinstance(fact, Mapping):
            print(f"{name}:", *(f"  {key} {value}" for key, value in fact.items()), sep="\n")
        else:
            print(f"{name} {fact}" if name == "keras_caffe" else f"{name}: {fact}")


def everything() -> dict[str, object]:
    """What is known of this process and its machine, by name."""
    import keras

    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "keras backend": keras.backend.backend(),
        "native operations": native_operations(),
        "GPU": gpu(),
        "libraries": versions(LIBRARIES),
        "optional": versions(OPTIONAL),
        "engines": versions(ENGINES),
        "environment": {name: value for name, value in sorted(os.environ.items()) if _concerns(name)},
    }


def versions(names: tuple[str, ...]) -> dict[str, str]:
    """The versions of those that are installed."""
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def processor() -> str:
    """Its name, and which of the instructions that matter here it has."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    name = re.search(r"^model name\s*: (.*)$", text, re.MULTILINE)
    flags = re.search(r"^flags\s*: (.*)$", text, re.MULTILINE)
    has = [each for each in INSTRUCTIONS if flags and each in flags[1].split()]
    return f"{name[1] if name else platform.machine()} ({', '.join(has) or 'none of ' + ', '.join(INSTRUCTIONS)})"


def native_operations() -> str:
    """Whether they are used, or why not."""
    if not HAS_TENSORFLOW:
        return "not used: there is no TensorFlow"
    from keras_caffe.ops.native import native_status

    status = native_status()
    return f"used, {status.library}" if status.loaded else f"not used: {status.reason}"


def gpu() -> str:
    """Whether TensorFlow sees one."""
    if not HAS_TENSORFLOW:
        return "not known: there is no TensorFlow"
    from keras_caffe.ops.native import has_gpu

    return "yes" if has_gpu() else "none"


def _concerns(name: str) -> bool:
    return name.startswith(("KERAS_", "TF_NUM", "TF_ENABLE", "TF_XLA", "OMP_", "XLA_", "CUDA_VISIBLE"))

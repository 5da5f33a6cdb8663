"""Finds the packages, and builds the native operations into a wheel where that can be done.

keras_caffe.converters lives in converters/, everything else where its name says. KERAS_CAFFE_BUILD_OPS decides about
the native operations: "auto" (the default) builds them if TensorFlow and a C++ compiler are there, which with pip takes
--no-build-isolation; "1" insists; "0" leaves them out; the path of a folder takes the libraries in it, which may be for
several TensorFlows. Without them the wheel is one for every platform.
"""

import os
import sys
import tempfile
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py

PACKAGE = "keras_caffe"
CONVERTERS = f"{PACKAGE}.converters"  # keras_caffe/converters is a symlink in a checkout and absent elsewhere
CHOICE = os.environ.get("KERAS_CAFFE_BUILD_OPS", "auto")


def native_libraries(folder: str) -> list[Path]:
    """Native operations: built into a folder, or those that $KERAS_CAFFE_BUILD_OPS names; none if that cannot be."""
    if CHOICE == "0":
        return []
    if "/" in CHOICE:
        return sorted(Path(CHOICE).glob("native-*.so"))
    sys.path.insert(0, str(Path(__file__).resolve().parent / "scripts"))
    import build_ops

    try:
        return [build_ops.build(Path(folder))]
    except build_ops.BuildError as error:
        if CHOICE == "1":
            raise
        print(f"Without native operations: {error}", file=sys.stderr)
        return []


class BuildPy(build_py):
    """Adds the libraries to the modules, and takes away what an earlier build left."""

    libraries: list[Path] = []

    def run(self) -> None:
        super().run()
        target = Path(self.build_lib) / PACKAGE / "ops"
        for earlier in target.glob("native-*.so"):
            earlier.unlink()
        for library in self.libraries:
            self.copy_file(str(library), str(target / library.name))


class BdistWheel(bdist_wheel):
    """A wheel for one platform if libraries are in it, for any Python 3 in either case."""

    def run(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            BuildPy.libraries = native_libraries(folder)
            self.root_is_pure = not BuildPy.libraries
            self.distribution.has_ext_modules = lambda: not self.root_is_pure
            super().run()

    def get_tag(self) -> tuple[str, str, str]:
        python, abi, platform = super().get_tag()
        return ("py3", "none", platform) if BuildPy.libraries else (python, abi, platform)


setup(
    packages=[
        *find_packages(include=[PACKAGE, f"{PACKAGE}.*"], exclude=[CONVERTERS, f"{CONVERTERS}.*"]),
        CONVERTERS,
        *(f"{CONVERTERS}.{name}" for name in find_packages("converters")),
    ],
    package_dir={CONVERTERS: "converters"},
    package_data={
        f"{PACKAGE}": ["py.typed"],
        f"{PACKAGE}._keras": ["unseen.pyi"],
        f"{PACKAGE}.proto": ["caffe.proto", "caffe.desc"],
        f"{PACKAGE}.page": ["templates/*"],
        f"{PACKAGE}.samples": ["*.md", "*.prototxt", "*.caffemodel", "db/*/data.mdb"],
    },
    include_package_data=False,
    cmdclass={"build_py": BuildPy, "bdist_wheel": BdistWheel},
)

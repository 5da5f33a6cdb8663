"""Finds the packages, and builds the native operations into a wheel where that can be done.

keras_caffe.converters lives in converters/, everything else where its name says. KERAS_CAFFE_BUILD_OPS decides about
the native operations: "auto" (the default) builds them if TensorFlow and a C++ compiler are there, which with pip takes
--no-build-isolation; "1" insists; "0" leaves them out. Without them the wheel is one for every platform.
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


def native_library(folder: str) -> Path | None:
    """Builds the native operations into a folder; None where they are not wanted or cannot be built."""
    if CHOICE == "0":
        return None
    sys.path.insert(0, str(Path(__file__).resolve().parent / "scripts"))
    import build_ops

    try:
        return build_ops.build(Path(folder))
    except build_ops.BuildError as error:
        if CHOICE == "1":
            raise
        print(f"Without native operations: {error}", file=sys.stderr)
        return None


class BuildPy(build_py):
    """Adds the library, if one was built, to the modules, and takes away what an earlier build left."""

    library: Path | None = None

    def run(self) -> None:
        super().run()
        target = Path(self.build_lib) / PACKAGE / "ops"
        for earlier in target.glob("native-*.so"):
            earlier.unlink()
        if self.library:
            self.copy_file(str(self.library), str(target / self.library.name))


class BdistWheel(bdist_wheel):
    """A wheel for one platform if the library is in it, for any Python 3 in either case."""

    def run(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            BuildPy.library = native_library(folder)
            self.root_is_pure = BuildPy.library is None
            self.distribution.has_ext_modules = lambda: not self.root_is_pure
            super().run()

    def get_tag(self) -> tuple[str, str, str]:
        python, abi, platform = super().get_tag()
        return ("py3", "none", platform) if BuildPy.library else (python, abi, platform)


setup(
    packages=[
        *find_packages(include=[PACKAGE, f"{PACKAGE}.*"], exclude=[CONVERTERS, f"{CONVERTERS}.*"]),
        CONVERTERS,
        *(f"{CONVERTERS}.{name}" for name in find_packages("converters")),
    ],
    package_dir={CONVERTERS: "converters"},
    package_data={
        f"{PACKAGE}": ["py.typed"],
        f"{PACKAGE}.proto": ["caffe.proto", "caffe.desc"],
        f"{PACKAGE}.page": ["templates/*"],
        f"{PACKAGE}.samples": ["*.md", "*.prototxt", "*.caffemodel", "db/*/data.mdb"],
    },
    include_package_data=False,
    cmdclass={"build_py": BuildPy, "bdist_wheel": BdistWheel},
)

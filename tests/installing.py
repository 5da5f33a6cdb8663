"""What tests of packages share: commands, and environments to install into."""

from __future__ import annotations

import os
import site
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

PIP_WHEEL = (sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index")


def clean_environment() -> dict[str, str]:
    """The process's variables without what the checkout's own environment says about imports."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    environment.setdefault("KERAS_CAFFE_BUILD_OPS", "0")  # test_a_wheel_with_native_operations builds them
    return environment


def run(*command: str | Path, cwd: Path) -> str:
    """Output of a command that must succeed in a clean environment."""
    arguments = [str(part) for part in command]
    done = subprocess.run(arguments, cwd=cwd, env=clean_environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def fresh_environment(folder: Path, *more: Path) -> Path:
    """The interpreter of a new environment that sees this one's libraries and `more`, but no editable installs."""
    venv.create(folder, with_pip=False)
    libraries = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    libraries.joinpath("outer.pth").write_text("\n".join([*map(str, more), *site.getsitepackages()]))
    return folder / "bin" / "python"

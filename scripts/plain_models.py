"""Turns every trained net of KERAS_CAFFE_SHARED into Keras's own layers, and runs the files without keras_caffe.

Prints a table: what each net gives in both data formats, in a process that cannot import keras_caffe, compared with the
Caffe model. The exit code is 1 if one differs. It takes a few minutes; arguments are names of nets, for these alone.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.golden_models import checker, load, variants  # noqa: E402
from tests.plain.apart import alone, at_edges, keep  # noqa: E402
from tests.shared_goldens import MODELS  # noqa: E402

FORMATS = ("channels_last", "channels_first")


def main(names: list[str]) -> int:
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, files) in enumerate(variants()):
            if not names or name in names:
                title = f"{name} {files['weights']}"
                found[title] = [_tried(Path(folder) / f"{number}-{form}", name, files, form) for form in FORMATS]
    for row in [("net", *FORMATS), *((title, *results) for title, results in found.items())]:
        print("| " + " | ".join(row) + " |")
    return int(any(result != "same" for results in found.values() for result in results))


def _tried(folder: Path, name: str, files: dict[str, str], data_format: str) -> str:
    """What came of one net."""
    folder.mkdir()
    golden = checker().Golden(MODELS / name / files["golden"]).runs[0]
    weights = MODELS / name / files["weights"]
    model = load(MODELS / name / files["prototxt"], weights, data_format, golden.inputs)
    try:
        keep(folder, name, model, at_edges(golden.inputs, data_format))
    except Exception as error:
        return f"refused: {error}".splitlines()[0]
    return "same" if alone(folder).returncode == 0 else "differs"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

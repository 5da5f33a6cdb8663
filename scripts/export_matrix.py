"""Runs real Caffe's arrays through every export and engine: `export_matrix.py --cases 4 --state matrix.jsonl`.

Every type of layer is exported as ONNX, SavedModel and TFLite, with fixed and with open sizes, and run in each engine
that is there; what came of it is the table in docs/exports.md. A run that was stopped goes on where the state file
ends, also one that an engine ended with its process. OpenCV 5 and 4 are both called cv2: give each a Python of its
own, `KERAS_CAFFE_OPENCV=cv5/bin/python:cv4/bin/python`.

`--models` does the same with the trained networks of golden/models (KERAS_CAFFE_SHARED), also as OpenVINO's own files:
pictures one at a time and two, for some nets of another size.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Sequence
from itertools import product
from operator import itemgetter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.doors.cases import chosen, outcomes  # noqa: E402
from tests.doors.engines import doors  # noqa: E402
from tests.doors.table import ALL_DOORS, BEGIN_MODELS, PAGE, known_fault, put, table  # noqa: E402
from tests.doors.trained import outcomes as model_outcomes  # noqa: E402
from tests.doors.trained import trained  # noqa: E402


def main(argv: Sequence[str] | None = None) -> int:
    args = _parser().parse_args(argv)
    state = Path(args.state).resolve()
    if args.worker:
        return _work(args, state)
    command = [sys.executable, __file__, "--worker", *(sys.argv[1:] if argv is None else argv)]
    while subprocess.run(command, check=False).returncode:
        if not _crash_noted(state):
            return 1
    records = _records(state)
    if args.write:
        if args.models:
            put(PAGE, table(records, "net", ALL_DOORS, itemgetter("kind")), BEGIN_MODELS)
        else:
            put(PAGE, table(records))
    wrong = [record for record in records if record["what"] in ("wrong", "crash") and not known_fault(record)]
    for record in wrong:
        print(f"{record['kind']}-{record['case']} in {record['door']}: {record['what']}, {record['why']}")
    print(f"{len(records)} tried, {len(wrong)} wrong or crashed")
    return int(bool(wrong))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=4, help="how many of each type (4)")
    parser.add_argument("--types", nargs="*", help="these alone, or these nets")
    parser.add_argument("--models", action="store_true", help="trained networks instead of Caffe's arrays of each type")
    parser.add_argument("--formats", nargs="*", help="these alone")
    parser.add_argument("--state", default="export_matrix.jsonl", help="file of what was done; a run goes on from it")
    parser.add_argument("--write", action="store_true", help="write the table into docs/exports.md")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    return parser


def _records(state: Path) -> list[dict]:
    lines = state.read_text().splitlines() if state.exists() else []
    return [record for record in map(json.loads, lines) if record["what"] != "begun"]


def _crash_noted(state: Path) -> bool:
    """Notes that the process ended in what was begun last; False if it had not begun anything."""
    lines = state.read_text().splitlines() if state.exists() else []
    last = json.loads(lines[-1]) if lines else {"what": ""}
    if last["what"] != "begun":
        return False
    for door in last.pop("doors"):
        _note(state, {**last, "door": door, "what": "crash", "why": "the process ended"})
    return True


def _note(state: Path, record: dict) -> None:
    with state.open("a") as file:
        file.write(json.dumps(record) + "\n")


def _work(args: argparse.Namespace, state: Path) -> int:
    """Does what is not in the state file."""
    warnings.simplefilter("ignore")
    done = {_key(record, record["door"]) for record in _records(state)}
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        cases = trained(args.types) if args.models else chosen(args.types, args.cases)
        formats = args.formats or ["onnx", *["openvino"] * args.models, "savedmodel", "tflite"]
        for case, format, opened in product(cases, formats, (False, True)):
            record = {"kind": case.kind, "case": case.name, "format": format, "opened": opened}
            there = [door for door in doors().values() if door.format == format and not door.missing]
            todo = [door for door in there if _key(record, door.name) not in done]
            if todo:
                _note(state, {**record, "what": "begun", "doors": [door.name for door in todo]})
                tried = (model_outcomes if args.models else outcomes)(case, format, opened, todo, Path(folder))
                for door, (what, why) in tried.items():
                    _note(state, {**record, "door": door, "what": what, "why": why})
        os.chdir(ROOT)
    return 0


def _key(record: dict, door: str) -> tuple[str, str, str, bool, str]:
    return record["kind"], record["case"], record["format"], record["opened"], door


if __name__ == "__main__":
    sys.exit(main())

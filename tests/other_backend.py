"""Runs goldens forward on the Keras backend in KERAS_BACKEND, without TensorFlow, and prints {kind: [problem]} as JSON.

Started by test_other_backend.py: python -m tests.other_backend CASES_PER_KIND
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import traceback
import warnings
from pathlib import Path

sys.modules["tensorflow"] = None  # type: ignore[assignment]  # Whoever imports it fails.

from tests.layers.golden_case import Case, Run, assert_close, from_edge  # noqa: E402
from tests.layers.test_goldens import KINDS, all_cases  # noqa: E402


def chosen(kind: str, number: int) -> list[Case]:
    """Cases from the beginning to the end of a kind."""
    found = [case for case in every if case.kind == kind and case.group("top")]
    return found[:: max(1, len(found) // number)][:number]


def problem(case: Case) -> str | None:
    for key, content in case.arrays.items():
        if key.startswith("file/"):
            Path(key.removeprefix("file/")).write_bytes(content.tobytes())
    try:
        run = Run(case, "channels_last")
        for i, top in enumerate(run.forward(case.group("bottom"))):
            # gradient=True: the compiler sums in another order, within the tolerance that gradients have.
            assert_close(case, from_edge(top, run.data_format), case.group("top")[i], f"top {i}", gradient=True)
    except Exception:
        return f"{case}: {traceback.format_exc()}"
    return None


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    os.chdir(tempfile.mkdtemp())
    every = all_cases()
    found = {kind: [problem(case) for case in chosen(kind, int(sys.argv[1]))] for kind in KINDS}
    print(json.dumps({kind: [text for text in problems if text] for kind, problems in found.items() if problems}))

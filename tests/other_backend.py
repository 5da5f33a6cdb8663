"""Runs goldens on the Keras backend JAX, without TensorFlow, and prints {kind: [problem]} as JSON.

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
from typing import Any

sys.modules["tensorflow"] = None  # type: ignore[assignment]  # Whoever imports it fails.

import jax  # noqa: E402
import numpy as np  # noqa: E402

from tests.layers.golden_case import KINDS, Golden, Run, assert_close, cases  # noqa: E402


def chosen(kind: str, number: int) -> list[Golden]:
    """The first case of a kind, the last, and some between them: the last ones are hand-picked edges."""
    found = [case for case in cases(kind) if case.compares]
    return [found[round(place)] for place in np.linspace(0, len(found) - 1, min(number, len(found)))]


def step(run: Run, inputs: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The tops, and the gradients of what `run.sources` names; compiled where the layers can be."""
    learned, others = run.tops.trainable_variables, run.tops.non_trainable_variables
    paths = [variable.path for variable in learned]
    diffs = run.top_diffs()

    def tops(learned: Any, inputs: Any) -> tuple[Any, Any]:
        outputs, _ = run.tops.stateless_call(learned, others, inputs, training=run.case.training)
        return {name: outputs[name] for name in diffs}, outputs

    def compute(learned: Any, inputs: Any) -> tuple[Any, Any]:
        _, backward, outputs = jax.vjp(tops, learned, inputs, has_aux=True)
        return outputs, backward(diffs)

    compute = jax.jit(compute) if all(layer.supports_jit for layer in run.model.layers) else compute
    outputs, found = compute([v.value for v in learned], inputs)
    by_source = {**dict(zip(paths, found[0], strict=True)), **{id(inputs[name]): g for name, g in found[1].items()}}
    keys = {key: getattr(source, "path", id(source)) for key, source in run.sources(inputs).items()}
    return outputs, {key: by_source.get(source) for key, source in keys.items()}


def problem(case: Golden) -> str | None:
    for key, content in case.arrays.items():
        if key.startswith("file/"):
            Path(key.removeprefix("file/")).write_bytes(content.tobytes())
    try:
        run = Run(case, "channels_last")
        inputs = run.fed(case.group("bottom"))
        tops, diffs = run.outcome(*(step(run, inputs) if run.tops else ({}, {})))
        for i, want in case.group("top").items():
            # gradient=True: the compiler sums in another order, within the tolerance that gradients have.
            assert_close(case, tops[i], want, f"top {i}", gradient=True)
        for key in ("bottom_diff", "param_diff"):
            for i, want in case.group(key).items():
                got = diffs.get(f"{key}/{i}")
                assert_close(case, np.zeros_like(want) if got is None else got, want, f"{key} {i}", gradient=True)
    except Exception:
        return f"{case}: {traceback.format_exc()}"
    return None


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    os.chdir(tempfile.mkdtemp())
    found = {kind: [problem(case) for case in chosen(kind, int(sys.argv[1]))] for kind in KINDS}
    print(json.dumps({kind: [text for text in problems if text] for kind, problems in found.items() if problems}))

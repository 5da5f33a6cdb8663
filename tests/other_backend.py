"""Runs goldens on another Keras backend than TensorFlow, which is not there, and prints {kind: [problem]} as JSON.

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

import keras  # noqa: E402
import numpy as np  # noqa: E402

import keras_caffe  # noqa: E402
from keras_caffe import samples  # noqa: E402
from tests.layers.golden_case import KINDS, Golden, Run, assert_close, cases  # noqa: E402

Step = tuple[dict[str, Any], dict[str, Any]]


def chosen(kind: str, number: int) -> list[Golden]:
    """The first case of a kind, the last, and some between them: the last ones are hand-picked edges."""
    found = [case.name for case in cases(kind, lambda name, key: key == "note") if case.compares]
    names = [found[round(place)] for place in np.linspace(0, len(found) - 1, min(number, len(found)))]
    return sorted(cases(kind, lambda name, key: name in names), key=lambda case: names.index(case.name))


def jax_step(run: Run, inputs: dict[str, Any]) -> Step:
    """The tops, and the gradients of what `run.sources` names; compiled where the layers can be."""
    import jax

    learned, others = run.tops.trainable_variables, run.tops.non_trainable_variables
    paths = [variable.path for variable in learned]
    diffs = run.top_diffs()
    if not diffs:
        return values_alone(run, inputs)

    def tops(learned: Any, inputs: Any) -> tuple[Any, Any]:
        outputs, _ = run.tops.stateless_call(learned, others, inputs, training=run.case.training)
        return {name: outputs[name] for name in diffs}, outputs

    def compute(learned: Any, inputs: Any) -> tuple[Any, Any]:
        _, backward, outputs = jax.vjp(tops, learned, inputs, has_aux=True)
        return outputs, backward(diffs)

    compute = jax.jit(compute) if compiles(run) else compute
    outputs, found = compute([v.value for v in learned], inputs)
    by_source = {**dict(zip(paths, found[0], strict=True)), **{id(inputs[name]): g for name, g in found[1].items()}}
    keys = {key: getattr(source, "path", id(source)) for key, source in run.sources(inputs).items()}
    return outputs, {key: by_source.get(source) for key, source in keys.items()}


def torch_step(run: Run, inputs: dict[str, Any]) -> Step:
    import torch

    inputs = {name: tensor.clone().requires_grad_() for name, tensor in inputs.items()}
    outputs = run.tops(inputs, training=run.case.training)
    diffs = {name: diff for name, diff in run.top_diffs().items() if outputs[name].requires_grad}
    sources = {key: getattr(source, "value", source) for key, source in run.sources(inputs).items()}
    if not diffs or not sources:
        return outputs, {}
    tops = [outputs[name] for name in diffs]
    found = torch.autograd.grad(tops, list(sources.values()), list(diffs.values()), allow_unused=True)
    return outputs, dict(zip(sources, found, strict=True))


def values_alone(run: Run, inputs: dict[str, Any]) -> Step:
    return run.tops(inputs, training=run.case.training), {}


STEP = {"jax": jax_step, "torch": torch_step, "openvino": values_alone}[keras.backend.backend()]


def compiles(run: Run) -> bool:
    return all(layer.supports_jit for layer in run.model.layers)


def check(run: Run) -> None:
    case, inputs = run.case, run.fed(run.case.group("bottom"))
    tops, diffs = run.outcome(*(STEP(run, inputs) if run.tops else ({}, {})))
    for i, want in case.group("top").items():
        # gradient=True: the compiler sums in another order, within the tolerance that gradients have.
        assert_close(case, tops[i], want, f"top {i}", gradient=True)
    for key in () if STEP is values_alone else ("bottom_diff", "param_diff"):
        for i, want in case.group(key).items():
            got = diffs.get(f"{key}/{i}")
            assert_close(case, np.zeros_like(want) if got is None else got, want, f"{key} {i}", gradient=True)


def problems(kind: str, number: int) -> list[str]:
    """What is wrong with the cases of a kind."""
    found: list[str] = []
    for case in chosen(kind, number):
        for key, content in case.arrays.items():
            if key.startswith("file/"):
                Path(key.removeprefix("file/")).write_bytes(content.tobytes())
        try:
            run = Run(case, "channels_last")
            check(run)
        except Exception:
            return [*found, f"{case}: {traceback.format_exc()}"]
        if STEP is jax_step and not compiles(run):
            break  # JAX compiles each of its operations for itself: two seconds of work for a case.
    return found


def whole_net() -> None:
    """What is done with a net without TensorFlow: load, save, fold, turn it plain, compare, check, view."""
    files = [samples.path(f"lenet.{suffix}") for suffix in ("prototxt", "caffemodel")]
    model, x = keras_caffe.load(*files), np.random.default_rng(0).random((2, 28, 28, 1), "float32")
    want = keras.ops.convert_to_numpy(model(x))
    np.testing.assert_allclose(want.sum(axis=1), 1, rtol=1e-5)
    keras_caffe.save(model, "again.prototxt", "again.caffemodel")
    again = keras_caffe.load("again.prototxt", "again.caffemodel")
    for other in (again, keras_caffe.fold(model), keras_caffe.to_keras(model)):
        np.testing.assert_allclose(keras.ops.convert_to_numpy(other(x)), want, rtol=1e-4, atol=1e-6)
    np.savez("reference.npz", data=x.transpose(0, 3, 1, 2), prob=want)
    assert keras_caffe.compare(*files, "reference.npz").first is None
    assert keras_caffe.check(*files) is not None
    assert "conv1" in keras_caffe.view(*files).html


def main() -> None:
    warnings.simplefilter("ignore")
    os.chdir(tempfile.mkdtemp())
    found = {kind: problems(kind, int(sys.argv[1])) for kind in KINDS}
    try:
        whole_net()
        found["a whole net"] = []
    except Exception:
        found["a whole net"] = [traceback.format_exc()]
    print(json.dumps(found))


if __name__ == "__main__":
    main()

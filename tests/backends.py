"""The other backends of Keras: how a test starts them, and which kinds of goldens do not hold there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from tests.layers.golden_case import GOLDENS


@dataclass(frozen=True)
class Backend:
    """A backend of Keras.

    Args:
        title: how it is called.
        package: what must be installed.
        gradients: whether it has any.
        cases: how many cases of each kind are run.
        cannot: {kind: why it does not hold there}.
        environment: what a process needs for it.
    """

    title: str
    package: str
    gradients: bool = True
    cases: int = 1
    cannot: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)


LOOPS = "OpenVINO's loops over computed positions give other numbers"
OPEN = "the number of rows depends on the values"

BACKENDS = {
    "jax": Backend(
        "JAX",
        "jax",
        cases=2,
        cannot={"MultiStageMeanfield": "its lattice needs integers of 64 bits"},
        # Compiling is nearly all of the work, and what is compiled runs once. The fused kernels alone take 2/3 of it.
        environment={
            "JAX_PLATFORMS": "cpu",
            "XLA_FLAGS": "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false",
        },
    ),
    "openvino": Backend(
        "OpenVINO",
        "openvino",
        gradients=False,
        cannot={
            "MultiStageMeanfield": "OpenVINO gives other numbers",
            "Proposal": OPEN,
            "ROIPooling": LOOPS,
            "RegionLoss": "OpenVINO gives other numbers",
            "YoloDetectionOutput": OPEN,
        },
    ),
    "torch": Backend("PyTorch", "torch", cases=2, cannot={"ArgMax": "PyTorch finds another one of equal values"}),
}


def has_gradients(kind: str) -> bool:
    """Whether goldens of this kind have any."""
    with np.load(GOLDENS / f"{kind}.npz") as file:
        return any("/bottom_diff" in key or "/param_diff" in key for key in file.files)


def what_holds(kind: str, backend: Backend | None) -> str:
    """What of a kind is the same as Caffe's on a backend; None is TensorFlow."""
    if backend and kind in backend.cannot:
        return f"no: {backend.cannot[kind]}"
    gradients = has_gradients(kind) and (backend is None or backend.gradients)
    return "values, gradients" if gradients else "values"

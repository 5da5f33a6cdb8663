"""Random nets through every door; scripts/random_nets.py runs thousands of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, note, settings

from keras_caffe.layers.source import SourceLayer
from scripts import random_nets
from tests.layers.cases import own_types
from tests.nets import net_with
from tests.random_nets import doors
from tests.random_nets.agreement import Report, check, difference
from tests.random_nets.draft import Blob, Feed
from tests.random_nets.feeds import Fed
from tests.random_nets.net import LONGEST, NOT_HERE, SHORTEST, RandomNet, net_of_seed, nets

SAMPLE = settings(derandomize=True, deadline=None, database=None, phases=[Phase.generate])
pytestmark = pytest.mark.filterwarnings("ignore::keras_caffe.CaffeWarning")  # in place where Caffe is wrong
ONE_INPUT = {"x0": Feed(Blob("x0", ((2, 3), (3, 3))))}
SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


@settings(SAMPLE, max_examples=18, suppress_health_check=SLOW)
@given(nets())
def test_all_doors_in_memory_agree(net: RandomNet) -> None:
    note(str(net))
    assert not check(net).failures


@pytest.mark.parametrize("seed", [1, 2, 4])
def test_files_agree_too(seed: int, tmp_path: Path) -> None:
    print(net := net_of_seed(seed))
    report = check(net, tmp_path)
    assert not report.failures
    assert (".keras" in report.seconds) and ("SavedModel" in report.seconds or net.phase == "TRAIN")


def test_nets_are_of_all_types_that_compute() -> None:
    found = [net_of_seed(seed) for seed in range(120)]
    types = {type for net in found for type in net.types}
    computing = {name for name, cls in own_types().items() if not issubclass(cls, SourceLayer)}
    for rare in computing - set(NOT_HERE) - types:
        assert any(rare in net_of_seed(seed, first=rare).types for seed in range(40)), f"no random net has {rare}"
    assert computing >= set(NOT_HERE)
    assert {len(net.types) for net in found} == set(range(SHORTEST, LONGEST + 1))
    assert all(net.shapes(0) != net.shapes(1) for net in found)
    assert {net.phase for net in found} == {"TEST", "TRAIN"}


def test_a_number_is_always_the_same_net() -> None:
    one, other = (Fed.of(net_of_seed(7)) for _ in range(2))
    assert one.net == other.net
    for batch in (0, 1):
        for name, values in one.batches[batch].items():
            np.testing.assert_array_equal(values, other.batches[batch][name])


def test_the_first_blob_that_differs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever a door is off by more than rounding."""

    def off(model: Any, batches: Any) -> Any:
        found = doors.eager(model, batches)
        last = list(model.blobs)[-1]
        return [{**blobs, last: blobs[last] + 1e-3 * np.abs(blobs[last]).max()} for blobs in found]

    monkeypatch.setattr(doors, "IN_MEMORY", {"eager": doors.eager, "off": off})
    net = RandomNet(0, net_with("Power", (2, 3), param="power_param { scale: 2 }"), ONE_INPUT, ["Power"], "TEST", ())
    failures = check(net).failures
    assert len(failures) == 4  # two batches in two formats
    assert failures[0].startswith("off channels_first, batch 0: blob 'y': 6 of 6 values, ")


def test_an_error_of_a_door_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doors, "IN_MEMORY", {"eager": doors.eager, "broken": lambda model, batches: 1 / 0})
    net = RandomNet(0, net_with("Power", (2, 3)), ONE_INPUT, ["Power"], "TEST", ())
    assert check(net).failures == [f"broken {f}: ZeroDivisionError: division by zero" for f in doors.FORMATS]


def test_differences() -> None:
    blob = np.float32([1, -8, np.nan, np.inf])
    assert not difference(blob, blob)
    assert not difference(blob + np.float32([7e-5, 0, 0, 0]), blob)  # of 8
    assert difference(blob + np.float32([9e-5, 0, 0, 0]), blob)
    assert not difference(blob + np.float32([9e-5, 0, 0, 0]), blob, allowed=1e-4)
    for wrong in (
        np.float32([1, -8, 0, np.inf]),
        np.float32([1, -8, np.nan, -np.inf]),
        np.float32([1, -8, np.nan, 3e38]),
    ):
        assert difference(wrong, blob, allowed=1.0)
    assert difference(np.float32([np.nan, -8, np.nan, np.inf]), blob, allowed=1.0)
    assert difference(blob[:2], blob) == "shape (2,) instead of (4,)"


def test_a_run_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A net that failed is shown again at the end, and not computed again."""
    state, numbers = tmp_path / "state.jsonl", []

    def computed(net: RandomNet, folder: Path | None) -> Report:
        numbers.append((net.seed, folder is not None))
        return Report([f"predict: {net.seed}"] if net.seed == 4 else [], {"predict": 0.5})

    monkeypatch.setattr(random_nets, "check", computed)
    assert random_nets.main(["--nets", "1", "--files", "0", "--seed", "3", "--state", str(state)]) == 0
    for _ in range(2):
        assert random_nets.main(["--nets", "3", "--files", "1", "--seed", "3", "--state", str(state)]) == 1
    assert numbers == [(3, False), (3, True), (4, False), (5, False)]

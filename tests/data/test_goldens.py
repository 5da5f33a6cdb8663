"""Every data golden: the batches that Caffe's own data layers gave."""

from __future__ import annotations

import sys
import types

import numpy as np
import pytest

from tests.data.golden_data import DATA, batches, case

NO_DATA_LAYER = {"hdf5_output", "python_loss"}  # of Input layers; test_writers and test_python have these
NAMES = sorted(path.stem for path in DATA.glob("*.npz") if path.stem not in NO_DATA_LAYER)
OTHER_LAYERS = {"ip"}  # tops in the record that no data layer gives


def pylayers(monkeypatch: pytest.MonkeyPatch) -> dict[str, type]:
    """The classes of the golden's module, which imports caffe."""
    monkeypatch.setitem(sys.modules, "caffe", types.SimpleNamespace(Layer=object))
    monkeypatch.syspath_prepend(str(DATA / "src"))
    import golden_pylayer

    return {"golden_pylayer.RampData": golden_pylayer.RampData}


def levels(meta: dict) -> float:
    """How many grey levels decoders and resizers may differ by."""
    text, note = meta["prototxt"], meta["note"]
    if "+-2" in note or "jpg" in text or "photo" in note or 'source: "src/list.txt"' in text or "list_full" in text:
        return 2
    return 0


def scale(meta: dict) -> float:
    for word in ("0.0078125", "scale: 0.5"):
        if word in meta["prototxt"]:
            return float(word.split()[-1])
    return 1.0


@pytest.mark.parametrize("name", [name for name in NAMES if not case(name)[0]["random"]])
def test_batches_are_caffes(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    meta, arrays = case(name)
    found = batches(meta, arrays, python_layers=pylayers(monkeypatch))
    tolerance = levels(meta) * scale(meta)
    for number, batch in enumerate(found):
        assert set(batch) == set(meta["tops"]) - OTHER_LAYERS
        for top, values in batch.items():
            wanted = arrays[f"f{number}/{top}"]
            assert values.dtype == np.float32 and values.shape == wanted.shape
            if tolerance and top == "data":
                np.testing.assert_allclose(values, wanted, rtol=0, atol=tolerance + 1e-4)
            else:
                np.testing.assert_array_equal(values, wanted)

"""Real trained networks through pycaffe.Net, reshaped for their second record: every blob, Splits' included."""

from __future__ import annotations

import pytest

from keras_caffe import pycaffe as caffe
from tests.golden_models import checker, variants
from tests.shared_goldens import MODELS, needs_models


@needs_models
@pytest.mark.filterwarnings("ignore::keras_caffe.CaffeWarning")  # Foreign fields of the files' forks.
@pytest.mark.parametrize(("name", "files"), variants(), ids=lambda v: v if isinstance(v, str) else v["golden"])
def test_every_recorded_blob(name: str, files: dict[str, str]) -> None:
    folder = MODELS / name
    golden = checker().Golden(folder / files["golden"])
    net = caffe.Net(str(folder / files["prototxt"]), str(folder / files["weights"]), caffe.TEST)
    for run in golden.runs:
        for blob, array in run.inputs.items():
            net.blobs[blob].reshape(*array.shape)
            net.blobs[blob].data[...] = array
        net.reshape()
        net.forward()
        assert checker().compare(run, {blob: net.blobs[blob].data for blob in net.blobs}) == []

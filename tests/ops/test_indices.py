"""Which of several equal values counts."""

from __future__ import annotations

import numpy as np
import pytest

import keras_caffe
from keras_caffe.ops.indices import first_greatest, true_places

ZEROS = np.float32([-0.0, 0.0, -0.0, 0.0])


@pytest.mark.parametrize("keepdims", [False, True])
def test_minus_zero_is_no_less_than_zero(keepdims: bool) -> None:
    found = np.asarray(first_greatest(ZEROS[None], axis=1, keepdims=keepdims))
    assert found.tolist() == ([[0]] if keepdims else [0])


def test_a_window_of_zeros_of_both_signs_gives_its_first_place() -> None:
    model = keras_caffe.load(
        """layer { name: "x" type: "Input" top: "x" input_param { shape { dim: [1, 1, 2, 2] } } }
        layer { name: "pool" type: "Pooling" bottom: "x" top: "pool" top: "mask"
          pooling_param { kernel_size: 2 stride: 2 } }""",
        data_format="channels_first",
    )
    assert np.asarray(model(ZEROS.reshape(1, 1, 2, 2))["mask"]).item() == 0


def test_places_of_what_is_true() -> None:
    assert np.asarray(true_places(np.float32([0, 2, 0, -1]))).tolist() == [1, 3]

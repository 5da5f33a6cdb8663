"""Convolutions in the corners that TensorFlow's kernels refuse."""

from __future__ import annotations

import numpy as np
import pytest

from keras_caffe.ops.convolution import convolution, convolution_twin, deconvolution, deconvolution_twin


@pytest.mark.parametrize("dilation", [(0, 0), (0, 2), (1, 0)])
def test_without_dilation_all_taps_fall_on_one_pixel(dilation: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    x, kernel = rng.normal(size=(2, 5, 6, 4)).astype("float32"), rng.normal(size=(3, 2, 2, 4)).astype("float32")
    how = {"stride": (2, 1), "dilation": dilation, "group": 2}
    got = convolution(x, kernel, pad=(0, 0), **how)
    np.testing.assert_allclose(got, convolution_twin(x, kernel, **how), rtol=1e-5, atol=1e-5)
    got = deconvolution(x, kernel, pad=(0, 0), **how)
    np.testing.assert_allclose(got, deconvolution_twin(x, kernel, **how), rtol=1e-5, atol=1e-5)

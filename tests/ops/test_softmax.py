"""NaN in a softmax."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from keras_caffe.ops import softmax as module
from keras_caffe.ops.softmax import softmax

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize("keeps", [None, False])
@pytest.mark.parametrize("row", [[NAN, 1, 2], [0, 1, NAN], [INF, 1, 2], [-INF, -INF, -INF]])
def test_what_is_no_number_stays_none(row: list[float], keeps: bool | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if keeps is not None:
        monkeypatch.setattr(module, "_keeps_nan", lambda: keeps)
    x = tf.constant([row, [0.0, 0, -INF]])
    for axis, turned in ((1, x), (0, tf.transpose(x))):
        for call in (softmax, tf.function(softmax)):
            found = np.asarray(call(turned, axis))
            np.testing.assert_array_equal(found if axis == 1 else found.T, [[NAN] * 3, [0.5, 0.5, 0]])

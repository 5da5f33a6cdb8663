"""PriorBoxClustered against a loop over cells and boxes."""

from __future__ import annotations

import numpy as np
import pytest

from keras_caffe.errors import LayerError
from keras_caffe.layers import PriorBoxClustered
from tests.layers.cases import SHAPE, Case
from tests.layers.layer_case import from_caffe, make
from tests.nets import net_with

PARAM = "prior_box_param { width: 9.5 width: 20 height: 12 height: 6.25 variance: 0.1 }"
CASES = [
    Case(
        "PriorBoxClustered",
        PriorBoxClustered([2.0, 5.5], [3.0, 1.5]),
        [SHAPE, (None, 12, 18, 3)],
        net=net_with("PriorBoxClustered", (1, 2, 3, 4), (1, 3, 30, 40), param=PARAM),
        values="loops in tests/layers/test_prior_box_clustered.py",
        refused=[
            ({"width": ()}, "needs a width and a height for each box"),
            ({"width": 0}, "width must be a number above 0; received 0"),
            ({"height": -2.0}, "height must be a number above 0; received -2.0"),
            ({"height": (1, 2, 3)}, "needs a width and a height for each box"),
            ({"clip": 3}, "clip must be True or False; received 3"),
            ({"variance": (0.1, 0.1)}, "variance must be none, one or four numbers"),
            ({"img_size": (300, 0)}, "img_size must be a whole number of at least 1; received 0"),
            ({"step": -8.0}, "step must be a number above 0; received -8.0"),
            ({"offset": None}, "offset must be a number; received None"),
            ({"spatial": (1, -3)}, r"spatial names an axis twice; received \(1, 1\)"),
        ],
    )
]
SIZES = [(9.5, 12.0), (20.0, 6.25)]


def loop(step: tuple[float, float], image: tuple[int, int], offset: float, clip: bool) -> np.ndarray:
    """The boxes of a map of 3 rows and 4 columns; step and image are (height, width)."""
    found = []
    for h in range(3):
        for w in range(4):
            x, y = (w + offset) * step[1], (h + offset) * step[0]
            for width, height in SIZES:
                box = [
                    (x - width / 2) / image[1],
                    (y - height / 2) / image[0],
                    (x + width / 2) / image[1],
                    (y + height / 2) / image[0],
                ]
                found += [min(max(side, 0), 1) for side in box] if clip else box
    return np.array(found)


@pytest.mark.parametrize("data_format", ["channels_first", "channels_last"])
@pytest.mark.parametrize(
    ("more", "boxes", "variances"),
    [
        ("", loop((10, 10), (30, 40), 0.5, False), [0.1] * 4),
        ("clip: true variance: 0.3", loop((10, 10), (30, 40), 0.5, True), [0.3] * 4),
        (
            "step_h: 8 step_w: 12 offset: 0.25 variance: [0.1, 0.2, 0.3, 0.4]",
            loop((8, 12), (30, 40), 0.25, False),
            [0.1, 0.2, 0.3, 0.4],
        ),
        ("step: 16 img_size: 64", loop((16, 16), (64, 64), 0.5, False), [0.1] * 4),
        ("img_h: 60 img_w: 50", loop((20, 12.5), (60, 50), 0.5, False), [0.1] * 4),
    ],
)
def test_boxes_and_variances(more: str, boxes: np.ndarray, variances: list[float], data_format: str) -> None:
    text = f'type: "PriorBoxClustered" prior_box_param {{ width: [9.5, 20] height: [12, 6.25] {more} }}'
    shapes = (1, 2, 3, 4), (1, 3, 30, 40)
    layer, orders = make(text, *shapes, data_format=data_format)
    top = layer([np.zeros(shape, "float32").transpose(order) for shape, order in zip(shapes, orders, strict=True)])
    want = np.stack([boxes, np.tile(variances, len(boxes) // 4)])[None]
    np.testing.assert_allclose(top, want, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("sizes", ["", "width: 3", "height: 3", "width: 3 width: 4 height: 5"])
def test_sizes_that_do_not_pair_are_refused(sizes: str) -> None:
    with pytest.raises(LayerError, match="needs a width and a height for each box"):
        from_caffe(f'type: "PriorBoxClustered" prior_box_param {{ {sizes} }}', (1, 2, 3, 4), (1, 3, 30, 40))

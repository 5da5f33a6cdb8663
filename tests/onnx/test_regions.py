"""Nets that propose regions, as Faster R-CNN does: one image at a time, of any size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import keras_caffe
from tests.onnx_cases import needs_onnx, run

pytestmark = needs_onnx

NET = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: [1, 3, 40, 56] } } }
layer { name: "im_info" type: "Input" top: "im_info" input_param { shape { dim: [1, 3] } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 4 kernel_size: 8 stride: 8 weight_filler { type: "xavier" } } }
layer { name: "score" type: "Convolution" bottom: "conv" top: "score"
  convolution_param { num_output: 4 kernel_size: 1 weight_filler { type: "xavier" } } }
layer { name: "change" type: "Convolution" bottom: "conv" top: "change"
  convolution_param { num_output: 8 kernel_size: 1 weight_filler { type: "gaussian" std: 0.2 } } }
layer { name: "proposal" type: "Proposal" bottom: "score" bottom: "change" bottom: "im_info" top: "rois"
  proposal_param { feat_stride: 8 base_size: 8 ratio: 1 scale: 1 scale: 2 min_size: 4 post_nms_topn: 9 } }
layer { name: "pool" type: "ROIPooling" bottom: "conv" bottom: "rois" top: "pool"
  roi_pooling_param { pooled_h: 2 pooled_w: 2 spatial_scale: 0.125 } }
layer { name: "out" type: "InnerProduct" bottom: "pool" top: "out"
  inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
"""


def fed(high: int, wide: int) -> dict[str, np.ndarray]:
    images = np.random.default_rng(3).standard_normal((1, 3, high, wide), "float32")
    return {"data": images, "im_info": np.float32([[high, wide, 1]])}


@pytest.mark.parametrize("dynamic", [False, True])
def test_a_file_takes_one_image_at_a_time(dynamic: bool, tmp_path: Path) -> None:
    """Its check feeds no batch of several, which the net refuses."""
    model = keras_caffe.load(NET, data_format="channels_first")
    file = keras_caffe.to_onnx(model, tmp_path / "net.onnx", dynamic=dynamic, tolerance=1e-4)
    for high, wide in [(40, 56), (59, 72)] if dynamic else [(40, 56)]:
        given = fed(high, wide)
        sized = keras_caffe.load(
            NET, data_format="channels_first", input_shapes={name: x.shape for name, x in given.items()}
        )
        sized.set_weights(model.get_weights())
        (found,) = run(file, given, ["out"])
        wanted = np.asarray(sized(given))
        assert len(wanted) > 3
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())


def test_a_saved_model_takes_one_image_at_a_time(tmp_path: Path) -> None:
    pytest.importorskip("tensorflow")
    keras_caffe.export(keras_caffe.load(NET), tmp_path / "net", tolerance=1e-4)
    assert (tmp_path / "net" / "1").is_dir()

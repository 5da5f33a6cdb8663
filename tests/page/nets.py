"""Nets for the tests of the page."""

from __future__ import annotations

HOSTILE = """<script>window.ran = 1</script>\\"'&{{ 7 * 7 }}</script><img src=x onerror='window.ran = 2'>\u2028"""

BLOCKS = """
name: "blocks"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 32 dim: 24 } } }
layer { name: "label" type: "Input" top: "label" input_param { shape { dim: 1 } } include { phase: TRAIN } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param { num_output: 8 kernel_size: 3 weight_filler { type: "xavier" } }
  param { name: "w" lr_mult: 0 } }
layer { name: "bn1" type: "BatchNorm" bottom: "conv1" top: "conv1" batch_norm_param { use_global_stats: false } }
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "mix_a/1x1" type: "Convolution" bottom: "conv1" top: "mix_a/1x1"
  convolution_param { num_output: 4 kernel_size: 1 weight_filler { type: "xavier" } } }
layer { name: "mix_a/3x3" type: "Convolution" bottom: "conv1" top: "mix_a/3x3"
  convolution_param { num_output: 4 kernel_size: 3 pad: 1 weight_filler { type: "xavier" } } }
layer { name: "mix_a/output" type: "Concat" bottom: "mix_a/1x1" bottom: "mix_a/3x3" top: "mix_a/output" }
layer { name: "pool" type: "Pooling" bottom: "mix_a/output" top: "pool"
  pooling_param { pool: AVE global_pooling: true } }
layer { name: "fc" type: "InnerProduct" bottom: "pool" top: "fc"
  inner_product_param { num_output: 5 weight_filler { type: "xavier" } } }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" include { phase: TEST } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" include { phase: TRAIN } }
"""

AUXILIARY = """
layer { name: "aux" type: "InnerProduct" bottom: "pool" top: "aux" include { phase: TRAIN }
  inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
"""


def chain(count: int) -> str:
    """A net of many layers."""
    layers = [
        f'layer {{ name: "power{i}" type: "Power" bottom: "b{i}" top: "b{i + 1}" power_param {{ scale: 0.5 }} }}'
        for i in range(count)
    ]
    return 'layer { name: "in" type: "Input" top: "b0" input_param { shape { dim: 1 dim: 2 } } }\n' + "\n".join(layers)

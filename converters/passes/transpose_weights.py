"""Lays the weights of inner products out as the product with a batch reads them: several times faster on a CPU.

Before: InnerProduct(w: outputs x inputs)      After: InnerProduct(transpose, w: inputs x outputs)
"""

from __future__ import annotations

import numpy as np

from keras_caffe import proto
from keras_caffe.converters.trained import Edit, Trained


def run(trained: Trained) -> Trained:
    edit = Edit(trained)
    for node in trained.net.nodes:
        if node.type != "InnerProduct" or node.message.inner_product_param.transpose or node.index in trained.fixed:
            continue
        weight, *bias = trained.blobs[node.index]
        layer = proto.LayerParameter()
        layer.CopyFrom(node.message)
        layer.inner_product_param.transpose = True
        edit.replace(node, layer, [np.ascontiguousarray(weight.T), *bias])
    return edit.done()

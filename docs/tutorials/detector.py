# %% [markdown]
# # A detector of drawn shapes
#
# You train a small SSD (single-shot detector) until it finds squares and circles in pictures, and tells them apart. It
# has every part of the large ones: convolutions, default boxes (PriorBox), locations and scores for each of these,
# MultiBoxLoss, and DetectionOutput.
#
# ## Pictures
#
# Each picture has one or two shapes. Their true boxes are rows (image, label, instance, left, top, right, bottom,
# difficult), as SSD's data layer provides them. Coordinates are fractions of the picture, from 0 to 1, and label 0 is
# the background.

# %%
from pathlib import Path

import keras
import numpy as np

import keras_caffe
from keras_caffe import plots

SIZE, BATCH, LABELS = 64, 16, ("background", "square", "circle")
keras.utils.set_random_seed(0)
random = np.random.default_rng(0)
rows, columns = np.mgrid[:SIZE, :SIZE]


def pictures(count):
    """Pictures (N, 1, H, W) with noise, and the boxes of what they show, (1, 1, 2 N, 8); of image -1: no box."""
    images = random.normal(-0.5, 0.1, (count, 1, SIZE, SIZE)).astype("float32")
    boxes = np.full((2 * count, 8), -1, "float32")
    for number in range(2 * count):
        if number % 2 == 0 or random.random() < 0.5:  # one shape in the left half; often one in the right half
            r, label = random.uniform(6, 13), int(random.integers(1, 3))
            x, y = random.uniform(14, 18) + 32 * (number % 2), random.uniform(14, SIZE - 14)
            dx, dy = np.abs(columns + 0.5 - x), np.abs(rows + 0.5 - y)
            inside = np.maximum(dx, dy) < r if label == 1 else np.hypot(dx, dy) < r
            images[number // 2, 0, inside] = random.uniform(0.2, 1)
            sides = np.array([x - r, y - r, x + r, y + r]) / SIZE
            boxes[number] = number // 2, label, number % 2, *sides, 0
    return {"data": images, "label": boxes[None, None]}


plots.grid(pictures(12)["data"][:, 0], columns=6, title="squares and circles")

# %% [markdown]
# ## The net
#
# Three poolings leave a map of 8 x 8 cells. Each cell has two default boxes, one of 16 pixels and one of sqrt(16 x
# 26) = 20. For each box the net predicts how the true box differs (4 numbers: `loc`) and what is in it (3 scores:
# `conf`). One file holds both phases: MultiBoxLoss is for training, DetectionOutput for use.


# %%
def convolution(name, bottom, outputs, kernel=3):
    return f"""
layer {{ name: "{name}" type: "Convolution" bottom: "{bottom}" top: "{name}" convolution_param {{
  num_output: {outputs} kernel_size: {kernel} pad: {kernel // 2} weight_filler {{ type: "xavier" }} }} }}"""


def step(number, bottom, outputs, pool=True):
    name = f"conv{number}"
    relu = f'layer {{ name: "relu{number}" type: "ReLU" bottom: "{name}" top: "{name}" }}'
    pooling = f"""
layer {{ name: "pool{number}" type: "Pooling" bottom: "{name}" top: "pool{number}" pooling_param {{
  kernel_size: 2 stride: 2 }} }}"""
    return convolution(name, bottom, outputs) + relu + pooling * pool


def head(name, outputs):
    return f"""{convolution(name + "_conv", "conv4", outputs, 1)}
layer {{ name: "{name}_perm" type: "Permute" bottom: "{name}_conv" top: "{name}_perm" permute_param {{
  order: [0, 2, 3, 1] }} }}
layer {{ name: "{name}" type: "Flatten" bottom: "{name}_perm" top: "{name}" }}"""


NET = f"""
layer {{ name: "data" type: "Input" top: "data" input_param {{ shape {{ dim: [{BATCH}, 1, {SIZE}, {SIZE}] }} }} }}
layer {{ name: "label" type: "Input" top: "label" include {{ phase: TRAIN }}
  input_param {{ shape {{ dim: [1, 1, {2 * BATCH}, 8] }} }} }}
{step(1, "data", 12)}{step(2, "pool1", 24)}{step(3, "pool2", 32)}{step(4, "pool3", 48, pool=False)}
{head("loc", 2 * 4)}{head("conf", 2 * 3)}
layer {{ name: "prior" type: "PriorBox" bottom: "conv4" bottom: "data" top: "prior"
  prior_box_param {{ min_size: 16 max_size: 26 variance: [0.1, 0.1, 0.2, 0.2] }} }}
layer {{ name: "loss" type: "MultiBoxLoss" bottom: "loc" bottom: "conf" bottom: "prior" bottom: "label" top: "loss"
  include {{ phase: TRAIN }} multibox_loss_param {{ num_classes: 3 code_type: CENTER_SIZE overlap_threshold: 0.4 }}
  propagate_down: [true, true, false, false] }}
layer {{ name: "rows" type: "Reshape" bottom: "conf" top: "rows" include {{ phase: TEST }}
  reshape_param {{ shape {{ dim: [0, -1, 3] }} }} }}
layer {{ name: "soft" type: "Softmax" bottom: "rows" top: "soft" include {{ phase: TEST }}
  softmax_param {{ axis: 2 }} }}
layer {{ name: "scores" type: "Flatten" bottom: "soft" top: "scores" include {{ phase: TEST }} }}
layer {{ name: "found" type: "DetectionOutput" bottom: "loc" bottom: "scores" bottom: "prior" top: "found"
  include {{ phase: TEST }} detection_output_param {{ num_classes: 3 code_type: CENTER_SIZE
    confidence_threshold: 0.5 nms_param {{ nms_threshold: 0.3 top_k: 50 }} keep_top_k: 10 }} }}
"""
Path("detector.prototxt").write_text(NET)
SOLVER = """
net: "detector.prototxt" type: "Adam" base_lr: 0.003 momentum: 0.9 momentum2: 0.999 lr_policy: "fixed" max_iter: 300
snapshot_prefix: "detector" random_seed: 1
"""

# %% [markdown]
# ## Train
#
# The net's inputs are blobs without a data layer, so the solver takes any iterable of `{blob: batch}`. SSD's own LMDBs
# are read by AnnotatedData layers instead.


# %%
def batches():
    while True:
        yield pictures(BATCH)


solver = keras_caffe.load_solver(SOLVER, train_data=batches(), data_format="channels_first")
losses = solver.step(300)
print(f"loss of the first ten iterations {np.mean(losses[:10]):.2f}, of the last ten {np.mean(losses[-10:]):.2f}")
plots.training({"loss": (range(300), losses)})

# %% [markdown]
# ## Find
#
# The snapshot is a caffemodel. In phase TEST, the same prototxt yields the net that finds objects. It returns rows
# (image, label, score, left, top, right, bottom).

# %%
caffemodel, _ = solver.snapshot()
detector = keras_caffe.load("detector.prototxt", caffemodel, data_format="channels_first")
new = pictures(BATCH)
found = detector.predict_on_batch(new["data"])[0, 0]
for image, label, score, *box in found[:5]:
    print(f"picture {image:.0f}: {LABELS[int(label)]:<6} {score:.2f} at {np.round(np.array(box) * SIZE).astype(int)}")

# %% [markdown]
# How many of the true boxes are found, with the right label and at least half of the area shared?


# %%
def overlap(a, b):
    """Intersection over union of two boxes."""
    shared = np.prod(np.maximum(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0))
    return shared / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - shared)


true = new["label"][0, 0]
true = true[true[:, 0] >= 0]
hits = [any((f[:2] == t[:2]).all() and overlap(f[3:], t[3:7]) > 0.5 for f in found) for t in true]
accuracy = np.mean(hits)
print(f"{sum(hits)} of {len(true)} shapes are found; {len(found)} boxes are given")

# %% [markdown]
# The boxes in the pictures, white around squares and grey around circles:

# %%
canvas = new["data"][:, 0].copy()
for image, label, _, *box in found:
    left, top, right, bottom = np.clip(np.round(np.array(box) * SIZE).astype(int), 0, SIZE - 1)
    shade = 1.2 if label == 1 else 0.1
    canvas[int(image), top : bottom + 1, [left, right]] = shade
    canvas[int(image), [top, bottom], left : right + 1] = shade
plots.grid(canvas, per_map=False, columns=6, title="what it finds")

# %% [markdown]
# With an SSD that is already trained you need none of this: `keras-caffe predict deploy.prototxt ssd.caffemodel
# street.jpg` lists its boxes ([the command line](../cli.md#predict)). Next: [a layer of your own](own_layer.md).

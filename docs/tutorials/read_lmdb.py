# %% [markdown]
# # Read an LMDB in tf.data
#
# You have a database that Caffe was trained from, and a net whose data layer reads it. Here it becomes a
# `tf.data.Dataset` with the same pixels, crops, mirror images and means as in Caffe, for a model of any origin.

# %%
import keras
import numpy as np

import keras_caffe
from keras_caffe import plots, samples
from keras_caffe.cli import main
from keras_caffe.pycaffe import io

# %% [markdown]
# ## What is in it
#
# The package ships a small database of 1,000 digits. Look before you read: `keras-caffe dataset stats` counts labels
# and sizes, and `keras-caffe dataset show` makes a picture of the first records. From Python:

# %%
database = samples.path("db/mnist_test_lmdb")
main(["dataset", "stats", str(database)])

# %% [markdown]
# ## A data layer
#
# This layer could come from a prototxt of 2014. It reads the LMDB's records in batches of 20. In training it takes a
# window of 22 x 22 pixels from anywhere in the picture and mirrors half of the windows at random; in testing it takes
# the centre.

# %%
NET = f"""
layer {{
  name: "digits" type: "Data" top: "data" top: "label"
  data_param {{ source: "{database}" batch_size: 20 backend: LMDB }}
  transform_param {{ crop_size: 22 mirror: true mean_value: 33 scale: 0.00390625 }}
}}
"""
train = keras_caffe.dataset(NET, phase="TRAIN", seed=1)
test = keras_caffe.dataset(NET.replace("mirror: true", ""), phase="TEST", epochs=1)
print(train.element_spec)

# %% [markdown]
# Here is one batch of each phase. Mean and scale are applied, so the values are what the net would get.

# %%
batch = next(iter(train))
print(batch["label"].numpy().astype(int), "from", batch["data"].numpy().min(), "to", batch["data"].numpy().max())
plots.grid(batch["data"][..., 0], per_map=False, columns=10, title="TRAIN: windows and mirror images by chance")

# %%
plots.grid(next(iter(test))["data"][..., 0], per_map=False, columns=10, title="TEST: the middle of the same records")

# %% [markdown]
# The same `seed` draws the same windows again, on any machine:

# %%
again = next(iter(keras_caffe.dataset(NET, phase="TRAIN", seed=1)))
print(np.array_equal(batch["data"], again["data"]))

# %% [markdown]
# ## Train something on it
#
# Map the data set of `{top: batch}` to the pairs that `fit` expects. Without `epochs` it starts over at its end, as
# in Caffe, so `fit` must know how many batches make an epoch: 50 batches of 20 records are all 1,000.

# %%
keras.utils.set_random_seed(0)
model = keras.Sequential(
    [
        keras.Input((22, 22, 1)),
        keras.layers.Conv2D(16, 5, activation="relu"),
        keras.layers.MaxPooling2D(2),
        keras.layers.Flatten(),
        keras.layers.Dense(10, activation="softmax"),
    ]
)
model.compile(keras.optimizers.Adam(0.005), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
pairs = keras_caffe.dataset(NET.replace("mirror: true", ""), seed=1).map(lambda batch: (batch["data"], batch["label"]))
history = model.fit(pairs, steps_per_epoch=50, epochs=6, shuffle=False, verbose=0).history
accuracy = history["accuracy"][-1]
print(f"accuracy on the digits that it trains on: {accuracy:.2f}")

# %%
plots.training({"loss": (range(1, 7), history["loss"]), "accuracy": (range(1, 7), history["accuracy"])})

# %% [markdown]
# ## A database of your own
#
# You can make one from any arrays (C, H, W) with labels. `keras-caffe dataset convert photos/ train_lmdb` does the
# same for a folder of pictures.

# %%
stripes = [np.full((1, 8, 8), 250, np.uint8) * (np.arange(8) % step == 0) for step in (2, 3, 4)]
records = [(b"%08d" % n, io.array_to_datum(image, n).SerializeToString()) for n, image in enumerate(stripes)]
written = keras_caffe.data.write("stripes_lmdb", records)
layer = 'layer { name: "s" type: "Data" top: "data" data_param { source: "stripes_lmdb" batch_size: 3 backend: LMDB } }'
plots.grid(next(iter(keras_caffe.dataset(layer)))["data"][..., 0], columns=3, title=f"{written} records")

# %% [markdown]
# To learn more, read about [data layers](../data.md), or [serve a net](serve.md).

# %% [markdown]
# # Fine-tune on a folder of pictures
#
# You take a net that knows digits and teach it something else, with Keras's `compile` and `fit`. Then you write the
# result as Caffe files. The pictures are in a folder with one subfolder for each class, as in most collections. So
# that this page runs anywhere, the first cell draws them: circles, squares and triangles. Skip it if you have
# pictures of your own.

# %%
from pathlib import Path

import keras
import numpy as np
from PIL import Image, ImageDraw

import keras_caffe
from keras_caffe import plots, samples

keras.utils.set_random_seed(0)
random = np.random.default_rng(0)
SHAPES = ("circle", "square", "triangle")


def draw(shape):
    """A white shape of any size anywhere on black, 28 x 28 pixels."""
    picture = Image.new("L", (28, 28))
    x, y = random.uniform(11, 17, 2)
    r = random.uniform(6, 10)
    corners = {"circle": 40, "square": 4, "triangle": 3}[shape]
    angles = random.uniform(-0.3, 0.3) + (np.arange(corners) + 0.5) * 2 * np.pi / corners
    points = [(x + r * np.cos(angle), y + r * np.sin(angle)) for angle in angles]
    ImageDraw.Draw(picture).polygon(points, fill=int(random.uniform(120, 255)))
    return picture


for shape in SHAPES:
    folder = Path("shapes", shape)
    folder.mkdir(parents=True)
    for number in range(200):
        draw(shape).save(folder / f"{number}.png")

# %% [markdown]
# ## Read the folder
#
# Keras reads the folder: four fifths of the pictures are for training, one fifth for testing. The pixels are scaled
# as Caffe scaled them when it trained the net.

# %%
train, test = keras.utils.image_dataset_from_directory(
    "shapes",
    color_mode="grayscale",
    image_size=(28, 28),
    batch_size=32,
    validation_split=0.2,
    subset="both",
    seed=0,
    verbose=False,
)
print(train.class_names)
train, test = (data.map(lambda x, y: (x * samples.SCALE, y)).cache() for data in (train, test))
pictures, _ = next(iter(train))
plots.grid(pictures[:20, :, :, 0], columns=10, title="some of the pictures")

# %% [markdown]
# ## Cut, freeze, put a new head on
#
# `extract` cuts the net off after the blob `ip1`: 500 numbers that describe a picture. The ten digits are of no use
# here, so a new layer with three outputs takes their place. The first convolution looks for edges, which every
# picture has, so it stays as it is.

# %%
lenet = keras_caffe.load(samples.path("lenet.prototxt"), samples.path("lenet.caffemodel"), data_format="channels_last")
trunk = lenet.extract(["ip1"])
lenet.caffe_layers["conv1"].trainable = False
scores = keras.layers.Dense(3, activation="softmax", name="shape")(trunk(trunk.input)["ip1"])
model = keras.Model(trunk.input, scores)

# %% [markdown]
# Caffe's `lr_mult` is a multiplier here: the layers that have already been trained learn at a tenth of the head's
# rate.

# %%
multipliers = {variable.path: (0.1, 1.0) for variable in trunk.trainable_variables}
model.compile(
    keras_caffe.optimizers.SGD(0.01, momentum=0.9, weight_decay=5e-4, multipliers=multipliers),
    loss="sparse_categorical_crossentropy",
    metrics=["accuracy"],
)
before = model.evaluate(test, verbose=0, return_dict=True)["accuracy"]
history = model.fit(train, validation_data=test, epochs=8, shuffle=False, verbose=0).history
accuracy = history["val_accuracy"][-1]
print(f"accuracy on pictures that it has not seen: {before:.2f} before, {accuracy:.2f} after")

# %%
epochs = range(1, 9)
curves = {
    "loss": history["loss"],
    "loss in the test": history["val_loss"],
    "accuracy in the test": history["val_accuracy"],
}
plots.training({name: (epochs, values) for name, values in curves.items()})

# %% [markdown]
# ## Back to Caffe
#
# `save` writes the fine-tuned net as a prototxt and a caffemodel, which Caffe itself can load. So can we, and get the
# same numbers:

# %%
keras_caffe.save(model, "shapes.prototxt", "shapes.caffemodel")
again = keras_caffe.load("shapes.prototxt", "shapes.caffemodel", data_format="channels_last")
difference = np.abs(again.predict(pictures, verbose=0) - model.predict(pictures, verbose=0)).max()
print(f"{difference:g} is the largest difference; the new head is")
print("layer {" + Path("shapes.prototxt").read_text().split("layer {")[-2])

# %% [markdown]
# To learn more, read about [training](../training.md#fine-tuning-in-plain-keras), or [serve the net](serve.md).

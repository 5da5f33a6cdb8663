# %% [markdown]
# # A fork's layer of your own
#
# You have a net that was made for a modified Caffe, with a layer type that neither Caffe nor this package has. You
# add the type with one class and then use it like any other: for values, gradients, saved models and caffemodels.
#
# ## The net is refused
#
# This is LeNet with the fork's `SquarePlus` in place of its ReLU. The layer has its own parameter, in its own
# message. `proto.extend` declares the message as the fork's `caffe.proto` does. What the layer computes is still
# missing:

# %%
from pathlib import Path

import keras
import numpy as np
from keras import ops
from matplotlib.figure import Figure

import keras_caffe
from keras_caffe import proto, samples
from keras_caffe.layers.base import CaffeLayer

proto.extend(
    "message SquarePlusParameter { optional float b = 1 [default = 4]; }",
    field="square_plus_param",
    message="SquarePlusParameter",
)
LENET = samples.path("lenet.prototxt").read_text()
NET = LENET.replace('type: "ReLU"', 'type: "SquarePlus" square_plus_param { b: 0.5 }')
try:
    keras_caffe.load(NET)
except keras_caffe.CaffeError as error:
    print(error)

# %% [markdown]
# ## The class
#
# The class says what Caffe's C++ says: the formula, and how the file's parameters become arguments. Because it is a
# Keras layer, you get its gradient for free, and saved models keep the arguments.


# %%
@keras_caffe.register_layer("SquarePlus")
class SquarePlus(CaffeLayer):
    """y = (x + sqrt(x^2 + b)) / 2: a ReLU without its corner.

    Args:
        b: how round the corner is, 0 or more (4).
    """

    def __init__(self, b=4.0, **kwargs):
        super().__init__(**kwargs)
        self.b = b

    def call(self, inputs):
        return (inputs + ops.sqrt(inputs * inputs + self.b)) / 2

    @classmethod
    def from_caffe(cls, layer, bottoms, **kwargs):
        return cls(b=layer.square_plus_param.b, **kwargs)


# %% [markdown]
# ## The net loads
#
# The weights were trained with ReLU, and the net recognises about as many digits as before:

# %%
model = keras_caffe.load(NET, samples.path("lenet.caffemodel"), data_format="channels_first")
relu = keras_caffe.load(LENET, samples.path("lenet.caffemodel"), data_format="channels_first")
images, labels = samples.digits()
digits = images * np.float32(samples.SCALE)
for net in (relu, model):
    accuracy = (net.predict(digits, verbose=0).argmax(axis=1) == labels).mean()
    print(f"{type(net.caffe_layers['relu1']).__name__:<10} {accuracy:.3f}")

# %% [markdown]
# The rounder the corner, the further the function is from ReLU (b = 0):


# %%
def curves():
    x = np.linspace(-4, 4, 81, dtype="float32")
    figure = Figure(figsize=(6, 3))
    axes = figure.subplots()
    for b in (0.0, 0.5, 4.0):
        axes.plot(x, np.asarray(SquarePlus(b)(x)), label=f"b = {b}")
    axes.legend()
    axes.set_title("SquarePlus")
    return figure


curves()

# %% [markdown]
# ## Train it, save it, write it back
#
# The model trains; saved files know the class by its type, and so do files for Caffe.

# %%
model.compile("sgd", loss="sparse_categorical_crossentropy")
history = model.fit(digits[:256], labels[:256], epochs=3, verbose=0).history
print("losses", [f"{loss:.3f}" for loss in history["loss"]])
model.save("net.keras")
again = keras.saving.load_model("net.keras")
print("the saved model gives the same:", np.array_equal(again(digits[:8]), model(digits[:8])))
keras_caffe.save(model, "net.prototxt", "net.caffemodel")
(text,) = (part for part in Path("net.prototxt").read_text().split("layer ") if "SquarePlus" in part)
print("layer", text)

# %% [markdown]
# The guide to [extending](../extending.md) covers packages that provide layers, learned blobs, Python layers written
# for pycaffe, and classes for a single call.

# %% [markdown]
# # A first look
#
# You load a net that Caffe trained, let it classify digits, and look at what happens between the picture and the
# answer. The net is a LeNet that comes with the package, together with 1,000 digits of MNIST that it has never seen.

# %%
import keras_caffe
from keras_caffe import plots, samples

model = keras_caffe.load(samples.path("lenet.prototxt"), samples.path("lenet.caffemodel"), data_format="channels_first")
print(f"{len(model.caffe_layers)} layers, {model.count_params():,} parameters")

# %% [markdown]
# A net is two files: the prototxt describes its layers, the caffemodel holds what they learned. `load` needs neither
# Caffe nor a compiler. What it returns is an ordinary Keras model: `predict`, `fit` and `save` work as you know them.
#
# Here are the first digits. The net takes them as Caffe does, (N, C, H, W), because of `data_format="channels_first"`.

# %%
images, labels = samples.digits()
print(images.shape, images.dtype, labels[:20])
plots.grid(images[:20, 0], columns=10, title="the first twenty digits")

# %% [markdown]
# ## Predict
#
# Pixel values range from 0 to 255. Caffe multiplied them by 1/256 when it trained this net, so you do the same.

# %%
scores = model.predict(images * samples.SCALE, verbose=0)
accuracy = (scores.argmax(axis=1) == labels).mean()
print(f"{accuracy:.3f} of the digits are recognised")

# %% [markdown]
# Caffe's own test of this net gave 0.961, too: the numbers are Caffe's, not just close to them. Which digits does it
# get wrong?

# %%
wrong = (scores.argmax(axis=1) != labels).nonzero()[0][:20]
print("they are    ", labels[wrong])
print("taken for   ", scores[wrong].argmax(axis=1))
plots.grid(images[wrong, 0], columns=10, title="digits that the net gets wrong")

# %% [markdown]
# ## Look inside
#
# Caffe calls the arrays between layers *blobs*, and each has a name. `model.blobs` lists them with their shapes; the
# batch size is open.

# %%
for name, blob in model.blobs.items():
    print(f"{name:<6} {tuple(blob.shape)}")

# %% [markdown]
# The first layer learned twenty filters of 5 x 5 pixels: light where a bright pixel raises the value, dark where it
# lowers it.

# %%
plots.filters(model, "conv1")

# %% [markdown]
# This is how the second layer responds to the first digit, a 9:

# %%
digit = images[0] * samples.SCALE
plots.feature_maps(model, digit, "conv2")

# %% [markdown]
# And this is the answer, one bar for each digit:

# %%
plots.feature_maps(model, digit, "prob")

# %% [markdown]
# To compute with blobs rather than look at them, ask for a model that returns them:

# %%
features = model.extract(["pool2", "ip1"]).predict(images[:3] * samples.SCALE, verbose=0)
print({name: array.shape for name, array in features.items()})

# %% [markdown]
# ## Everything on one page
#
# `keras_caffe.view` writes all of this, along with the graph, the cost of each layer and the weights, as one HTML
# file that works offline. In a notebook, put `page` on the last line of a cell to display it.

# %%
page = keras_caffe.view(model, images=[digit])
page.save("lenet.html")
print(f"lenet.html: {len(page.html) // 1000} kB")

# %% [markdown]
# Next: [fine-tune the net on pictures of your own](fine_tune.md).

# %% [markdown]
# # A first look
#
# In this tutorial, you load a net that was trained with Caffe, let it classify digits, and look at what happens
# between the picture and the answer. The package includes this net (a LeNet) and 1,000 MNIST digits that the net has
# never seen.

# %%
import keras_caffe
from keras_caffe import plots, samples

model = keras_caffe.load(samples.path("lenet.prototxt"), samples.path("lenet.caffemodel"), data_format="channels_first")
print(f"{len(model.caffe_layers)} layers, {model.count_params():,} parameters")

# %% [markdown]
# A Caffe net consists of two files: the prototxt describes its layers, and the caffemodel holds the weights that they
# learned. `load` needs neither Caffe nor a compiler. It returns an ordinary Keras model, so `predict`, `fit` and `save`
# work as usual.
#
# Here are the first digits. Because you loaded the net with `data_format="channels_first"`, it takes them in Caffe's
# order: (N, C, H, W).

# %%
images, labels = samples.digits()
print(images.shape, images.dtype, labels[:20])
plots.grid(images[:20, 0], columns=10, title="the first twenty digits")

# %% [markdown]
# ## Predict
#
# Pixel values range from 0 to 255. Caffe multiplied them by 1/256 when it trained this net, so do the same here.

# %%
scores = model.predict(images * samples.SCALE, verbose=0)
accuracy = (scores.argmax(axis=1) == labels).mean()
print(f"accuracy: {accuracy:.3f}")

# %% [markdown]
# Caffe's own test of this net also gave 0.961. Which digits does the net get wrong?

# %%
wrong = (scores.argmax(axis=1) != labels).nonzero()[0][:20]
print("they are    ", labels[wrong])
print("taken for   ", scores[wrong].argmax(axis=1))
plots.grid(images[wrong, 0], columns=10, title="digits that the net gets wrong")

# %% [markdown]
# ## Look inside
#
# Caffe calls the arrays between layers *blobs*, and each has a name. `model.blobs` lists them with their shapes; `None`
# stands for any batch size.

# %%
for name, blob in model.blobs.items():
    print(f"{name:<6} {tuple(blob.shape)}")

# %% [markdown]
# The first convolution layer, `conv1`, learned twenty filters of 5 x 5 weights. A filter is drawn light where a bright
# pixel raises its output, and dark where a bright pixel lowers it.

# %%
plots.filters(model, "conv1")

# %% [markdown]
# This is how the second convolution layer, `conv2`, responds to the first digit, a 9:

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
# `keras_caffe.view` puts all of this, along with the graph, the cost of each layer and the weights, on one HTML page
# that works offline. In a notebook, put `page` on the last line of a cell to display it.

# %%
page = keras_caffe.view(model, images=[digit])
page.save("lenet.html")
print(f"lenet.html: {len(page.html) // 1000} kB")

# %% [markdown]
# Next: [fine-tune the net on pictures of your own](fine_tune.md).

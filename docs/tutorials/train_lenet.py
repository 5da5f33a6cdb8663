# %% [markdown]
# # Train LeNet by its solver, and watch
#
# You train a net from scratch, the way Caffe does: a solver file says how, and the net's data layers say on which
# data. The loop is Keras's `fit`; the arithmetic is Caffe's.
#
# ## Two databases
#
# The net `lenet_train_test.prototxt` reads its digits from `db/mnist_train_lmdb` and `db/mnist_test_lmdb`. The package
# ships 1,000 digits; here they become two databases, 800 digits for training and 200 for testing. Training on all
# 60,000 differs only in the time that it takes.

# %%
from pathlib import Path

import keras

import keras_caffe
from keras_caffe import plots, samples
from keras_caffe.lmdb_file import LmdbFile

records = [(bytes(key), bytes(value)) for key, value in LmdbFile(samples.path("db/mnist_test_lmdb")).items()]
Path("db").mkdir()
keras_caffe.data.write("db/mnist_train_lmdb", records[:800])
keras_caffe.data.write("db/mnist_test_lmdb", records[800:])
Path("lenet_train_test.prototxt").write_text(samples.path("lenet_train_test.prototxt").read_text())

# %% [markdown]
# ## The solver
#
# These are the settings that Caffe's own example trains LeNet with, for fewer iterations: stochastic gradient descent
# with momentum, and a rate that falls a little in each iteration. `random_seed` makes the run repeatable.

# %%
Path("solver.prototxt").write_text("""
net: "lenet_train_test.prototxt"
test_iter: 2
test_interval: 40
base_lr: 0.01
momentum: 0.9
weight_decay: 0.0005
lr_policy: "inv"
gamma: 0.0001
power: 0.75
max_iter: 160
snapshot_prefix: "lenet"
random_seed: 1
""")
solver = keras_caffe.load_solver("solver.prototxt")
for name, score in solver.test()[0].items():
    print(f"{name:<8} {score:.3f}")

# %% [markdown]
# An untrained net guesses: about one digit of ten is right, and the loss is near log 10 = 2.3.
#
# ## Watch it learn
#
# `fit` takes Keras's callbacks. This one keeps the loss of each iteration; `CSVLogger`, `TensorBoard` and
# `EarlyStopping` work just as well. An epoch is the time between two tests, here 40 iterations.

# %%
losses = []
watch = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: losses.append(float(logs["loss"])))
history = solver.fit(callbacks=[watch], verbose=0).history
accuracy = history["val_accuracy"][-1]
print(f"iteration {solver.iter}: accuracy {accuracy:.2f}, rate {solver.lr:.6f}")

# %%
tests = range(40, 161, 40)
plots.training({"loss": (range(len(losses)), losses), "accuracy in the test": (tests, history["val_accuracy"])})

# %% [markdown]
# The filters started as noise. This is what they look like after 160 batches:

# %%
plots.filters(solver.model, "conv1")

# %% [markdown]
# ## Stop, and go on
#
# Snapshots are Caffe's: a `.caffemodel` and a `.solverstate`. Caffe can resume from ours, and we from Caffe's.

# %%
for path in solver.snapshot():
    print(path)
again = keras_caffe.load_solver("solver.prototxt")
again.restore("lenet_iter_160.solverstate")
print(f"iteration {again.iter}, the next losses:", *(f"{loss:.3f}" for loss in again.step(3)))

# %% [markdown]
# From a shell, these commands do the same, with Caffe's log in a file and that log's curves as a picture:
#
#     keras-caffe train --solver=solver.prototxt 2> train.log
#     keras-caffe log train.log -o curves.png
#
# To learn more, read about [training](../training.md), or [read the databases yourself](read_lmdb.md).

"""Says what to install when TensorFlow is missing; `keras_caffe` imports this before anything that needs TensorFlow."""

from importlib.util import find_spec

if find_spec("tensorflow") is None:
    raise ImportError(
        "keras_caffe needs TensorFlow 2.16.2 or newer, and none is installed. "
        "Install it with `pip install 'keras-caffe[tensorflow]'`, or without GPU support (a smaller download) "
        "with `pip install 'keras-caffe[tensorflow-cpu]'`."
    )

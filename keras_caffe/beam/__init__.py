"""Apache Beam transforms for inference over large collections.

Apache Beam is imported when one of them is made (`pip install 'keras-caffe[beam]'`).
"""

from keras_caffe.beam.transforms import Predict, Read, Write

__all__ = ["Predict", "Read", "Write"]

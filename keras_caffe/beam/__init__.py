"""Apache Beam transforms for inference over large collections: `Read`, `Predict`, `Write`.

Apache Beam is imported when one of them is first asked for (`pip install 'keras-caffe[beam]'`).
"""

from typing import Any

__all__ = ["Predict", "Read", "Write"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from keras_caffe.beam import transforms

    return getattr(transforms, name)

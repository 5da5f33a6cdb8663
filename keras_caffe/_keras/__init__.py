"""The classes of Keras from which ours derive, as far as a type checker can know them.

Keras states no types. A checker that reads its source all the same, as pyright does in an editor, finds the classes
themselves behind the stars; what is imported last counts. For one that reads no source without types, as mypy and
`pyright --verifytypes` do not, nothing is behind the stars, and our classes derive from what `unseen` says of Keras's
instead of something unknown.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from keras_caffe._keras.unseen import (
        Callback,
        Initializer,
        Layer,
        LearningRateSchedule,
        Loss,
        Metric,
        Model,
        Optimizer,
    )

    # isort: split
    from keras import *  # noqa: F403
    from keras.callbacks import *  # noqa: F403
    from keras.optimizers.schedules import *  # noqa: F403
else:
    from keras import Initializer, Layer, Loss, Metric, Model, Optimizer
    from keras.callbacks import Callback
    from keras.optimizers.schedules import LearningRateSchedule

__all__ = ["Callback", "Initializer", "Layer", "LearningRateSchedule", "Loss", "Metric", "Model", "Optimizer"]

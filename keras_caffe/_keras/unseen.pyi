"""What our classes use of Keras's, for type checkers that do not read Keras's source.

Whatever is not stated is taken to exist, of any type.
"""

from __future__ import annotations

from typing import Any

class Configured:
    """What all of them share."""

    def __init__(self, *args: Any, **kwargs: Any) -> None: ...
    def __getattr__(self, name: str) -> Any: ...
    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...
    def get_config(self) -> dict[str, Any]: ...
    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any: ...

class Initializer(Configured):
    """Stands for `keras.Initializer`."""

class Layer(Configured):
    """Stands for `keras.Layer`."""

    trainable: Any

    def build(self, *args: Any) -> None: ...
    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any: ...

class Model(Layer):
    """Stands for `keras.Model`."""

    def compile(self, *args: Any, **kwargs: Any) -> None: ...
    def make_train_function(self, force: bool = False) -> Any: ...
    def make_test_function(self, force: bool = False) -> Any: ...
    def make_predict_function(self, force: bool = False) -> Any: ...
    def export(self, *args: Any, **kwargs: Any) -> None: ...
    def load_weights(self, *args: Any, **kwargs: Any) -> Any: ...

class Loss(Configured):
    """Stands for `keras.Loss`."""

class Metric(Configured):
    """Stands for `keras.Metric`."""

class Optimizer(Configured):
    """Stands for `keras.Optimizer`."""

    learning_rate: Any

    def build(self, variables: Any) -> None: ...

class LearningRateSchedule(Configured):
    """Stands for `keras.optimizers.schedules.LearningRateSchedule`."""

class Callback:
    """Stands for `keras.callbacks.Callback`."""

    model: Any

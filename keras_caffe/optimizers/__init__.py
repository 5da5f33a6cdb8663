"""Caffe's optimizers and learning rate policies for Keras."""

from keras_caffe.optimizers.base import CaffeOptimizer
from keras_caffe.optimizers.methods import SGD, AdaDelta, AdaGrad, Adam, Nesterov, RMSProp
from keras_caffe.optimizers.plateau import Plateau
from keras_caffe.optimizers.policies import Exp, Fixed, Inv, MultiStep, Policy, Poly, Sigmoid, Step

__all__ = [
    "SGD",
    "AdaDelta",
    "AdaGrad",
    "Adam",
    "CaffeOptimizer",
    "Exp",
    "Fixed",
    "Inv",
    "MultiStep",
    "Nesterov",
    "Plateau",
    "Policy",
    "Poly",
    "RMSProp",
    "Sigmoid",
    "Step",
]

"""Caffe's solvers: training loop, snapshots, test nets, on top of Keras."""

from keras_caffe.solver.load import load_solver
from keras_caffe.solver.params import multipliers
from keras_caffe.solver.solver import Solver

__all__ = ["Solver", "load_solver", "multipliers"]

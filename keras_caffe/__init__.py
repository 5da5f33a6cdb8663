"""Caffe networks as Keras models, with Caffe's numbers."""

"""One page that shows what a network is, what it does, and where it goes wrong: `keras_caffe.view`."""

from keras_caffe.page.page import Page, view

__all__ = ["Page", "view"]

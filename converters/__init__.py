"""From Caffe files to a Keras model and back: read, upgrade, select, graph, build, weights, write."""

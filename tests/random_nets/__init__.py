"""Random nets that run through every door of the package: eager, predict, tf.function, pycaffe, .keras, SavedModel.

`net` makes them from the parts of each layer type (`parts_*`), `feeds` their inputs and parameters, `doors` runs them,
`agreement` compares. scripts/random_nets.py runs thousands, tests/test_random_nets.py a few.
"""

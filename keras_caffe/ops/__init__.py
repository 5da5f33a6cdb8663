"""Numeric kernels: a portable twin in `keras.ops` each, with a faster TensorFlow path where there is one."""

"""Rewrites of a net on its way to Keras: one file each, run in the order of a list."""

"""The forks of Caffe, as data: how each is recognised, and what it changes."""

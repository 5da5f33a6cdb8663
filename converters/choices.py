"""What arguments may be, and their defaults, for those who read the command line before anything else is imported."""

from __future__ import annotations

TOLERANCE = 1e-4
"""Greatest difference that is rounding, as a part of a blob's largest value"""

OPSET = 17
"""Of ONNX's operations"""

STYLES = ("keras", "caffe")
"""Of a net as a Python file"""

PRECISIONS = ("float32", "bfloat16", "int8")
"""Of engines"""

DATABASES = ("lmdb", "leveldb", "tfrecord")
"""Kinds that can be written"""

TFRECORD = ".tfrecord"
"""How the names of such files end"""

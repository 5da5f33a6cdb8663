"""Caffe's program extract_features: tools/extract_features.cpp."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from keras_caffe.cli.features import Features, Parts, write_features
from keras_caffe.cli.programs.declared import FEATURES
from keras_caffe.cli.programs.glog import ERROR, log
from keras_caffe.cli.programs.usage import Values
from keras_caffe.cli.train import names
from keras_caffe.errors import CaffeError
from keras_caffe.pycaffe import install

PLACE = "extract_features.cpp:"


def run(values: Values, positional: Sequence[str]) -> int:
    if len(positional) < 6:
        log(FEATURES, f"{PLACE}29", ERROR)
        return 1
    weights, net, blobs, targets, count, kind = positional[:6]
    log("Using CPU" if positional[6:7] != ["GPU"] else "Using GPU", f"{PLACE}59", ERROR)
    if kind not in ("lmdb", "leveldb"):
        raise CaffeError(f"Unknown database backend {kind}", expected="lmdb or leveldb")
    if values.allow_python_imports:
        install(force=True)
    pairs = _pairs(names(blobs), names(targets))
    allowed = values.allow_python_imports
    features = Features(net, [weights], list(pairs), _count(count), allow_python_imports=allowed)
    log("Extracting Features", f"{PLACE}134", ERROR)
    with Parts(next(iter(pairs.values())), features) as parts:
        for _ in parts.collect():
            pass
        for name, array in parts.arrays().items():
            write_features(pairs[name], kind, {name: array})
            log(f"Extracted features of {len(array)} query images for feature blob {name}", f"{PLACE}178", ERROR)
        parts.remove()
    log("Successfully extracted the features!", f"{PLACE}183", ERROR)
    return 0


def _pairs(blobs: Sequence[str], targets: Sequence[str]) -> dict[str, str]:
    """{blob: the database for it}, of which none exists yet."""
    if len(blobs) != len(targets):
        raise CaffeError(
            "the number of blob names and dataset names must be equal",
            received=f"{len(blobs)} blob names and {len(targets)} dataset names",
        )
    taken = [target for target in targets if Path(target).exists()]
    if taken:
        raise CaffeError("something with this name exists already", where=taken[0], fix="Remove it, or name another.")
    return dict(zip(blobs, targets, strict=True))


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise CaffeError("num_mini_batches is no number of batches", expected="1 or more", received=text)
    return int(text)

"""Files that hold one blob (binaryproto), named by a layer."""

from __future__ import annotations

import numpy as np
from google.protobuf.message import DecodeError

from keras_caffe import proto
from keras_caffe.errors import DataError
from keras_caffe.layers.context import read_file


def read_blob(source: str, what: str) -> np.ndarray:
    """All values of a binaryproto file in one axis; `what` names them in an error.

    Raises:
        DataError: missing file, or not a BlobProto.
    """
    try:
        blob = proto.BlobProto.FromString(read_file(source))
    except OSError as error:
        raise DataError(
            f"{what} cannot be read",
            where=source,
            received=error.strerror,
            fix="Paths start at the working directory.",
            cause=error,
        ) from None
    except DecodeError:
        raise DataError("this is not a BlobProto", where=source, expected="a binaryproto file") from None
    return np.asarray(blob.double_data or blob.data, np.float32)

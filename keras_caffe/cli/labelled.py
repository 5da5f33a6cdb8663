"""Labelled images in the forms in which people have them, as batches for a net."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras_caffe
from keras_caffe.cli.images import Preparation
from keras_caffe.errors import DataError, not_found, unreadable
from keras_caffe.layout import edge_order
from keras_caffe.places import BASE_DIR, Places

if TYPE_CHECKING:
    import numpy as np

    from keras_caffe import CaffeModel
    from keras_caffe.engines.evaluate import Batch

BATCH = 100
NAMES = (("images", "labels"), ("data", "label"))  # of an .npz's arrays
DATABASE = """
layer {{ name: "data" type: "Data" top: "data" top: "label" data_param {{ source: "{source}" batch_size: {size}
  backend: {backend} }} }}
"""


class Labelled:
    """Batches of a data set, each with its labels.

    Args:
        model: the net that takes them.
        input: its input for images.
        data: an .npz of `images` and `labels`, or `data` and `label`; a folder with a folder of images for each class,
            in the order of their names; a file of lines "image label"; an LMDB or LevelDB; a prototxt with a data
            layer.
        prepare: what makes an input of an image; a prototxt's data layer says that itself.
        places: `base_dir` and `confine` for that layer, as of `keras_caffe.dataset`.
    """

    def __init__(self, model: CaffeModel, input: str, data: Path, prepare: Preparation, **places: Any) -> None:
        from keras_caffe.converters.model import keras_name

        self.model: CaffeModel = model
        self.input: str = input
        self.data: Path = data
        self.prepare: Preparation = prepare
        self.places = places
        self.fixed: Any = next(t.shape[0] for t in model.inputs if t.name == keras_name(input))
        self.size = self.fixed or BATCH

    def __iter__(self) -> Iterator[Batch]:
        import numpy as np

        from keras_caffe.converters.model import keras_name

        if not self.data.exists():
            raise unreadable(self.data, not_found(str(self.data)))
        for images, labels in self._pairs():
            filled = np.zeros((self.fixed or len(labels), *images.shape[1:]), "float32")
            filled[: len(labels)] = images
            stored = filled.transpose(edge_order(filled.ndim, self.model.data_format))
            yield {keras_name(self.input): np.ascontiguousarray(stored)}, labels.astype("int64")

    def _pairs(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Images as the net takes them, in Caffe's order, and their labels."""
        if self.data.suffix == ".npz":
            return self._arrays()
        if self.data.is_dir() and not any((self.data / name).exists() for name in ("data.mdb", "CURRENT")):
            return self._files(_by_class(self.data))
        if self.data.is_dir():
            return self._database()
        if self.data.suffix in (".prototxt", ".pbtxt"):
            return self._data_layer()
        return self._files(_listed(self.data, Places(**self.places, prototxt=self.data)))

    def _arrays(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        from keras_caffe.converters.comparison import read_reference

        arrays = read_reference(self.data)
        names = next((pair for pair in NAMES if set(pair) <= set(arrays)), None)
        if names is None:
            expected = ", or ".join(" and ".join(pair) for pair in NAMES)
            raise DataError(
                "the file lacks an array", where=str(self.data), expected=expected, received=", ".join(arrays)
            )
        images, labels = self._as_caffes(arrays[names[0]]), arrays[names[1]].ravel()
        if labels.dtype.kind not in "biuf" or images.dtype.kind not in "biuf":
            received = f"images of {images.dtype}, labels of {labels.dtype}"
            raise DataError("images and labels are numbers", where=str(self.data), received=received)
        if len(images) != len(labels):
            raise DataError(
                "there must be a label for each image", where=str(self.data), expected=len(images), received=len(labels)
            )
        for start in range(0, len(labels), self.size):
            some = images[start : start + self.size].astype("float32")
            yield self._prepared(some), labels[start : start + self.size]

    def _as_caffes(self, images: np.ndarray) -> np.ndarray:
        """(N, C, H, W) of that, of (N, H, W, C), or (N, H, W) for one channel."""
        shape = self.prepare.shape
        if images.shape[1:] == shape:
            return images
        if images.shape[1:] == (*shape[1:], shape[0]):
            return images.transpose(0, 3, 1, 2)
        if (1, *images.shape[1:]) == shape:
            return images[:, None]
        raise DataError(
            "the images do not fit the net", where=str(self.data), expected=shape, received=images.shape[1:]
        )

    def _prepared(self, images: np.ndarray) -> np.ndarray:
        import numpy as np

        return (images - self.prepare.mean) * np.float32(self.prepare.scale)

    def _files(self, listed: Sequence[tuple[Path, int]]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        import numpy as np

        for start in range(0, len(listed), self.size):
            some = listed[start : start + self.size]
            yield np.concatenate([self.prepare(str(file)) for file, _ in some]), np.array([label for _, label in some])

    def _database(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        backend = "LMDB" if (self.data / "data.mdb").exists() else "LEVELDB"
        source = str(self.data.resolve()).replace("\\", "/")
        text = DATABASE.format(source=source, size=self.size, backend=backend)
        for images, labels in self._read(text):
            yield self._prepared(self._as_caffes(images)), labels

    def _data_layer(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        return self._read(str(self.data), **self.places)

    def _read(self, prototxt: str, **places: Any) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Images and labels of a data layer: once all records, or those of the first top and the second."""
        for batch in keras_caffe.dataset(prototxt, "TEST", epochs=1, data_format="channels_first", **places):
            if len(batch) < 2:
                raise DataError("the data layer gives no labels", where=str(self.data), received=", ".join(batch))
            images, labels = (value.numpy() for value in list(batch.values())[:2])
            for start in range(0, len(labels), self.size):
                yield images[start : start + self.size], labels[start : start + self.size].ravel()


def _by_class(folder: Path) -> list[tuple[Path, int]]:
    """The files in the folders of a folder, each with the number of its own."""
    classes = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not classes:
        raise DataError("there are no folders of images, one for each class", where=str(folder))
    files = ((file, label) for label, path in enumerate(classes) for file in sorted(path.iterdir()))
    return [(file, label) for file, label in files if file.is_file() and not file.name.startswith(".")]


def _listed(file: Path, places: Places) -> list[tuple[Path, int]]:
    """The lines of a list, "image label"; names start at --root-dir, the working directory or the list's folder."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise unreadable(file, error, problem="this is no list of images and labels") from None
    pairs = []
    for number, line in enumerate(lines, 1):
        name, _, label = line.strip().rpartition(" ")
        if line.strip() and (not name or not label.isdecimal()):
            raise DataError(
                "this is not an image and its label", where=f"{file}:{number}", expected="image label", received=line
            )
        if line.strip():
            image = places.find(name)
            if not image.exists():
                raise DataError(f"there is no image {name!r}", where=f"{file}:{number}", fix=BASE_DIR)
            pairs.append((image, int(label)))
    return pairs


def image_input(model: CaffeModel, part: Any) -> str:
    """The blob that is the only input of a part of the net."""
    from keras_caffe.converters.model import keras_name

    names = {keras_name(blob): blob for blob in (model.net.values[value].blob for value in model.plan.inputs)}
    return next(names[name] for name in part.input_names if name in names)

"""Features: what blobs of a net hold for the records of its data layers, kept batch after batch until all are there."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_caffe.converters.choices import DATABASES
from keras_caffe.errors import CaffeError, DataError
from keras_caffe.shapes import ceil_div

if TYPE_CHECKING:
    import numpy as np

    from keras_caffe.data.caffe_dataset import CaffeDataset

KINDS = (*DATABASES, "hdf5", "npz")
ENDINGS = {".h5": "hdf5", ".hdf5": "hdf5", ".npz": "npz", ".tfrecord": "tfrecord"}


class Features:
    """What some blobs of a net hold, in Caffe's order, batch after batch of its data layers in phase TEST.

    Args:
        net, weights: as of `keras_caffe.load`.
        blobs: their names.
        batches: how many; the data begin again where they end. Default: those that hold each record once.
        level, stages: for include/exclude rules.
        engine: (model, blobs) -> what computes in place of Keras, or None.
        base_dir, confine: as of `keras_caffe.dataset`.
        options: further arguments of `keras_caffe.load`.

    Raises:
        CaffeError: what loading a net, its weights or its data refuses; a blob that the net has not.
    """

    def __init__(
        self,
        net: Any,
        weights: Sequence[str],
        blobs: Sequence[str],
        batches: int | None = None,
        *,
        level: int = 0,
        stages: Sequence[str] = (),
        engine: Callable[[Any, Sequence[str]], Any] | None = None,
        base_dir: str | None = None,
        confine: bool = False,
        **options: Any,
    ) -> None:
        from keras_caffe.converters.definition import read_definition
        from keras_caffe.data.dataset import dataset
        from keras_caffe.data.output_files import files_written
        from keras_caffe.proto.text import to_text
        from keras_caffe.solver.load import open_test_net

        definition = read_definition(net)
        selection: dict[str, Any] = {"level": level, "stages": stages}
        places: dict[str, Any] = {"base_dir": base_dir, "confine": confine}
        allowed = {"allow_python_imports": options.get("allow_python_imports", False)}
        self.data: CaffeDataset = dataset(
            definition, "TEST", data_format="channels_first", seed=0, **selection, **allowed, **places
        )
        model, _ = open_test_net(
            definition,
            weights,
            data=self.data,
            data_format="channels_first",
            **selection,
            **options,
            **places,
        )
        self.blobs: tuple[str, ...] = tuple(blobs)
        self._files = model.plan.output_files
        computed = [*blobs, *model.plan.also_out]
        self._part = model.extract(computed)
        with files_written():
            faster = engine and engine(model, computed)
        self._compute = faster or self._part.predict_on_batch
        source = self.data.streams[0].source
        self._batch, self._records = source.batch_size, source.size if batches is None else None
        if batches is None and self._records is None:
            raise DataError(
                "the data layer's records have no end", layer=source.layer.name, fix="Say how many batches to take."
            )
        self.batches: int = ceil_div(self._records, self._batch) if batches is None else batches
        found = source.settings.places
        files = [*map(Path, weights), *found.needed]  # not the images that a list names, which may be millions
        self.identity: list[Any] = [
            to_text(definition.message),
            self.blobs,
            self.batches,
            level,
            list(stages),
            repr(options),
        ]
        self.identity += [list(map(str, found.folders)), _stamps(files), faster and (faster.name, faster.precision)]

    def batches_from(self, first: int) -> Iterator[dict[str, np.ndarray]]:
        """{blob: array} of each batch; the records that fill up the last batch are left out.

        HDF5Output layers write their files, which hold the last batch.
        """
        import numpy as np

        from keras_caffe.converters.model import keras_name
        from keras_caffe.data.output_files import write_output_files

        wanted = set(self._part.input_names)
        for number, tops in enumerate(self.data.skip(first).take(self.batches - first), first):
            fed = {keras_name(name): top for name, top in tops.items() if keras_name(name) in wanted}
            left = self._batch if self._records is None else min(self._batch, self._records - number * self._batch)
            values = {name: np.asarray(value) for name, value in self._compute(fed).items()}
            write_output_files(self._files, values.__getitem__)
            yield {name: self._cut(values[name], left) for name in self.blobs}

    def _cut(self, values: np.ndarray, records: int) -> np.ndarray:
        if values.ndim == 0:
            return values[None]
        rows, rest = divmod(len(values), self._batch)
        return values if rest else values[: rows * records]


def _stamps(paths: Sequence[Path]) -> list[tuple[str, int, int]]:
    """Name, size and time of each file, and of a database's files but its locks and logs, which reading may change."""
    inside = [sorted(path.iterdir()) if path.is_dir() else [path] for path in paths]
    held = [file.absolute() for files in inside for file in files if not file.name.lower().startswith(("lock", "log"))]
    return [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in held]


class Parts:
    """The features so far, in a folder beside what they become; a run that was interrupted goes on from there.

    As a context manager, it keeps other processes away until the block ends.

    Args:
        target: the file or database that is made at last.
        features: where they come from.
    """

    def __init__(self, target: str, features: Features) -> None:
        self.features: Features = features
        self.folder: Path = Path(f"{target}.part")
        self._state, self._identity = self.folder / "state.json", json.dumps(features.identity)
        with self._written():
            self._lock = self._alone()
            state = self._read()
            if state["identity"] != json.loads(self._identity):
                for left in self.folder.iterdir():
                    shutil.rmtree(left) if left.is_dir() else left.unlink()
                state = {"batches": 0, "shapes": {}}
        self.done: int = state["batches"]
        self._shapes: dict[str, list[int]] = state["shapes"]

    def _alone(self) -> int | None:
        """Makes the folder and locks it.

        Raises:
            DataError: another process is writing there.
        """
        from keras_caffe.whole import locked

        while True:
            self.folder.mkdir(exist_ok=True)
            try:
                lock = locked(self.folder)
            except BlockingIOError as error:
                fix = "Wait until it is done, or name another file."
                raise DataError(
                    "another process is writing here", where=str(self.folder), fix=fix, cause=error
                ) from None
            if self.folder.is_dir():  # the other process may have come to its end meanwhile
                return lock
            if lock is not None:
                os.close(lock)

    @contextmanager
    def _written(self) -> Iterator[None]:
        """What the system refuses inside is an error about the folder."""
        try:
            yield
        except CaffeError:
            raise
        except OSError as error:
            problem = f"the features so far cannot be written: {error.strerror or error}"
            raise DataError(problem, where=str(self.folder), cause=error) from None

    def _read(self) -> dict[str, Any]:
        try:
            return json.loads(self._state.read_text())
        except (OSError, ValueError):
            return {"identity": None}

    def collect(self) -> Iterator[int]:
        """Computes what is missing; gives the number of each batch that is kept."""
        from keras_caffe.converters.write import replacing

        for values in self.features.batches_from(self.done):
            with self._written():
                for name, array in values.items():
                    self._append(name, array)
            self.done += 1
            state = {"identity": json.loads(self._identity), "batches": self.done, "shapes": self._shapes}
            with replacing(self._state) as file:
                file.write_text(json.dumps(state))
            yield self.done

    def _append(self, name: str, array: np.ndarray) -> None:
        import numpy as np

        rows, *row = self._shapes.setdefault(name, [0, *array.shape[1:]])
        if tuple(row) != array.shape[1:]:
            problem = f"blob {name!r} has another shape in batch {self.done}"
            raise DataError(problem, expected=tuple(row), received=array.shape[1:])
        with self._file(name).open("r+b" if rows else "wb") as file:
            file.seek(rows * 4 * int(np.prod(row)))
            file.write(np.ascontiguousarray(array, "<f4").tobytes())
        self._shapes[name] = [rows + len(array), *row]

    def _file(self, name: str) -> Path:
        return self.folder / f"{self.features.blobs.index(name)}.f32"

    def arrays(self) -> dict[str, np.ndarray]:
        """The features of each blob, as views on the files."""
        import numpy as np

        return {
            name: np.memmap(self._file(name), "<f4", "r", shape=tuple(shape)) for name, shape in self._shapes.items()
        }

    def remove(self) -> None:
        shutil.rmtree(self.folder)

    def __enter__(self) -> Parts:
        return self

    def __exit__(self, *_: object) -> None:
        if self._lock is not None:
            os.close(self._lock)


def kind_of(target: str, kind: str | None) -> str:
    """The kind of what is written: as asked for, or as the name's ending says; else an LMDB."""
    return kind or ENDINGS.get(Path(target).suffix, "lmdb")


def write_features(target: str, kind: str, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes features: HDF5 and NPZ files with an array for each blob, databases with a Datum for each row of the one.

    Raises:
        DataError: a database of that name exists, or a blob has too many axes for a Datum.
    """
    from keras_caffe.converters.write import replacing, write_npz
    from keras_caffe.data.writers import write
    from keras_caffe.hdf5_file import created

    if kind in DATABASES:
        ((name, values),) = arrays.items()
        write(target, _datums(name, values), kind)
        return
    with replacing(target) as file:
        if kind == "npz":
            write_npz(file, arrays)
            return
        with created(file) as store:
            for name, values in arrays.items():
                store[name] = values


def _datums(name: str, values: np.ndarray) -> Iterator[tuple[bytes, bytes]]:
    """Caffe's records: the row's number as ten digits, and its values as `float_data`."""
    from keras_caffe.data.datum import feature_datum

    return ((b"%010d" % number, feature_datum(name, row)) for number, row in enumerate(values))

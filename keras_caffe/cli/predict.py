"""Classifies pictures, or finds objects in them.

Pictures are resized to the net's input and prepared as Caffe's nets expect them: blue-green-red (grey if the input has
one channel), 0 to 255, minus the mean, times the scale. For a classifier the largest outputs are printed; for a
detector (SSD, YOLO) the score, label and box in pixels of each object. --resize, --raw-scale and --oversample prepare
pictures as pycaffe does, --transform as a net's own data layer does.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_caffe.cli.files import output_file
from keras_caffe.cli.images import SUFFIXES, Preparation, mean_of, of_data_layer, pictures
from keras_caffe.cli.options import (
    add_engine_options,
    add_net_options,
    engine_of,
    load,
    need_weights,
    places,
    positive,
    working,
)
from keras_caffe.cli.predictions import FORMATS, Prediction, best, boxes
from keras_caffe.errors import DataError, NetError, Option, unreadable
from keras_caffe.shapes import known

if TYPE_CHECKING:
    import numpy as np

    from keras_caffe import CaffeModel

BATCH = 16
MOST_LABELS = 1_000_000  # a list has a name for each number up to the largest
NAMES = "images"  # the array of an .npz file with the pictures' names


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = "%(prog)s [options] NET WEIGHTS IMAGE ...\n       %(prog)s [options] MODEL.keras IMAGE ..."
    add = parser.add_argument
    add("net", metavar="NET", help="prototxt, or a .keras file that `convert` wrote")
    add("files", metavar="FILE", nargs="*", help="WEIGHTS (unless NET is a .keras file) and pictures")
    add("--mean", metavar="MEAN", help="a .binaryproto or .npy file, or one number, or B,G,R (default: 0)")
    add("--scale", type=float, help="factor after the mean is subtracted (default: 1)")
    add(
        "--resize",
        type=size,
        metavar="N|H,W",
        help="resize as pycaffe does, before the crop (default: to the input's size)",
    )
    add(
        "--crop",
        type=size,
        metavar="N|H,W",
        help="size of the centre crop; must be the input's size, which is the default",
    )
    add(
        "--raw-scale",
        type=float,
        metavar="S",
        help="as in pycaffe: scale pictures to 0..S (default with --resize: 255)",
    )
    add(
        "--oversample",
        action="store_true",
        help="average over pycaffe's ten crops: corners, centre and their mirror images",
    )
    add("--transform", metavar="PROTOTXT", help="prepare pictures as this net's TEST data layer does")
    add("--labels", metavar="FILE", help="class names, one per line, or SSD's labelmap prototxt")
    add("--top", type=positive, metavar="K", default=5, help="number of values to print (default: 5)")
    add("--output", metavar="BLOB", help="the blob to print (default: the net's output)")
    form = parser.add_mutually_exclusive_group()
    for name in ("json", "csv"):
        form.add_argument(f"--{name}", dest="form", action="store_const", const=name, help=f"print {name.upper()}")
    form.add_argument(
        "-o", dest="features", metavar="OUT.npz", type=output_file(".npz"),
        help="write the blob for all pictures to a file instead of printing it; the array `images` has their names",
    )  # fmt: skip
    parser.set_defaults(form="lines")
    add_engine_options(parser)
    add_net_options(parser)


def size(text: str) -> tuple[int, int]:
    """`N` or `H,W` as (height, width)."""
    numbers = [positive(number) for number in text.split(",")]
    if len(numbers) > 2:
        raise argparse.ArgumentTypeError(f"expected N or H,W, received {text!r}")
    return numbers[0], numbers[-1]


def check_usage(args: argparse.Namespace) -> None:
    weights, names = _files(args)
    if Path(args.net).suffix != ".keras":
        need_weights(args, [file for file in weights if Path(file).suffix.lower() not in SUFFIXES])
    if not names:
        args.wrong_usage("the following arguments are required: IMAGE")
    said = args.oversample or any(value is not None for value in (args.mean, args.scale, args.raw_scale))
    if args.transform and said:
        args.wrong_usage("--transform already says what --mean, --scale, --raw-scale and --oversample would")


def _files(args: argparse.Namespace) -> tuple[list[str], list[str]]:
    """Trained values, which a .keras file has itself, and pictures."""
    return ([], args.files) if Path(args.net).suffix == ".keras" else (args.files[:1], args.files[1:])


def run(args: argparse.Namespace) -> None:
    from keras_caffe.converters.keras_file import read_keras

    weights, names = _files(args)
    images = pictures(names)
    with working(f"Loading {args.net}"):
        model = load(args, weights) if weights else read_keras(args.net)
    blob = output_blob(model, args.output)
    if args.features and blob == NAMES:
        raise NetError(f"the file's array {NAMES!r} has the pictures' names; blob {blob!r} cannot be written beside it")
    part = model.extract([blob])
    prepare = preparation(args, input_shape(model, part))
    found = outputs(part, model.data_format, prepare, images, engine_of(args, model, [blob]))
    if args.features:
        write_features(args.features, blob, images, found)
        return
    FORMATS[args.form](predictions(args, model, blob, prepare, found))


def preparation(args: argparse.Namespace, shape: tuple[int, int, int]) -> Preparation:
    """How the command's options say that pictures become the net's input, `shape` (C, H, W).

    Raises:
        DataError: options that contradict each other or the input.
    """
    if args.crop not in (None, shape[1:]):
        raise DataError(
            "the crop is not the size of the net's input", expected=shape[1:], received=args.crop,
            fix=Option("input_shapes", purpose="to make the net for another size"),
        )  # fmt: skip
    if args.resize and any(full < cut for full, cut in zip(args.resize, shape[1:], strict=True)):
        raise DataError("pictures become smaller than the net's input", expected=shape[1:], received=args.resize)
    if args.transform:
        return of_data_layer(args.transform, shape, args.resize, **places(args))
    raw_scale = 255.0 if args.raw_scale is None and (args.resize or args.oversample) else args.raw_scale
    scale = 1.0 if args.scale is None else args.scale
    mean = mean_of(args.mean or "0", shape, as_pycaffe=raw_scale is not None)
    return Preparation(shape, mean, scale, args.resize, raw_scale, args.oversample)


def predictions(
    args: argparse.Namespace,
    model: CaffeModel,
    blob: str,
    prepare: Preparation,
    found: Iterable[tuple[Sequence[str], np.ndarray]],
) -> Iterator[tuple[str, list[Prediction]]]:
    """Each picture with what the net says of it.

    Raises:
        NetError: a detector, and several crops of a picture.
    """
    from keras_caffe.converters.detections import by_picture, detects

    labels = read_labels(args.labels) if args.labels else None
    if detects(model, blob):
        if prepare.crops > 1:
            raise NetError("boxes have no mean", fix="Leave out --oversample.")
        for some, values in found:
            for image, rows in zip(some, by_picture(values, len(some)), strict=True):
                yield image, list(boxes(rows, args.top, labels, prepare.place(image)))
        return
    for some, values in found:
        for image, scores in zip(some, per_picture(values, len(some), blob), strict=True):
            yield image, list(best(scores.ravel(), args.top, labels))


def write_features(
    file: Path, blob: str, images: Sequence[str], found: Iterable[tuple[Sequence[str], np.ndarray]]
) -> None:
    """The blob of every picture, in Caffe's order of axes, as an .npz file."""
    import numpy as np

    from keras_caffe.converters.write import replacing, write_npz

    rows = [per_picture(values, len(some), blob) for some, values in found]
    arrays = {NAMES: np.array(images), blob: np.concatenate(rows)}
    with replacing(file) as temporary:
        write_npz(temporary, arrays)
    print(f"wrote {file}: {blob} {arrays[blob].shape}")


def output_blob(model: CaffeModel, name: str | None) -> str:
    """The blob to look at: the one asked for, or the net's only output."""
    outputs = [model.net.values[value].blob for value in model.net.outputs]
    if name is None and len(outputs) == 1:
        return outputs[0]
    if name is None:
        fix = f"Name one with --output: {', '.join(outputs or model.blobs)}."
        raise NetError(f"the net has {len(outputs) or 'no'} outputs", expected="one", fix=fix)
    model.net.check_blobs([name])
    return name


def input_shape(model: CaffeModel, part: Any) -> tuple[int, int, int]:
    """(C, H, W) of the only input of `part`."""
    from keras_caffe.converters.model import keras_name

    inputs = {blob: shape for blob, shape in model.caffe_shapes.items() if keras_name(blob) in part.input_names}
    shapes = list(inputs.values())
    if len(shapes) != 1 or len(shapes[0]) != 4:
        raise NetError(
            "the net takes something other than pictures", expected="one input (N, C, H, W)", received=inputs
        )
    _, channels, height, width = known(shapes[0])
    return channels, height, width


def outputs(
    part: Any, data_format: str, prepare: Preparation, images: Sequence[str], engine: Any = None
) -> Iterator[tuple[Sequence[str], np.ndarray]]:
    """Some of the pictures and the output for them, in Caffe's order, until all are done. An engine computes, or Keras.

    Values that have a row for each input of the net are cut to the pictures, and are the mean of a picture's crops.
    """
    import numpy as np

    fixed = part.inputs[0].shape[0]
    count = max((fixed or BATCH) // prepare.crops, 1)
    for start in _progress(range(0, len(images), count)):
        some = images[start : start + count]
        rows = np.concatenate([prepare(image) for image in some]).astype("float32")
        steps = range(0, len(rows), fixed or len(rows))
        fed = [_computed(part, engine, data_format, rows[step : step + (fixed or len(rows))]) for step in steps]
        values = fed[0] if len(fed) == 1 else np.concatenate(fed)
        if values.ndim and len(values) == sum(fixed or len(rows) for _ in steps):
            values = values[: len(rows)]
            values = (
                values if prepare.crops == 1 else values.reshape(len(some), prepare.crops, *values.shape[1:]).mean(1)
            )
        yield some, values


def _computed(part: Any, engine: Any, data_format: str, rows: np.ndarray) -> np.ndarray:
    """The output for the rows (N, C, H, W), filled up with zeros to the batch that the net is made for."""
    import keras
    import numpy as np

    (name,) = part.output
    batch = np.zeros((part.inputs[0].shape[0] or len(rows), *rows.shape[1:]), "float32")
    batch[: len(rows)] = rows
    fed = batch if data_format == "channels_first" else batch.transpose(0, 2, 3, 1)
    values = engine(fed)[name] if engine else keras.ops.convert_to_numpy(part(fed, training=False)[name])
    return np.moveaxis(values, -1, 1) if data_format == "channels_last" and values.ndim > 3 else values


def per_picture(values: np.ndarray, count: int, blob: str) -> np.ndarray:
    """The values, if they have a row for each of `count` pictures.

    Raises:
        NetError: the blob has another number of rows.
    """
    if not values.ndim or len(values) != count:
        raise NetError(f"blob {blob!r} has no row for each picture", received=values.shape)
    return values


def _progress(batches: Sequence[int]) -> Iterable[int]:
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return track(batches, "Predicting", console=console, transient=True, disable=not console.is_terminal)


def read_labels(file: str) -> list[str]:
    """The lines of a file without the empty ones at its end; of SSD's labelmap, names at the places of their labels."""
    from keras_caffe import proto
    from keras_caffe.converters.read import read_message

    if Path(file).suffix == ".prototxt":
        items = read_message(file, proto.LabelMap).item
        names = {item.label: item.display_name or item.name for item in items}
        if max(names, default=0) > MOST_LABELS:
            raise DataError("a label is too large", where=file, expected=f"at most {MOST_LABELS}", received=max(names))
        return [names.get(label, "") for label in range(max(names, default=-1) + 1)]
    try:
        return Path(file).read_text(encoding="utf-8").rstrip().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise unreadable(file, error, problem="these are not names, one per line in UTF-8") from None

"""Shows a net as a page in the browser: graph, costs, weights, activations, findings.

The page is a single HTML file that works offline. Without -o it is a temporary file, opened in your browser. Pictures
are resized to the net's input and prepared as Caffe's nets expect them: blue-green-red (grey if the input has one
channel), 0 to 255, minus the mean, times the scale. The page says what it cannot show.
"""

from __future__ import annotations

import argparse
import tempfile
import webbrowser
from contextlib import suppress
from pathlib import Path
from typing import Any

from keras_caffe.cli.files import output_file
from keras_caffe.cli.options import add_net_options, given
from keras_caffe.cli.predict import read_labels
from keras_caffe.cli.progress import progress
from keras_caffe.requirements import hidden


def computes_nothing(args: argparse.Namespace) -> bool:
    """Whether the page shows what the files say, and nothing that is run."""
    return not (args.images or args.against or args.allow_python_imports or Path(args.net).suffix == ".keras")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("net", metavar="NET", help="prototxt, a caffemodel that holds its definition, or a .keras file of `convert`")
    add("weights", metavar="WEIGHTS", nargs="*", help="caffemodel or caffemodel.h5 files")
    add("--image", dest="images", metavar="IMG", action="append", default=[], help="a picture to run; may be repeated")
    add(
        "--against",
        metavar="B",
        help="compare with another prototxt, other weights (.caffemodel) or an .npz of blobs",
    )
    add("-o", "--output", metavar="OUT.html", type=output_file(), help="the file to write (default: a temporary one)")
    add("--mean", metavar="MEAN", default="0", help="a .binaryproto or .npy file, or one number, or B,G,R")
    add("--scale", type=float, default=1.0, help="factor after the mean is subtracted (default: 1)")
    add("--labels", metavar="FILE", help="class names, one per line, or SSD's labelmap prototxt")
    add_net_options(parser)


def run(args: argparse.Namespace) -> None:
    with suppress(ImportError), hidden("matplotlib"):  # igraph, too, would import it; `view` says if igraph is missing
        import igraph  # noqa: F401
    from keras_caffe.converters.keras_file import read_keras
    from keras_caffe.page import view

    is_keras = Path(args.net).suffix == ".keras"
    page = view(
        read_keras(args.net) if is_keras else args.net,
        None if is_keras else args.weights,
        images=args.images,
        against=args.against,
        mean=_mean(args.mean),
        scale=args.scale,
        labels=read_labels(args.labels) if args.labels else (),
        progress=progress,
        flags=args.flags,
        **({} if is_keras else {**given(args), "skip_mismatch": args.skip_mismatch}),
    )
    file = page.save(args.output or Path(tempfile.mkdtemp(prefix="keras-caffe-")) / "net.html")
    print(f"wrote {file}")
    if not args.output:
        webbrowser.open(file.resolve().as_uri())


def _mean(text: str) -> Any:
    """Numbers, one or one for each channel, or the name of a file."""
    try:
        return [float(number) for number in text.split(",")]
    except ValueError:
        return text

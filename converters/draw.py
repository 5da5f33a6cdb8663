"""A net as a picture, as pycaffe draws it (python/caffe/draw.py). Needs pydot and, for all but .dot, Graphviz.

Layers are boxes, green where they work in place; blobs are octagons. An arrow to a blob carries a layer's num_output.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from keras_caffe.converters.definition import read_definition
from keras_caffe.converters.read_binary import parameter_of
from keras_caffe.errors import ExportError
from keras_caffe.layers.spatial import stated
from keras_caffe.proto import PoolingParameter

DOT_FORMATS = ("dot", "gv", "raw")  # what Graphviz reads: written without it

BLOB_STYLE = {"shape": "octagon", "style": "filled", "fillcolor": "#E0E0E0"}
LAYER_STYLE_DEFAULT = {"shape": "box", "style": "filled", "fillcolor": "#6495ED"}
NEURON_LAYER_STYLE = LAYER_STYLE_DEFAULT | {"fillcolor": "#90EE90"}
COLOURS = {
    **dict.fromkeys(("Convolution", "Deconvolution", "DepthwiseConvolution", "ConvolutionDepthwise"), "#FF5050"),
    "Pooling": "#FF9900",
    "InnerProduct": "#CC33FF",
}


def get_pydot_graph(
    caffe_net: Any, rankdir: str, label_edges: bool = True, phase: int | None = None, display_lrm: bool = False
) -> Any:
    """A net as a `pydot.Dot`.

    Args:
        caffe_net: path, prototxt text, NetParameter, or a Definition that was read before.
        rankdir: where the arrows lead: "LR", "TB" or "BT".
        label_edges: write num_output, or a data layer's batch size, beside the arrows.
        phase: TRAIN (0) or TEST (1): leave out what include and exclude rules do; default: draw all layers.
        display_lrm: write the learning rate multipliers of weights and biases into the layers.

    Raises:
        ExportError: pydot is not installed.
        ReadError, NetError: `caffe_net` is no net.
    """
    pydot = _pydot()
    definition = read_definition(caffe_net)
    net = (definition if phase is None else definition.select(phase)).message
    graph = pydot.Dot(_quoted(net.name or "Net"), graph_type="digraph", rankdir=rankdir)
    blobs: dict[str, Any] = {}
    blob_style = BLOB_STYLE | {"fillcolor": _quoted(BLOB_STYLE["fillcolor"])}
    for number, layer in enumerate(net.layer):
        style = LAYER_STYLE_DEFAULT | {"fillcolor": _quoted(_colour(layer))}
        node = pydot.Node(f"layer{number}", label=get_layer_label(layer, rankdir, display_lrm), **style)
        graph.add_node(node)
        for name in (*layer.bottom, *layer.top):
            if name not in blobs:
                blobs[name] = pydot.Node(f"blob{len(blobs)}", label=_quoted(name), **blob_style)
                graph.add_node(blobs[name])
        for name in layer.bottom:
            graph.add_edge(pydot.Edge(blobs[name], node))
        label = {"label": _quoted(get_edge_label(layer))} if label_edges else {}
        for name in layer.top:
            graph.add_edge(pydot.Edge(node, blobs[name], **label))
    return graph


def draw_net(
    caffe_net: Any, rankdir: str, ext: str = "png", phase: int | None = None, display_lrm: bool = False
) -> bytes:
    """A net as a picture in the format `ext` of Graphviz (png, svg, pdf, ...), or its input (dot).

    Raises:
        ExportError: pydot or Graphviz is not installed, or Graphviz does not know the format.
    """
    text = get_pydot_graph(caffe_net, rankdir, phase=phase, display_lrm=display_lrm).to_string().encode()
    return text if ext in DOT_FORMATS else _rendered(text, ext)


def draw_net_to_file(
    caffe_net: Any,
    filename: str | os.PathLike[str],
    rankdir: str = "LR",
    phase: int | None = None,
    display_lrm: bool = False,
) -> None:
    """Draws a net into a file, in the format that its name ends in; arguments and errors as for `draw_net`."""
    path = Path(filename)
    path.write_bytes(draw_net(caffe_net, rankdir, path.suffix[1:], phase, display_lrm))


def _colour(layer: Any) -> str:
    in_place = len(layer.bottom) == 1 and layer.bottom == layer.top
    return NEURON_LAYER_STYLE["fillcolor"] if in_place else choose_color_by_layertype(layer.type)


def choose_color_by_layertype(layertype: str) -> str:
    """The colour of a layer that does not work in place."""
    return COLOURS.get(layertype, LAYER_STYLE_DEFAULT["fillcolor"])


def get_pooling_types_dict() -> dict[int, str]:
    """{number: name} of the kinds of pooling."""
    return {number: name for name, number in PoolingParameter.PoolMethod.items()}


def get_layer_label(layer: Any, rankdir: str, display_lrm: bool = False) -> str:
    """Name, type, windows; side by side where the net runs up or down, for there is room."""
    param, kind = _parameter(layer), layer.type
    if kind == "Pooling":
        kind += f" {PoolingParameter.PoolMethod.Name(param.pool)}"
    words = [layer.name, f"({kind})"]
    if hasattr(param, "kernel_h") and stated(param, "kernel_size"):
        defaults = {"kernel_size": 1, "stride": 1, "pad": 0}
        sizes = {name: stated(param, name) or [default] for name, default in defaults.items()}
        words += [f"{name.replace('_', ' ')}: {'x'.join(map(str, size))}" for name, size in sizes.items()]
    if display_lrm and hasattr(param, "num_output"):
        factors = get_layer_lr_mult(layer)
        words += [f"lr mult: {', '.join(f'{factor:.1f}' for factor in factors)}"] if any(factors) else []
    return _quoted(*words, separator=" " if rankdir in ("TB", "BT") else r"\n")


def get_layer_lr_mult(layer: Any) -> tuple[float, ...]:
    """The learning rate multipliers of a layer's weights and bias; 1 where the file has none."""
    factors = [spec.lr_mult for spec in layer.param]
    return (*factors, *[1.0] * (2 - len(factors)))


def get_edge_label(layer: Any) -> str:
    """What stands beside the arrow from a layer: num_output, or a data layer's batch size."""
    param = _parameter(layer)
    if layer.type.endswith("Data"):
        return f"Batch {param.batch_size}" if getattr(param, "batch_size", 0) else ""
    return str(getattr(param, "num_output", ""))


def _parameter(layer: Any) -> Any:
    """The message with the parameters of the layer's type; None if there is no such message."""
    name = parameter_of(layer.type)
    return getattr(layer, name) if name else None


def _quoted(*words: str, separator: str = "") -> str:
    """Words as one string of Graphviz's language."""
    escaped = (word.replace("\\", "\\\\").replace('"', '\\"') for word in words)
    return f'"{separator.join(escaped)}"'


def _pydot() -> Any:
    try:
        import pydot
    except ImportError:
        raise ExportError(
            "pydot is needed to draw nets", fix="Install it with `pip install 'keras-caffe[draw]'`."
        ) from None
    return pydot


def _rendered(text: bytes, ext: str) -> bytes:
    if not shutil.which("dot"):
        raise ExportError(
            f"Graphviz is needed to draw .{ext} files, and its program `dot` is not on the path",
            fix="Install it (on Debian and Ubuntu: apt install graphviz), or write a .dot file, which needs none.",
        )
    done = subprocess.run(["dot", f"-T{ext}"], input=text, capture_output=True, check=False)
    if done.returncode:
        raise ExportError(f"Graphviz cannot draw .{ext} files", received=done.stderr.decode().strip())
    return done.stdout

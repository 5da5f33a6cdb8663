"""Net definitions and solver files: every form of them, what is refused, and what the field numbers of forks mean."""

from __future__ import annotations

import gzip
import json
import os
import warnings
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from keras_caffe import proto
from keras_caffe.converters.read import NetFile, read_message, read_net
from keras_caffe.converters.read_binary import parameter_of
from keras_caffe.errors import CaffeError, CaffeWarning, ReadError
from keras_caffe.proto import schema
from tests.rejected import reason_for
from tests.shared_goldens import GOLDENS, MODELS, WILD, needs_models, needs_wild

NET = """name: "n"
layer { name: "data" type: "Input" top: "data" }

layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 2 } }
"""


def delimited(number: int, content: bytes) -> bytes:
    """A length-delimited field with a number below 2048 and a short content."""
    return bytes([number << 3 & 127 | 130, number >> 4, len(content)]) + content


def test_a_text(tmp_path: Path) -> None:
    net = read_net(NET)
    assert (net.file, dict(net.lines), net.where("ip")) == ("<text>", {"data": 2, "ip": 4}, "<text>:4")
    assert net.where("nowhere") == "<text>"
    assert net.message.layer[1].inner_product_param.num_output == 2


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gbk", "latin-1"])
@pytest.mark.parametrize("kind", [str, Path])
def test_a_text_file(tmp_path: Path, encoding: str, kind: type) -> None:
    path = tmp_path / "net #1 {old}.prototxt"
    path.write_bytes((NET + "# caf\u00e9" * (encoding != "gbk") + "# \u4e2d" * (encoding == "gbk")).encode(encoding))
    net = read_net(kind(path))
    assert (net.file, net.where("ip")) == (str(path), f"{path}:4")


def test_a_pipe_is_read_to_its_end() -> None:
    """As the shell's `<(...)` gives one: it can be opened and read once only."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as file:
        file.write(NET)
    assert [layer.name for layer in read_net(f"/dev/fd/{reading}").message.layer] == ["data", "ip"]
    os.close(reading)


def test_a_binary_file_gives_the_definition_without_blobs(tmp_path: Path) -> None:
    message = read_net(NET).message
    message.layer[1].blobs.add(data=[1, 2], shape={"dim": [2]})
    (tmp_path / "net.caffemodel").write_bytes(message.SerializeToString())
    net = read_net(tmp_path / "net.caffemodel")
    assert [layer.name for layer in net.message.layer] == ["data", "ip"]
    assert not net.message.layer[1].blobs
    assert net.message.layer[1].inner_product_param.num_output == 2
    assert net.where("ip") == str(tmp_path / "net.caffemodel")


def test_a_binary_v0_file_loses_its_inner_blobs(tmp_path: Path) -> None:
    message = proto.NetParameter()
    message.layers.add().layer.MergeFrom(proto.V0LayerParameter(name="c", type="conv", blobs=[{"data": [1]}]))
    (tmp_path / "old").write_bytes(message.SerializeToString())
    old = read_net(tmp_path / "old").message.layers[0].layer
    assert (old.name, old.type, len(old.blobs)) == ("c", "conv", 0)


def test_a_message_is_copied() -> None:
    message = proto.NetParameter(name="n")
    net = read_net(message)
    net.message.name = "other"
    assert (message.name, net.file) == ("n", "<message>")


def test_a_message_of_another_pool_is_taken() -> None:
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(schema.file_descriptor().SerializeToString())
    other = message_factory.GetMessageClass(pool.FindMessageTypeByName("caffe.NetParameter"))
    assert read_net(other(name="theirs")).message.name == "theirs"
    with pytest.raises(ReadError, match="NetParameter.*SolverParameter"):
        read_net(proto.SolverParameter())
    with pytest.raises(ReadError, match="NetParameter.*FileDescriptorProto"):
        read_net(descriptor_pb2.FileDescriptorProto())


@pytest.mark.parametrize("source", ["", "nowhere.prototxt", "a" * 5000, "x\0y", "C:\\nets\\net.prototxt"])
def test_no_such_file(source: str) -> None:
    with pytest.raises(ReadError, match="no such file"):
        read_net(source)


@pytest.mark.parametrize("source", [None, 3, b"name", ["net.prototxt"]])
def test_no_source(source: object) -> None:
    with pytest.raises(ReadError, match="path"):
        read_net(source)  # type: ignore[arg-type]


def test_a_near_name_is_proposed(tmp_path: Path) -> None:
    (tmp_path / "deploy.prototxt").write_text(NET)
    with pytest.raises(ReadError, match="Did you mean .*deploy.prototxt"):
        read_net(tmp_path / "depoly.prototxt")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"\x89HDF\r\n\x1a\n\0\0", "an HDF5 file"),
        (b"PK\x03\x04\0\0", "a zip archive"),
        (b"\x1f\x8b\x08\0\0\0", "a gzip archive"),
        (b"\n\xff\xff\0\x01", "needs 16383 bytes"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "net").write_bytes(content)
    with pytest.raises(ReadError, match=reason) as caught:
        read_net(tmp_path / "net")
    assert str(tmp_path / "net") in caught.value.where


PAGE = b"<!DOCTYPE html>\n<html><body>net.prototxt</body></html>"
FOREIGN = {
    "page": (PAGE, "a web page", "The download failed; fetch the file itself."),
    "page in small letters": (
        b"\xef\xbb\xbf\n <!doctype html>",
        "a web page",
        "The download failed; fetch the file itself.",
    ),
    "fragment": (b"<head><title>net</title>", "a web page", "The download failed; fetch the file itself."),
    "answer": (b"404: Not Found", "a server's error message", "The download failed; fetch the file itself."),
    "JSON": (b'{"message": "Not Found"}', "JSON", "Give the file that Caffe reads."),
    "pointer": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
        "a Git LFS pointer, not the file itself",
        "Run `git lfs pull`.",
    ),
    "gzip": (gzip.compress(NET.encode()), "a gzip archive", "Unpack it first."),
    "zip": (b"PK\x03\x04\x14\0", "a zip archive", "Unpack it first; keras.saving.load_model reads .keras files."),
    "tar": (b"net.prototxt".ljust(257, b"\0") + b"ustar\0", "an archive", "Unpack it first."),
    "PNG": (
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
        "a picture",
        "Give the net's definition; a picture is an input of the net.",
    ),
    "JPEG": (
        b"\xff\xd8\xff\xe0\0\x10JFIF",
        "a picture",
        "Give the net's definition; a picture is an input of the net.",
    ),
    "PDF": (b"%PDF-1.4\n%\xe2\xe3", "a PDF document", "Give the file that Caffe reads."),
}


@pytest.mark.parametrize("kind", FOREIGN)
@pytest.mark.parametrize("message", ["NetParameter", "SolverParameter"])
def test_what_is_saved_in_place_of_a_definition_is_named(tmp_path: Path, kind: str, message: str) -> None:
    content, received, fix = FOREIGN[kind]
    path = tmp_path / "deploy.prototxt"
    path.write_bytes(content)
    with pytest.raises(ReadError) as caught:
        read_net(path) if message == "NetParameter" else read_message(path, message)
    what = "a net definition" if message == "NetParameter" else "a solver definition"
    assert str(caught.value) == (
        f"{path}: this is not {what}; expected a prototxt, or a {message} in binary form; received {received}. {fix}"
    )


def test_a_page_in_place_of_a_text_is_named() -> None:
    with pytest.raises(ReadError, match="<text>: this is not a net definition.*a web page"):
        read_net(PAGE.decode())


@pytest.mark.parametrize("content", [b"\x08\x05\x18\x02", b"\x08\x01\x10\x03\x18\x02\x20\x02"], ids=["state", "mean"])
def test_a_message_of_another_kind_is_no_net(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "net").write_bytes(content)
    with pytest.raises(ReadError, match="this is not a net definition"):
        read_net(tmp_path / "net")


def test_a_text_of_unknown_fields_without_layers_is_no_net() -> None:
    with pytest.raises(ReadError, match="<text>:1:1: this is a solver, not a net. Load the file that its `net` names"):
        read_net('net: "train_val.prototxt" base_lr: 0.01 lr_policy: "fixed"')
    with pytest.raises(ReadError, match="<text>:1:1: unknown fields: NetParameter.model"):
        read_net('model: "resnet"\n')


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="this is a folder"):
        read_net(tmp_path)


def test_the_first_of_two_layers_of_one_name_has_the_line() -> None:
    assert read_net('layer { name: "a" }\nlayer { name: "a" }').where("a") == "<text>:1"


def test_layers_of_every_generation_have_lines() -> None:
    v0 = 'layers {\n layer { name: "c" type: "conv" } }\nlayers { layer { name: "r" type: "relu" } }'
    v1 = 'layers { name: "c" type: CONVOLUTION }\n\nlayers { name: "r" type: RELU }'
    assert [dict(read_net(text).lines) for text in (v0, v1)] == [{"c": 1, "r": 3}] * 2


@pytest.mark.parametrize("kind", ["text", "binary", "message"])
def test_solvers(tmp_path: Path, kind: str) -> None:
    text = 'net: "a.prototxt"\nbase_lr: 0.5 weights: "w" eval_type: "detection"'
    message = read_message(text, proto.SolverParameter)
    (tmp_path / "solver").write_bytes(text.encode() if kind == "text" else message.SerializeToString())
    solver = read_message(message if kind == "message" else tmp_path / "solver", "SolverParameter")
    assert (solver.net, solver.base_lr, list(solver.weights), solver.eval_type) == (
        "a.prototxt",
        0.5,
        ["w"],
        "detection",
    )
    assert (solver.rms_decay, solver.momentum2) == (pytest.approx(0.99), pytest.approx(0.999))


def test_solver_mistakes(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="learning_rate"):
        read_message('net: "n"\nlearning_rate: 1', proto.SolverParameter, strict=True)
    (tmp_path / "solver").write_bytes(b"\x01\x02\x03")
    with pytest.raises(ReadError, match="SolverParameter"):
        read_message(tmp_path / "solver", proto.SolverParameter)


def test_types_and_their_parameters() -> None:
    expected = {
        "Convolution": "convolution_param",
        "Deconvolution": "convolution_param",
        "LSTM": "recurrent_param",
        "Normalize": "norm_param",
        "ReLU": "relu_param",
        "ReLU6": "relu6_param",
        "ROIPooling": "roi_pooling_param",
        "Nothing": None,
    }
    assert {layer_type: parameter_of(layer_type) for layer_type in expected} == expected


def foreign(tmp_path: Path, layer_type: str, number: int, content: bytes) -> Path:
    layer = proto.LayerParameter(name="l", type=layer_type).SerializeToString() + delimited(number, content)
    path = tmp_path / "foreign"
    path.write_bytes(b"\n\x01n" + b"\xa2\x06" + bytes([len(layer)]) + layer)
    return path


@pytest.mark.parametrize("number", [147, 150, 502, 2000])
def test_a_forks_number_is_read_by_the_layers_type(tmp_path: Path, number: int) -> None:
    """147 is swish_param here, the others are unknown."""
    sigma = proto.SmoothL1LossParameter(sigma=3).SerializeToString()
    (layer,) = read_net(foreign(tmp_path, "SmoothL1Loss", number, sigma)).message.layer
    assert layer.smooth_l1_loss_param.sigma == 3
    assert not layer.HasField("swish_param")


def test_fork_bvlc_takes_the_numbers_as_they_are(tmp_path: Path) -> None:
    content = proto.SmoothL1LossParameter(sigma=3).SerializeToString()
    (layer,) = read_net(foreign(tmp_path, "SmoothL1Loss", 147, content), fork="bvlc").message.layer
    assert (layer.swish_param.beta, layer.HasField("smooth_l1_loss_param")) == (3, False)


def test_what_does_not_fit_is_reported(tmp_path: Path) -> None:
    pooled = proto.ROIPoolingParameter(pooled_h=3, pooled_w=4).SerializeToString()
    path = foreign(tmp_path, "SmoothL1Loss", 150, pooled)
    with pytest.warns(CaffeWarning, match="LayerParameter #150"):
        (layer,) = read_net(path).message.layer
    assert not layer.HasField("smooth_l1_loss_param")
    with pytest.raises(ReadError, match="LayerParameter #150"):
        read_net(path, strict=True)


def test_parameters_that_are_there_are_kept(tmp_path: Path) -> None:
    layer = proto.LayerParameter(type="Swish", swish_param={"beta": 2}, clip_param={"min": 0, "max": 6})
    (tmp_path / "net").write_bytes(proto.NetParameter(layer=[layer]).SerializeToString())
    assert read_net(tmp_path / "net").message.layer[0] == layer


def golden_texts() -> list[dict]:
    entries = []
    for name in ("rejected", "accepted"):
        loaded = json.loads((GOLDENS / "errors" / f"{name}.json").read_text())
        entries += loaded if isinstance(loaded, list) else loaded.values()
    return [entry for entry in entries if entry.get("prototxt")]


@pytest.mark.parametrize("entry", golden_texts(), ids=lambda entry: entry["name"])
def test_the_texts_that_caffe_cannot_parse_are_refused(entry: dict) -> None:
    solver = entry["kind"] == "solver"
    text = entry["solver_prototxt"] if solver else entry["prototxt"]
    message = proto.SolverParameter if solver else proto.NetParameter
    parse_error = entry.get("parse_error") or ("Error parsing" in entry.get("check_text", "") and entry["check_text"])
    if parse_error:
        with pytest.raises(ReadError, match=reason_for(entry["name"])):
            read_message(text, message, strict=True)
    else:
        read_message(text, message, strict=True)


def read_quietly(path: Path) -> NetFile | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CaffeWarning)
        try:
            return read_net(path)
        except CaffeError as error:
            assert str(path) in str(error)
            return None


@needs_wild
def test_every_prototxt_from_the_wild_is_read_or_refused() -> None:
    known = json.loads(gzip.decompress((WILD / "shapes.json.gz").read_bytes()))
    built = 0
    for path in sorted((WILD / "prototxts").iterdir()):
        net = read_quietly(path)
        if path.name in known and not known[path.name].get("part"):
            assert net is not None, f"Caffe builds {path.name}"
            assert net.lines
            built += 1
    assert built > 200


@needs_models
def test_every_model_is_read() -> None:
    for path in [*MODELS.glob("*/*.prototxt"), *MODELS.glob("*/*.caffemodel")]:
        net = read_quietly(path)
        assert net is not None and (net.message.layer or net.message.layers), path
        assert bool(net.lines) == (path.suffix == ".prototxt")


@needs_models
def test_a_forks_parameters_in_a_real_model() -> None:
    net = read_quietly(MODELS / "mtcnn_det2_fp16" / "weights.caffemodel")
    (loss,) = [layer for layer in net.message.layer if layer.type == "SmoothL1Loss"]
    assert loss.smooth_l1_loss_param.sigma == 2

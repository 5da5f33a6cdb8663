"""`keras_caffe.view` and `keras-caffe view`."""

from __future__ import annotations

import json
import re
import warnings
import webbrowser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keras_caffe import load, samples, save, view
from keras_caffe.cli import main
from keras_caffe.converters.comparison import computed_blobs
from keras_caffe.errors import ReadError
from keras_caffe.layers import Concat
from tests.page.nets import AUXILIARY, BLOCKS, HOSTILE
from tests.shared_goldens import WILD, needs_wild

pytest.importorskip("igraph")
NET, WEIGHTS = samples.path("lenet.prototxt"), samples.path("lenet.caffemodel")


@pytest.fixture(scope="module")
def lenet():
    return load(NET, WEIGHTS)


@pytest.fixture(scope="module")
def digit() -> np.ndarray:
    return (samples.digits()[0][0] * np.float32(samples.SCALE)).astype("float32")


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    image = pytest.importorskip("PIL.Image")
    image.new("RGBA", (40, 50), (255, 0, 0, 128)).save(tmp_path / "red.png")
    return tmp_path / "red.png"


def layers(page: Any, phase: str = "TEST") -> dict[str, dict[str, Any]]:
    return {layer["name"]: layer for layer in page.data["scenes"][phase]["layers"]}


def said(page: Any) -> str:
    return " | ".join(f"{finding['kind']}: {finding['text']}" for finding in page.data["findings"])


def embedded(text: str) -> dict[str, Any]:
    """The data in a page's text."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert found
    return json.loads(found.group(1))


def test_the_page_of_a_model_and_of_its_files_say_the_same(lenet) -> None:
    of_model, of_files = layers(view(lenet)), layers(view(NET, WEIGHTS))
    for name, layer in of_model.items():
        theirs = of_files[name]
        assert layer["type"] == theirs["type"]
        assert layer.get("flops") == theirs.get("flops")
        assert [blob["histogram"] for blob in layer["blobs"]] == [blob["histogram"] for blob in theirs["blobs"]]
    assert of_files["conv1"]["filled"] == "from the weight file"
    assert of_files["conv1"]["where"].endswith("lenet.prototxt:9")


def test_filters_in_colours_are_marked(lenet) -> None:
    """Which colour comes first no file says; the page draws as if it were blue."""
    coloured = {
        name: layer["blobs"][0].get("colours") for name, layer in layers(view(load(BLOCKS))).items() if layer["blobs"]
    }
    assert coloured["conv1"] and not coloured["mix_a/1x1"] and not layers(view(lenet))["conv1"]["blobs"][0]["colours"]


def test_what_a_layer_is_told_of(lenet) -> None:
    conv2 = layers(view(lenet))["conv2"]
    assert conv2["shapes"] == [["conv2", "1 × 50 × 8 × 8", "1 × 8 × 8 × 50"]]
    assert (conv2["parameters"], conv2["flops"]) == (25_050, (2 * 500 + 1) * 50 * 64)
    assert (conv2["top_bytes"], conv2["weight_bytes"]) == (4 * 50 * 64, 4 * 25_050)
    assert conv2["field"] == "14 × 14 pixels, stride 2, offset 6.5"
    assert conv2["blobs"][0]["shape"] == "50 × 20 × 5 × 5"
    assert "num_output: 50" in conv2["prototxt"]


def test_activations_of_an_array(lenet, digit) -> None:
    image = view(lenet, images=digit).data["images"][0]
    assert image["classes"][0][0] == str(samples.digits()[1][0])
    assert image["blobs"]["conv1"]["maps"] == 20
    assert len(image["blobs"]["ip2"]["bars"]) == 10
    assert image["saliency"].startswith("data:image/png")


def test_a_picture_is_given_as_the_publishers_say_or_the_page_says_how_it_differs(lenet, picture) -> None:
    plain, scaled = (view(lenet, images=picture, scale=scale).data for scale in (1.0, samples.SCALE))
    assert plain["images"][0]["fed"] == "grey, 0 to 255"
    (why,) = plain["images"][0]["why"]
    assert "red.png was given as grey, 0 to 255; the publishers" in why and "times 0.00390625" in why
    assert [one["cure"].partition(";")[0] for one in plain["findings"] if one["text"] == why] == [
        "Give mean= and scale="
    ]
    assert scaled["images"][0]["fed"] == "grey, 0 to 255, times 0.00390625" and scaled["images"][0]["why"] == []
    coloured = view(BLOCKS, images=picture, mean=[1, 2, 3.5]).data["images"][0]
    assert coloured["fed"] == "blue first, 0 to 255, minus 1, 2, 3.5"


def test_what_no_file_fills_is_paired_with_what_the_file_has_for_no_layer() -> None:
    page = view(NET.read_text().replace('name: "ip1"', 'name: "first"'), WEIGHTS)
    (found,) = (one for one in page.data["findings"] if one["text"] == "no file fills it")
    assert (
        found["layer"] == "first" and "the name that it has in the file" in found["cure"] and "'ip1'" in found["cure"]
    )


def test_pictures_of_any_mode(picture, tmp_path) -> None:
    image = pytest.importorskip("PIL.Image")
    files = [picture]
    for mode in ("L", "P", "1"):
        image.new(mode, (9, 8)).save(tmp_path / f"{mode}.png")
        files.append(tmp_path / f"{mode}.png")
    shown = view(BLOCKS, images=files, mean=[1, 2, 3]).data["images"]
    assert [one["name"] for one in shown] == ["red.png", "L.png", "P.png", "1.png"]
    assert shown[0]["size"] == [24, 32]


def test_a_net_that_takes_no_picture_says_so(digit) -> None:
    net = 'layer { name: "in" type: "Input" top: "a" input_param { shape { dim: 2 dim: 3 } } }'
    page = view(net + ' layer { name: "r" type: "ReLU" bottom: "a" top: "b" }', images=[digit])
    assert page.data["images"] == []
    assert "the array cannot be shown: the net takes no picture" in said(page)


def test_a_picture_that_is_not_there_is_an_error() -> None:
    with pytest.raises(ReadError, match="no such.png: there is no such file"):
        view(NET, images="no such.png")
    with pytest.raises(ReadError, match="no such.prototxt: there is no such file"):
        view("no such.prototxt")


def test_unknown_types_are_drawn_and_what_is_behind_them() -> None:
    page = view(BLOCKS.replace('"Concat"', '"Mixer"'))
    found = layers(page)
    assert found["mix_a/output"]["kind"] == "unknown"
    assert "shapes" in found["mix_a/3x3"]
    assert "shapes" not in found["mix_a/output"] and "shapes" not in found["fc"]
    assert "unknown layer type 'Mixer'" in said(page)
    assert page.data["scenes"]["TEST"]["totals"]["partial"]


def test_a_picture_runs_as_far_as_the_layers_are_known() -> None:
    page = view(BLOCKS.replace('"Concat"', '"Mixer"'), images=np.ones((3, 32, 24), "float32"))
    (image,) = page.data["images"]
    whole = view(BLOCKS, images=np.ones((3, 32, 24), "float32")).data["images"][0]
    assert set(image["blobs"]) == {"data", "conv1", "mix_a/1x1", "mix_a/3x3"} < set(whole["blobs"])
    assert image["blobs"]["conv1"]["size"] == whole["blobs"]["conv1"]["size"]
    text = "run through the part of the net that could be planned; not computed: mix_a/output, pool, fc, prob"
    assert text in said(page) and text in image["why"][0]
    assert not whole["why"]


def test_scores_where_the_known_part_ends_are_no_classes() -> None:
    net = BLOCKS.replace('"Softmax"', '"Mixer"')
    assert "classes" not in view(net, images=np.ones((3, 32, 24), "float32")).data["images"][0]


def test_sizes_that_are_not_known() -> None:
    page = view('input: "data" layer { name: "c" type: "Convolution" bottom: "data" top: "c" }')
    assert "c" in layers(page)
    assert page.data["scenes"]["TEST"]["problems"]
    assert embedded(page.html)


def test_a_picture_of_no_size_is_none() -> None:
    page = view(BLOCKS.replace("dim: 32 dim: 24", "dim: 0 dim: 0"), images=np.zeros((3, 0, 0), "float32"))
    assert "the array cannot be shown: the net takes no picture" in said(page)


def test_of_several_layers_with_one_name_each_phase_shows_its_own_weights(tmp_path) -> None:
    net = BLOCKS.replace('name: "mix_a/3x3"', 'name: "mix_a/1x1"')
    save(load(BLOCKS), None, tmp_path / "blocks.caffemodel")
    page = view(net, tmp_path / "blocks.caffemodel")
    for phase in ("TEST", "TRAIN"):
        twins = [layer for layer in page.data["scenes"][phase]["layers"] if layer["name"] == "mix_a/1x1"]
        assert ["histogram" in layer["blobs"][0] for layer in twins] == [True, False], phase


def test_a_layer_that_is_refused_and_one_without_a_producer() -> None:
    wrong = BLOCKS.replace("kernel_size: 3 pad: 1", "kernel_size: 300")
    assert "shapes" in layers(view(wrong))["mix_a/1x1"]
    lost = BLOCKS.replace('bottom: "mix_a/output"', 'bottom: "nowhere"')
    page = view(lost)
    assert "shapes" in layers(page)["mix_a/output"] and "shapes" not in layers(page)["fc"]
    assert "nowhere" in page.data["scenes"]["TEST"]["problems"][0]


def test_names_stay_text() -> None:
    net = f'name: "{HOSTILE}" layer {{ name: "{HOSTILE}" type: "Input" top: "</script>" }}'
    text = view(net).html
    assert text.count("</script>") == 2
    assert "<img" not in text
    assert "&lt;script&gt;window.ran" in text
    assert embedded(text)["name"].startswith("<script>window.ran")


def test_weights_with_nan_and_dead_filters(tmp_path) -> None:
    model = load(BLOCKS)
    params = model.get_caffe_params()
    params["conv1"][0][2] = 0
    params["fc"][0][0, 0] = np.nan
    model.set_caffe_params(params)
    save(model, None, tmp_path / "broken.caffemodel")
    page = view(BLOCKS, tmp_path / "broken.caffemodel", images=np.ones((3, 32, 24), "float32"))
    assert "weights: kernel holds 1 NaN of 40 values" in said(page)
    assert "1 filters of kernel are zero: 2" in said(page)
    assert "blob 'fc' holds" in said(page)
    assert [score for _, score in page.data["images"][0]["classes"]] == ["NaN"] * 5
    assert "saliency" not in page.data["images"][0]
    assert layers(page)["conv1"]["blobs"][0]["dead"] == [2]
    assert embedded(page.html)


def test_scores_that_are_no_finite_numbers_and_the_format_are_told_in_words() -> None:
    text = 'layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 1 dim: 3 dim: 1 dim: 1 } } }'
    page = view(text + ' layer { name: "log" type: "Log" bottom: "x" top: "y" }', images=np.zeros((3, 1, 1), "float32"))
    assert [score for _, score in page.data["images"][0]["classes"]] == ["-inf"] * 3
    assert 'Caffe\'s format since 2014 (V2: layer { type: "Convolution" })' in said(page)


def test_of_constant_blobs_the_first_is_named() -> None:
    net = BLOCKS.replace('weight_filler { type: "xavier" }', "").replace(
        "use_global_stats: false", "use_global_stats: true"
    )
    found = view(net, images=np.ones((3, 32, 24), "float32")).data["findings"]
    assert [row["text"] for row in found if "constant" in row["text"]] == [
        "blob 'conv1' is constant, 0 throughout, for the array"
    ]


def test_batch_statistics_are_a_finding_and_what_depends_on_them() -> None:
    for page in (view(BLOCKS), view(load(BLOCKS))):
        assert "batch statistics: use_global_stats: false holds in phase TEST" in said(page)
        blobs = "conv1, mix_a/1x1, mix_a/3x3, mix_a/output, pool, fc, prob"
        assert f"what else is in the batch changes blobs (7): {blobs}" in said(page)


def test_a_net_that_is_the_same_in_both_phases_has_one_scene() -> None:
    page = view(NET)
    assert list(page.data["scenes"]) == ["TEST"]
    assert "phase" not in layers(page)["conv1"]["prototxt"]
    assert list(view(BLOCKS).data["scenes"]) == ["TEST", "TRAIN"]
    assert list(view(BLOCKS, phase="TRAIN").data["scenes"]) == ["TRAIN", "TEST"]


def test_both_phases_have_weights_and_pictures_of_them_once(tmp_path) -> None:
    net = BLOCKS + AUXILIARY
    save(load(net, phase="TRAIN"), None, tmp_path / "both.caffemodel")
    page = view(net, tmp_path / "both.caffemodel")
    test, train = layers(page), layers(page, "TRAIN")
    assert test["conv1"]["blobs"][0]["histogram"] and "histogram" not in train["conv1"]["blobs"][0]
    assert list(test)[train["conv1"]["weights_of"]] == "conv1"
    assert train["conv1"]["filled"] == "from the weight file"
    assert train["aux"]["blobs"][0]["histogram"] and "weights_of" not in train["aux"]


def test_cures_name_what_the_reader_used(tmp_path) -> None:
    net = tmp_path / "lost.prototxt"
    net.write_text('layer { name: "c" type: "ReLU" bottom: "data" top: "c" }')
    main(["view", str(net), "-o", str(tmp_path / "net.html")])
    of_command, of_python = embedded((tmp_path / "net.html").read_text()), view(net).data
    for page, wanted, other in (
        (of_command, "--input-shape", "input_shapes="),
        (of_python, "input_shapes=", "--input"),
    ):
        cures = " ".join([page["scenes"]["TEST"]["problems"][0], *(row["cure"] for row in page["findings"])])
        assert wanted in cures and other not in cures
    assert of_command["calls"]["weights"] == "keras-caffe view NET WEIGHTS"
    assert of_python["calls"]["weights"] == "keras_caffe.view(net, weights)"


def test_custom_layers_are_known_to_the_page() -> None:
    mixer = type("Mixer", (Concat,), {})
    found = layers(view(BLOCKS.replace('"Concat"', '"Mixer"'), custom_layers={"Mixer": mixer}))
    assert found["mix_a/output"]["kind"] == "other"
    assert found["mix_a/output"]["shapes"] == [["mix_a/output", "1 × 8 × 30 × 22", "1 × 30 × 22 × 8"]]


def test_nan_is_told_where_it_begins_and_without_weights_the_page_says_what_was_run() -> None:
    page = view(BLOCKS, images=np.full((3, 32, 24), np.nan, "float32"))
    assert (
        "blob 'data' holds 2,304 NaN or infinite values of 2,304 for the array; so do blobs behind it, 8 in all"
        in said(page)
    )
    assert "no weights were given" in said(page)
    assert "no weights were given" not in said(view(load(BLOCKS), images=np.ones((3, 32, 24), "float32")))


def test_layers_that_the_weights_do_not_fill() -> None:
    found = layers(view(NET.read_text().replace('"ip2"', '"mine"'), WEIGHTS))
    assert found["mine"]["filled"] == "by its fillers: no file has this layer"


def test_shared_parameters_and_losses_are_marked() -> None:
    twice = BLOCKS.replace('"mix_a/3x3"\n', '"mix_a/3x3"\n  param { name: "shared" }\n', 1)
    second = twice[twice.index('layer { name: "mix_a/3x3"') :].split("layer {")[1]
    net = f"{twice}layer {{{second.replace('mix_a/3x3', 'again')}"
    assert layers(view(net))["again"]["blobs"][0]["owner"] == "mix_a/3x3"
    assert layers(view(net), "TRAIN")["loss"]["loss_weight"] == 1.0


def test_boxes_of_a_detector_and_why_there_are_none() -> None:
    model = load(detector(0.5))
    empty = view(model, images=np.zeros((3, 8, 8), "float32"))
    assert "finds nothing in the array: the highest score is" in said(empty)
    assert "confidence_threshold is 0.5" in said(empty)
    assert "finds nothing" in empty.data["images"][0]["why"][0]
    assert not {"bars", "picture"} & empty.data["images"][0]["blobs"]["out"].keys()  # Caffe's row of -1 is no finding
    boxes = view(load(detector(0.1)), images=np.zeros((3, 8, 8), "float32")).data["images"][0]["boxes"]
    assert boxes and all(len(box) == 6 for box in boxes)


def test_the_second_of_two_detectors_is_empty() -> None:
    second = detector(0.5).partition('layer { name: "out"')
    net = detector(0.1) + "".join(second[1:]).replace('"out"', '"strict"')
    image = view(load(net), images=np.zeros((3, 8, 8), "float32")).data["images"][0]
    assert image["from"] == "out, strict" and image["counts"] == {"out": len(image["boxes"]), "strict": 0}
    assert [text[:29] for text in image["why"]] == ["layer 'strict' finds nothing "]


def detector(threshold: float) -> str:
    """One prior, three classes of equal scores."""
    return f"""
layer {{ name: "data" type: "Input" top: "data" input_param {{ shape {{ dim: 1 dim: 3 dim: 8 dim: 8 }} }} }}
layer {{ name: "pool" type: "Pooling" bottom: "data" top: "pool" pooling_param {{ pool: AVE global_pooling: true }} }}
layer {{ name: "loc" type: "InnerProduct" bottom: "pool" top: "loc" inner_product_param {{ num_output: 4 }} }}
layer {{ name: "fc" type: "InnerProduct" bottom: "pool" top: "fc" inner_product_param {{ num_output: 3 }} }}
layer {{ name: "conf" type: "Softmax" bottom: "fc" top: "conf" }}
layer {{ name: "prior" type: "PriorBox" bottom: "pool" bottom: "data" top: "prior" prior_box_param {{ min_size: 4 }} }}
layer {{ name: "out" type: "DetectionOutput" bottom: "loc" bottom: "conf" bottom: "prior" top: "out"
  detection_output_param {{ num_classes: 3 nms_param {{ nms_threshold: 0.5 }} keep_top_k: 5
  confidence_threshold: {threshold} }} }}
"""


def test_a_notebook_shows_a_model_and_a_page(lenet) -> None:
    assert "<td>431,080</td>" in lenet._repr_html_()
    frame = view(lenet)._repr_html_()
    assert frame.startswith("<iframe srcdoc=") and "<script" not in frame


def test_the_command(tmp_path, picture, capsys, monkeypatch) -> None:
    out = tmp_path / "net.html"
    command = ["view", str(NET), str(WEIGHTS), "--image", str(picture), "--mean", "33", "-o", str(out)]
    assert main(command) == 0
    assert f"wrote {out}" in capsys.readouterr().out
    assert embedded(out.read_text())["images"][0]["name"] == "red.png"
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    assert main(["view", str(NET)]) == 0
    assert opened and opened[0].startswith("file://") and opened[0].endswith("net.html")
    assert main(["view", str(tmp_path / "none.prototxt")]) == 1


def test_another_definition() -> None:
    other = BLOCKS.replace("num_output: 8", "num_output: 16").replace('"pool"', '"mean"')
    rows = view(BLOCKS, against=other).data["against"]["rows"]
    found = {(row["layer"], row["what"]): row["text"] for row in rows}
    assert found["pool", "only here"] == found["mean", "only there"] == "Pooling"
    assert found["conv1", "changed"] == "convolution_param { num_output: 8 → 16 }"


def test_other_weights_and_where_values_diverge_first(lenet, digit, tmp_path) -> None:
    params = lenet.get_caffe_params()
    other = load(NET, WEIGHTS)
    other.set_caffe_params({**params, "conv2": [params["conv2"][0] * 2, params["conv2"][1]]})
    save(other, None, tmp_path / "other.caffemodel")
    for subject in ((NET, WEIGHTS), (lenet, None)):
        found = view(*subject, images=digit, against=tmp_path / "other.caffemodel").data["against"]
        assert found["first"] == "conv2"
        assert [row["layer"] for row in found["rows"] if row["what"] == "weights"] == ["conv2"]


def test_blobs_of_another_program(lenet, digit, tmp_path) -> None:
    fed = {"data": digit[None]}
    blobs = {name: array for name, array in computed_blobs(lenet, ["conv1", "ip1"], fed).items()}
    np.savez(tmp_path / "blobs.npz", **fed, conv1=blobs["conv1"], ip1=blobs["ip1"] + 1)
    found = view(lenet, against=tmp_path / "blobs.npz").data["against"]
    assert found["first"] == "ip1"
    assert [row["what"] for row in found["rows"]] == ["agrees", "diverges"]
    assert found["rows"][0]["text"] == "blob 'conv1': the same"


@needs_wild
@pytest.mark.parametrize("file", sorted((WILD / "prototxts").glob("*"))[::40], ids=lambda file: file.name[-40:])
def test_nets_from_the_wild_give_a_page(file: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        page = view(file)
    assert embedded(page.html)["scenes"]
    for shown in page.data["scenes"].values():
        assert sorted(place for chain in shown["boxes"] for place in chain) == list(range(len(shown["layers"])))


def test_a_text_that_cannot_be_read_gives_a_page_that_says_where(tmp_path) -> None:
    file = tmp_path / "net.prototxt.template"
    file.write_text('name: "s0"\nlayer { name: {{<script>alert(1)</script>}} }\n')
    page = view(file)
    (finding,) = page.data["findings"]
    assert finding["severity"] == "error"
    assert finding["text"].startswith("name cannot take this value")
    assert finding["text"].endswith("(line 2)")
    assert page.data["scenes"]["TEST"]["layers"] == []
    assert "<script>alert" not in page.html


def test_a_text_that_cannot_be_read_runs_no_picture_and_compares_with_nothing(tmp_path, digit, lenet) -> None:
    broken = tmp_path / "broken.prototxt"
    broken.write_text('layer { name: "a" type: }')
    with pytest.raises(ReadError, match=r"broken\.prototxt:1:25"):
        view(broken, images=digit)
    with pytest.raises(ReadError, match=r"broken\.prototxt:1:25"):
        view(broken, against={"a": digit})
    assert view(broken, against=WEIGHTS).data["against"]["rows"] == []
    rows = view(lenet, images=digit, against=broken).data["against"]["rows"]
    assert [row["what"] for row in rows if "broken.prototxt:1:25" in row["text"]] == ["not compared"]

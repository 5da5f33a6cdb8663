"""The page in a real browser."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keras_caffe import load, samples, save, view
from tests.page.browser import chromium
from tests.page.nets import BLOCKS, HOSTILE, chain

ENTER, DOWN, TAB = "\ue007", "\ue015", "\ue004"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("browser")


@pytest.fixture(scope="module")
def browser(folder):
    with chromium(folder) as opened:
        yield opened


@pytest.fixture(scope="module")
def blocks(folder):
    """A page with everything on it: blocks, two phases, weights by fillers, a picture."""
    picture = np.random.default_rng(1).uniform(0, 255, (3, 32, 24)).astype("float32")
    return view(BLOCKS, images=[picture]).save(folder / "blocks.html")


def opened(browser: Any, page: Path) -> Any:
    browser.get_log("browser")  # empties it
    browser.get(page.as_uri())
    wait(lambda: texts(browser, "aside h2") != [])
    return browser


def wait(ready: Callable[[], Any]) -> Any:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if found := ready():
            return found
        time.sleep(0.05)
    raise AssertionError("the page did not come so far in a minute")


def texts(browser: Any, selector: str) -> list[str]:
    return browser.execute_script(
        "return [...document.querySelectorAll(arguments[0])].map((one) => one.textContent)", selector
    )


def css(browser: Any, selector: str) -> Any:
    return browser.find_element("css selector", selector)


def click(browser: Any, selector: str) -> None:
    """A click on a part of a drawing, which Selenium's own takes for covered by its text."""
    event = "new MouseEvent('click', {bubbles: true})"
    browser.execute_script(f"arguments[0].dispatchEvent({event})", css(browser, selector))


def press(browser: Any, *keys: str) -> None:
    for key in keys:
        browser.switch_to.active_element.send_keys(key)


def test_opens_without_a_complaint_and_draws_the_net(browser, blocks) -> None:
    opened(browser, blocks)
    assert "conv1" in "".join(texts(browser, ".box text"))
    assert not browser.get_log("browser")


def test_search_finds_a_layer_and_shows_its_panel(browser, blocks) -> None:
    opened(browser, blocks)
    press(browser, "/")
    press(browser, "mix_a/3", ENTER)
    assert wait(lambda: texts(browser, "aside h2") == ["mix_a/3x3"])
    panel = css(browser, "aside").text
    assert "1 × 4 × 30 × 22" in panel and "1 × 30 × 22 × 4" in panel
    assert "5 × 5 pixels, stride 1" in panel
    assert "kernel_size: 3" in panel
    assert len(texts(browser, "aside figure.activation")) == 1


def test_a_click_shows_the_layer_and_what_is_in_place(browser, blocks) -> None:
    opened(browser, blocks)
    browser.execute_script(
        "arguments[0].dispatchEvent(new MouseEvent('click', {bubbles: true}))", css(browser, '[data-box="1"]')
    )
    assert texts(browser, "aside h2") == ["conv1"]
    assert "↻ BatchNorm  bn1" in texts(browser, '[data-box="1"] text')
    assert "lr_mult 0, decay_mult 1 (frozen)" in css(browser, "aside").text


def test_blocks_fold_and_unfold(browser, blocks) -> None:
    opened(browser, blocks)
    count = len(texts(browser, ".box"))
    css(browser, '[aria-label="Fold all blocks"]').click()
    assert len(texts(browser, ".box")) == count - 3
    assert css(browser, '[data-block="mix_a"]').get_attribute("aria-expanded") == "false"
    click(browser, '[data-block="mix_a"]')
    assert len(texts(browser, ".box")) == count


def test_the_phase_is_a_switch(browser, blocks) -> None:
    opened(browser, blocks)
    assert "loss" not in texts(browser, ".box text")
    browser.execute_script(
        "const s = document.getElementById('phase'); s.value = 'TRAIN'; s.dispatchEvent(new Event('change'))"
    )
    wait(lambda: "SoftmaxWithLoss" in " ".join(texts(browser, ".box text")))
    assert "loss" in texts(browser, ".box .mark")


def test_the_other_phase_shows_the_same_weights(browser, folder) -> None:
    save(load(BLOCKS), None, folder / "blocks.caffemodel")
    opened(browser, view(BLOCKS, folder / "blocks.caffemodel").save(folder / "phases.html"))
    seen = []
    for phase in ("TEST", "TRAIN"):
        css(browser, f"#phase option[value={phase}]").click()
        click(browser, '[data-box="1"]' if phase == "TEST" else '[data-box="2"]')
        assert wait(lambda: texts(browser, "aside h2")) == ["conv1"]
        seen.append((css(browser, "aside img.pixels").get_attribute("src"), texts(browser, "aside figure small")))
    assert seen[0] == seen[1] and seen[0][1]


def test_activations_classes_saliency_and_cam(browser, blocks) -> None:
    opened(browser, blocks)
    css(browser, "#tab-images").click()
    assert "conv1 8 maps" in css(browser, "#views").text
    pictures = "[...document.images].map((one) => [one.alt, one.naturalWidth > 0])"
    shown = dict(browser.execute_script(f"return {pictures}"))
    assert "saliency: how much each pixel moves the best class" in shown
    assert "class-activation map of the best class" in shown
    assert len(texts(browser, ".bars div")) == 5
    assert not browser.get_log("browser")


def test_the_costs_sort_and_download(browser, blocks, folder) -> None:
    opened(browser, blocks)
    css(browser, "#tab-costs").click()
    css(browser, '[data-sort="parameters"]').click()
    assert "▾" in css(browser, '[data-sort="parameters"]').text
    css(browser, "#csv").click()
    wait((folder / "layers.csv").exists)
    rows = list(csv.DictReader((folder / "layers.csv").read_text(encoding="utf-8").splitlines()))
    assert [row["layer"] for row in rows][:2] == ["mix_a/3x3", "conv1"]
    assert (rows[1]["parameters"], rows[1]["output"]) == ("224", "1 × 8 × 30 × 22")


def test_the_keyboard_alone_reaches_everything(browser, blocks) -> None:
    opened(browser, blocks)
    seen = set()
    for _ in range(40):
        press(browser, TAB)
        seen.add(browser.execute_script("const a = document.activeElement; return a.id || a.tagName"))
    assert {"phase", "search", "tab-graph", "g", "ASIDE"} <= seen
    browser.execute_script("document.querySelector('.box[tabindex=\"0\"]').focus()")
    press(browser, DOWN, ENTER)
    assert texts(browser, "aside h2") == ["conv1"]
    press(browser, DOWN, ENTER)
    assert css(browser, '[data-block="mix_a"]').get_attribute("aria-expanded") == "false"
    browser.execute_script("document.getElementById('tab-graph').focus()")
    press(browser, "\ue014")
    assert css(browser, "#tab-costs").get_attribute("aria-selected") == "true"


def test_hostile_names_are_text(browser, folder) -> None:
    long = "n" * 10_000
    net = f"""
name: "{HOSTILE}"
layer {{ name: "data" type: "Input" top: "data" input_param {{ shape {{ dim: 1 dim: 2 }} }} }}
layer {{ name: "{HOSTILE}" type: "ReLU" bottom: "data" top: "{HOSTILE}" }}
layer {{ name: "{long}" type: "{HOSTILE}" bottom: "{HOSTILE}" top: "out" }}
layer {{ name: "__proto__" type: "constructor" bottom: "toString" top: "__proto__" }}
layer {{ name: "constructor" type: "ReLU" bottom: "__proto__" top: "constructor" }}
"""
    opened(browser, view(net).save(folder / "hostile.html"))
    for tab in ("costs", "weights", "images", "findings", "graph"):
        css(browser, f"#tab-{tab}").click()
    browser.execute_script("for (let place = 0; place < 5; place += 1) choose(place)")
    assert texts(browser, "aside h2") == ["constructor"]
    assert browser.execute_script("return window.ran") is None
    assert not texts(browser, "img[src=x]")
    assert texts(browser, "h1")[0].startswith("<script>window.ran")
    assert "{{ 7 * 7 }}" in texts(browser, "h1")[0]
    assert len(texts(browser, ".box.unknown")) == 2
    assert not browser.get_log("browser")


def test_a_net_of_3000_layers(browser, folder) -> None:
    page = view(chain(3000)).save(folder / "long.html")
    opened(browser, page)
    assert len(texts(browser, ".box")) == 3001
    assert not browser.get_log("browser")


def test_lenet_has_no_findings(browser, folder) -> None:
    page = view(samples.path("lenet.prototxt"), samples.path("lenet.caffemodel")).save(folder / "lenet.html")
    opened(browser, page)
    assert not texts(browser, ".badge")
    css(browser, "#tab-weights").click()
    assert len(texts(browser, ".histogram")) == 8


STATES = {
    "graph": "show('graph')",
    "a layer chosen": "choose(2)",
    "search": "document.getElementById('search').value = 'c'; find()",
    **{tab: f"show('{tab}')" for tab in ("costs", "weights", "images", "findings", "against")},
}


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_axe_finds_no_barrier(browser, folder, colours) -> None:
    axe = pytest.importorskip("axe_core_python")
    picture = np.random.default_rng(1).uniform(0, 255, (3, 32, 24)).astype("float32")
    other = BLOCKS.replace("num_output: 8", "num_output: 16")
    page = view(BLOCKS, images=picture, against=other).save(folder / "barriers.html")
    with media(browser, "screen", colours):
        opened(browser, page)
        browser.execute_script((Path(axe.__file__).parent / "axe.min.js").read_text(encoding="utf-8"))
        found = {}
        for state, script in STATES.items():
            browser.execute_script(script)
            found[state] = browser.execute_async_script(
                "axe.run().then((found) => arguments[0](found.violations.map((one) => [one.impact, one.help])))"
            )
    assert found == {state: [] for state in STATES}


@contextmanager
def media(browser: Any, kind: str, colours: str) -> Iterator[None]:
    scheme = [{"name": "prefers-color-scheme", "value": colours}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": kind, "features": scheme})
    yield
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})


def test_paper_is_white_and_has_all_of_the_graph(browser, blocks) -> None:
    opened(browser, blocks)
    wait(lambda: texts(browser, ".box"))
    browser.execute_script("zoom(4); zoom(4); window.dispatchEvent(new Event('beforeprint'))")
    with media(browser, "print", "dark"):
        shown = browser.execute_script(
            "const edges = (node) => { const spot = node.getBoundingClientRect();"
            " return [spot.left, spot.top, -spot.right, -spot.bottom]; };"
            "const frame = edges(document.querySelector('.stage svg'));"
            "const inside = (box) => edges(box).every((edge, place) => edge >= frame[place]);"
            "const style = getComputedStyle(document.documentElement);"
            "return [[...document.querySelectorAll('.box')].every(inside), style.getPropertyValue('--input').trim(),"
            " getComputedStyle(document.querySelector('.controls')).display]"
        )
    assert shown == [True, "#1d2129", "none"]
    browser.execute_script("window.dispatchEvent(new Event('afterprint'))")
    assert "scale(4)" in browser.execute_script("return world.getAttribute('transform')")


def test_shades_span_a_map_or_a_blob(browser, blocks) -> None:
    opened(browser, blocks)
    css(browser, "#tab-images").click()
    source = "return document.querySelectorAll('.activation img')[1].src"
    each = browser.execute_script(source)
    css(browser, ".shades").send_keys("the whole blob")
    assert wait(lambda: browser.execute_script(source) != each)


def test_a_folded_block_says_what_is_inside(browser, folder) -> None:
    weights = folder / "some.caffemodel"
    model = load(BLOCKS.replace('"mix_a/3x3"', '"other"'))
    save(model, None, weights)
    opened(browser, view(BLOCKS, weights).save(folder / "unfilled.html"))
    panel = css(browser, "aside").text
    assert "Not filled\nmix_a/3x3" in panel and "Costliest layer\nmix_a/3x3" in panel
    css(browser, '[aria-label="Fold all blocks"]').click()
    assert "not filled" in texts(browser, '[data-block="mix_a"] .mark')
    css(browser, "#tab-weights").click()
    assert "1 layer was not filled by the weights: mix_a/3x3" in css(browser, "#views").text


def test_a_button_pressed_before_the_graph_is_drawn_does_no_harm(browser, blocks) -> None:
    opened(browser, blocks)
    browser.execute_script("""
        const tabs = [...document.querySelectorAll("[role=tab]")];
        for (const name of ["Costs", "Graph"]) tabs.find((tab) => tab.textContent === name).click();
        document.querySelector("button[aria-label='Fit the net into the window']").click();
        window.dispatchEvent(new Event("beforeprint"));
        window.dispatchEvent(new Event("afterprint"));""")
    wait(lambda: "conv1" in "".join(texts(browser, ".box text")))
    assert not browser.get_log("browser")
